//! Plays an exchange: both ends from one thread, so that every step waits for what the step before it caused.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use byway_tests::Pod;
use socket2::SockRef;

/// How long an end is watched for something that should not come.
const QUIET: Duration = Duration::from_millis(250);
/// Longer than the agent holds a slow head, and long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// One line of a script.
#[derive(Clone, Debug)]
pub(crate) struct Step(Side, Act);

#[derive(Clone, Debug)]
enum Act {
    Send(Vec<u8>),
    Post(Vec<u8>),
    Drip(Vec<u8>, usize),
    Let,
    Finish,
    Close,
    Reset,
    Sleep(Duration),
}

impl Side {
    /// Sends, and waits until the other end has read all that was sent so far.
    pub(crate) fn send(self, bytes: impl AsRef<[u8]>) -> Step {
        Step(self, Act::Send(bytes.as_ref().to_vec()))
    }

    /// Sends, and leaves it to a later step of the other end to read it.
    pub(crate) fn post(self, bytes: impl AsRef<[u8]>) -> Step {
        Step(self, Act::Post(bytes.as_ref().to_vec()))
    }

    /// Sends pieces of `n` bytes, each in a segment of its own, and then waits as [`send`](Self::send) does.
    pub(crate) fn drip(self, n: usize, bytes: impl AsRef<[u8]>) -> Step {
        Step(self, Act::Drip(bytes.as_ref().to_vec(), n))
    }

    /// Waits until something has come, and does not read it.
    pub(crate) fn lets_it_lie(self) -> Step {
        Step(self, Act::Let)
    }

    /// Half-closes, and waits until the other end has read everything and seen it.
    pub(crate) fn finish(self) -> Step {
        Step(self, Act::Finish)
    }

    /// Closes: by a FIN, or by a reset if something was left unread. The other end sees it.
    pub(crate) fn close(self) -> Step {
        Step(self, Act::Close)
    }

    /// Closes by a reset. The other end sees it.
    pub(crate) fn reset(self) -> Step {
        Step(self, Act::Reset)
    }

    /// Does nothing for a while.
    pub(crate) fn sleep(self, ms: u64) -> Step {
        Step(self, Act::Sleep(Duration::from_millis(ms)))
    }
}

/// How an end saw the connection end, in order: nothing while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
}

/// All that one end saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<End>,
}

/// What both ends saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) client: Seen,
    pub(crate) server: Seen,
    /// Steps whose effect did not come in time.
    pub(crate) stuck: Vec<usize>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.bytes.len().min(160);
        write!(f, "{} bytes \"{}\"", self.bytes.len(), self.bytes[..shown].escape_ascii())?;
        write!(f, "{}, then {:?}", if shown < self.bytes.len() { "..." } else { "" }, self.ends)
    }
}

/// One end of the connection.
struct Peer {
    stream: Option<TcpStream>,
    sent: usize,
    seen: Seen,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(true).expect("a living socket");
        stream.set_nodelay(true).expect("a living socket");
        Self { stream: Some(stream), sent: 0, seen: Seen::default() }
    }

    /// Reads what is there, and notes an end.
    fn look(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let mut buffer = [0; 64 * 1024];
        while self.seen.ends.is_empty() {
            match stream.read(&mut buffer) {
                Ok(0) => self.seen.ends.push(End::Fin),
                Ok(n) => self.seen.bytes.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.seen.ends.push(End::Reset),
            }
        }
        // A reset that follows a FIN is not told by reading.
        if stream.take_error().is_ok_and(|error| error.is_some()) {
            self.note_reset();
        }
    }

    fn note_reset(&mut self) {
        if self.seen.ends.last() != Some(&End::Reset) {
            self.seen.ends.push(End::Reset);
        }
    }

    fn write(&mut self, mut bytes: &[u8], mut meanwhile: impl FnMut()) {
        self.sent += bytes.len();
        while !bytes.is_empty() {
            let Some(stream) = &mut self.stream else { return };
            match stream.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    meanwhile();
                    sleep(Duration::from_micros(200));
                }
                // Sooner or later than without the agent: what counts is that it is seen.
                Err(_) => return self.note_reset(),
            }
        }
    }

    fn has_something(&self) -> bool {
        self.stream.as_ref().is_none_or(
            |stream| !matches!(stream.peek(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock),
        )
    }
}

