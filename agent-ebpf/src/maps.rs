//! Every map, once, but for the scratch of `direct`, whose value is nobody else's. Nothing is pinned: the maps live as
//! long as the agent, its programs and who reads them.
//!
//! Maps that only userspace uses are declared here too, so that one object says all there is.

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    btf_maps::SkStorage,
    macros::{btf_map, map},
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf, SockMap},
};
use byway_abi::{
    Addr, AgentInfo, DialKey, ListenKey, Listeners, MAX_DIALS, MAX_OLD, MAX_ROUTES, MAX_TARGETS, MAX_WORKERS,
    Origin, Packet, PortKey, RouteCounters, RouteRecord, Steer, TargetCounters, TargetRecord,
    direct::{Answer, Conn, Filter, MAX_CONNS, MAX_KEYS, MAX_ORIGINS},
    mirror::{Copy, MAX_UNWANTED, Mirrored, Uncopied},
};

#[map]
pub(crate) static BYWAY_AGENT: Array<AgentInfo> = Array::with_max_entries(1, 0);
#[map]
pub(crate) static LISTENERS: SockMap = SockMap::with_max_entries(MAX_TARGETS * MAX_WORKERS, 0);
#[map]
pub(crate) static PORTS: HashMap<PortKey, u32> =
    HashMap::with_max_entries(MAX_TARGETS * 32, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static DIALS: HashMap<DialKey, Origin> = HashMap::with_max_entries(MAX_DIALS, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static LISTENING: HashMap<ListenKey, Listeners> =
    HashMap::with_max_entries(32_768, BPF_F_NO_PREALLOC);
/// Namespaces to record, each with the number of changes seen there.
#[map]
pub(crate) static NAMESPACES: HashMap<u64, u64> = HashMap::with_max_entries(MAX_TARGETS, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static HEARTBEAT: Array<u64> = Array::with_max_entries(MAX_WORKERS + 1, BPF_F_MMAPABLE);
/// Per slot, how many connections were handed out: workers take turns.
#[map]
pub(crate) static TURNS: Array<u32> = Array::with_max_entries(MAX_TARGETS, 0);
#[map]
pub(crate) static STEERED: PerCpuArray<u64> = PerCpuArray::with_max_entries(MAX_TARGETS * Steer::COUNT, 0);
#[map]
pub(crate) static TARGETS: Array<TargetRecord> = Array::with_max_entries(MAX_TARGETS, 0);
#[map]
pub(crate) static ROUTES: HashMap<u32, RouteRecord> =
    HashMap::with_max_entries(MAX_ROUTES, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static ROUTE_COUNTERS: Array<RouteCounters> = Array::with_max_entries(MAX_ROUTES, BPF_F_MMAPABLE);
#[map]
pub(crate) static TGT_COUNTERS: Array<TargetCounters> = Array::with_max_entries(MAX_TARGETS, BPF_F_MMAPABLE);
#[map]
pub(crate) static OLD: HashMap<DialKey, u32> = HashMap::with_max_entries(MAX_OLD, BPF_F_NO_PREALLOC);
/// A hundred full packets; what does not fit is counted and let go.
#[map]
pub(crate) static PACKETS: RingBuf = RingBuf::with_byte_size(512 << 10, 0);
#[map]
pub(crate) static PACKET: PerCpuArray<Packet> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub(crate) static CONNS: HashMap<DialKey, Conn> = HashMap::with_max_entries(MAX_CONNS, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static ANSWERS: HashMap<DialKey, Answer> = HashMap::with_max_entries(MAX_CONNS, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static KEYS: HashMap<u64, u32> = HashMap::with_max_entries(MAX_KEYS, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static ORIGINS: HashMap<Addr, u32> = HashMap::with_max_entries(MAX_ORIGINS, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static FILTER: Array<Filter> = Array::with_max_entries(1, BPF_F_MMAPABLE);
/// Some 200 full packets; what does not fit goes on to the app.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);
#[map]
pub(crate) static MIRRORED: HashMap<PortKey, Mirrored> =
    HashMap::with_max_entries(MAX_TARGETS * 32, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static UNCOPIED: HashMap<PortKey, Uncopied> =
    HashMap::with_max_entries(MAX_TARGETS * 32, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static UNWANTED: LruHashMap<DialKey, u32> = LruHashMap::with_max_entries(MAX_UNWANTED, 0);
/// A page: the programs that fill it are given another one, which is made once it is needed.
#[map]
pub(crate) static COPIES: RingBuf = RingBuf::with_byte_size(4096, 0);
#[map]
pub(crate) static COPY: PerCpuArray<Copy> = PerCpuArray::with_max_entries(1, 0);
#[btf_map]
pub(crate) static ORIGIN: SkStorage<Origin> = SkStorage::new();
