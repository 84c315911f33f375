//! Asks a preview with a copy of HTTP/1: the bytes as they were, with a line that says so.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use byway_http::{Body, BodyScan, HeadScan, RequestKind, header_space, parse_request, parse_response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{backend, snapshot::Preview};

/// Most connections that are kept for another copy.
const KEPT: usize = 16;
/// Longest head of an answer.
const MOST_HEAD: usize = 256 << 10;

/// Connections to one port of a preview that may be used again.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<(TcpStream, SocketAddr)>>);

impl Pool {
    /// The status of the answer, once it has ended.
    pub(super) async fn ask(
        &self,
        preview: &Arc<Preview>,
        port: u16,
        bytes: &[u8],
        head: usize,
    ) -> io::Result<u16> {
        let kind = kind_of(&bytes[..head]);
        let (begin, body) = bytes.split_at(head);
        let begin = begin.strip_suffix(b"\r\n").unwrap_or(begin);
        let copy = [begin, marked(preview).as_bytes(), b"\r\n", body].concat();
        if let Some((mut stream, pod)) = self.kept(preview, port) {
            // It may be closed just now. What may do harm is not sent twice for that.
            match send(&mut stream, &copy).await {
                Ok(()) => return self.end(stream, pod, kind).await,
                Err(error) if !is_safe(bytes) => return Err(error),
                Err(_) => {}
            }
        }
        let (mut stream, pod) = backend::dial(preview, called(port)).await?;
        send(&mut stream, &copy).await?;
        self.end(stream, pod, kind).await
    }

    /// Reads the answer, and keeps the connection if it may be used again.
    async fn end(&self, mut stream: TcpStream, pod: SocketAddr, kind: RequestKind) -> io::Result<u16> {
        let (status, keeps) = answer(&mut stream, kind).await?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keeps && kept.len() < KEPT {
            kept.push((stream, pod));
        }
        Ok(status)
    }

    /// One that has served before, and that the preview's pod has not closed since, as far as is known.
    fn kept(&self, preview: &Preview, port: u16) -> Option<(TcpStream, SocketAddr)> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| kept.pop()).find(|(stream, pod)| {
            let is_silent =
                || stream.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
            preview.is_reached_at(*pod, port) && is_silent()
        })
    }
}

/// Sends a copy, and waits until an answer begins.
async fn send(stream: &mut TcpStream, copy: &[u8]) -> io::Result<()> {
    stream.write_all(copy).await?;
    let is_closed = stream.peek(&mut [0]).await? == 0;
    if is_closed { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// Whether nothing changes by it (RFC 9110, 9.2.1).
fn is_safe(request: &[u8]) -> bool {
    [&b"GET "[..], b"HEAD ", b"OPTIONS "].iter().any(|method| request.starts_with(method))
}

/// The line that says what it is.
fn marked(preview: &Preview) -> String {
    format!("x-byway-mirrored: {}\r\n", preview.route.name)
}

/// The address that is called does not matter, only its port does.
pub(super) const fn called(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
}

fn kind_of(head: &[u8]) -> RequestKind {
    let mut space = header_space();
    parse_request(head, &mut space).map_or(RequestKind::Other, |head| head.kind)
}

/// Reads an answer to its end. Its status, and whether the connection may be used again.
async fn answer(stream: &mut TcpStream, kind: RequestKind) -> io::Result<(u16, bool)> {
    let (mut bytes, mut scan) = (Vec::new(), HeadScan::of_answers());
    let mut buffer = vec![0; 16 << 10];
    loop {
        let wrong = || io::Error::other("what the preview sent is no answer");
        let head = loop {
            match scan.end(&bytes) {
                Ok(Some(end)) => break end,
                Ok(None) if bytes.len() <= MOST_HEAD => {}
                _ => return Err(wrong()),
            }
            let n = stream.read(&mut buffer).await?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes.extend_from_slice(&buffer[..n]);
        };
        let answer = parse_response(&bytes[..head], kind).map_err(|_| wrong())?;
        bytes.drain(..head);
        scan.reset();
        if answer.interim {
            continue;
        }
        let mut body = BodyScan::of_answer(answer.body);
        let mut rest = std::mem::take(&mut bytes);
        loop {
            let used = body.advance(&rest).map_err(|_| wrong())?;
            if body.done() {
                // What comes unasked is nobody's answer.
                return Ok((answer.status, answer.keep_alive && used == rest.len()));
            }
            let n = stream.read(&mut buffer).await?;
            if n == 0 {
                let ends_so = matches!(answer.body, Body::UntilClose | Body::Tunnel);
                return if ends_so {
                    Ok((answer.status, false))
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
            rest.clear();
            rest.extend_from_slice(&buffer[..n]);
        }
    }
}

#[cfg(test)]
mod tests;
