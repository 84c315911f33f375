//! Does a server speak HTTP/2? It is told the client's preface, and what it says first tells.

use std::{io, time::Duration};

use byway_http::{ServerPreface, before_requests, detect::PREFACE, server_preface};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// Servers answer the preface at once. One that says nothing waits for the client's SETTINGS or even its first
/// request, as some do that sort connections by them: it is taken for one that speaks HTTP/2.
pub(super) const SILENCE: Duration = Duration::from_millis(250);
/// Longest time for a first frame that has begun.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What a server made of the preface.
pub(super) enum Greeting {
    /// It speaks HTTP/2.
    Http2,
    /// It does not.
    Other,
}

/// Sends what the client has said before its first request, and reads into `said` until it is known what the server
/// speaks. How much of `heard` was sent comes with it.
pub(super) async fn greet(
    server: &mut TcpStream,
    heard: &[u8],
    said: &mut Vec<u8>,
) -> io::Result<(Greeting, usize)> {
    let sent = PREFACE.len() + before_requests(&heard[PREFACE.len()..]);
    server.write_all(&heard[..sent]).await?;
    let begun = Instant::now();
    loop {
        match server_preface(said) {
            ServerPreface::Http2 => return Ok((Greeting::Http2, sent)),
            ServerPreface::Other => return Ok((Greeting::Other, sent)),
            ServerPreface::NeedMore => {}
        }
        let patience = if said.is_empty() { SILENCE } else { PATIENCE };
        match timeout_at(begun + patience, server.read_buf(said)).await {
            Ok(Ok(0)) => return Ok((Greeting::Other, sent)),
            Ok(read) => drop(read?),
            Err(_) if said.is_empty() => return Ok((Greeting::Http2, sent)),
            Err(_) => return Ok((Greeting::Other, sent)),
        }
    }
}
