//! From a target in the document to a program in its namespace, in the order that leaves no connection behind:
//! listeners, what listens already, ports, the workers' accepting, and only then the link.

mod detach;
mod netfilter;

use std::{
    collections::BTreeMap,
    io,
    net::TcpListener,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use byway_abi::{TargetRecord, Text, maps};
use byway_api::Target as Wanted;

use crate::{
    direct::{
        Direct, Hooks,
        mode::{self, Mode, Why},
    },
    inspect,
    kernel::{Hook, SteerConstants, Template, TemplateError, sys::netns_cookie},
    mirror::Mirror,
    sock_diag::listening,
    sys::duplicate_above,
    tables::{Slot, Tables},
    target::{Netns, NetnsError, NetnsId, Processes, Target, listener},
    worker::Workers,
};
use netfilter::Netfilter;

/// Most ports of one target, as many as its record holds.
pub(crate) const MAX_PORTS: usize = 32;

const BLOCKED: Mode = Mode::Proxy(Why::Blocked);
/// Ports that are not steered at all.
const LEFT_ALONE: [Mode; 2] = [BLOCKED, Mode::Proxy(Why::Shown)];

/// Why a target could not be attached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    #[error(transparent)]
    Netns(#[from] NetnsError),
    #[error(transparent)]
    Program(#[from] TemplateError),
    #[error(
        "TooManyTargets: this node has {} steered pods already, which is the most",
        byway_abi::MAX_TARGETS
    )]
    TooManyTargets,
    #[error("BadPorts: a target must have between 1 and {MAX_PORTS} ports, all from 1 to 65535")]
    BadPorts,
    #[error("DuplicateTarget: target {0} has the same network namespace: name each pod once")]
    Duplicate(String),
    #[error("NoFreePort: no port below 1024 is free in the pod for the agent's own sockets")]
    NoFreePort,
    #[error(
        "SteeredByAnother: agent {pid} of node {node} steers this namespace: stop it, or start this one with its --node-name to take over"
    )]
    Foreign { pid: u32, node: String },
    #[error("AttachFailed: {0:#}")]
    Inspect(#[from] anyhow::Error),
    #[error("AttachFailed: {0}")]
    Io(#[from] io::Error),
}

impl AttachError {
    /// The stable code, for the acknowledgement.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Netns(e) => e.code(),
            Self::TooManyTargets => "TooManyTargets",
            Self::BadPorts => "BadPorts",
            Self::NoFreePort => "NoFreePort",
            Self::Duplicate(_) => "DuplicateTarget",
            Self::Foreign { .. } => "SteeredByAnother",
            Self::Program(_) | Self::Io(_) | Self::Inspect(_) => "AttachFailed",
        }
    }
}

/// What an attachment needs of the node.
pub(crate) struct Attacher {
    pub(crate) tables: Arc<Tables>,
    pub(crate) template: Arc<Template>,
    pub(crate) workers: Workers,
    pub(crate) max_age: Duration,
    /// Most connections that wait for one target, over all workers.
    pub(crate) max_backlog: u32,
    /// Whether observers are filters of clsact although the kernel has TCX.
    pub(crate) clsact: bool,
    /// None where all connections go through the agent: because it was told so, or for want of something in the kernel.
    pub(crate) direct: Result<Arc<Direct>, Why>,
    /// Previews that are shown copies.
    pub(crate) mirror: Mirror,
    /// Whether a document may name a network namespace by its path: a local file may.
    pub(crate) takes_paths: bool,
}

/// A target, and its program.
pub(crate) struct Attachment {
    pub(crate) target: Arc<Target>,
    pub(crate) ports: Vec<u16>,
    /// Steered ahead of any preview.
    pub(crate) is_armed: bool,
    /// Loaded, and not attached yet.
    program: Option<OwnedFd>,
    /// Closing it detaches the program.
    link: Option<OwnedFd>,
    /// Who takes over connections that go straight to the app; why none do.
    direct: Result<Arc<Direct>, Why>,
    netfilter: Netfilter,
    modes: BTreeMap<u16, Mode>,
}

impl Attachment {
    /// Attaches the program, if it is not: new connections are the agent's from here on, so the routes must be there.
    /// Whether that was now.
    pub(crate) fn begin(&mut self) -> io::Result<bool> {
        if let Ok(direct) = &self.direct
            && let Err(error) = direct.scan_for(&self.target, &self.target.routes.load())
        {
            tracing::warn!(%error, target = self.target.name, "no room for the keys: connections go through the agent");
            direct.remove(&self.target);
            self.direct = Err(Why::Kernel);
        }
        self.choose_modes()?;
        let Some(program) = &self.program else { return Ok(false) };
        if let Ok(direct) = &self.direct {
            let ports = self.modes.iter().filter(|(_, mode)| **mode == Mode::Direct);
            ports.map(|(port, _)| *port).try_for_each(|port| direct.adopt(&self.target, port))?;
        }
        let link = Template::attach(program, &self.target.netns)?;
        // Of a dying process the kernel closes the highest descriptor first: so nobody is handed to its listeners once the
        // programs at the interfaces have gone, by which connections go straight.
        let above = self.direct.as_ref().ok().and_then(|direct| direct.above(&self.target));
        self.link = Some(above.map_or(Ok(link.try_clone()?), |above| duplicate_above(&link, above))?);
        self.program = None;
        Ok(true)
    }

