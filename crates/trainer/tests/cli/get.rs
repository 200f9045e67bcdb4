//! `trainer data get`, as far as it goes without a network.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;

use crate::util::{Dir, FILES, skip};

/// The real Fashion-MNIST, compressed as Keras keeps it, where it is.
fn real_files() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = env::var_os("FLATIRON_DATA").map_or(beside, PathBuf::from).join("fashion-mnist");
    FILES.iter().all(|file| folder.join(format!("{file}.gz")).is_file()).then_some(folder)
}

#[test]
fn names_that_cannot_be_had() {
    let dir = Dir::new();
    let error = dir.trainer(&["data", "get", "mnist", "fashoin-mnist"]).fails(2);
    assert!(error.contains("\"fashoin-mnist\"") && error.contains("fashion-mnist?"), "{error}");
    let error = dir.trainer(&["data", "get", "glyphs"]).fails(2);
    assert!(error.contains("needs no download"), "{error}");
    dir.trainer(&["data", "get"]).fails(2);
    assert_eq!(dir.contents(), [""; 0]);
}

#[test]
fn without_a_cache_and_without_network_the_way_out_is_told() {
    let dir = Dir::new();
    for name in ["mnist", "emnist-letters", "qmnist"] {
        let arguments = ["data", "get", name, "--offline", "--data-dir", "mine"];
        let (_, error) = dir.trainer(&arguments).fails_midway(1);
        assert!(error.contains(name) && error.contains("by hand"), "{error}");
        assert!(!dir.path("mine").join(name).exists());
    }
    assert_eq!(dir.contents(), [""; 0]);
}

/// A proxy that connects to nothing, so that no name leaves this machine: its address, and what it
/// is asked for the first so many times.
fn refusing_proxy(times: usize) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        (0..times)
            .map(|_| {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(&stream).lines().map(Result::unwrap);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap();
                head[0].clone()
            })
            .collect()
    });
    (proxy, asked)
}

