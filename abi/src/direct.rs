//! Connections that go straight from the client to the app, and how one is taken over when it is keyed.
//!
//! The programs at a pod's interfaces follow each connection from its SYN on. They know where the next request head
//! begins, look through it there, and hold what is keyed or in doubt: the packet is dropped, and a copy of it goes to the
//! agent. The agent decides. It lets go, and the copies go on to the app; or it takes over, with a socket of its own that
//! stands in for the app's (the *clone*), and from then on the programs change the app's port for the clone's.

mod filter;

pub use filter::{Filter, bloom_bit, hash, hash_byte, look, name_hash, salt};

/// Most connections that are followed on one node.
pub const MAX_CONNS: u32 = 131_072;
/// Most (target, key) pairs on one node.
pub const MAX_KEYS: u32 = 65_536;
/// Most addresses whose connections are decided by their origin.
pub const MAX_ORIGINS: u32 = 16_384;
/// Bytes of an answer's beginning that are kept.
pub const MAX_ANSWER: usize = 760;
/// A piece of it that begins behind so many bytes is not kept.
pub const MAX_ANSWER_AT: u32 = 512;
/// Most bytes of one packet that an event carries: its headers, which are at most [`MAX_HEADERS`] long, and payload.
pub const MAX_FRAME: usize = 16_384;
/// Most bytes of headers: Ethernet, IPv6, TCP with options, and a link header that is longer than usual.
pub const MAX_HEADERS: usize = 256;
/// Most events of one packet, each with the next part of its payload: enough for 64 KiB. What is beyond comes again, by
/// retransmission.
pub const MAX_PARTS: u32 = 5;
/// Most bytes of a head that the program in the kernel looks at.
pub const MAX_SCAN: usize = 4096;
/// Where in the heartbeats that of the thread is which takes connections over.
pub const BEAT: u32 = crate::MAX_WORKERS;

/// The ports of clones: below 1024, so that they never collide with what the app's own `connect` draws, and of one prefix,
/// so that one comparison tells. That the app listens on one of them does no harm: a clone is an established socket.
pub const CLONE_PORTS: core::ops::Range<u16> = 896..904;

/// Marks of injected packets (`SO_MARK`): for the app's socket, as if they had not been held.
pub const MARK_APP: u32 = 0xb1a9_0001;
/// For the clone, or for whom the connection belongs to by now.
pub const MARK_CLONE: u32 = 0xb1a9_0002;
/// For nobody: asks for an [`Event::SOCKET`].
pub const MARK_ASK: u32 = 0xb1a9_0003;

/// In what hands a connection is: [`Conn::state`].
pub mod state {
    /// The app's. Its heads are looked through.
    pub const DIRECT: u64 = 1;
    /// The app's for good: it cannot be read, or nobody was there to read it.
    pub const OPAQUE: u64 = 2;
    /// The agent decides. What the client sends meanwhile is copied and dropped.
    pub const HELD: u64 = 3;
    /// There is a clone, and the app knows nothing of it yet. What either side sends is dropped for the moment.
    pub const TAKING: u64 = 4;
    /// The clone's. It cannot go back to the app.
    pub const TAKEN: u64 = 5;
    /// The entry under a clone's port: what the clone sends goes out from the app's.
    pub const CLONE: u64 = 6;
    /// The app's, and open before the programs were there: where a head begins is not known yet.
    pub const OLD: u64 = 7;
}

/// Bits of [`Conn::flags`].
pub mod flag {
    /// The app's socket stands.
    pub const ALIVE: u32 = 1;
    /// The last request was a HEAD.
    pub const HEAD: u32 = 2;
    /// A request came before the one before was answered: what is answered cannot be told any more.
    pub const PIPELINED: u32 = 4;
    /// The app's socket has been told that the client has ended, so it is not asked any more to take anything.
    pub const ENDED: u32 = 8;
    /// ... and has said something since.
    pub const SAID: u32 = 16;
    /// A request came, and no byte of its answer yet.
    pub const ASKED: u32 = 32;
    /// The clone can take packets.
    pub const READY: u32 = 64;
    /// The clone has gone.
    pub const GONE: u32 = 128;
    /// It is the app's for good, and keys may come all the same.
    pub const UNREAD: u32 = 256;
    /// A server of HTTP/2 spoke before the client, and what it says is dropped for the moment: that comes again.
    pub const HUSHED: u32 = 1024;
    /// It was [`OLD`](super::state::OLD): as long as one head was seen, that may have been none.
    pub const JOINED: u32 = 512;
}

