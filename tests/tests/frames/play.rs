//! Plays an exchange: both ends from one thread, so that every step waits for what the step before it caused.

use std::{
    net::{SocketAddr, TcpListener},
    thread::sleep,
    time::{Duration, Instant},
};

use byway_tests::{End, Peer, Pod};

use crate::{
    KEY,
    corpus::{Act, Exchange, Side, Step},
    frames::{self, Frame, Heard, heard},
};

/// How long an end is watched for something that should not come.
const QUIET: Duration = Duration::from_millis(150);
/// How long nothing comes after a step that nobody knows the effect of.
const SETTLED: Duration = Duration::from_millis(60);
/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Direct,
    Unkeyed,
    /// Another stream of the connection has been keyed before.
    Keyed,
}

/// What both ends got, and what they had got after each step.
#[derive(Debug)]
pub(crate) struct Record {
    client: (Vec<Heard>, Vec<End>),
    server: (Vec<Heard>, Vec<End>),
    steps: Vec<[usize; 2]>,
}

impl Record {
    /// What is not the same, in words.
    pub(crate) fn differs(&self, through: &Self) -> impl Iterator<Item = String> {
        let ends = [("client", &self.client, &through.client), ("server", &self.server, &through.server)];
        ends.into_iter().filter(|(_, without, through)| without != through).map(|(end, without, through)| {
            let same = without.0.iter().zip(&through.0).take_while(|(a, b)| a == b).count();
            format!(
                "the {end}, after {same} that are the same\n  without {:?} then {:?}\n  through {:?} then {:?}",
                &without.0[same..].iter().take(4).collect::<Vec<_>>(),
                without.1,
                &through.0[same..].iter().take(4).collect::<Vec<_>>(),
                through.1
            )
        })
    }
}

struct Wire {
    client: Peer,
    server: Peer,
}

/// Plays the script. With `expected`, waits for exactly that to come about; then nothing more may come.
pub(crate) fn play(
    exchange: &Exchange,
    client: &Pod,
    to: SocketAddr,
    listener: &TcpListener,
    mode: Mode,
    expected: Option<&Record>,
) -> Record {
    let from = client.connect(to).expect("the server listens");
    let (accepted, _) = listener.accept().expect("a connection");
    let mut wire = Wire { client: Peer::new(from), server: Peer::new(accepted) };
    let mut steps = Vec::new();
    wire.begin(mode);
    for (i, step) in exchange.script.iter().enumerate() {
        wire.act(step);
        wire.settle(expected.and_then(|it| it.steps.get(i)));
        steps.push(wire.count());
    }
    let end = Instant::now() + QUIET;
    while Instant::now() < end {
        wire.look();
        sleep(Duration::from_millis(5));
    }
    let (client, server) = (wire.client.seen(), wire.server.seen());
    Record {
        client: (not_keyed(heard(&client.bytes)), client.ends.clone()),
        server: (heard(&server.bytes), server.ends.clone()),
        steps,
    }
}

/// Without the keyed stream: the first one, on which home says nothing.
fn not_keyed(heard: Vec<Heard>) -> Vec<Heard> {
    heard.into_iter().filter(|it| it.stream() != 1).collect()
}

impl Wire {
    /// Both ends greet each other. Then a keyed request is answered.
    fn begin(&mut self, mode: Mode) {
        self.client.write(&[frames::PREFACE, &frames::settings(&[(0x3, 100)])].concat(), || ());
        self.server.write(&frames::settings(&[(0x3, 250)]), || ());
        self.settle(Some(&[1, 2]));
        self.client.write(&frames::frame(4, 1, 0, &[]), || ());
        self.server.write(&frames::frame(4, 1, 0, &[]), || ());
        self.settle(Some(&[2, 3]));
        if mode == Mode::Keyed {
            let fields: [(&[u8], &[u8]); 5] = [
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":path", b"/"),
                (b":authority", b"app"),
                (b"x-byway-key", KEY.as_bytes()),
            ];
            // With an entry in the table, which home will not have.
            let block = [frames::block(&fields), vec![0x40, 1, b'k', 1, b'v']].concat();
            self.client.write(&frames::headers(1, frames::END, &block), || ());
            let begun = Instant::now();
            let is_keyed = |it: &Frame| it.kind == 1 && it.stream == 1;
            while !frames::parse(&self.client.seen().bytes).iter().any(is_keyed) && begun.elapsed() < PATIENCE
            {
                self.look();
                sleep(Duration::from_millis(1));
            }
        }
    }

    fn act(&mut self, Step(side, act): &Step) {
        let (own, other) = match side {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        };
        match act {
            Act::Send(bytes) => own.write(bytes, || {
                other.look();
            }),
            Act::Drip(bytes, n) => own.drip(bytes, *n, || {
                other.look();
            }),
            Act::Finish => own.finish(),
            Act::Reset => own.reset(),
            Act::Close => own.close(),
        }
    }

    /// Waits until both ends have got so much, or until nothing comes any more.
    fn settle(&mut self, wanted: Option<&[usize; 2]>) {
        let (begun, mut quiet) = (Instant::now(), Instant::now());
        loop {
            if self.look() {
                quiet = Instant::now();
            }
            let done = match wanted {
                Some(wanted) => {
                    let count = self.count();
                    count[0] >= wanted[0] && count[1] >= wanted[1]
                }
                None => quiet.elapsed() > SETTLED,
            };
            if done || begun.elapsed() > PATIENCE {
                return;
            }
            sleep(Duration::from_millis(1));
        }
    }

    fn look(&mut self) -> bool {
        self.client.look() | self.server.look()
    }

    /// What the ends have got: frames, and ends.
    fn count(&self) -> [usize; 2] {
        let (client, server) = (self.client.seen(), self.server.seen());
        let heard_by_client = not_keyed(heard(&client.bytes)).len();
        [heard_by_client + client.ends.len(), heard(&server.bytes).len() + server.ends.len()]
    }
}