    /// Says for each port how its connections reach the app, as of the routes that are in force.
    pub(crate) fn choose_modes(&mut self) -> io::Result<()> {
        let (target, routes) = (&self.target, self.target.routes.load());
        let possible = match &self.direct {
            Ok(direct) => self.netfilter.look(direct, target, &self.ports),
            Err(why) => Err(*why),
        };
        let choose = |port: &u16| {
            let is_shown = !self.is_armed && routes.is_only_shown(*port);
            let mode = mode::choose(possible, &routes, *port, target.speaks_http2(*port));
            (*port, if is_shown { Mode::Proxy(Why::Shown) } else { mode })
        };
        let modes: BTreeMap<u16, Mode> = self.ports.iter().map(choose).collect();
        for (port, mode) in &modes {
            if self.modes.get(port) != Some(mode) {
                tracing::info!(target = target.name, port, %mode, "how connections reach the app");
                let tables = &target.tables;
                if LEFT_ALONE.contains(mode) {
                    tables.change_ports(target.slot.index(), target.ns, &[], &[*port])?;
                } else {
                    tables.set_mode(target.slot.index(), target.ns, *port, mode.bits())?;
                }
            }
        }
        self.modes = modes;
        Ok(())
    }

    /// Whether nobody is steered, since no connection of the agent's would reach the app.
    pub(crate) fn is_blocked(&self) -> bool {
        self.modes.values().any(|mode| *mode == BLOCKED)
    }

    /// The ports by how their connections reach the app. Empty where the agent was told to take all, or takes none.
    pub(crate) fn ways(&self) -> BTreeMap<String, Vec<u16>> {
        let mut ways: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        for (port, mode) in &self.modes {
            if *mode != Mode::Proxy(Why::Told) && !LEFT_ALONE.contains(mode) {
                ways.entry(mode.code().to_owned()).or_default().push(*port);
            }
        }
        ways
    }

    /// New connections go straight to the app, and are not followed.
    fn stop_following(&mut self) -> io::Result<()> {
        let target = &self.target;
        let direct = self.modes.iter().filter(|(_, mode)| **mode == Mode::Direct);
        let mut ports = direct.map(|(port, _)| *port);
        ports.try_for_each(|port| target.tables.set_mode(target.slot.index(), target.ns, port, 0))
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Ok(direct) = &self.direct {
            direct.remove(&self.target);
        }
    }
}

