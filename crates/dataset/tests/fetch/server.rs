//! A loopback server whose answers the test writes.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::Duration;

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// How many came before it.
    pub number: usize,
    /// `GET /path HTTP/1.1`
    pub line: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Where the range asked for begins; 0 if none was.
    pub fn offset(&self) -> usize {
        let range = self.header("range").and_then(|value| value.strip_prefix("bytes="));
        range.map_or(0, |range| range.trim_end_matches('-').parse().expect("an open range"))
    }
}

/// The server: every connection carries one request, which `answer` answers.
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let (seen, stop, answer) = (requests.clone(), stopped.clone(), Arc::new(answer));
        let count = Arc::new(AtomicUsize::new(0));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let (seen, answer, count) = (seen.clone(), answer.clone(), count.clone());
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(mut request) = read_request(&stream) else { return };
                    request.number = count.fetch_add(1, Ordering::SeqCst);
                    seen.lock().unwrap().push(request.clone());
                    answer(&request, &mut stream);
                });
            }
        });
        Self { address, requests, stopped }
    }

    /// A server that has `body` under every path, and all the manners.
    pub fn good(body: &[u8]) -> Self {
        let body = body.to_vec();
        Self::start(move |request, stream| serve(stream, request, &body, "\"v1\""))
    }

    /// A server that answers every request with this status and this body.
    pub fn always(status: u16, headers: &'static [&'static str], body: &[u8]) -> Self {
        let body = body.to_vec();
        Self::start(move |_, stream| reply(stream, status, headers, &body))
    }

    pub fn base(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

pub fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(got) if got > 0 => {}
            _ => return None,
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
    Some(Request {
        number: 0,
        line: lines[0].clone(),
        headers: headers.map(|(name, value)| (name.into(), value.into())).collect(),
    })
}

/// The head of an answer.
pub fn head(stream: &mut TcpStream, status: u16, headers: &[&str]) {
    let mut head = format!("HTTP/1.1 {status} Word\r\nConnection: close\r\n");
    for header in headers {
        head += header;
        head += "\r\n";
    }
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
}

/// A whole answer, its length announced truthfully.
pub fn reply(stream: &mut TcpStream, status: u16, headers: &[&str], body: &[u8]) {
    let length = format!("Content-Length: {}", body.len());
    let headers: Vec<&str> = headers.iter().copied().chain([length.as_str()]).collect();
    head(stream, status, &headers);
    let _ = stream.write_all(body);
}

/// An answer that honours `Range` and `If-Range`.
pub fn serve(stream: &mut TcpStream, request: &Request, body: &[u8], etag: &str) {
    serve_cut(stream, request, body, etag, usize::MAX);
}

/// The same, but the connection ends after `cut` bytes of the body.
pub fn serve_cut(stream: &mut TcpStream, request: &Request, body: &[u8], etag: &str, cut: usize) {
    let same = request.header("if-range").is_none_or(|validator| validator == etag);
    let start = if same { request.offset() } else { 0 };
    let total = body.len();
    if start > 0 && start >= total {
        return reply(stream, 416, &[&format!("Content-Range: bytes */{total}")], b"");
    }
    let length = format!("Content-Length: {}", total - start);
    let etag = format!("ETag: {etag}");
    let range = format!("Content-Range: bytes {start}-{}/{total}", total - 1);
    match start {
        0 => head(stream, 200, &[&length, &etag]),
        _ => head(stream, 206, &[&length, &etag, &range]),
    }
    let rest = &body[start..];
    let _ = stream.write_all(&rest[..rest.len().min(cut)]);
}

/// Sends `body` in `pieces` pieces, with a pause before each.
pub fn drip(stream: &mut TcpStream, body: &[u8], pieces: usize, pause: Duration) {
    for piece in body.chunks(body.len().div_ceil(pieces)) {
        sleep(pause);
        if stream.write_all(piece).is_err() {
            return;
        }
    }
}