/// A connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conn {
    /// See [`state`]. Changed by compare-and-swap where the agent may change it, too.
    pub state: u64,
    /// Monotonic nanoseconds: of the SYN; of a gap; of the hold, by which the agent tells one hold from another.
    pub at: u64,
    /// See [`flag`].
    pub flags: u32,
    /// Slot of the target.
    pub slot: u32,
    /// Sequence number at which the client's next head begins.
    pub next: u32,
    /// Behind the last byte that was held.
    pub held: u32,
    /// Requests so far.
    pub requests: u32,
    /// What the client has acknowledged, when it was looked at last.
    pub acked: u32,
    /// Behind the last byte that the app has sent.
    pub app_end: u32,
    /// Where the answer to the last request begins.
    pub answer: u32,
    /// The last bytes that the app has sent.
    pub tail: [u8; 8],
    /// The other port: the clone's where it is taken, the app's in the clone's entry.
    pub port: u32,
    /// [`Reason`] that it is held for.
    pub reason: u32,
    /// Low half of [`crate::AgentInfo::instance`] of the agent that decides on it: an upgrade has two of them.
    pub owner: u32,
    /// Always 0.
    pub pad: u32,
}

impl Conn {
    /// Whether what a server of HTTP/2 says ahead of any request is dropped, if the connection is held: the client hears it
    /// from the next connection.
    #[must_use]
    pub const fn is_hushed(&self) -> bool {
        self.requests == 0 && (self.flags & flag::HUSHED != 0 || self.reason == Reason::Http2 as u32)
    }

    /// All zero.
    pub const NOTHING: Self = Self {
        state: 0,
        at: 0,
        flags: 0,
        slot: 0,
        next: 0,
        held: 0,
        requests: 0,
        acked: 0,
        app_end: 0,
        answer: 0,
        tail: [0; 8],
        port: 0,
        reason: 0,
        owner: 0,
        pad: 0,
    };
}

/// How the app's last answer begins.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Answer {
    /// Sequence number of the first byte.
    pub seq: u32,
    /// Bytes here.
    pub len: u32,
    /// The bytes.
    pub bytes: [u8; MAX_ANSWER],
}

/// Why connections to a port go through the agent from their first byte on.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The agent was told so.
    Told = 1,
    /// The kernel lacks something, or no program could be attached.
    Kernel = 2,
    /// Requests without a key are for nobody here.
    NoApp = 3,
    /// A route needs no key, so every head has to be read.
    Keyless = 4,
    /// HTTP/2 is spoken here.
    Http2 = 5,
    /// Rules of netfilter in the pod: what they know of a connection are its ports, and a clone has another one.
    Netfilter = 6,
    /// ... which drop what the agent sends to the app. Not even through the agent, therefore: connections stay with the app.
    Blocked = 7,
    /// Previews are only shown what comes here: connections are the app's.
    Shown = 8,
}

impl Why {
    /// All, in the order of their values.
    pub const ALL: [Self; 8] = [
        Self::Told,
        Self::Kernel,
        Self::NoApp,
        Self::Keyless,
        Self::Http2,
        Self::Netfilter,
        Self::Blocked,
        Self::Shown,
    ];

    /// The stable code, as in `debug routes`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Told => "Told",
            Self::Kernel => "Kernel",
            Self::NoApp => "NoApp",
            Self::Keyless => "Keyless",
            Self::Http2 => "Http2",
            Self::Netfilter => "Netfilter",
            Self::Blocked => "Blocked",
            Self::Shown => "Shown",
        }
    }

    /// In a value of [`crate::maps::PORTS`].
    #[must_use]
    pub fn of_port(port: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|why| *why as u32 == port >> crate::WHY)
    }
}

/// Where among the reasons of [`crate::TargetCounters::opaque`] those are that the programs count themselves.
pub mod opaque {
    /// It is no HTTP.
    pub const NOT_HTTP: usize = 0;
    /// It is TLS.
    pub const TLS: usize = 1;
    /// The server spoke first.
    pub const SERVER_SPOKE_FIRST: usize = 5;
}

/// Why a packet is held.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Something in it may be a key.
    Key = 1,
    /// The head is not complete, or too long to be looked at.
    Incomplete = 2,
    /// The body ends where only its own framing tells.
    Chunked = 3,
    /// The client asks for another protocol.
    Upgrade = 4,
    /// There is more behind the request.
    Second = 5,
    /// The lengths are not beyond doubt.
    Framing = 6,
    /// The packet begins before the head.
    Straddles = 7,
    /// A client of HTTP/2.
    Http2 = 8,
    /// The line is not of the grammar that is known here.
    Line = 9,
    /// The request before it has not been answered.
    Ahead = 10,
}

impl Reason {
    /// All, in the order of their values.
    pub const ALL: [Self; 10] = [
        Self::Key,
        Self::Incomplete,
        Self::Chunked,
        Self::Upgrade,
        Self::Second,
        Self::Framing,
        Self::Straddles,
        Self::Http2,
        Self::Line,
        Self::Ahead,
    ];
}

