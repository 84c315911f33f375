//! Connections that were open before the route, and direct ones that the agent had to let go, of one target: found,
//! counted, observed while there are some, and closed where a preview wants it.
//!
//! They are those on steered ports that no agent serves. What agents serve is known by their sockets, the app's ends of
//! their dials by the map of dials.
//!
//! One is closed only when it is shown to owe nothing: it was never used, or the observer has seen each of its bytes
//! since it was quiet, as the kernel counts them, and among them a request and its answer to the end.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use byway_abi::{DialKey, direct::Conn, maps};

use crate::{
    attach::Attacher,
    inspect,
    kernel::{Hook, HookError, Sight, sys::RawMap},
    observer::Observer,
    sock_diag::{Established, established},
    tables::{self, Tables},
    target::{Counter, Target},
};

/// After a change: a connection counts once it was seen twice, and a handshake that was under way ends some time.
const SETTLING: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(3)];
/// While there are some; while there are direct ones, which the agent may have to let go; and when there is none: one may
/// have come while the agent took none.
const SOME: Duration = Duration::from_secs(1);
const DIRECT: Duration = Duration::from_secs(5);
const NONE: Duration = Duration::from_secs(30);
/// A look at many sockets takes time; at most so much of all.
const SHARE: u32 = 20;

/// What is known of one target's.
#[derive(Default)]
pub(super) struct Old {
    /// By the inodes of the sockets. The direct ones are not among them: there may be many, and the map of them knows.
    sockets: HashMap<u32, Socket>,
    has_direct: bool,
    /// What has been asked for: anything else is looked at anew.
    ports: Vec<u16>,
    looks: usize,
    next: Option<Instant>,
    hooks: Vec<Hook>,
    sight: Sight,
    said: bool,
}

/// What a socket is.
#[derive(Clone, Copy)]
enum Socket {
    /// An agent's, or the app's end of an agent's.
    Served,
    /// Nobody's that is known. It may be an agent's that ended while it was looked for.
    SeenOnce,
    /// With the kernel's count of its bytes when the observer's began.
    Old(DialKey, Option<[u64; 2]>),
}

impl Old {
    /// Looks again, if it is time to. `drain`: those that are idle are closed.
    pub(super) fn look(
        &mut self,
        attacher: &Attacher,
        observer: &Observer,
        target: &Arc<Target>,
        ports: &[u16],
        drain: bool,
    ) {
        let now = Instant::now();
        if self.ports != ports {
            (self.ports, self.looks, self.next) = (ports.to_vec(), 0, None);
        }
        if self.next.is_some_and(|at| now < at) {
            return;
        }
        if let Err(error) = self.look_now(attacher, observer, target, drain)
            && !std::mem::replace(&mut self.said, true)
        {
            tracing::warn!(target = target.name, "connections that were open before the route: {error}");
        }
        self.looks += 1;
        let longest = if self.has_direct { DIRECT } else { NONE };
        let longest = self.sockets.values().map(Socket::pause).fold(longest, Duration::min);
        let pause = SETTLING.get(self.looks).map_or(longest, |pause| longest.min(*pause));
        self.next = Some(now + pause.max(now.elapsed() * SHARE));
    }

    /// Forgets all of them, and goes from the interfaces.
    pub(super) fn end(&mut self, tables: &Tables, observer: &Observer, target: &Target) {
        for key in self.sockets.values().filter_map(Socket::old) {
            forget(tables, observer, key);
        }
        target.counter(Counter::OldOpen).store(0, Relaxed);
        self.unhook(target);
        *self = Self::default();
    }

