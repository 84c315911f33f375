//! A server that sends back what it was asked, with its version and the request's own id.

mod http2;

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use byway_tests::Pod;

use crate::PORT;
use crate::users::{Version, content};

/// It serves for as long as the test runs.
pub(crate) struct Server {
    /// Connections on which at least one request came.
    used: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn start(pod: &Pod, version: Version) -> Self {
        let listener = pod.run(|| TcpListener::bind(("::", PORT))).unwrap();
        let used = Arc::new(AtomicUsize::new(0));
        let count = used.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, used) = (stream.unwrap(), count.clone());
                // A gateway that closes when its user gave up is no news.
                thread::spawn(move || serve(stream, version, &used));
            }
        });
        Self { used }
    }

    /// One that speaks HTTP/2 only.
    pub(crate) fn start_http2(pod: &Pod, version: Version) -> Self {
        let listener = pod.run(|| TcpListener::bind(("::", PORT))).unwrap();
        let used = Arc::new(AtomicUsize::new(0));
        let count = used.clone();
        thread::spawn(move || http2::run(listener, version, &count));
        Self { used }
    }

    pub(crate) fn connections(&self) -> usize {
        self.used.load(Relaxed)
    }
}

#[derive(Default)]
struct Request {
    method: String,
    path: String,
    id: String,
    length: usize,
    chunked: bool,
}

fn serve(mut stream: TcpStream, version: Version, used: &AtomicUsize) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(64 * 1024, stream.try_clone()?);
    let mut first = true;
    while let Some(request) = head(&mut reader)? {
        if std::mem::take(&mut first) {
            used.fetch_add(1, Relaxed);
        }
        if request.path.starts_with("/early") {
            stream.write_all(&answer(version, &request, &[]))?;
            body(&mut reader, &request)?;
            continue;
        }
        let body = body(&mut reader, &request)?;
        stream.write_all(&answer(version, &request, &body))?;
    }
    Ok(())
}

fn head(reader: &mut BufReader<TcpStream>) -> Result<Option<Request>> {
    let mut request = Request::default();
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let text = line.trim_end();
        if text.is_empty() {
            return Ok(Some(request));
        }
        if request.method.is_empty() {
            let mut words = text.split(' ').map(str::to_owned);
            request.method = words.next().unwrap_or_default();
            request.path = words.next().unwrap_or_default();
        } else if let Some((name, value)) = text.split_once(':') {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "x-id" => request.id = value.to_owned(),
                "content-length" => request.length = value.parse().unwrap_or(0),
                "transfer-encoding" => request.chunked = true,
                _ => {}
            }
        }
        line.clear();
    }
    Ok(None)
}

fn body(reader: &mut BufReader<TcpStream>, request: &Request) -> Result<Vec<u8>> {
    let mut body = vec![0; request.length];
    reader.read_exact(&mut body)?;
    if !request.chunked {
        return Ok(body);
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(std::io::Error::other)?;
        let at = body.len();
        body.resize(at + size, 0);
        reader.read_exact(&mut body[at..])?;
        reader.read_exact(&mut [0; 2])?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// A path is `/FORM/REPEAT`: the form of the answer, and how often its text is repeated where there is no body to
/// send back.
fn form(path: &str) -> (&str, usize) {
    let mut words = path.split('/').skip(1);
    (words.next().unwrap_or_default(), words.next().and_then(|n| n.parse().ok()).unwrap_or(1))
}

fn answer(version: Version, Request { method, path, id, .. }: &Request, body: &[u8]) -> Vec<u8> {
    let (form, repeat) = form(path);
    let text = if body.is_empty() { content(version, id, repeat) } else { body.to_vec() };
    let status = if form == "none" { "204 No Content" } else { "200 OK" };
    let mut answer = format!("HTTP/1.1 {status}\r\nx-version: {version:?}\r\nx-id: {id}\r\n").into_bytes();
    match form {
        "none" => answer.extend(b"\r\n"),
        "chunked" => {
            answer.extend(b"transfer-encoding: chunked\r\n\r\n");
            for piece in text.chunks(text.len() / 3 + 1).filter(|_| method != "HEAD") {
                answer.extend(format!("{:x}\r\n", piece.len()).bytes());
                answer.extend(piece);
                answer.extend(b"\r\n");
            }
            answer.extend(if method == "HEAD" { b"".as_slice() } else { b"0\r\n\r\n" });
        }
        _ => {
            if form == "slow" {
                thread::sleep(Duration::from_millis(2));
            }
            answer.extend(format!("content-length: {}\r\n\r\n", text.len()).bytes());
            answer.extend(if method == "HEAD" { b"".as_slice() } else { &text });
        }
    }
    answer
}