impl Attacher {
    /// Prepares a target, which has no routes yet: see [`Attachment::begin`]. `holder` names the target that a namespace
    /// is attached as already.
    pub(crate) fn prepare<'a>(
        &self,
        wanted: &Wanted,
        processes: impl FnOnce() -> &'a Processes,
        holder: impl FnOnce(NetnsId) -> Option<String>,
    ) -> Result<Attachment, AttachError> {
        check_ports(&wanted.ports)?;
        let netns = match (&wanted.netns, &wanted.pod_uid) {
            (Some(_), _) if !self.takes_paths => return Err(NetnsError::PathNotAllowed.into()),
            (Some(path), _) => {
                let netns = Netns::open(path)?;
                netns.must_hold(&wanted.ips)?;
                netns
            }
            (None, Some(uid)) => Netns::of_pod(uid, &wanted.ips, processes())?,
            (None, None) => return Err(NetnsError::Unnamed.into()),
        };
        if let Some(name) = holder(netns.id) {
            return Err(AttachError::Duplicate(name));
        }
        let workers = self.workers.count();
        netns.run(|| {
            Hook::sweep();
            Ok(())
        })?;
        let found = netns.run(listening)?;
        let taken = |port: &u16| found.iter().any(|l| l.port == *port) || wanted.ports.contains(port);
        let mut free = own_ports().filter(|port| !taken(port));
        let (own_port, dial_port) = free.next().zip(free.next()).ok_or(AttachError::NoFreePort)?;
        let uid = found.iter().find(|l| wanted.ports.contains(&l.port)).map_or(0, |l| l.uid);
        let listeners: Vec<TcpListener> =
            netns.run(|| (0..workers).map(|_| listener::open(own_port, uid)).collect())?;
        let first = listeners.first().ok_or_else(|| io::Error::other("the agent has no workers"))?;
        let ns = netns_cookie(first.as_fd())?;

        // Agents that do not know each other's dials would steer them for ever.
        let dials = self.tables.id(maps::DIALS);
        let (family, strangers): (Vec<_>, Vec<_>) =
            inspect::agents()?.into_iter().partition(|it| it.map_id(maps::DIALS) == dials);
        if let Some(other) = strangers.iter().find(|it| it.steers(ns)) {
            return Err(AttachError::Foreign { pid: other.pid(), node: other.node().to_owned() });
        }
        let slot = Slot::take(&self.tables, ns).ok_or(AttachError::TooManyTargets)?;
        self.tables.describe_target(slot.index(), &record(wanted, &netns, ns, own_port))?;
        self.tables.seed_listening(ns, || netns.run(listening))?;
        self.tables.change_ports(slot.index(), ns, &wanted.ports, &[])?;
        for (worker, listener) in (0..).zip(&listeners) {
            self.tables.set_listener(slot.index(), worker, listener)?;
        }
        let constants = SteerConstants {
            ns,
            slot: slot.index(),
            own_port: own_port.into(),
            workers,
            max_age_ns: self.max_age.as_nanos() as u64,
            max_backlog: self.backlog_of_a_worker(workers),
        };
        let program = self.template.steer(constants)?;
        let slot_index = slot.index();
        let (name, tables) = (wanted.name.clone(), self.tables.clone());
        let target = Arc::new(Target::new(name, slot, netns, ns, dial_port, tables));
        // What was heard of HTTP/2 before: the first connection of it on which the server speaks first is lost.
        for port in wanted.ports.iter().filter(|port| family.iter().any(|it| it.heard_http2(ns, **port))) {
            target.learn_http2(*port);
        }
        target.take_for_http2(&wanted.http2);
        let taken = self.workers.serve(&target, listeners);
        let direct = self.direct.as_ref().map_err(|why| *why).and_then(|direct| {
            let hooks = Hooks::attach(&self.template, &direct.steps, &target.netns, ns, slot_index);
            let hooks = hooks.map_err(|error| {
                tracing::warn!(%error, target = target.name, "connections cannot go straight to the app");
                Why::Kernel
            })?;
            direct.add(&target, Arc::new(hooks), taken);
            Ok(direct.clone())
        });
        Ok(Attachment {
            target,
            ports: wanted.ports.clone(),
            is_armed: wanted.armed,
            program: Some(program),
            link: None,
            direct,
            netfilter: Netfilter::default(),
            modes: BTreeMap::new(),
        })
    }

    /// Counts the listeners of the namespace anew, where many have come and gone.
    pub(crate) fn recount(&self, at: &Attachment) -> io::Result<()> {
        const MANY: usize = 256;
        if self.tables.listening_len(at.target.ns)? < MANY {
            return Ok(());
        }
        self.tables.seed_listening(at.target.ns, || at.target.netns.run(listening))
    }

    /// The share of a worker, less an eighth: several CPUs may look at the last free place at once, and with all that
    /// they let in the limit of the target must hold.
    fn backlog_of_a_worker(&self, workers: u32) -> u32 {
        let share = self.max_backlog / workers;
        (share - share.div_ceil(8).min(share)).max(1)
    }

    /// Changes the steered ports of an attached target.
    pub(crate) fn change_ports(&self, at: &mut Attachment, wanted: &[u16]) -> Result<(), AttachError> {
        check_ports(wanted)?;
        let (slot, ns) = (at.target.slot.index(), at.target.ns);
        let missing =
            |from: &[u16], of: &[u16]| of.iter().copied().filter(|p| !from.contains(p)).collect::<Vec<_>>();
        self.tables.change_ports(slot, ns, &missing(&at.ports, wanted), &missing(wanted, &at.ports))?;
        at.ports = wanted.to_vec();
        Ok(())
    }
}

fn check_ports(ports: &[u16]) -> Result<(), AttachError> {
    let valid = !ports.is_empty() && ports.len() <= MAX_PORTS && !ports.contains(&0);
    if valid { Ok(()) } else { Err(AttachError::BadPorts) }
}

/// Ports that hardly any app listens on, starting anywhere: a successor needs others than its predecessor. Below
/// 1024, so that they never collide with what the app's own `connect` draws.
fn own_ports() -> impl Iterator<Item = u16> {
    const RANGE: std::ops::Range<u16> = 640..870;
    let start = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| d.subsec_micros());
    let len = u32::from(RANGE.end - RANGE.start);
    (0..len).map(move |n| RANGE.start + ((start + n * 7) % len) as u16)
}

fn record(wanted: &Wanted, netns: &Netns, ns: u64, own_port: u16) -> TargetRecord {
    let mut ports = [0; MAX_PORTS];
    for (to, from) in ports.iter_mut().zip(&wanted.ports) {
        *to = u32::from(*from);
    }
    TargetRecord {
        ns,
        dev: netns.id.dev,
        ino: netns.id.ino,
        own_port: own_port.into(),
        port_count: wanted.ports.len() as u32,
        ports,
        name: Text::new(&wanted.name),
    }
}
