//! New connections at a steady rate, and what became of each.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use byway_tests::Pod;

const THREADS: u32 = 4;
/// Longer than any of this should take, and as long as the first retransmission of a lost SYN.
const PATIENCE: Duration = Duration::from_secs(1);

/// A load that is going on.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    counts: Arc<Mutex<Counts>>,
    threads: Vec<JoinHandle<()>>,
}

/// What became of the requests, each on a connection of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) answered: u64,
    pub(super) refused: u64,
    pub(super) reset: u64,
    pub(super) late: u64,
}

impl Counts {
    pub(super) fn failed(self) -> u64 {
        self.refused + self.reset + self.late
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            answered: self.answered - before.answered,
            refused: self.refused - before.refused,
            reset: self.reset - before.reset,
            late: self.late - before.late,
        }
    }
}

impl Load {
    /// Starts `per_second` connections a second from a pod, without a key.
    pub(super) fn start(from: &Pod, to: SocketAddr, per_second: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Mutex::new(Counts::default()));
        let threads = (0..THREADS)
            .map(|_| {
                let (stop, counts) = (Arc::clone(&stop), Arc::clone(&counts));
                let pause = Duration::from_secs(1) * THREADS / per_second;
                from.thread(move || {
                    let mut next = Instant::now();
                    while !stop.load(Ordering::Relaxed) {
                        let outcome = ask(to);
                        count(&mut counts.lock().unwrap_or_else(PoisonError::into_inner), &outcome);
                        next += pause;
                        thread::sleep(next.saturating_duration_since(Instant::now()));
                    }
                })
            })
            .collect();
        Self { stop, counts, threads }
    }

    /// The counts so far.
    pub(super) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn ask(to: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: byway.test\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.") { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

fn count(counts: &mut Counts, outcome: &std::io::Result<()>) {
    let field = match outcome.as_ref().map_err(std::io::Error::kind) {
        Ok(()) => &mut counts.answered,
        Err(ErrorKind::ConnectionRefused) => &mut counts.refused,
        Err(ErrorKind::TimedOut | ErrorKind::WouldBlock) => &mut counts.late,
        Err(_) => &mut counts.reset,
    };
    *field += 1;
}
