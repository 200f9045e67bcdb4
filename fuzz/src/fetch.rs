//! What the downloader reads: answers of servers, what an earlier run left behind, and the caches of
//! other tools. Whatever they hold, a file gets its name only if it is the published one.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use dataset::fetch::{
    self, Caches, FetchError, FetchedSet, Keep, Network, Proxy, Settings, Source, SourceFile,
};
use dataset::idx::{ElementType, Header, Idx};

use super::memory::within;
use super::{Folder, SMALL};

/// The published file: an IDX file of three labels.
const PAYLOAD: [u8; 11] = [0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9];
const SHA256: &str = "f56856a625e570f4360ac2c5fa7df922347bd0f5294464e12ccb68d82c63b1f5";
const FILE: &str = "train-labels-idx1-ubyte";

/// A line that parts one piece of an input from the next.
const NEXT: &[u8] = b"\n--next--\n";

/// The answers of a server, one after the other; the last is given to all later requests.
pub fn response(data: &[u8]) -> bool {
    let answers: Vec<Vec<u8>> = pieces(data).map(<[u8]>::to_vec).collect();
    let mut number = 0;
    let source = source(&answer_by(move |_| {
        number += 1;
        answers[answers.len().min(number) - 1].clone()
    }));
    let folder = Folder::new();
    // What arrives is written to disk; memory holds a piece of it, and the head of the answer.
    let got = within(32 * SMALL, || get(&source, &folder, Caches::default()));
    let left = names(&folder.path("mnist"));
    match got {
        Ok(set) => {
            assert_eq!(fs::read(&set.files[0].path).unwrap(), PAYLOAD);
            assert_eq!(left, [FILE]);
            true
        }
        Err(FetchError::Unavailable { .. }) => {
            let part = [format!("{FILE}.gz.part"), format!("{FILE}.gz.part.from")];
            assert!(left.is_empty() || left == part, "{left:?} is left");
            false
        }
        Err(other) => panic!("{other}"),
    }
}

/// What lies in the folder already: where a part came from, the part, and a file of the final name.
/// The server has the published file, so there it must be in the end; but a whole IDX file of something
/// else is somebody's own, and must stay.
pub fn leftovers(data: &[u8]) -> bool {
    let mut pieces = pieces(data);
    let source = source(&answer_by(|request| {
        let range = request.lines().find_map(|line| line.strip_prefix("range: bytes="));
        let from = range.and_then(|range| range.trim_end_matches('-').parse().ok());
        let length = PAYLOAD.len();
        let (head, from) = match from {
            None => (format!("200 OK\r\nContent-Length: {length}\r\n"), 0),
            Some(from) if from < length => {
                let range = format!("Content-Range: bytes {from}-{}/{length}", length - 1);
                let rest = length - from;
                (format!("206 Part\r\n{range}\r\nContent-Length: {rest}\r\n"), from)
            }
            Some(_) => (format!("416 No\r\nContent-Range: bytes */{length}\r\n"), length),
        };
        let head = format!("HTTP/1.1 {head}ETag: \"1\"\r\nConnection: close\r\n\r\n");
        [head.as_bytes(), &PAYLOAD[from..]].concat()
    }));
    let folder = Folder::new();
    let set = folder.path("mnist");
    fs::create_dir(&set).unwrap();
    for name in [format!("{FILE}.gz.part.from"), format!("{FILE}.gz.part"), FILE.into()] {
        // The address of the server differs from run to run.
        let Some(piece) = pieces.next() else { break };
        let piece = match piece.strip_prefix(b"$URL") {
            Some(rest) => [format!("{}{FILE}.gz", source.mirrors[0]).as_bytes(), rest].concat(),
            None => piece.to_vec(),
        };
        fs::write(set.join(name), piece).unwrap();
    }
    let before = fs::read(set.join(FILE));
    match within(32 * SMALL + data.len(), || get(&source, &folder, Caches::default())) {
        Ok(got) => assert_eq!(fs::read(&got.files[0].path).unwrap(), PAYLOAD),
        Err(FetchError::Foreign { path, .. }) => {
            let bytes = fs::read(&path).unwrap();
            assert!(bytes == before.unwrap() && bytes != PAYLOAD);
            Idx::parse(&path, bytes).unwrap();
        }
        Err(other) => panic!("{other}"),
    }
    true
}

