//! Users of a gateway: each has one connection, and asks for one version only.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::{Context, Result, ensure};
use byway_tests::{Http, Pod, Response};

/// Enough that the gateway's connections are always wanted by several.
const USERS: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    App,
    First,
    Second,
}

impl Version {
    pub(crate) fn preview(self) -> Option<&'static str> {
        match self {
            Self::App => None,
            Self::First => Some("demo/first"),
            Self::Second => Some("demo/second"),
        }
    }

    /// Each is the beginning of the next one; the last is nobody's.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::First => "pr-1",
            Self::Second => "pr-12",
            Self::App => "pr-123",
        }
    }
}

/// What a server says of a request without a body.
pub(crate) fn content(version: Version, id: &str, repeat: usize) -> Vec<u8> {
    format!("{version:?} {id}\n").repeat(repeat).into_bytes()
}

/// A keyed request was answered by the app, and all else is right.
#[derive(Debug)]
pub(crate) struct PassedOn;

impl std::error::Error for PassedOn {}

impl std::fmt::Display for PassedOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a keyed request was answered by the app")
    }
}

/// Has all users ask, until `answers` have come, and says how many were of which version: app, first and second. The
/// first one that is wrong is the error.
pub(crate) fn ask(pod: &Pod, gateway: SocketAddr, answers: usize) -> Result<[usize; 3]> {
    let left = Arc::new(AtomicUsize::new(answers));
    let users: Vec<_> = (0..USERS)
        .map(|number| {
            let left = left.clone();
            pod.thread(move || {
                let mut user = User::new(number, gateway);
                let mut answered = 0;
                while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                    if let Err(error) = user.ask() {
                        left.store(0, Relaxed);
                        return Err(error.context(format!("user {number}, a {:?}", user.version)));
                    }
                    answered += 1;
                }
                Ok((user.version, answered))
            })
        })
        .collect();
    let mut sums = [0; 3];
    let ended: Vec<_> = users.into_iter().map(|user| user.join().expect("no panic")).collect();
    // What is worse goes first.
    let (passed_on, wrong): (Vec<_>, Vec<_>) =
        ended.into_iter().partition(|end| end.as_ref().err().is_none_or(anyhow::Error::is::<PassedOn>));
    for end in wrong.into_iter().chain(passed_on) {
        let (version, answered) = end?;
        sums[version as usize] += answered;
    }
    Ok(sums)
}

struct User {
    version: Version,
    number: usize,
    asked: usize,
    random: u64,
    gateway: SocketAddr,
    http: Option<Http>,
}

