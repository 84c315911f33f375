//! Names, keys and values of the BPF maps: the contract between the eBPF programs, the agent that
//! writes the maps, and whoever reads them (`byway-agent debug routes`, a successor agent).
//!
//! Everything here is `#[repr(C)]`, `Copy`, without `bool` and without implicit padding, so that a value
//! is the same bytes on both sides. Sizes are asserted at compile time, and against the object's BTF in
//! the agent's tests. Change a layout, and [`LAYOUT`] must be raised.
#![no_std]
#![forbid(unsafe_code)]

pub mod direct;
pub mod maps;
pub mod mirror;

/// Raised with every change of a layout or of the meaning of a field. Readers skip maps of another layout.
pub const LAYOUT: u32 = 6;

/// Most worker threads of one agent; each has a heartbeat and a listener per target.
pub const MAX_WORKERS: u32 = 8;
/// Most targets (pods) steered on one node.
pub const MAX_TARGETS: u32 = 512;
/// Most (target, route) pairs on one node.
pub const MAX_ROUTES: u32 = 16_384;
/// Most connections under way at once on one node, over all versions of the agent.
pub const MAX_DIALS: u32 = 65_536;

/// Most connections on one node that were open before a route.
pub const MAX_OLD: u32 = 65_536;
/// Most bytes of one packet's payload that are copied: most request heads fit.
pub const MAX_COPY: usize = 4096;

/// In a heartbeat: the worker lives, and takes no more connections for now.
pub const CLOSED: u64 = 1 << 63;

/// In [`maps::PORTS`]: connections to this port go straight to the app until they are keyed. Where they do not, the bits
/// from [`WHY`] on say why ([`direct::Why`]).
pub const DIRECT: u32 = 1 << 31;
/// See [`DIRECT`].
pub const WHY: u32 = 16;

/// The slot in a value of [`maps::PORTS`].
#[must_use]
pub const fn slot_of(port: u32) -> u32 {
    port & ((1 << WHY) - 1)
}

/// An address of 16 bytes in network order; IPv4 as `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2), so that the
/// family is part of the address.
pub type Addr = [u32; 4];

/// The third word of an IPv4-mapped [`Addr`].
pub const MAPPED: u32 = 0x0000_ffff_u32.to_be();

/// A dial of an agent, as the *receiving* side sees it: `remote` is the agent's source.
///
/// The namespace cookie is part of the key: without it the dials of two pods to 127.0.0.1 collide.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DialKey {
    /// Cookie of the network namespace (`SO_NETNS_COOKIE`, kernel 5.14).
    pub ns: u64,
    /// The agent's source address.
    pub remote: Addr,
    /// The app's address.
    pub local: Addr,
    /// The agent's source port, host order.
    pub remote_port: u32,
    /// The app's port, host order.
    pub local_port: u32,
}

/// Who really called.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub addr: Addr,
    /// The client's port as in a sockaddr: network order in the low 16 bits.
    pub port_be: u32,
    /// Low half of [`AgentInfo::instance`] of the agent that dialled: a successor removes what a dead one left.
    pub owner: u32,
}

/// A packet on a connection that was open before the route, of either way. Of `data` only the first `copied` bytes are
/// sent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Packet {
    /// The connection: `remote` is the client.
    pub key: DialKey,
    /// 1 when the app sent it, 0 when the client did.
    pub is_answer: u32,
    /// TCP sequence number of the first byte.
    pub seq: u32,
    /// Bytes of payload.
    pub len: u32,
    /// Bytes of it that are here.
    pub copied: u32,
    /// The payload.
    pub data: [u8; MAX_COPY],
}

impl Packet {
    /// Bytes before the payload.
    pub const HEADER: usize = size_of::<Self>() - MAX_COPY;
}

/// A listening TCP socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenKey {
    /// Namespace cookie.
    pub ns: u64,
    /// Bound address; all zero for `::`, and `::ffff:0.0.0.0` for 0.0.0.0.
    pub addr: Addr,
    /// Bound port, host order.
    pub port: u32,
    /// Always 0.
    pub pad: u32,
}

/// The listening sockets at one address.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// How many there are.
    pub count: i64,
    /// The user that the latest belongs to: sockets that share its port must belong to the same one, else
    /// another worker of the app cannot bind with `SO_REUSEPORT`.
    pub uid: u32,
    /// Always 0.
    pub pad: u32,
}

