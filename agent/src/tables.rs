//! The BPF maps. The only module that writes them.

mod direct;
mod listening;
mod mirror;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use byway_abi::{
    Addr, AgentInfo, CLOSED, DialKey, LAYOUT, ListenKey, Listeners, MAX_ROUTES, MAX_TARGETS, MAX_WORKERS,
    Origin, PortKey, RouteCounters, RouteRecord, Steer, TargetCounters, TargetRecord, Text,
    direct::{Answer, Conn, Filter, state},
    maps,
    mirror::{Mirrored, Uncopied},
    slot_of,
};

pub(crate) use direct::is_followed;

use crate::{
    address::mapped,
    kernel::sys::{PerCpuCounters, RawMap, Shared, monotonic_ns},
};

/// Every map that the agent writes.
pub(crate) struct Tables {
    agent: RawMap<u32, AgentInfo>,
    listeners: RawMap<u32, i32>,
    ports: RawMap<PortKey, u32>,
    dials: RawMap<DialKey, Origin>,
    old: RawMap<DialKey, u32>,
    listening: RawMap<ListenKey, Listeners>,
    namespaces: RawMap<u64, u64>,
    targets: RawMap<u32, TargetRecord>,
    routes: RawMap<u32, RouteRecord>,
    conns: RawMap<DialKey, Conn>,
    answers: RawMap<DialKey, Answer>,
    keys: RawMap<u64, u32>,
    origins: RawMap<Addr, u32>,
    filter: Shared<Filter>,
    mirrored: RawMap<PortKey, Mirrored>,
    uncopied: RawMap<PortKey, Uncopied>,
    unwanted: RawMap<DialKey, u32>,
    steered: PerCpuCounters,
    heartbeat: Shared<u64>,
    route_counters: Shared<RouteCounters>,
    target_counters: Shared<TargetCounters>,
    ids: [u32; AgentInfo::MAPS.len()],
    free: Mutex<Free>,
    instance: u64,
}

/// What is in use, and what not.
struct Free {
    slots: Vec<u32>,
    routes: Vec<u32>,
    /// Slots per namespace: while a target detaches, the same pod may be attached anew.
    namespaces: HashMap<u64, usize>,
    /// What targets that have gone had counted.
    retired: TargetTotals,
    retired_steered: SteerTotals,
}

/// Sums over targets, in the order of the fields of [`TargetCounters`].
type TargetTotals = [u64; size_of::<TargetCounters>() / 8];
/// Sums over targets, by [`Steer`].
type SteerTotals = [u64; Steer::COUNT as usize];

/// A target's place in the maps. Dropping it clears what the maps hold of the target; its program must be gone.
pub(crate) struct Slot {
    tables: Arc<Tables>,
    index: u32,
    ns: u64,
}

impl Slot {
    /// A free one, or `None` when all are taken.
    pub(crate) fn take(tables: &Arc<Tables>, ns: u64) -> Option<Self> {
        let mut free = tables.free();
        let index = free.slots.pop()?;
        *free.namespaces.entry(ns).or_default() += 1;
        Some(Self { tables: tables.clone(), index, ns })
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Err(error) = self.tables.release(self) {
            tracing::warn!(%error, slot = self.index, "cannot clear the maps of a target");
        }
    }
}

/// Indices of the fields of [`byway_abi::RouteCounters`].
pub(crate) mod route_counter {
    use std::mem::offset_of;

    use byway_abi::RouteCounters as R;

    pub(crate) const REQUESTS: usize = offset_of!(R, requests) / 8;
    pub(crate) const UNREACHABLE: usize = offset_of!(R, unreachable) / 8;
    pub(crate) const OVERLAPPED: usize = offset_of!(R, overlapped) / 8;
    pub(crate) const OPAQUE: usize = offset_of!(R, opaque) / 8;
    pub(crate) const MISSED: usize = offset_of!(R, missed) / 8;
    pub(crate) const NARROWED: usize = offset_of!(R, narrowed) / 8;
    pub(crate) const LOST: usize = offset_of!(R, lost) / 8;
    pub(crate) const LAST_REQUEST: usize = offset_of!(R, last_request_ms) / 8;
}

