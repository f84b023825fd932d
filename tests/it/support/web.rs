//! A web server on loopback that serves what a test says: bytes, redirects, errors, endless bodies.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What a path answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// These bytes, with an `ETag` made of them; 304 to whoever has them.
    Bytes(Vec<u8>),
    /// A status without a body.
    Status(u16),
    /// On to another URL.
    Redirect(String),
    /// Headers, and then nothing more until the client goes away.
    Silence,
    /// So many bytes, without saying so before.
    Flood(usize),
}

/// A server; it ends with the process.
pub(crate) struct Web {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    replies: BTreeMap<String, Reply>,
    /// Path and status of each request, in order.
    served: Vec<(String, u16)>,
}

impl Web {
    /// A server that knows no path yet.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = listener.local_addr().expect("is bound");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || answer(stream, &state));
            }
        });
        Self {
            url: format!("http://{address}"),
            state,
        }
    }

    /// Has a path answer so from now on.
    pub(crate) fn set(&self, path: &str, reply: Reply) {
        lock(&self.state).replies.insert(path.to_owned(), reply);
    }

    /// Has a path serve these bytes from now on.
    pub(crate) fn serve(&self, path: &str, bytes: impl AsRef<[u8]>) {
        self.set(path, Reply::Bytes(bytes.as_ref().to_vec()));
    }

    /// The requests since the last time that this was asked, each with the status of its answer.
    pub(crate) fn requests(&self) -> Vec<(String, u16)> {
        std::mem::take(&mut lock(&self.state).served)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one request; a client that has gone away is no error.
fn answer(stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut request = String::new();
    reader.read_line(&mut request).ok()?;
    let path = request.split_whitespace().nth(1)?.to_owned();
    let path = path.split('?').next()?.to_owned();
    let mut known = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("if-none-match") => {
                known = Some(value.to_owned());
            }
            Some(_) => {}
        }
    }
    let reply = lock(state).replies.get(&path).cloned();
    let reply = reply.unwrap_or(Reply::Status(404));
    let (status, headers, body) = parts(&reply, known.as_deref());
    lock(state).served.push((path, status));
    let head = format!("HTTP/1.1 {status} Because\r\nConnection: close\r\n{headers}\r\n");
    let mut stream = stream;
    stream.write_all(head.as_bytes()).ok()?;
    match reply {
        Reply::Silence => {
            // Blocks until the client closes the connection.
            reader.read_line(&mut String::new()).ok()?;
        }
        Reply::Flood(size) => {
            let chunk = vec![b'x'; 65536];
            for _ in 0..size.div_ceil(chunk.len()) {
                stream.write_all(&chunk).ok()?;
            }
        }
        _ => stream.write_all(&body).ok()?,
    }
    Some(())
}

/// Status, headers and body of a reply to a client that has this already.
fn parts(reply: &Reply, known: Option<&str>) -> (u16, String, Vec<u8>) {
    match reply {
        Reply::Status(status) => (*status, "Content-Length: 0\r\n".to_owned(), Vec::new()),
        Reply::Redirect(to) => {
            let headers = format!("Location: {to}\r\nContent-Length: 0\r\n");
            (302, headers, Vec::new())
        }
        Reply::Silence => (200, "Content-Length: 100\r\n".to_owned(), Vec::new()),
        Reply::Flood(_) => (200, String::new(), Vec::new()),
        Reply::Bytes(bytes) => {
            let sum = bytes.iter().fold(0_u64, |sum, byte| {
                sum.wrapping_mul(1_099_511_628_211) ^ u64::from(*byte)
            });
            let etag = format!("\"{sum:x}\"");
            let headers = format!("ETag: {etag}\r\nContent-Length: {}\r\n", bytes.len());
            if known == Some(etag.as_str()) {
                return (304, format!("ETag: {etag}\r\n"), Vec::new());
            }
            (200, headers, bytes.clone())
        }
    }
}
