//! Servers that answer badly, slowly or not at all: the next mirror is used.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use dataset::fetch::{Check, Network, Origin, Reason};

use crate::server::{Server, drip, head, reply, serve};
use crate::setup::{NAME, gzip, images, network, run, run_with, source};

const PAUSE: Duration = Duration::from_millis(20);
const HTML: &[u8] = b"<!DOCTYPE html><html><body>Please sign in</body></html>";

#[test]
fn a_good_mirror_is_asked_once() {
    let (good, spare) = (Server::good(&gzip(&images())), Server::good(&gzip(&images())));
    let run = run(&[good.base(), spare.base()]);
    run.assert_placed();
    let file = &run.result.as_ref().unwrap().files[0];
    assert_eq!(file.check, Check::Payload);
    assert_eq!(file.origin, Origin::Mirror { url: format!("{}{NAME}.gz", good.base()) });
    assert_eq!(good.requests().len(), 1);
    assert_eq!(good.requests()[0].line, format!("GET /{NAME}.gz HTTP/1.1"));
    assert_eq!(good.requests()[0].header("accept-encoding"), Some("identity"));
    assert!(spare.requests().is_empty());
}

#[test]
fn a_file_in_place_is_verified_without_any_request() {
    let server = Server::good(&gzip(&images()));
    let first = run(&[server.base()]);
    first.assert_placed();
    let second = run_with(&source(&[server.base()]), first.root, network());
    second.assert_placed();
    assert_eq!(second.result.as_ref().unwrap().files[0].origin, Origin::InPlace);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn not_found_is_not_asked_again() {
    let bad = Server::always(404, &[], b"no such key");
    let good = Server::good(&gzip(&images()));
    run(&[bad.base(), good.base()]).assert_placed_despite("Status(404)");
    assert_eq!(bad.requests().len(), 1);
}

#[test]
fn unavailable_is_asked_again_and_then_given_up() {
    let bad = Server::always(503, &["Retry-After: 3600"], b"later");
    let good = Server::good(&gzip(&images()));
    let begun = Instant::now();
    run(&[bad.base(), good.base()]).assert_placed_despite("Status(503)");
    assert_eq!(bad.requests().len(), 3);
    // An hour was asked for; the longest wait here is 10 ms.
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn unavailable_once_is_not_given_up() {
    let body = gzip(&images());
    let server = Server::start(move |request, stream| match request.number {
        0 => reply(stream, 503, &["Retry-After: 0"], b""),
        1 => reply(stream, 429, &[], b""),
        _ => serve(stream, request, &body, "\"v1\""),
    });
    run(&[server.base()]).assert_placed_despite("Retry");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn an_html_page_with_status_200_is_not_the_file() {
    for kind in ["Content-Type: text/html; charset=utf-8", "Content-Type: Text/HTML"] {
        let bad = Server::start(move |_, stream| reply(stream, 200, &[kind], HTML));
        let good = Server::good(&gzip(&images()));
        run(&[bad.base(), good.base()]).assert_placed_despite("HtmlPage");
        assert_eq!(bad.requests().len(), 1);
    }
}

#[test]
fn an_html_page_in_the_guise_of_a_file_is_not_the_file() {
    let bad = Server::always(200, &["Content-Type: application/gzip"], HTML);
    let good = Server::good(&gzip(&images()));
    run(&[bad.base(), good.base()]).assert_placed_despite("is a web page");
    assert_eq!(bad.requests().len(), 1);
}

#[test]
fn a_slow_line_is_fine_as_long_as_something_arrives() {
    let body = gzip(&images());
    let server = Server::start(move |_, stream| {
        head(stream, 200, &[&format!("Content-Length: {}", body.len())]);
        drip(stream, &body, 20, Duration::from_millis(25));
    });
    let begun = Instant::now();
    run(&[server.base()]).assert_placed();
    // Longer in all than any single silence may be.
    assert!(begun.elapsed() > network().stall_timeout);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn silence_in_the_middle_is_given_up() {
    let body = gzip(&images());
    let bad = Server::start(move |request, stream| {
        head(stream, 200, &[&format!("Content-Length: {}", body.len())]);
        let _ = stream.write_all(&body[..1000 * (request.number + 1)]);
        sleep(Duration::from_secs(2));
    });
    let good = Server::good(&gzip(&images()));
    let begun = Instant::now();
    let run = run(&[bad.base(), good.base()]);
    run.assert_placed_despite("Stalled(200ms)");
    assert!(begun.elapsed() < Duration::from_secs(2), "each silence may last 200 ms");
    assert_eq!(bad.requests().len(), 3);
}

#[test]
fn silence_from_the_start_is_given_up() {
    let bad = Server::start(|_, _| sleep(Duration::from_secs(2)));
    let good = Server::good(&gzip(&images()));
    run(&[bad.base(), good.base()]).assert_placed_despite("Stalled(200ms)");
}

#[test]
fn a_head_that_comes_byte_by_byte_is_given_up() {
    let bad = Server::start(|_, stream| {
        drip(stream, &[b"HTTP/1.1 200 OK\r\nX: ", &[b'x'; 80][..]].concat(), 101, PAUSE);
    });
    let good = Server::good(&gzip(&images()));
    let begun = Instant::now();
    run(&[bad.base(), good.base()]).assert_placed_despite("Stalled(200ms)");
    assert!(begun.elapsed() < 101 * PAUSE, "{:?}", begun.elapsed());
}

#[test]
fn a_byte_now_and_then_is_given_up() {
    let body = gzip(&images());
    let bad = Server::start(move |_, stream| {
        head(stream, 200, &[&format!("Content-Length: {}", body.len())]);
        drip(stream, &body[..100], 100, Duration::from_millis(10));
    });
    let good = Server::good(&gzip(&images()));
    let slow = Network {
        slow_time: Duration::from_millis(100),
        slow_bytes: 1000,
        attempts: 2,
        ..network()
    };
    let root = tempfile::tempdir().unwrap();
    let run = run_with(&source(&[bad.base(), good.base()]), root, slow);
    run.assert_placed_despite("Slow(1000, 100ms)");
}

#[test]
fn redirects_are_followed_to_other_hosts_too() {
    let good = Server::good(&gzip(&images()));
    let target = good.base();
    let server = Server::start(move |request, stream| {
        let location = match request.line.contains("/hop") {
            false => "Location: /hop/file.gz".to_owned(),
            true => format!("Location: {target}file.gz"),
        };
        reply(stream, 302, &[&location], HTML);
    });
    run(&[server.base()]).assert_placed();
    assert_eq!((server.requests().len(), good.requests().len()), (2, 1));
}

#[test]
fn redirects_in_a_circle_end() {
    let bad = Server::always(301, &["Location: /again"], b"");
    let good = Server::good(&gzip(&images()));
    run(&[bad.base(), good.base()]).assert_placed_despite("Redirects(5)");
    assert_eq!(bad.requests().len(), 6);
}

#[test]
fn nobody_there_is_tried_again_and_then_given_up() {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let good = Server::good(&gzip(&images()));
    run(&[format!("http://{address}/"), good.base()]).assert_placed_despite("Connection(");
}

#[test]
fn a_server_that_cannot_encrypt_is_given_up_at_once() {
    // A plain answer, and a TLS alert (RFC 8446, section 6): fatal, handshake_failure.
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0x15, 3, 3, 0, 2, 2, 40]] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let https = format!("https://{}/", listener.local_addr().unwrap());
        let bad = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        });
        let good = Server::good(&gzip(&images()));
        run(&[https, good.base()]).assert_placed_despite("Tls(");
        bad.join().unwrap();
    }
}