    fn look_now(
        &mut self,
        attacher: &Attacher,
        observer: &Observer,
        target: &Arc<Target>,
        drain: bool,
    ) -> Result<(), HookError> {
        let tables = &attacher.tables;
        let found = target.netns.run(|| established(&self.ports))?;
        let here: HashSet<u32> = found.iter().map(|it| it.inode).collect();
        self.sockets.retain(|inode, socket| {
            let stays = here.contains(inode);
            if let (false, Some(key)) = (stays, socket.old()) {
                forget(tables, observer, key);
            }
            stays
        });
        // Once it is known where a head begins, an old connection is as good as a new one.
        self.sockets.retain(|_, socket| {
            let followed = socket.old().filter(|key| tables.is_followed(key));
            followed.inspect(|key| forget(tables, observer, key)).is_none()
        });
        self.has_direct = false;
        let new: Vec<&Established> = found.iter().filter(|it| !self.is_settled(it.inode)).collect();
        if !new.is_empty() {
            self.judge(attacher, observer, target, &new)?;
        }
        let is_old = |it: &&Established| self.sockets.get(&it.inode).is_some_and(|it| it.old().is_some());
        let old: Vec<&Established> = found.iter().filter(is_old).collect();
        let sight = Sight { loopback: has_local(&old), answers: drain };
        let hooked = self.hook(attacher, target, (!old.is_empty()).then_some(sight));
        let closed = if drain { self.close_idle(observer, target, &old) } else { Ok(0) };
        let open = old.len() - closed.as_ref().copied().unwrap_or_default();
        target.counter(Counter::OldOpen).store(open as u64, Relaxed);
        hooked?;
        Ok(closed.map(drop)?)
    }

    fn is_settled(&self, inode: u32) -> bool {
        matches!(self.sockets.get(&inode), Some(Socket::Served | Socket::Old(..)))
    }

    fn judge(
        &mut self,
        attacher: &Attacher,
        observer: &Observer,
        target: &Arc<Target>,
        new: &[&Established],
    ) -> io::Result<()> {
        let tables = &attacher.tables;
        let own = sockets_of(std::process::id())?;
        let mut unknown: Vec<(&Established, DialKey)> = Vec::new();
        for (it, key) in new.iter().map(|it| (*it, it.key(target.ns))) {
            let inode = it.inode;
            if own.contains(&inode) || tables.is_dial(&key) {
                self.sockets.insert(inode, Socket::Served);
            } else if tables.is_followed(&key) {
                self.sockets.remove(&inode);
                self.has_direct = true;
            } else {
                unknown.push((it, key));
            }
        }
        // Another agent of the node, which an upgrade has not ended yet, may have accepted the rest.
        let of_others = if unknown.is_empty() { HashSet::new() } else { sockets_of_others(tables)? };
        // Or it follows them straight to the app, and takes them over, until it ends.
        let followed = if unknown.is_empty() { Vec::new() } else { followed_by_others(tables)? };
        let is_followed = |key: &DialKey| followed.iter().any(|conns| tables::is_followed(conns, key));
        for (it, key) in unknown {
            let socket = match self.sockets.get(&it.inode) {
                _ if of_others.contains(&it.inode) => Socket::Served,
                _ if is_followed(&key) => Socket::SeenOnce,
                None => Socket::SeenOnce,
                Some(_) => {
                    if let Err(error) = tables.add_old(&key, target.slot.index()) {
                        tracing::debug!(%error, "a connection is counted, but not observed");
                    }
                    observer.follow(key, target);
                    if let Some(direct) = attacher.direct.as_ref().ok().filter(|_| it.is_plain()) {
                        direct.join(target, &key);
                    }
                    Socket::Old(key, None)
                }
            };
            self.sockets.insert(it.inode, socket);
        }
        Ok(())
    }

    fn hook(&mut self, attacher: &Attacher, target: &Target, wanted: Option<Sight>) -> Result<(), HookError> {
        let Some(sight) = wanted else {
            self.unhook(target);
            return Ok(());
        };
        if self.hooks.is_empty() || !self.sight.includes(sight) {
            self.unhook(target);
            let attach = || Ok(Hook::attach_all(&attacher.template, target.ns, sight, attacher.clsact));
            self.hooks = target.netns.run(attach)??;
            self.sight = sight;
            tracing::info!(target = target.name, "observing connections that were open before the route");
        }
        Ok(())
    }

    /// Closes those that are shown to owe nothing, so that their clients open others; and says how many. The next look
    /// tells what is left.
    fn close_idle(
        &mut self,
        observer: &Observer,
        target: &Target,
        old: &[&Established],
    ) -> io::Result<usize> {
        let quiet = old.iter().filter(|it| it.is_quiet());
        let idle: Vec<&Established> =
            quiet.filter(|it| it.is_unused() || self.owes_nothing(observer, it)).copied().collect();
        if idle.is_empty() { Ok(0) } else { close(target, &idle) }
    }

