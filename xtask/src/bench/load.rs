//! What the client does in a turn.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use byway_tests::{Pod, Running, Scratch};
use serde::Deserialize;

use super::contestant::Protocol;
use super::servers::LARGE;
use super::settings::Programs;
use super::sink::{header, read_head};
use crate::{signals, workspace};

pub(super) mod http2;
pub(super) use http2::Asked;

/// A kind of load.
#[derive(Clone, Debug)]
pub(super) enum Load {
    /// wrk on this many connections.
    Requests(Requests),
    /// One large file, counted in megabytes.
    Download,
    /// One large body, counted in megabytes.
    Upload,
    /// h2load on this many connections, with so many streams at a time on each.
    Streams { connections: u32, streams: u32, what: Asked },
    /// Messages to and fro on streams of gRPC that stay open, one under way on each.
    Messages { connections: u32, streams: u32 },
}

/// What wrk asks for.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    pub(super) connections: u32,
    pub(super) path: &'static str,
    /// Each on a connection of its own.
    pub(super) close: bool,
    pub(super) key: Option<String>,
    /// With the headers that a browser sends, 650 bytes of head in all.
    pub(super) long: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    /// Requests, messages, or megabytes.
    pub(super) amount: f64,
    pub(super) seconds: f64,
    /// Median latency in microseconds; 0 where it is not measured.
    pub(super) p50: f64,
}

/// Printed by wrk when it is done.
const SCRIPT: &str = r#"
done = function(summary, latency, requests)
    io.write(string.format(
        '\n{"requests":%d,"microseconds":%d,"p50":%d,"errors":%d}\n',
        summary.requests, summary.duration, latency:percentile(50),
        summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
            + summary.errors.timeout))
end
"#;

#[derive(Deserialize)]
struct Said {
    requests: u64,
    microseconds: u64,
    p50: u64,
    errors: u64,
}

impl Load {
    /// Runs it from `client`.
    pub(super) fn run(
        &self,
        client: &Pod,
        app: SocketAddr,
        second: SocketAddr,
        programs: &Programs,
        time: Duration,
    ) -> Result<Done> {
        match self {
            Self::Requests(requests) => wrk(client, app, requests, time),
            Self::Download => client.run(|| download(app)),
            Self::Upload => client.run(|| upload(second)),
            Self::Streams { connections, streams, what } => {
                http2::streams(client, app, second, (*connections, *streams), what, time)
            }
            Self::Messages { connections, streams } => {
                http2::messages(client, second, &programs.grpc, (*connections, *streams), time)
            }
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        match self {
            Self::Streams { .. } | Self::Messages { .. } => Protocol::Http2,
            _ => Protocol::Http1,
        }
    }
}

/// Of a page behind a login, from a browser and through an ingress.
const BROWSER: [&str; 8] = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Cookie: session=8c1f7c2be5b04f3a9f6f2c51c2a6d0d4; theme=dark; consent=1730000000.a8f3e2d1; cart=5f2d8a",
    "X-Forwarded-For: 203.0.113.7",
    "X-Request-Id: 5b0c1f8e-3f0d-4a5c-9a53-0f6f3c7e1b9d",
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
];

fn wrk(client: &Pod, app: SocketAddr, what: &Requests, time: Duration) -> Result<Done> {
    let Requests { connections, path, close, key, long } = what;
    let scratch = Scratch::new("wrk")?;
    let script = scratch.path().join("done.lua");
    fs::write(&script, SCRIPT)?;
    let mut command = client.command(workspace::find("wrk").unwrap_or_else(|| "wrk".into()));
    command
        .args(["-t", if *connections < 2 { "1" } else { "2" }, "-c", &connections.to_string()])
        .args(["-d", &format!("{}s", time.as_secs()), "-s"])
        .arg(&script);
    if *close {
        command.args(["-H", "Connection: close"]);
    }
    if *long {
        command.args(BROWSER.iter().flat_map(|header| ["-H", header]));
    }
    if let Some(key) = key {
        command.args(["-H", &format!("x-byway-key: {key}")]);
    }
    command.arg(format!("http://{app}{path}"));
    let log = finish("wrk", &mut command, time)?;
    let line = log.lines().rev().find(|line| line.starts_with('{'));
    let said: Said = serde_json::from_str(line.with_context(|| format!("wrk said:\n{log}"))?)?;
    if said.errors * 1000 > said.requests {
        bail!("{} of {} requests failed:\n{log}", said.errors, said.requests);
    }
    Ok(Done { amount: said.requests as f64, seconds: said.microseconds as f64 / 1e6, p50: said.p50 as f64 })
}

/// Runs a program that ends by itself after `time`; returns what it said.
fn finish(name: &str, command: &mut Command, time: Duration) -> Result<String> {
    let mut running = Running::spawn(name, command)?;
    let until = Instant::now() + time + Duration::from_secs(30);
    while running.ended()?.is_none() {
        ensure!(Instant::now() < until, "{name} does not end:\n{}", running.log());
        signals::sleep(Duration::from_millis(10))?;
    }
    Ok(running.log())
}

fn download(app: SocketAddr) -> Result<Done> {
    let started = Instant::now();
    let mut stream = connect(app)?;
    stream.write_all(b"GET /1g HTTP/1.1\r\nhost: byway.test\r\n\r\n")?;
    let mut buffer = vec![0; 256 * 1024];
    let (head, mut body) = read_head(&mut stream, &mut buffer)?;
    ensure!(header(&head, "content-length") == Some(LARGE), "an unexpected answer:\n{head}");
    while body < LARGE {
        match stream.read(&mut buffer)? {
            0 => bail!("the connection ended after {body} bytes"),
            n => body += n as u64,
        }
    }
    Ok(large(started))
}

fn upload(sink: SocketAddr) -> Result<Done> {
    let started = Instant::now();
    let mut stream = connect(sink)?;
    write!(stream, "POST /sink HTTP/1.1\r\nhost: byway.test\r\ncontent-length: {LARGE}\r\n\r\n")?;
    let buffer = vec![b'x'; 256 * 1024];
    for _ in 0..LARGE / buffer.len() as u64 {
        stream.write_all(&buffer)?;
    }
    let (head, _) = read_head(&mut stream, &mut vec![0; 4096])?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "an unexpected answer:\n{head}");
    Ok(large(started))
}

fn large(started: Instant) -> Done {
    Done { amount: LARGE as f64 / 1e6, seconds: started.elapsed().as_secs_f64(), p50: 0.0 }
}

/// One request on a connection of its own, which the client closes first.
pub(super) fn ask_and_close(app: SocketAddr, buffer: &mut [u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(app)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: byway.test\r\n\r\n")?;
    let (head, mut body) = read_head(&mut stream, buffer)?;
    let length = header(&head, "content-length").ok_or(ErrorKind::InvalidData)?;
    while body < length {
        match stream.read(buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => body += n as u64,
        }
    }
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(30);

fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
