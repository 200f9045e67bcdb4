//! Proxies, named outright or by the environment.

use std::process::Command;

use dataset::fetch::{FetchError, Network, Proxy};

use crate::server::{Server, head, read_request, serve};
use crate::setup::{NAME, gzip, images, network, run_with, source};

/// A mirror that no resolver knows: only a proxy can reach it.
const UNREACHABLE: &str = "http://mirror.invalid/";
const CHILD: &str = "FLATIRON_TEST_IS_CHILD";

/// A CONNECT proxy that is itself whatever it is asked to connect to.
fn proxy() -> Server {
    let body = gzip(&images());
    Server::start(move |request, stream| {
        assert_eq!(request.line, "CONNECT mirror.invalid:80 HTTP/1.1");
        head(stream, 200, &[]);
        let tunnelled = read_request(stream).unwrap();
        assert_eq!(tunnelled.line, format!("GET /{NAME}.gz HTTP/1.1"));
        serve(stream, &tunnelled, &body, "\"v1\"");
    })
}

fn get(proxy: Proxy) -> crate::setup::Run {
    let network = Network { proxy, ..network() };
    run_with(&source(&[UNREACHABLE.into()]), tempfile::tempdir().unwrap(), network)
}

#[test]
fn a_proxy_given_by_address_is_used() {
    let proxy = proxy();
    get(Proxy::Address(format!("http://{}", proxy.address()))).assert_placed();
    assert_eq!(proxy.requests().len(), 1);
}

#[test]
fn a_proxy_that_refuses_is_named() {
    let proxy = Server::always(407, &[], b"");
    let run = get(Proxy::Address(format!("http://{}", proxy.address())));
    let reason = run.assert_nothing_left()[0].reason.to_string();
    assert!(reason.contains("proxy") && reason.contains("407"), "{reason}");
    assert_eq!(proxy.requests().len(), 1, "it would refuse the next time as well");
}

#[test]
fn an_address_that_is_none_is_an_error() {
    let run = get(Proxy::Address("not a proxy".into()));
    assert!(matches!(run.result, Err(FetchError::Proxy { .. })), "{:?}", run.result);
    assert_eq!(run.names(), [""; 0]);
}

#[test]
fn without_a_proxy_the_mirror_is_not_found() {
    let run = get(Proxy::None);
    let reason = run.assert_nothing_left()[0].reason.to_string();
    assert_eq!(reason, "its name could not be resolved");
}

/// The variables are read in a process of its own: those of this one belong to all tests.
#[test]
fn a_proxy_from_the_environment_is_used() {
    if std::env::var_os(CHILD).is_some() {
        let run = get(Proxy::Environment);
        match std::env::var(CHILD).as_deref() {
            Ok("proxied") => run.assert_placed(),
            _ => assert_eq!(run.failures().len(), 1),
        }
        return;
    }
    let all = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];
    let child = |expected: &str, variables: &[(&str, &str)]| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "proxy::a_proxy_from_the_environment_is_used"]);
        for name in all {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let output = command.env(CHILD, expected).envs(variables.iter().copied()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{variables:?}: {text}");
    };
    let proxy = proxy();
    let address = format!("http://{}", proxy.address());
    for name in ["ALL_PROXY", "HTTPS_PROXY", "http_proxy"] {
        child("proxied", &[(name, &address)]);
    }
    assert_eq!(proxy.requests().len(), 3);
    child("direct", &[("ALL_PROXY", &address), ("NO_PROXY", "mirror.invalid")]);
    child("direct", &[]);
    assert_eq!(proxy.requests().len(), 3);
}