/// A steered port of a namespace.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortKey {
    /// Namespace cookie.
    pub ns: u64,
    /// Port, host order.
    pub port: u32,
    /// Always 0.
    pub pad: u32,
}

/// What the steering program did with a new connection to a steered port.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// Handed to the agent.
    Steered = 0,
    /// A dial of an agent: passed on to the app.
    Dial = 1,
    /// Nothing listens there: passed on, so that it is refused as without an agent.
    NotListening = 2,
    /// The worker's heartbeat is too old: passed on to the app.
    Stale = 3,
    /// The worker is at its limit of connections or memory: passed on to the app.
    Full = 4,
    /// The agent's listener is gone: passed on to the app.
    NoListener = 5,
    /// Too many connections wait in the listener's backlog: passed on to the app.
    Backlog = 6,
    /// The kernel refused the assignment: passed on to the app.
    AssignFailed = 7,
    /// For the agent's own listening port: dropped.
    OwnPort = 8,
    /// Goes straight to the app, and is followed there.
    Direct = 9,
    /// Went straight to the app, and is not followed any more: a packet was missing for too long.
    Gap = 10,
}

impl Steer {
    /// Counters per slot, with room to grow.
    pub const COUNT: u32 = 16;
    /// All, in the order of their values.
    pub const ALL: [Self; 11] = [
        Self::Steered,
        Self::Dial,
        Self::NotListening,
        Self::Stale,
        Self::Full,
        Self::NoListener,
        Self::Backlog,
        Self::AssignFailed,
        Self::OwnPort,
        Self::Direct,
        Self::Gap,
    ];

    /// Those that reach the app since the agent could not take them, now or later: a key on them is lost.
    pub const PASSED_ON: [Self; 6] =
        [Self::Stale, Self::Full, Self::Backlog, Self::NoListener, Self::AssignFailed, Self::Gap];

    /// The stable code, as in metrics and in `debug routes`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Steered => "Steered",
            Self::Dial => "Dial",
            Self::NotListening => "NotListening",
            Self::Stale => "Stale",
            Self::Full => "Full",
            Self::NoListener => "NoListener",
            Self::Backlog => "Backlog",
            Self::AssignFailed => "AssignFailed",
            Self::OwnPort => "OwnPort",
            Self::Direct => "Direct",
            Self::Gap => "Gap",
        }
    }
}

/// A text of at most `N` bytes, padded with zeros; longer ones are cut at a character boundary.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<const N: usize>(pub [u8; N]);

impl<const N: usize> Text<N> {
    /// Copies `s`, cut where it does not fit.
    #[must_use]
    pub fn new(s: &str) -> Self {
        let mut end = s.len().min(N);
        while !s.is_char_boundary(end) {
            end -= 1;
        }
        let mut bytes = [0; N];
        bytes[..end].copy_from_slice(&s.as_bytes()[..end]);
        Self(bytes)
    }

    /// The text, or what of it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(N);
        let bytes = &self.0[..end];
        match core::str::from_utf8(bytes) {
            Ok(s) => s,
            Err(e) => core::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default(),
        }
    }
}

/// The agent behind the maps; all other maps are found through the ids in it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AgentInfo {
    /// [`LAYOUT`] of the writer.
    pub layout: u32,
    /// Process id of the serving process, in its own pid namespace.
    pub pid: u32,
    /// Random, so that no two runs are alike.
    pub instance: u64,
    /// Start of the process, seconds since the Unix epoch.
    pub started_at: u64,
    /// Number of workers.
    pub workers: u32,
    /// Heartbeats older than this, in milliseconds, pass connections on.
    pub max_age_ms: u32,
    /// Kernel ids of the maps, in the order of [`AgentInfo::MAPS`].
    pub map_ids: [u32; 12],
    /// The node's name: nodes made of containers share one kernel.
    pub node: Text<256>,
}