/// The network is asked with `--download` and never without; where that fails, nothing is trained.
#[test]
fn a_known_set_that_is_not_here_is_fetched_where_that_is_asked_for() {
    let dir = Dir::with_data();
    dir.train_model();
    let before = dir.contents();
    for command in [
        &["train", "mnist"][..],
        &["evaluate", "model.safetensors", "mnist"],
        &["data", "inspect", "mnist"],
        &["train", "--data", "mnist", "--data-dir", "new"],
        &["train"],
    ] {
        let (proxy, asked) = refusing_proxy(3);
        let run = dir.trainer(command).args(&["--download"]);
        let (said, error) = run.env("ALL_PROXY", &proxy).env("NO_PROXY", "").fails_midway(1);
        assert_eq!(said, "", "what is fetched is told on standard error");
        assert!(error.starts_with("could not get train-images-idx3-ubyte of mnist: "), "{error}");
        assert!(asked.join().unwrap().iter().all(|line| line.starts_with("CONNECT ")));
        assert_eq!(dir.contents(), before);
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", silent.local_addr().unwrap());
    let run = dir.trainer(&["train", "mnist"]).env("ALL_PROXY", &proxy).env("NO_PROXY", "");
    let error = run.fails(1);
    assert!(error.contains("`trainer data get mnist` (or add --download)"), "{error}");
    assert!(silent.accept().is_err(), "the network was asked");
    // Of what is drawn or somebody's own there is nothing to fetch.
    let run = dir.trainer(&["train", "small", "--download", "--epochs", "1", "--hidden", "2"]);
    run.env("ALL_PROXY", &proxy).env("NO_PROXY", "").succeeds();
    assert!(silent.accept().is_err(), "the network was asked");
}

#[test]
fn a_proxy_that_refuses_is_asked_once_for_each_mirror() {
    let (proxy, asked) = refusing_proxy(3);
    let dir = Dir::new();
    let run = dir.trainer(&["data", "get", "mnist"]).env("ALL_PROXY", &proxy).env("NO_PROXY", "");
    let (_, error) = run.fails_midway(1);
    let asked = asked.join().unwrap();
    assert_eq!(asked[0], "CONNECT storage.googleapis.com:443 HTTP/1.1");
    assert!(asked.iter().all(|line| !line.contains("lecun")), "{asked:?}");
    assert!(error.starts_with("could not get train-images-idx3-ubyte of mnist: "), "{error}");
    assert_eq!(error.matches("could not be reached by the proxy").count(), 3, "{error}");
    assert!(!dir.path("cache").join("flatiron").join("mnist").exists());
}

#[test]
fn what_keras_has_is_copied_verified_and_found_by_the_other_commands() {
    let Some(real) = real_files() else {
        skip(
            "what Keras has: no gzipped Fashion-MNIST; set FLATIRON_DATA to the folder that \
             fashion-mnist/ with its four .gz files is in",
        );
        return;
    };
    let dir = Dir::new();
    let keras = ".keras/datasets/fashion-mnist";
    for file in FILES {
        let bytes = std::fs::read(real.join(format!("{file}.gz"))).unwrap();
        dir.write(&format!("{keras}/{file}.gz"), &bytes);
    }
    // A copy in a cache is enough for --download, and comes first.
    let train = ["train", "fashion-mnist", "--download", "--data-dir", "fetched", "--quiet"];
    let run = dir.trainer(&train).args(&["--epochs", "1", "--hidden", "8"]);
    let (said, notes) = run.succeeds_with_notes();
    assert!(said.starts_with("test loss 0."), "{said}");
    assert_eq!(notes.matches("sha256 verified, copied from Keras").count(), 4, "{notes}");
    assert!(dir.path("fetched/fashion-mnist").join(FILES[0]).is_file());

    let get = ["data", "get", "Fashion_MNIST", "--offline"];
    let said = dir.trainer(&get).succeeds();
    assert_eq!(said.matches("sha256 verified, copied from Keras").count(), 4, "{said}");
    let said = dir.trainer(&get).succeeds();
    assert_eq!(said.matches("sha256 verified, was in place").count(), 4, "{said}");
    let said = dir.trainer(&["data", "inspect", "fashion-mnist"]).succeeds();
    assert!(said.contains("(60000, 28, 28)") && said.contains("Ankle boot"), "{said}");

    // A file that is damaged later is found out and replaced; --quiet says nothing of it.
    let damaged = format!("cache/flatiron/fashion-mnist/{}", FILES[1]);
    let bytes = dir.read(&damaged);
    dir.write(&damaged, &bytes[..5000]);
    let (said, notes) = dir
        .trainer(&["data", "get", "fashion-mnist", "--offline", "--quiet"])
        .succeeds_with_notes();
    assert_eq!(said, "");
    assert!(notes.contains("passed over: it inflates to 5000 of its 60008 bytes"), "{notes}");
    assert_eq!(dir.read(&damaged), bytes);

    // So is one beside the good file that it was inflated from, which nobody would read.
    std::fs::remove_dir_all(dir.path(".keras")).unwrap();
    let compressed = std::fs::read(real.join(format!("{}.gz", FILES[1]))).unwrap();
    dir.write(&format!("{damaged}.gz"), &compressed);
    dir.write(&damaged, b"\0");
    let said = dir.trainer(&get).succeeds();
    assert!(said.contains("sha256 verified, restored from "), "{said}");
    assert_eq!(dir.read(&damaged), bytes);
}

/// Whatever goes by the name of a known set.
#[test]
fn somebodys_own_files_are_never_replaced() {
    let dir = Dir::new();
    for folder in ["mine/mnist", "mine/MNIST/raw"] {
        dir.data_set(folder);
        let before = (dir.contents(), dir.read(&format!("{folder}/{}", FILES[0])));
        let get = ["data", "get", "mnist", "--offline", "--data-dir", "mine"];
        let (_, error) = dir.trainer(&get).fails_midway(1);
        let expected = format!(
            "{} is a whole IDX file, but not that of mnist: it is uint8 [300, 5, 5], not uint8 \
             [60000, 28, 28]; it is left as it is: get mnist into another folder (--data-dir), or \
             move this file away and try again",
            format_args!("{folder}/{}", FILES[0])
        );
        assert_eq!(error, expected);
        assert_eq!((dir.contents(), dir.read(&format!("{folder}/{}", FILES[0]))), before);
        std::fs::remove_dir_all(dir.path(folder)).unwrap();
    }
}

/// torchvision's folder is not written to; what is fetched goes where it is found first.
#[test]
fn damaged_files_of_torchvision_are_told_about() {
    let dir = Dir::new();
    dir.data_set("mine/MNIST/raw");
    for file in FILES {
        dir.write(&format!("mine/MNIST/raw/{file}"), b"\0\0\x08");
    }
    let before = dir.contents();
    let get = ["data", "get", "mnist", "--offline"];
    let mut run = dir.trainer(&get).env("FLATIRON_DATA", "mine");
    let output = run.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let notes = String::from_utf8(output.stderr).unwrap();
    assert_eq!(notes.matches("passed over: it is neither gzip nor IDX").count(), 4, "{notes}");
    assert!(notes.contains("into mine/mnist by hand"), "{notes}");
    assert_eq!(dir.contents(), before);
}