#[test]
fn an_answer_that_is_not_http_is_given_up() {
    for answer in [&b""[..], b"220 ftp.example.org ready\r\n", b"HTTP/1.1 20", &[0xff; 300]] {
        let bad = Server::start(move |_, stream| {
            let _ = stream.write_all(answer);
        });
        let good = Server::good(&gzip(&images()));
        run(&[bad.base(), good.base()]).assert_placed_despite("MirrorFailed");
        assert_eq!(bad.requests().len(), 3);
    }
}

#[test]
fn when_every_mirror_fails_each_is_named_and_so_is_the_way_out() {
    let missing = Server::always(404, &[], b"");
    let busy = Server::always(500, &[], b"");
    let portal = Server::always(200, &["Content-Type: text/html"], HTML);
    let run = run(&[missing.base(), busy.base(), portal.base()]);
    let failures = run.assert_nothing_left();
    assert!(matches!(failures[0].reason, Reason::Status(404)));
    assert!(matches!(failures[1].reason, Reason::Status(500)));
    assert!(matches!(failures[2].reason, Reason::HtmlPage));
    assert_eq!(failures.iter().map(|f| f.attempts).collect::<Vec<_>>(), [1, 3, 1]);
    let folder = run.root.path().join("tiny");
    let (m, b, p) = (missing.base(), busy.base(), portal.base());
    let expected = format!(
        "could not get {NAME} of tiny: {m}{NAME}.gz answered 404, not found, {b}{NAME}.gz answered \
         500 (3 times tried), {p}{NAME}.gz answered with an HTML page in place of the file; try \
         again later, or put {NAME}.gz (or {NAME}, inflated) into {} by hand",
        folder.display()
    );
    assert_eq!(run.result.unwrap_err().to_string(), expected);
}