impl AgentInfo {
    /// Which map each of [`AgentInfo::map_ids`] names.
    pub const MAPS: [&'static str; 12] = [
        maps::LISTENERS,
        maps::PORTS,
        maps::DIALS,
        maps::LISTENING,
        maps::HEARTBEAT,
        maps::STEERED,
        maps::TARGETS,
        maps::ROUTES,
        maps::ROUTE_COUNTERS,
        maps::TGT_COUNTERS,
        maps::CONNS,
        maps::ANSWERS,
    ];
}

/// A steered pod.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TargetRecord {
    /// Cookie of its network namespace; 0 when the slot is free.
    pub ns: u64,
    /// Device of the namespace file.
    pub dev: u64,
    /// Inode of the namespace file, as in `readlink /proc/PID/ns/net`.
    pub ino: u64,
    /// The port that the agent listens on inside the namespace.
    pub own_port: u32,
    /// Number of entries of `ports`.
    pub port_count: u32,
    /// The steered ports.
    pub ports: [u32; 32],
    /// `NAMESPACE/POD`, or what the routes file calls it.
    pub name: Text<256>,
}

/// A route of a target, for readers; the agent itself decides on its own snapshot.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RouteRecord {
    /// Slot of the target.
    pub slot: u32,
    /// Rank among the routes of the target: the lower one wins.
    pub rank: u32,
    /// Expiry, seconds since the Unix epoch; 0 for never.
    pub expires_at: u64,
    /// `NAMESPACE/NAME` of the Preview.
    pub preview: Text<256>,
    /// The key.
    pub key: Text<64>,
    /// The match, in words.
    pub matcher: Text<256>,
    /// Addresses of the backends, separated by blanks.
    pub backends: Text<256>,
}

/// What happened on one route. All are counts but `last_request_ms`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct RouteCounters {
    /// Requests decided for the preview.
    pub requests: u64,
    /// Of these, answered 502, or served by the app instead, because no backend could be reached.
    pub unreachable: u64,
    /// Requests that matched this route too, but went to one of lower rank.
    pub overlapped: u64,
    /// Opaque connections sent to the preview by origin.
    pub opaque: u64,
    /// Time of the last request, milliseconds since the Unix epoch.
    pub last_request_ms: u64,
    /// Requests that would have gone to the preview, but came on a connection that was open before the route.
    pub missed: u64,
    /// Requests with the key that did not go to the preview, since the path, the method or a header does not match.
    pub narrowed: u64,
    /// Requests with the key that went to the app, since they or their connection could not be read beyond doubt.
    pub lost: u64,
}

/// What happened on one target. `opaque` is indexed by the agent's reasons (`byway_http::Doubt`).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TargetCounters {
    /// Connections accepted by the agent.
    pub accepted: u64,
    /// Connections accepted and not ended yet.
    pub open: u64,
    /// Requests that went to the app.
    pub app_requests: u64,
    /// Requests that went to a preview.
    pub preview_requests: u64,
    /// Of the requests to the app: those that carried a key that no route here has.
    pub unknown_key: u64,
    /// Connections whose dial of the app failed; the refusal was passed on.
    pub dial_failed: u64,
    /// Connections that are open now, and were before the route.
    pub old_open: u64,
    /// Requests read on such connections.
    pub old_requests: u64,
    /// Of these, the keyed ones, which a preview would have got.
    pub old_missed: u64,
    /// Packets on such connections that were not looked at for want of room.
    pub old_lost: u64,
    /// Such connections that were closed while idle, since a preview wants it.
    pub old_drained: u64,
    /// Direct connections that were taken over.
    pub direct_taken: u64,
    /// Direct connections with a request that a preview would have got, and that could not be taken over.
    pub direct_missed: u64,
    /// Always 0.
    pub reserved: [u64; 3],
    /// Connections that turned opaque, by reason.
    pub opaque: [u64; 48],
}

const _: () = {
    assert!(size_of::<DialKey>() == 48);
    assert!(size_of::<Origin>() == 24);
    assert!(Packet::HEADER == 64);
    assert!(size_of::<ListenKey>() == 32);
    assert!(size_of::<Listeners>() == 16);
    assert!(size_of::<PortKey>() == 16);
    assert!(size_of::<AgentInfo>() == 336);
    assert!(size_of::<TargetRecord>() == 416);
    assert!(size_of::<RouteRecord>() == 848);
    assert!(size_of::<RouteCounters>() == 64);
    assert!(size_of::<TargetCounters>() == 512);
};