/// Now, as [`route_counter::LAST_REQUEST`] has it.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}

impl Tables {
    /// Takes over the maps of the object, by name.
    pub(crate) fn open(maps: &HashMap<String, OwnedFd>) -> io::Result<Self> {
        let fd = |name: &str| {
            let fd = maps
                .get(name)
                .ok_or_else(|| io::Error::other(format!("the eBPF object has no map {name}")))?;
            fd.try_clone()
        };
        let mut ids = [0; AgentInfo::MAPS.len()];
        for (id, name) in ids.iter_mut().zip(AgentInfo::MAPS) {
            *id = map_id(&fd(name)?)?;
        }
        Ok(Self {
            agent: RawMap::new(fd(maps::AGENT)?)?,
            listeners: RawMap::new(fd(maps::LISTENERS)?)?,
            ports: RawMap::new(fd(maps::PORTS)?)?,
            dials: RawMap::new(fd(maps::DIALS)?)?,
            old: RawMap::new(fd(maps::OLD)?)?,
            listening: RawMap::new(fd(maps::LISTENING)?)?,
            namespaces: RawMap::new(fd(maps::NAMESPACES)?)?,
            targets: RawMap::new(fd(maps::TARGETS)?)?,
            routes: RawMap::new(fd(maps::ROUTES)?)?,
            conns: RawMap::new(fd(maps::CONNS)?)?,
            answers: RawMap::new(fd(maps::ANSWERS)?)?,
            keys: RawMap::new(fd(maps::KEYS)?)?,
            origins: RawMap::new(fd(maps::ORIGINS)?)?,
            mirrored: RawMap::new(fd(maps::MIRRORED)?)?,
            uncopied: RawMap::new(fd(maps::UNCOPIED)?)?,
            unwanted: RawMap::new(fd(maps::UNWANTED)?)?,
            filter: Shared::map(fd(maps::FILTER)?.as_fd(), 1)?,
            steered: PerCpuCounters::new(fd(maps::STEERED)?)?,
            heartbeat: Shared::map(fd(maps::HEARTBEAT)?.as_fd(), MAX_WORKERS as usize + 1)?,
            route_counters: Shared::map(fd(maps::ROUTE_COUNTERS)?.as_fd(), MAX_ROUTES as usize)?,
            target_counters: Shared::map(fd(maps::TGT_COUNTERS)?.as_fd(), MAX_TARGETS as usize)?,
            ids,
            free: Mutex::new(Free {
                slots: (0..MAX_TARGETS).rev().collect(),
                routes: (0..MAX_ROUTES).rev().collect(),
                namespaces: HashMap::new(),
                retired: [0; size_of::<TargetCounters>() / 8],
                retired_steered: [0; Steer::COUNT as usize],
            }),
            instance: random()?,
        })
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says who writes these maps; from then on readers find them.
    pub(crate) fn announce(&self, node: &str, workers: u32, max_age_ms: u32) -> io::Result<()> {
        let started_at = jiff::Timestamp::now().as_second().unsigned_abs();
        let info = AgentInfo {
            layout: LAYOUT,
            pid: std::process::id(),
            instance: self.instance,
            started_at,
            workers,
            max_age_ms,
            map_ids: self.ids,
            node: Text::new(node),
        };
        self.agent.update(&0, &info)
    }

    /// Tells the programs that the worker is alive; `open` is false when it takes no more connections.
    pub(crate) fn beat(&self, worker: u32, open: bool) {
        let beat = monotonic_ns() | if open { 0 } else { CLOSED };
        self.heartbeat.words(worker as usize)[0].store(beat, Relaxed);
    }

    /// Has the programs pass connections on until the worker's next beat. Says nothing about its life.
    pub(crate) fn close(&self, worker: u32) {
        self.heartbeat.words(worker as usize)[0].fetch_or(CLOSED, Relaxed);
    }

    /// The kernel's id of a map of [`AgentInfo::MAPS`].
    pub(crate) fn id(&self, name: &str) -> Option<u32> {
        AgentInfo::MAPS.iter().zip(self.ids).find(|(map, _)| **map == name).map(|(_, id)| id)
    }

    /// Removes what agents that live no more left among the dials, which may be shared with a predecessor.
    pub(crate) fn sweep_dials(&self, living: &[u64]) -> io::Result<()> {
        let owner = |instance: &u64| *instance as u32;
        for key in self.dials.keys()? {
            let dead =
                |o: &Origin| o.owner != owner(&self.instance) && !living.iter().any(|l| owner(l) == o.owner);
            if self.dials.lookup(&key)?.as_ref().is_some_and(dead) {
                self.dials.delete(&key)?;
            }
        }
        Ok(())
    }

    /// Writes the entry of a dial; without it the connection must not be made. An entry that is there already is
    /// that of a connection which stands: `AlreadyExists`.
    pub(crate) fn dial(&self, key: &DialKey, client: SocketAddr) -> io::Result<()> {
        let origin = Origin {
            addr: mapped(client.ip()),
            port_be: client.port().to_be().into(),
            owner: self.instance as u32,
        };
        self.dials.insert(key, &origin)
    }

    /// Forgets a dial.
    pub(crate) fn undial(&self, key: &DialKey) {
        if let Err(error) = self.dials.delete(key) {
            tracing::warn!(%error, "cannot remove a dial from its map");
        }
    }

    /// Whether this is the app's end of a dial, of any agent of the node.
    pub(crate) fn is_dial(&self, key: &DialKey) -> bool {
        self.dials.lookup(key).is_ok_and(|found| found.is_some())
    }

    /// Has the observers copy what comes on a connection.
    pub(crate) fn add_old(&self, key: &DialKey, slot: u32) -> io::Result<()> {
        self.old.update(key, &slot)
    }

    /// And no more.
    pub(crate) fn remove_old(&self, key: &DialKey) -> io::Result<()> {
        self.old.delete(key)
    }

    /// Writes what readers see of a target.
    pub(crate) fn describe_target(&self, slot: u32, record: &TargetRecord) -> io::Result<()> {
        self.targets.update(&slot, record)
    }

    /// Puts a worker's listener where the program finds it.
    pub(crate) fn set_listener(&self, slot: u32, worker: u32, listener: impl AsFd) -> io::Result<()> {
        let fd = listener.as_fd().as_raw_fd();
        self.listeners.update(&(slot * MAX_WORKERS + worker), &fd)
    }

    /// Adds and removes steered ports.
    pub(crate) fn change_ports(&self, slot: u32, ns: u64, add: &[u16], remove: &[u16]) -> io::Result<()> {
        let _free = self.free(); // not while a slot of the same namespace is released
        add.iter().try_for_each(|port| self.ports.update(&port_key(ns, *port), &slot))?;
        remove.iter().try_for_each(|port| self.ports.delete(&port_key(ns, *port)))
    }

    fn release(&self, slot: &Slot) -> io::Result<()> {
        let Slot { index, ns, .. } = *slot;
        let mut free = self.free();
        free.slots.push(index);
        let others = free.namespaces.get_mut(&ns).map_or(0, |n| {
            *n -= 1;
            *n
        });
        for key in self.ports.keys()?.iter().filter(|k| k.ns == ns) {
            if self.ports.lookup(key)?.map(slot_of) == Some(index) {
                self.ports.delete(key)?;
            }
        }
        if others == 0 {
            free.namespaces.remove(&ns);
            self.namespaces.delete(&ns)?;
            // What a clone says last, a successor's programs see to.
            self.forget_conns(|key, conn| {
                let has_clone = matches!(conn.state, state::TAKING | state::TAKEN | state::CLONE);
                key.ns == ns && conn.owner == self.owner() && !has_clone
            })?;
            for key in self.listening.keys()?.iter().filter(|k| k.ns == ns) {
                self.listening.delete(key)?;
            }
        }
        // All zero is how a free slot looks to readers.
        let free_record = TargetRecord {
            ns: 0,
            dev: 0,
            ino: 0,
            own_port: 0,
            port_count: 0,
            ports: [0; 32],
            name: Text::new(""),
        };
        self.targets.update(&index, &free_record)?;
        let counters = self.target_counters.words(index as usize);
        free.retired.iter_mut().zip(counters).for_each(|(sum, n)| *sum += n.swap(0, Relaxed));
        self.add_steered(index, &mut free.retired_steered)?;
        (0..Steer::COUNT).try_for_each(|what| self.steered.clear(index * Steer::COUNT + what))
    }

    /// Writes a route for readers; its index is where its counters are. `None` when there is no room.
    pub(crate) fn add_route(&self, record: &RouteRecord) -> io::Result<Option<u32>> {
        let Some(index) = self.free().routes.pop() else { return Ok(None) };
        clear(self.route_counters.words(index as usize));
        self.routes.update(&index, record)?;
        Ok(Some(index))
    }

    /// Changes a route where it stands; its counters go on.
    pub(crate) fn change_route(&self, index: u32, record: &RouteRecord) -> io::Result<()> {
        self.routes.update(&index, record)
    }

    /// Removes a route.
    pub(crate) fn remove_route(&self, index: u32) -> io::Result<()> {
        self.routes.delete(&index)?;
        self.free().routes.push(index);
        Ok(())
    }

    /// The counters of a route, in the order of the fields of [`RouteCounters`].
    pub(crate) fn route_counters(&self, index: u32) -> &[AtomicU64] {
        self.route_counters.words(index as usize)
    }

    /// The counters of all targets of this run, added up.
    pub(crate) fn target_totals(&self) -> TargetTotals {
        let free = self.free();
        let mut totals = free.retired;
        for slot in 0..MAX_TARGETS as usize {
            let counters = self.target_counters.words(slot);
            totals.iter_mut().zip(counters).for_each(|(sum, n)| *sum += n.load(Relaxed));
        }
        totals
    }

    /// What the programs did with new connections to all targets of this run.
    pub(crate) fn steer_totals(&self) -> io::Result<SteerTotals> {
        let free = self.free();
        let mut totals = free.retired_steered;
        let mut taken = (0..MAX_TARGETS).filter(|slot| !free.slots.contains(slot));
        taken.try_for_each(|slot| self.add_steered(slot, &mut totals))?;
        Ok(totals)
    }

    /// New connections to a target that the programs passed on to the app, by the code of their reason.
    pub(crate) fn passed_on(&self, slot: u32) -> io::Result<BTreeMap<String, u64>> {
        let mut passed = BTreeMap::new();
        for why in Steer::PASSED_ON {
            let count = self.steered.sum(slot * Steer::COUNT + why as u32)?;
            if count > 0 {
                passed.insert(why.code().to_owned(), count);
            }
        }
        Ok(passed)
    }

    fn add_steered(&self, slot: u32, totals: &mut SteerTotals) -> io::Result<()> {
        for what in Steer::ALL {
            totals[what as usize] += self.steered.sum(slot * Steer::COUNT + what as u32)?;
        }
        Ok(())
    }

    /// The counters of a target, in the order of the fields of [`TargetCounters`].
    pub(crate) fn target_counters(&self, slot: u32) -> &[AtomicU64] {
        self.target_counters.words(slot as usize)
    }
}

fn port_key(ns: u64, port: u16) -> PortKey {
    PortKey { ns, port: port.into(), pad: 0 }
}

fn clear(words: &[AtomicU64]) {
    words.iter().for_each(|w| w.store(0, Relaxed));
}

fn map_id(fd: &OwnedFd) -> io::Result<u32> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    let id = info.lines().find_map(|l| l.strip_prefix("map_id:")?.trim().parse().ok());
    id.ok_or_else(|| io::Error::other("the kernel does not tell the id of a map"))
}

fn random() -> io::Result<u64> {
    use std::io::Read;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