impl User {
    fn new(number: usize, gateway: SocketAddr) -> Self {
        let version = [Version::App, Version::First, Version::Second][number % 3];
        let random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64 + 1);
        Self { version, number, asked: 0, random, gateway, http: None }
    }

    /// Below `n`. The same in every run (xorshift).
    fn random(&mut self, n: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 20) % n
    }

    /// Asks once, and checks all of the answer.
    fn ask(&mut self) -> Result<()> {
        if self.random(400) == 0 {
            self.give_up()?;
        }
        let id = self.id();
        let form = match self.random(200) {
            0 => "early", // the answer comes before the body has been read, and costs nginx its connection
            1..100 => "length",
            100..150 => "chunked",
            _ => "none",
        };
        let repeat = if self.random(50) == 0 { 2000 } else { self.random(30) as usize };
        let path = format!("/{form}/{repeat}");
        let (method, body, chunked) = self.body(&id);
        self.send(method, &path, &id, &body, chunked)?;
        let http = self.http.as_mut().context("no connection")?;
        let answer = http.response(method).with_context(|| format!("{id}: {method} {path}"))?;
        if form == "early" && !body.is_empty() {
            self.http = None; // nginx closes then, and does not say so
        }
        let wanted = match (method, form) {
            ("HEAD", _) | (_, "none") => Vec::new(),
            _ if body.is_empty() || form == "early" => content(self.version, &id, repeat),
            _ => body,
        };
        self.check(&id, &answer, &wanted).with_context(|| format!("{id}: {method} {path}"))
    }

    fn id(&mut self) -> String {
        self.asked += 1;
        format!("{}-{}", self.number, self.asked)
    }

    /// Method, body, and whether it is sent in chunks.
    fn body(&mut self, id: &str) -> (&'static str, Vec<u8>, bool) {
        let method = match self.random(20) {
            0..10 => return ("GET", Vec::new(), false),
            10 => return ("HEAD", Vec::new(), false),
            11 => return ("DELETE", Vec::new(), false),
            12..14 => "PUT",
            _ => "POST",
        };
        let len = match self.random(500) {
            0 => 200_000,
            1..10 => 20_000,
            _ => 20 + self.random(600) as usize,
        };
        // Looks like the request of somebody else.
        let other = if self.version == Version::First { "pr-12" } else { "pr-1" };
        let text =
            format!("{id}\r\n\r\nGET /length/1 HTTP/1.1\r\nx-byway-key: {other}\r\nx-id: {id}-no\r\n\r\n");
        let body = text.bytes().cycle().take(len).collect();
        (method, body, self.random(3) == 0)
    }

    /// The key where one may carry it. Users of the app carry none, or one that is nobody's.
    fn carrier(&mut self) -> String {
        let key = self.version.key();
        match self.random(if self.version == Version::App { 5 } else { 3 }) {
            0 => format!("x-byway-key: {key}\r\n"),
            1 => format!("baggage: user=1,byway-key = {key};p=1,last=2\r\n"),
            2 => format!("cookie: session=abc; byway-key={key}; theme=dark\r\n"),
            _ => String::new(),
        }
    }

    fn send(&mut self, method: &str, path: &str, id: &str, body: &[u8], chunked: bool) -> Result<()> {
        let mut bytes =
            format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\n{}x-id: {id}\r\n", self.carrier());
        let mut bytes = if chunked {
            bytes.push_str("transfer-encoding: chunked\r\n\r\n");
            let mut bytes = bytes.into_bytes();
            for piece in body.chunks(body.len() / 2 + 1) {
                bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
                bytes.extend(piece);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            bytes
        } else {
            if !body.is_empty() {
                bytes.push_str(&format!("content-length: {}\r\n", body.len()));
            }
            bytes.push_str("\r\n");
            [bytes.as_bytes(), body].concat()
        };
        // Now and then the end comes late.
        let late = if self.random(100) == 0 { bytes.split_off(bytes.len() / 2) } else { Vec::new() };
        let http = match &mut self.http {
            Some(http) => http,
            none => none.insert(Http::new(TcpStream::connect(self.gateway)?)),
        };
        http.send(&bytes)?;
        std::thread::yield_now();
        http.send(&late)
    }

    /// Asks, and leaves before the answer: it must not become the answer of whoever comes next.
    fn give_up(&mut self) -> Result<()> {
        let id = self.id();
        self.send("GET", "/slow/100", &id, &[], false)?;
        self.http = None;
        Ok(())
    }

    fn check(&self, id: &str, answer: &Response, body: &[u8]) -> Result<()> {
        let version = format!("{:?}", self.version);
        let said = (answer.header("x-version"), answer.header("x-id"), answer.header("x-byway-preview"));
        let wanted = (Some(version.as_str()), Some(id), self.version.preview());
        if said == (Some("App"), Some(id), None) && self.version != Version::App {
            return Err(PassedOn.into());
        }
        ensure!(said == wanted, "wanted {wanted:?}, got {said:?} with status {}", answer.status);
        let text = String::from_utf8_lossy(&answer.body);
        let start: String = text.chars().take(200).collect();
        ensure!(answer.body == body, "{} bytes for {}, which begin with {start:?}", text.len(), body.len());
        Ok(())
    }
}
