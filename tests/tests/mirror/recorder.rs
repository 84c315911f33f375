//! A server of HTTP/1 that keeps each request as it came, byte for byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use byway_tests::{Pod, Stage, eventually};

#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Vec<u8>>>>);

impl Recorder {
    /// Answers all with this status.
    pub(crate) fn start(pod: &Pod, status: &'static str) -> Self {
        Self::at(pod, Stage::PORT, status)
    }

    /// The same at another port.
    pub(crate) fn at(pod: &Pod, port: u16, status: &'static str) -> Self {
        let listener = pod.run(|| TcpListener::bind(("::", port))).unwrap();
        let recorder = Self::default();
        let kept = recorder.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, kept) = (stream.unwrap(), kept.clone());
                thread::spawn(move || kept.serve(stream, status));
            }
        });
        recorder
    }

    fn serve(&self, mut stream: TcpStream, status: &str) -> Option<()> {
        let _ = stream.set_nodelay(true);
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        loop {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") {
                if reader.read_until(b'\n', &mut bytes).ok()? == 0 {
                    return None;
                }
            }
            let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
            let length =
                head.split("content-length: ").nth(1).and_then(|it| it.lines().next()?.parse::<usize>().ok());
            if let Some(length) = length {
                let begin = bytes.len();
                bytes.resize(begin + length, 0);
                reader.read_exact(&mut bytes[begin..]).ok()?;
            } else if head.contains("transfer-encoding: chunked") {
                while !bytes.ends_with(b"\r\n0\r\n\r\n") {
                    reader.read_until(b'\n', &mut bytes).ok()?;
                }
            }
            let is_head = head.starts_with("head ");
            self.0.lock().unwrap().push(bytes);
            let body = if is_head { "" } else { "ok" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).ok()?;
        }
    }

    /// What came, sorted; without the line that marks copies, which each of them must have.
    pub(crate) fn requests(&self, mark: Option<&str>) -> Vec<Vec<u8>> {
        let mut all = self.0.lock().unwrap().clone();
        if let Some(mark) = mark {
            let mark = format!("x-byway-mirrored: {mark}\r\n\r\n");
            for bytes in &mut all {
                let at = bytes.windows(mark.len()).position(|it| it == mark.as_bytes());
                let at = at.unwrap_or_else(|| panic!("no mark in {}", String::from_utf8_lossy(bytes)));
                bytes.drain(at..at + mark.len() - 2);
            }
        }
        all.sort_unstable();
        all
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Waits until so many came, and a moment for more.
    pub(crate) fn wait(&self, count: usize) {
        let came = eventually(Duration::from_secs(30), || (self.count() >= count).then_some(()));
        assert!(came.is_some(), "{} of {count} came", self.count());
        thread::sleep(Duration::from_millis(300));
    }
}
