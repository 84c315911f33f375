//! An HTTP/1.1 server of a few lines, in a pod: says who it is and what it was asked, or what a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use byway_tests::{Agent, End, Pod, Raw};

use crate::SOON;

pub(crate) const PORT: u16 = 8080;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    /// Which connection of this server it came on, and which request of that connection it is.
    pub(crate) connection: usize,
    pub(crate) number: usize,
}

/// Serves `PORT` of the pod for as long as the test runs, each connection on a thread of its own. `answer` writes
/// the whole answer and says whether the connection goes on.
pub(crate) fn serve(pod: &Pod, answer: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) {
    let listener = listen(pod);
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for (connection, stream) in listener.incoming().enumerate() {
            let (stream, answer) = (stream.unwrap(), answer.clone());
            thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                let mut number = 0;
                while let Some(request) = read(&mut reader, &mut stream, connection, number) {
                    number += 1;
                    if !answer(&request, &mut stream) {
                        return;
                    }
                }
            });
        }
    });
}

/// A server that answers every request with `NAME METHOD PATH BODY-LENGTH #CONNECTION.NUMBER`.
pub(crate) fn named(pod: &Pod, name: &'static str) {
    serve(pod, move |request, stream| {
        let Request { method, path, body, connection, number, .. } = request;
        let text = format!("{name} {method} {path} {} #{connection}.{number}", body.len());
        ok(stream, if method == "HEAD" { "" } else { &text })
    });
}

pub(crate) fn listen(pod: &Pod) -> TcpListener {
    pod.run(|| TcpListener::bind(("::", PORT))).unwrap()
}

/// The app's end of a connection that the agent serves. If it went straight to the app before, that end is over.
pub(crate) fn served(app: &TcpListener) -> Raw {
    let accept = || Raw::new(app.accept().unwrap().0).unwrap();
    let mut end = accept();
    if Agent::goes_straight() {
        assert_eq!(end.receive(SOON).end, End::Fin);
        end = accept();
    }
    end
}

/// How [`named`] calls the app's end of the first connection of a test, once the agent serves it.
pub(crate) fn first_served() -> usize {
    usize::from(Agent::goes_straight())
}

/// Answers 200.
pub(crate) fn ok(stream: &mut TcpStream, body: &str) -> bool {
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).is_ok()
}

fn read(
    from: &mut BufReader<TcpStream>,
    to: &mut TcpStream,
    connection: usize,
    number: usize,
) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if from.read_until(b'\n', &mut head).ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let lower = head.to_ascii_lowercase();
    let header = |name: &str| lower.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if header("expect:").is_some() {
        to.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let mut body = vec![0; header("content-length:").map_or(0, |n| n.parse().unwrap())];
    from.read_exact(&mut body).ok()?;
    if header("transfer-encoding:").is_some() {
        let mut raw = Vec::new();
        while !raw.ends_with(b"\r\n0\r\n\r\n") {
            if from.read_until(b'\n', &mut raw).ok()? == 0 {
                return None;
            }
        }
        body = raw;
    }
    let mut words = head.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    Some(Request { method, path, body, connection, number })
}
