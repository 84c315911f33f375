//! A server of HTTP/1.1 that takes its time, and of tunnels.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, sleep};
use std::time::Duration;

use byway_tests::Pod;

use crate::PORT;

/// How much of a slow answer comes at a time, and how often.
pub(crate) const PIECE: usize = 16 * 1024;
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// Serves for as long as the test runs. A request is answered with the name and the length of its body; `/slow/N` with
/// the name and N pieces, slowly; `/tunnel` with a tunnel that says the name and echoes what follows.
pub(crate) fn serve(pod: &Pod, name: &'static str) {
    let listener = pod.run(|| TcpListener::bind(("::", PORT))).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || while_open(&stream, name));
        }
    });
}

fn while_open(stream: &TcpStream, name: &str) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        answer(&mut reader, name)?;
    }
}

fn answer(reader: &mut BufReader<&TcpStream>, name: &str) -> Option<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut stream = *reader.get_ref();
    let path = head.split(' ').nth(1)?;
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: u64 = length.map_or(Some(0), |n| n.parse().ok())?;
    if path == "/tunnel" {
        let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        stream.write_all(format!("{switch}{name:8}").as_bytes()).ok()?;
        std::io::copy(reader, &mut stream).ok()?;
        return None;
    }
    if let Some(pieces) = path.strip_prefix("/slow/") {
        let pieces: usize = pieces.parse().ok()?;
        say(stream, name, pieces * PIECE)?;
        for n in 0..pieces {
            sleep(PAUSE);
            stream.write_all(&piece(n)).ok()?;
        }
        return Some(());
    }
    let came = std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
    say(stream, &format!("{name} {came}"), 0)
}

/// The head of an answer and its first words; so many more bytes are to follow.
fn say(mut stream: &TcpStream, text: &str, more: usize) -> Option<()> {
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len() + more).ok()
}

/// What the nth piece of a slow answer is made of.
pub(crate) fn piece(n: usize) -> Vec<u8> {
    vec![b'a' + (n % 26) as u8; PIECE]
}
