//! An end of a connection that one thread plays together with the other end: it never blocks, and notes all that it sees.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use socket2::SockRef;

use crate::{End, eventually};

/// All that an end saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What came.
    pub bytes: Vec<u8>,
    /// How it saw the connection end, in order: nothing while it is open.
    pub ends: Vec<End>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.bytes.len().min(160);
        write!(f, "{} bytes \"{}\"", self.bytes.len(), self.bytes[..shown].escape_ascii())?;
        write!(f, "{}, then {:?}", if shown < self.bytes.len() { "..." } else { "" }, self.ends)
    }
}

/// One end.
#[derive(Debug)]
pub struct Peer {
    stream: Option<TcpStream>,
    sent: usize,
    seen: Seen,
    /// Where it is called again, if its connection ends because the agent has taken it over,
    listener: Option<TcpListener>,
    /// and how long after.
    called_again: Duration,
}

/// A head that comes slowly is waited for, before the app is called again.
const SLOWLY: Duration = Duration::from_secs(10);
const AT_ONCE: Duration = Duration::from_millis(400);

impl Peer {
    /// # Panics
    ///
    /// On a socket that is none any more.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(true).expect("a living socket");
        stream.set_nodelay(true).expect("a living socket");
        Self { stream: Some(stream), sent: 0, seen: Seen::default(), listener: None, called_again: SLOWLY }
    }

    /// An app, whose client's connection the agent may take over: that ends for it, and it hears of the client by another
    /// one, from the same listener.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[must_use]
    pub fn app(stream: TcpStream, listener: &TcpListener) -> Self {
        Self { listener: Some(listener.try_clone().expect("a living socket")), ..Self::new(stream) }
    }

    /// The client has ended, so an end may be meant.
    pub fn expects_the_end(&mut self) {
        self.called_again = AT_ONCE;
    }

    /// Goes on with the connection that comes when the agent takes its client's over.
    pub fn follow(&mut self) {
        let (Some(stream), Some(listener)) = (&self.stream, &self.listener) else { return };
        if !self.seen.ends.is_empty() {
            return;
        }
        match stream.peek(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() != ErrorKind::WouldBlock => return self.note_reset(), // told once
            _ => return,
        }
        listener.set_nonblocking(true).expect("a living socket");
        let called = eventually(self.called_again, || listener.accept().ok());
        listener.set_nonblocking(false).expect("a living socket");
        if let Some((stream, _)) = called {
            self.stream = Self::new(stream).stream;
        }
    }

    /// What it has seen so far.
    #[must_use]
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Bytes that it was told to send.
    #[must_use]
    pub const fn sent(&self) -> usize {
        self.sent
    }

    /// Whether it has closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.stream.is_none()
    }

    /// Whether something has come that it has not looked at.
    #[must_use]
    pub fn has_something(&self) -> bool {
        self.stream.as_ref().is_none_or(
            |stream| !matches!(stream.peek(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock),
        )
    }

    /// Reads what is there, and notes an end. Whether there was any of it.
    pub fn look(&mut self) -> bool {
        let before = (self.seen.bytes.len(), self.seen.ends.len());
        let mut buffer = [0; 64 << 10];
        while self.seen.ends.is_empty() {
            self.follow();
            let Some(stream) = self.stream.as_mut().filter(|_| self.seen.ends.is_empty()) else { break };
            match stream.read(&mut buffer) {
                Ok(0) => self.seen.ends.push(End::Fin),
                Ok(n) => self.seen.bytes.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.seen.ends.push(End::Reset),
            }
        }
        // A reset that follows a FIN is not told by reading.
        if self.stream.as_ref().is_some_and(|it| it.take_error().is_ok_and(|error| error.is_some())) {
            self.note_reset();
        }
        before != (self.seen.bytes.len(), self.seen.ends.len())
    }

    /// Sends all of it, as far as the connection lasts. While there is no room, `meanwhile` makes some.
    pub fn write(&mut self, mut bytes: &[u8], mut meanwhile: impl FnMut()) {
        self.sent += bytes.len();
        while !bytes.is_empty() {
            let Some(stream) = &mut self.stream else { return };
            match stream.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    meanwhile();
                    sleep(Duration::from_micros(200));
                }
                // Sooner or later than without an agent: what counts is that it is seen.
                Err(_) => return self.note_reset(),
            }
        }
    }

    /// Sends pieces of `n` bytes, each in a segment of its own.
    pub fn drip(&mut self, bytes: &[u8], n: usize, mut meanwhile: impl FnMut()) {
        for piece in bytes.chunks(n) {
            self.write(piece, &mut meanwhile);
            sleep(Duration::from_millis(1));
        }
    }

    /// Half-closes. An end that is no more cannot, and has noted why.
    pub fn finish(&self) {
        let _ = self.stream.as_ref().map(|stream| stream.shutdown(Shutdown::Write));
    }

    /// Closes: by a FIN, or by a reset if something was left unread.
    pub fn close(&mut self) {
        self.stream = None;
    }

    /// Closes by a reset.
    pub fn reset(&mut self) {
        let _ = self.stream.as_ref().map(|stream| SockRef::from(stream).set_linger(Some(Duration::ZERO)));
        self.stream = None;
    }

    fn note_reset(&mut self) {
        if self.seen.ends.last() != Some(&End::Reset) {
            self.seen.ends.push(End::Reset);
        }
    }
}