    /// Of a connection that is quiet.
    fn owes_nothing(&mut self, observer: &Observer, it: &Established) -> bool {
        let (Some(Socket::Old(key, base)), Some(now)) = (self.sockets.get_mut(&it.inode), it.bytes()) else {
            return false;
        };
        let account = observer.account(key);
        let since = base.map(|base| [0, 1].map(|way| now[way].wrapping_sub(base[way])));
        match account.filter(|it| Some(it.seen) == since) {
            Some(account) => account.owes_nothing,
            // Not all of it was seen: the account begins anew.
            None => {
                observer.restart(key);
                *base = Some(now);
                false
            }
        }
    }

    fn unhook(&mut self, target: &Target) {
        let hooks = std::mem::take(&mut self.hooks);
        if !hooks.is_empty() {
            // Of a namespace that has gone they have gone as well.
            let _ = target.netns.run(|| {
                drop(hooks);
                Ok(())
            });
        }
    }
}

impl Socket {
    fn old(&self) -> Option<&DialKey> {
        match self {
            Self::Old(key, _) => Some(key),
            Self::Served | Self::SeenOnce => None,
        }
    }

    /// How soon to look again.
    fn pause(&self) -> Duration {
        match self {
            Self::Served => NONE,
            Self::SeenOnce | Self::Old(..) => SOME,
        }
    }
}

fn forget(tables: &Tables, observer: &Observer, key: &DialKey) {
    observer.forget(key);
    if let Err(error) = tables.remove_old(key).and_then(|()| tables.forget_unjoined(key)) {
        tracing::warn!(%error, "cannot remove a connection from its maps");
    }
}

fn close(target: &Target, idle: &[&Established]) -> io::Result<usize> {
    let done = target.netns.run(|| Ok(idle.iter().map(|it| it.destroy()).collect::<Vec<_>>()))?;
    let mut closed = 0;
    for done in done {
        match done {
            Ok(()) => {
                target.count(Counter::OldDrained);
                closed += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // it has ended by itself
            Err(error) => {
                let why = "idle ones cannot be closed: that needs CAP_NET_ADMIN, and a kernel with CONFIG_INET_DIAG_DESTROY";
                return Err(io::Error::new(error.kind(), format!("{why} ({error})")));
            }
        }
    }
    Ok(closed)
}

/// Whether one comes over the loopback interface: from 127.0.0.1, or from one of the pod's own addresses.
fn has_local(old: &[&Established]) -> bool {
    let own: HashSet<IpAddr> = old.iter().map(|it| it.ends()[0]).collect();
    old.iter().any(|it| it.ends()[1].is_loopback() || own.contains(&it.ends()[1]))
}

/// The inodes of the sockets that the node's other agents have open: those that share the dials. A dial does not tell who
/// is served by a preview alone: a tunnel to it has none.
fn sockets_of_others(tables: &Tables) -> io::Result<HashSet<u32>> {
    let dials = tables.id(maps::DIALS);
    let mut sockets = HashSet::new();
    for agent in inspect::agents().map_err(io::Error::other)? {
        if agent.map_id(maps::DIALS) == dials && agent.pid() != std::process::id() {
            sockets.extend(sockets_of(agent.pid())?);
        }
    }
    Ok(sockets)
}

/// What other agents of the node know of direct connections.
fn followed_by_others(tables: &Tables) -> io::Result<Vec<RawMap<DialKey, Conn>>> {
    let dials = tables.id(maps::DIALS);
    let agents = inspect::agents().map_err(io::Error::other)?;
    let others = agents.iter().filter(|it| it.map_id(maps::DIALS) == dials && it.pid() != std::process::id());
    // One that ends meanwhile follows nothing.
    Ok(others.filter_map(|it| it.map(maps::CONNS).ok()).collect())
}

/// The inodes of the sockets that a process has open; none if it has ended.
fn sockets_of(pid: u32) -> io::Result<HashSet<u32>> {
    let files = match std::fs::read_dir(format!("/proc/{pid}/fd")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
        files => files?.flatten(),
    };
    let inodes = files.filter_map(|file| {
        let link = std::fs::read_link(file.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    });
    Ok(inodes.collect())
}
