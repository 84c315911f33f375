//! Plays an exchange: both ends from one thread, so that every step waits for what the step before it caused.

use std::net::{SocketAddr, TcpListener};
use std::thread::sleep;
use std::time::{Duration, Instant};

use byway_tests::{Agent, Peer, Pod, Seen};

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

/// What both ends saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) client: Seen,
    pub(crate) server: Seen,
    /// Steps whose effect did not come in time.
    pub(crate) stuck: Vec<usize>,
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
        let own = from.local_addr().unwrap();
        let (mut accepted, mut peer) = listener.accept().expect("a connection");
        // One that was taken over late comes when nobody waits for it any more.
        while Agent::goes_straight() && peer.port() != own.port() {
            (accepted, peer) = listener.accept().expect("a connection");
        }
        assert_eq!(peer.ip().to_canonical(), own.ip(), "the server sees the client");
        let server = if Agent::goes_straight() { Peer::app(accepted, listener) } else { Peer::new(accepted) };
        Self { client: Peer::new(from), server, stuck: Vec::new() }
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
        match (side, act) {
            (Side::Client, Act::Finish | Act::Close | Act::Reset) => self.server.expects_the_end(),
            (Side::Client, _) => {}
            (Side::Server, _) => self.server.follow(),
        }
        let (own, other) = match side {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        };
        match act {
            Act::Send(bytes) => own.write(bytes, || {
                other.look();
            }),
            Act::Post(bytes) => own.write(bytes, || ()),
            Act::Drip(bytes, n) => own.drip(bytes, *n, || {
                other.look();
            }),
            Act::Let => return self.wait_lying(*side),
            Act::Finish => own.finish(),
            Act::Reset => own.reset(),
            Act::Close => own.close(),
            Act::Sleep(time) => {
                sleep(*time);
                return true;
            }
        }
        let (sent, side) = (own.sent(), *side);
        let only_end = matches!(act, Act::Finish | Act::Close | Act::Reset);
        let has_come = move |other: &Peer| {
            let Seen { bytes, ends } = other.seen();
            other.is_closed() || !ends.is_empty() || !only_end && bytes.len() >= sent
        };
        match act {
            Act::Post(_) => true,
            _ => self.wait(move |wire| match side {
                Side::Client => has_come(&wire.server),
                Side::Server => has_come(&wire.client),
            }),
        }
    }

    fn wait_lying(&mut self, side: Side) -> bool {
        let end = Instant::now() + PATIENCE;
        loop {
            self.server.follow();
            let lies = match side {
                Side::Client => self.client.has_something(),
                Side::Server => self.server.has_something(),
            };
            if lies || Instant::now() > end {
                return lies;
            }
            sleep(Duration::from_millis(1));
        }
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
            client: self.client.seen().clone(),
            server: self.server.seen().clone(),
            stuck: self.stuck.clone(),
        }
    }
}
