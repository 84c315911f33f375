//! Names of the maps, at most 15 bytes, as the kernel keeps them.

/// Array of one [`AgentInfo`](crate::AgentInfo): where a reader starts.
pub const AGENT: &str = "BYWAY_AGENT";
/// `SockMap`: slot × [`MAX_WORKERS`](crate::MAX_WORKERS) + worker -> the agent's listener.
pub const LISTENERS: &str = "LISTENERS";
/// Hash: [`PortKey`](crate::PortKey) -> slot, with [`DIRECT`](crate::DIRECT): which ports are steered.
pub const PORTS: &str = "PORTS";
/// Hash: [`DialKey`](crate::DialKey) -> [`Origin`](crate::Origin): connections that an agent makes itself.
pub const DIALS: &str = "DIALS";
/// Hash: [`ListenKey`](crate::ListenKey) -> [`Listeners`](crate::Listeners).
pub const LISTENING: &str = "LISTENING";
/// Hash: namespace cookie -> number of changes seen: the namespaces whose listeners are recorded.
pub const NAMESPACES: &str = "NAMESPACES";
/// Array of `u64`, one per worker and [one more](crate::direct::BEAT): `CLOCK_MONOTONIC` nanoseconds, with
/// [`CLOSED`](crate::CLOSED) while the worker takes no more; 0 before the first beat.
pub const HEARTBEAT: &str = "HEARTBEAT";
/// Per-CPU array of `u64`: slot × [`Steer::COUNT`](crate::Steer::COUNT) + [`Steer`](crate::Steer).
pub const STEERED: &str = "STEERED";
/// Array of [`TargetRecord`](crate::TargetRecord), one per slot; written by userspace only.
pub const TARGETS: &str = "TARGETS";
/// Hash: route index -> [`RouteRecord`](crate::RouteRecord); written by userspace only.
pub const ROUTES: &str = "ROUTES";
/// Array of [`RouteCounters`](crate::RouteCounters), one per route index; memory shared with userspace.
pub const ROUTE_COUNTERS: &str = "ROUTE_COUNTERS";
/// Array of [`TargetCounters`](crate::TargetCounters), one per slot; memory shared with userspace.
pub const TGT_COUNTERS: &str = "TGT_COUNTERS";
/// Hash: [`DialKey`](crate::DialKey) -> slot: connections that were open before the route. `remote` is the client.
pub const OLD: &str = "OLD";
/// Ring buffer of [`Packet`](crate::Packet): what goes over connections of [`OLD`].
pub const PACKETS: &str = "PACKETS";
/// Per-CPU array of one [`Packet`](crate::Packet), where the next one is put together.
pub const PACKET: &str = "PACKET";
/// Hash: [`DialKey`](crate::DialKey) -> [`Conn`](crate::direct::Conn): connections that go straight to the app, and
/// those taken over. `remote` is the client.
pub const CONNS: &str = "CONNS";
/// Hash: [`DialKey`](crate::DialKey) -> [`Answer`](crate::direct::Answer): how the app's last answer begins.
pub const ANSWERS: &str = "ANSWERS";
/// Hash: [`direct::hash`](crate::direct::hash) of a key, mixed with its namespace -> 1.
pub const KEYS: &str = "KEYS";
/// Hash: [`Addr`](crate::Addr) -> 1: whose connections are decided by where they come from, and so never direct.
pub const ORIGINS: &str = "ORIGINS";
/// Array of one [`Filter`](crate::direct::Filter); memory shared with userspace.
pub const FILTER: &str = "FILTER";
/// Ring buffer of [`Event`](crate::direct::Event), each followed by what was copied of the packet.
pub const EVENTS: &str = "EVENTS";
/// Per-CPU scratch of the programs of direct connections.
pub const SCRATCH: &str = "SCRATCH";
/// Hash: [`PortKey`](crate::PortKey) -> [`Mirrored`](crate::mirror::Mirrored): whose requests are copied.
pub const MIRRORED: &str = "MIRRORED";
/// Hash: [`PortKey`](crate::PortKey) -> [`Uncopied`](crate::mirror::Uncopied).
pub const UNCOPIED: &str = "UNCOPIED";
/// Hash that forgets what was used longest ago: [`DialKey`](crate::DialKey) -> the TCP sequence number up to which payloads
/// of that client are of no use.
pub const UNWANTED: &str = "UNWANTED";
/// Ring buffer of [`Copy`](crate::mirror::Copy).
pub const COPIES: &str = "COPIES";
/// Per-CPU array of one [`Copy`](crate::mirror::Copy), where the next one is put together.
pub const COPY: &str = "COPY";
/// Socket storage: the app's accepted socket -> [`Origin`](crate::Origin).
pub const ORIGIN: &str = "ORIGIN";