/// A connection from `client` to `listener`, which nobody else accepts from.
pub(crate) struct Wire {
    client: Peer,
    server: Peer,
    stuck: Vec<usize>,
}

impl Wire {
    pub(crate) fn connect(client: &Pod, to: SocketAddr, listener: &TcpListener) -> Self {
        let from = client.connect(to).expect("the server listens");
        let (accepted, peer) = listener.accept().expect("a connection");
        assert_eq!(peer.ip().to_canonical(), from.local_addr().unwrap().ip(), "the server sees the client");
        Self { client: Peer::new(from), server: Peer::new(accepted), stuck: Vec::new() }
    }

    /// Plays the script. With `expected`, waits for exactly that to come about; then nothing more may come.
    pub(crate) fn play(mut self, script: &[Step], expected: Option<&Record>) -> Record {
        for (i, step) in script.iter().enumerate() {
            if !self.step(step) {
                self.stuck.push(i);
            }
        }
        if let Some(expected) = expected {
            self.wait(|wire| wire.record() == *expected);
        }
        let end = Instant::now() + QUIET;
        while Instant::now() < end {
            self.look();
            sleep(Duration::from_millis(5));
        }
        self.record()
    }

    /// Whether it came to its effect.
    fn step(&mut self, Step(side, act): &Step) -> bool {
        let (own, other) = match side {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        };
        match act {
            Act::Send(bytes) => own.write(bytes, || other.look()),
            Act::Post(bytes) => own.write(bytes, || ()),
            Act::Drip(bytes, n) => {
                for piece in bytes.chunks(*n) {
                    own.write(piece, || other.look());
                    sleep(Duration::from_millis(1));
                }
            }
            Act::Let => return self.wait_lying(*side),
            Act::Finish => {
                let _ = own.stream.as_ref().map(|stream| stream.shutdown(Shutdown::Write));
            }
            Act::Reset => {
                let _ = own.stream.as_ref().map(|s| SockRef::from(s).set_linger(Some(Duration::ZERO)));
                own.stream = None;
            }
            Act::Close => own.stream = None,
            Act::Sleep(time) => {
                sleep(*time);
                return true;
            }
        }
        let sent = own.sent;
        let side = *side;
        let other = move |wire: &Self| match side {
            Side::Client => {
                (wire.server.seen.bytes.len(), wire.server.seen.ends.len(), wire.server.stream.is_none())
            }
            Side::Server => {
                (wire.client.seen.bytes.len(), wire.client.seen.ends.len(), wire.client.stream.is_none())
            }
        };
        let only_end = matches!(act, Act::Finish | Act::Close | Act::Reset);
        match act {
            Act::Post(_) => true,
            _ => self.wait(move |wire| match other(wire) {
                (_, _, true) => true,
                (bytes, ends, _) => ends > 0 || !only_end && bytes >= sent,
            }),
        }
    }

    fn wait_lying(&mut self, side: Side) -> bool {
        let end = Instant::now() + PATIENCE;
        let lies = |wire: &Self| match side {
            Side::Client => wire.client.has_something(),
            Side::Server => wire.server.has_something(),
        };
        while !lies(self) && Instant::now() < end {
            sleep(Duration::from_millis(1));
        }
        lies(self)
    }

    fn wait(&mut self, done: impl Fn(&Self) -> bool) -> bool {
        let end = Instant::now() + PATIENCE;
        loop {
            self.look();
            if done(self) || Instant::now() > end {
                return done(self);
            }
            sleep(Duration::from_micros(500));
        }
    }

    fn look(&mut self) {
        self.client.look();
        self.server.look();
    }

    fn record(&self) -> Record {
        Record {
            client: self.client.seen.clone(),
            server: self.server.seen.clone(),
            stuck: self.stuck.clone(),
        }
    }
}
