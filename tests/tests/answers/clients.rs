//! Who reads the answers, and what they say of them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use byway_tests::{Pod, Raw};

use crate::servers::FOLDER;

/// How long the bytes of an answer may pause.
const QUIET: Duration = Duration::from_millis(500);
const SOON: Duration = Duration::from_secs(20);

/// Where a client asks, and as who.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) from: &'a Pod,
    pub(crate) to: SocketAddr,
    pub(crate) key: &'a str,
}

/// Body, status, and how curl ends.
pub(crate) fn curl(it: Asked<'_>, answer: &str) -> String {
    let mut command = it.from.command("curl");
    command.args(["--silent", "--max-time", "20", "--write-out", " %{http_code} %{exitcode}"]);
    if !it.key.is_empty() {
        command.args(["--header", &format!("x-byway-key: {}", it.key)]);
    }
    said(command.arg(format!("http://{}/{answer}", it.to)))
}

/// Of each answer status and body, or the error.
pub(crate) fn python(it: Asked<'_>, answers: &[&str]) -> Vec<String> {
    let mut command = it.from.command("python3");
    command.arg(Path::new(FOLDER).join("client.py")).arg(it.to.ip().to_string());
    command.arg(it.to.port().to_string()).arg(it.key).args(answers);
    said(&mut command).lines().map(str::to_owned).collect()
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Every byte but the date, and how the connection ends.
pub(crate) fn raw(it: Asked<'_>, answer: &str) -> String {
    let mut raw = Raw::new(it.from.connect(it.to).unwrap()).unwrap();
    let key = if it.key.is_empty() { String::new() } else { format!("x-byway-key: {}\r\n", it.key) };
    raw.send(format!("GET /{answer} HTTP/1.1\r\nhost: a\r\n{key}\r\n")).unwrap();
    let mut received = raw.receive_exact(1, SOON);
    let rest = raw.receive(QUIET);
    received.bytes.extend(rest.bytes);
    let lines = received.bytes.split_inclusive(|byte| *byte == b'\n');
    let dated = |line: &[u8]| line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"date:"));
    let bytes: Vec<u8> = lines.filter(|line| !dated(line)).flatten().copied().collect();
    format!("\"{}\", then {:?}", bytes.escape_ascii(), rest.end)
}