/// A file in another tool's cache: Keras's npz, or torchvision's gzip or IDX. No hash is known of
/// the file, so whatever has the right header and length is taken.
pub fn cache(data: &[u8]) -> bool {
    let mut source = source("http://nowhere.invalid/");
    source.files[0].sha256 = None;
    let folder = Folder::new();
    let mut caches = Caches::default();
    if data.starts_with(b"PK") {
        fs::create_dir_all(folder.path("keras/datasets")).unwrap();
        folder.file("keras/datasets/mnist.npz", data);
        caches.keras = Some(folder.path("keras"));
    } else {
        fs::create_dir_all(folder.path("torch/MNIST/raw")).unwrap();
        folder.file(&format!("torch/MNIST/raw/{FILE}"), data);
        caches.torchvision = vec![folder.path("torch")];
    }
    // Inflated a piece at a time, and no further than the published file is long.
    let limit = 64 * data.len() + 16 * SMALL;
    match within(limit, || get_offline(&source, &folder, caches)) {
        Ok(set) => {
            let bytes = fs::read(&set.files[0].path).unwrap();
            assert_eq!((bytes.len(), &bytes[..8]), (PAYLOAD.len(), &PAYLOAD[..8]));
            true
        }
        Err(FetchError::NotHere { .. }) => {
            assert_eq!(names(&folder.path("mnist")), [""; 0]);
            false
        }
        Err(other) => panic!("{other}"),
    }
}

/// The input's pieces; at least one.
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let bytes = rest?;
        match bytes.windows(NEXT.len()).position(|window| window == NEXT) {
            Some(at) => {
                rest = Some(&bytes[at + NEXT.len()..]);
                Some(&bytes[..at])
            }
            None => rest.take(),
        }
    })
}

fn source(mirror: &str) -> Source {
    Source {
        name: "mnist".into(),
        note: String::new(),
        mirrors: vec![mirror.into()],
        archive: None,
        files: vec![SourceFile {
            name: FILE.into(),
            remote: format!("{FILE}.gz"),
            header: Header { element: ElementType::U8, dims: vec![3] },
            sha256: Some(SHA256.into()),
            download_sha256: None,
            keep: Keep::Whole,
        }],
    }
}

fn get(source: &Source, folder: &Folder, caches: Caches) -> Result<FetchedSet, FetchError> {
    let network = Network {
        connect_timeout: Duration::from_secs(60),
        stall_timeout: Duration::from_secs(60),
        attempts: 2,
        backoff: Duration::ZERO,
        longest_wait: Duration::ZERO,
        // Made-up bytes must not lead to anybody's host.
        redirects: 0,
        proxy: Proxy::None,
        ..Network::default()
    };
    let settings = Settings { root: folder.path(""), caches, network: Some(network) };
    fetch::get(source, &settings, &mut |_| {})
}

fn get_offline(source: &Source, folder: &Folder, caches: Caches) -> Result<FetchedSet, FetchError> {
    fetch::get(source, &Settings { root: folder.path(""), caches, network: None }, &mut |_| {})
}

/// The names in a folder, sorted; none if it is not there.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Makes the bytes of an answer from the head of a request, in small letters.
type Answer = Box<dyn FnMut(&str) -> Vec<u8> + Send>;

/// A server on this machine that answers each connection once.
struct Server {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
}

thread_local! {
    /// One for each thread that asks, so that tests can run side by side.
    static SERVER: Server = Server::start();
}

/// Has this thread's server answer so from now on, and returns its address.
fn answer_by(answer: impl FnMut(&str) -> Vec<u8> + Send + 'static) -> String {
    SERVER.with(|server| {
        *server.answer.lock().unwrap() = Box::new(answer);
        format!("http://{}/", server.address)
    })
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Box::new(|_| Vec::new())));
        let current = Arc::clone(&answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // The other side may have gone: that is its business.
                let _ = serve(&mut stream.unwrap(), &current);
            }
        });
        Self { address, answer }
    }
}

fn serve(stream: &mut TcpStream, answer: &Mutex<Answer>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        head.extend_from_slice(&piece[..count]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let bytes = (answer.lock().unwrap())(&head);
    stream.write_all(&bytes)
}