/// What a program tells the agent. The first [`Event::frame`] bytes of the packet follow, from its link header on.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Event {
    /// The connection.
    pub key: crate::DialKey,
    /// Of the values below.
    pub kind: u32,
    /// Interface.
    pub interface: u32,
    /// TCP sequence number of the packet.
    pub seq: u32,
    /// What it acknowledges.
    pub ack: u32,
    /// Bytes of payload.
    pub len: u32,
    /// Where the IP header begins.
    pub ip: u32,
    /// Where the TCP header begins.
    pub tcp: u32,
    /// Where the payload begins.
    pub payload: u32,
    /// Bytes of the packet that follow.
    pub frame: u32,
    /// Always 0.
    pub pad: u32,
    /// Monotonic nanoseconds.
    pub at: u64,
    /// The connection as it was then.
    pub conn: Conn,
    /// The app's socket as it was then.
    pub socket: Socket,
}

impl Event {
    /// A connection is held from this packet on.
    pub const HOLD: u32 = 1;
    /// One more packet of a held connection.
    pub const MORE: u32 = 2;
    /// How the app's socket stands.
    pub const SOCKET: u32 = 3;
    /// The app has ended a held connection.
    pub const APP_ENDED: u32 = 4;
    /// A server of HTTP/2 spoke first.
    pub const HTTP2: u32 = 5;
}

/// What a clone needs to know of the app's socket (`struct tcp_sock`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Socket {
    /// 1: there is one.
    pub found: u32,
    /// TCP state (`skc_state`).
    pub state: u32,
    /// Behind the last byte that was sent.
    pub snd_nxt: u32,
    /// The first byte that is not acknowledged.
    pub snd_una: u32,
    /// Behind the last byte that the app has written.
    pub write_seq: u32,
    /// Behind the last byte that has come.
    pub rcv_nxt: u32,
    /// Behind the last byte that the app has read.
    pub copied_seq: u32,
    /// What the client may send,
    pub rcv_wnd: u32,
    /// from here on.
    pub rcv_wup: u32,
    /// What the client lets be sent.
    pub snd_wnd: u32,
    /// The most it ever did.
    pub max_window: u32,
    /// The largest segment.
    pub mss_clamp: u32,
    /// What is added to the clock for timestamps.
    pub tsoffset: u32,
    /// Two bytes of `rx_opt`, with the bits of what was negotiated.
    pub options: [u8; 2],
    /// Always 0.
    pub pad: [u8; 2],
}

/// An order to the program that changes connections, and its answer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Order {
    /// The connection.
    pub key: crate::DialKey,
    /// Of the values below.
    pub what: u32,
    /// 0 when it was done; else negative.
    pub done: i32,
    /// The hold that is meant: [`Conn::at`].
    pub at: u64,
    /// The state to go to.
    pub state: u64,
    /// Where the next head begins.
    pub next: u32,
    /// Where the answer begins; for a takeover, where the app has ended: it is not done if that is elsewhere by now.
    pub answer: u32,
    /// Bits of [`flag`] to set.
    pub flags: u32,
    /// The clone's port.
    pub port: u32,
    /// Requests that were let go.
    pub requests: u32,
    /// The agent that adopts it: [`Conn::owner`],
    pub owner: u32,
    /// and its slot of the target.
    pub slot: u32,
    /// Always 0.
    pub pad: u32,
}

impl Order {
    /// There is a clone: to [`state::TAKING`].
    pub const TAKE: u32 = 1;
    /// The clone can take packets.
    pub const READY: u32 = 2;
    /// The app goes on, in [`Order::state`].
    pub const RELEASE: u32 = 3;
    /// Forget a connection whose clone has gone.
    pub const FORGET: u32 = 4;
    /// The app's socket will be ended before the clone is made, see [`flag::ENDED`].
    pub const END_FIRST: u32 = 5;
    /// The clone takes over: to [`state::TAKEN`]. What comes is dropped until it can take packets. Where it was not done the
    /// app has the connection again, or it is gone, and the clone's entry is, too.
    pub const COMMIT: u32 = 6;
    /// A successor decides from here on, unless the connection is held or was taken over.
    pub const ADOPT: u32 = 7;
    /// It was open before, or was left to the app: to [`state::OLD`].
    pub const JOIN: u32 = 8;
    /// Asks whether packets that come into the calling thread's namespace meet netfilter. Names no connection.
    pub const IS_FILTERED: u32 = 9;
}

const _: () = {
    assert!(size_of::<Conn>() == 72);
    assert!(size_of::<Answer>() == 768);
    assert!(size_of::<Socket>() == 56);
    assert!(size_of::<Event>() == 48 + 48 + 72 + 56);
    assert!(size_of::<Order>() == 104);
};
