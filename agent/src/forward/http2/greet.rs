//! Does a server speak HTTP/2? It is told the preface, and what it says first tells.

use std::{io, time::Duration};

use byway_http::detect::PREFACE;
use byway_http::{Http2Settings, ServerPreface, server_preface};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// Servers answer the preface at once. One that says nothing waits for the client's SETTINGS or even its first
/// request, as some do that sort connections by them: it is taken for one that speaks HTTP/2.
const SILENCE: Duration = Duration::from_millis(250);
/// Longest time for a first frame that has begun.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server made of the preface.
pub(super) enum Greeting {
    /// It speaks HTTP/2.
    Http2(Http2Settings),
    /// It does not.
    Other,
}

/// Sends the preface, and reads into `said` until it is known what the server speaks.
pub(super) async fn greet(server: &mut TcpStream, said: &mut Vec<u8>) -> io::Result<Greeting> {
    server.write_all(PREFACE).await?;
    let begun = Instant::now();
    loop {
        match server_preface(said) {
            ServerPreface::Http2(settings) => return Ok(Greeting::Http2(settings)),
            ServerPreface::Other => return Ok(Greeting::Other),
            ServerPreface::NeedMore => {}
        }
        let patience = if said.is_empty() { SILENCE } else { PATIENCE };
        match timeout_at(begun + patience, server.read_buf(said)).await {
            Ok(Ok(0)) => return Ok(Greeting::Other),
            Ok(read) => drop(read?),
            Err(_) if said.is_empty() => return Ok(Greeting::Http2(Http2Settings::default())),
            Err(_) => return Ok(Greeting::Other),
        }
    }
}
