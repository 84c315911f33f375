//! Connections that go straight to the app until they are keyed, in the order that a held one meets the files:
//!
//! - [`mode`]: which ports of a target are direct, and why others are not; [`filter`]: what their heads are scanned for;
//! - [`hooks`]: the programs at a pod's interfaces, and the socket that packets are injected by;
//! - [`taker`]: hears from the programs, and has one thread; [`held`]: what becomes of a connection; [`judge`] says what a
//!   head is, [`idle`] whether the app has answered all that it was asked;
//! - [`clone`]: a socket of the agent that stands in for the app's; [`frame`]: packets that were held.
//!
//! From there on the connection is served as any other: [`crate::accept`].

mod clone;
mod filter;
mod frame;
mod held;
mod hooks;
mod idle;
mod judge;
pub(crate) mod mode;
mod taker;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, OwnedFd, RawFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use byway_abi::{DialKey, direct::Order};
use nix::sys::signal::{Signal, raise};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    kernel::{
        OptionBits, Steps,
        sys::{monotonic_ns, prog_run},
    },
    snapshot::Routes,
    tables::Tables,
    target::{Netns, Target},
};
use filter::Filters;
pub(crate) use hooks::Hooks;
pub(crate) use taker::start;

/// A connection that was taken over, on its way to a worker.
pub(crate) struct Taken {
    pub(crate) client: TcpStream,
    pub(crate) peer: SocketAddr,
    /// The address and port of the app.
    pub(crate) local: SocketAddr,
}

/// How far a takeover has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Step {
    /// The agent has heard of it.
    Held,
    /// There is a clone.
    Cloned,
    /// The connection is the clone's.
    Taken,
    /// The app has been told that the client has ended.
    Ended,
    /// The clone goes on.
    Ready,
    /// It has what was held.
    Given,
}

/// Shared by whoever attaches targets, and the thread that takes connections over.
pub(crate) struct Direct {
    tables: Arc<Tables>,
    /// The program that changes connections.
    control: OwnedFd,
    /// Those that stand behind the ones of each target.
    pub(crate) steps: Steps,
    bits: OptionBits,
    /// Where the agent dies, and where it is stopped, if it is to be tested.
    faults: [Option<Step>; 2],
    /// By the cookies of their namespaces.
    targets: Mutex<HashMap<u64, Arc<DirectTarget>>>,
    filters: Mutex<Filters>,
    /// Connections that were taken over, and whose clone has not gone.
    clones: AtomicUsize,
}

/// A target whose connections may be direct.
pub(crate) struct DirectTarget {
    pub(crate) target: Arc<Target>,
    hooks: Arc<Hooks>,
    workers: Vec<UnboundedSender<Taken>>,
    turn: AtomicUsize,
}

impl Direct {
    pub(crate) fn new(
        tables: Arc<Tables>,
        control: OwnedFd,
        steps: Steps,
        bits: OptionBits,
        faults: [Option<Step>; 2],
    ) -> Arc<Self> {
        let (targets, filters) = (Mutex::default(), Mutex::default());
        let clones = AtomicUsize::new(0);
        Arc::new(Self { tables, control, steps, bits, faults, targets, filters, clones })
    }

    fn reach(&self, step: Step) {
        for (at, signal) in self.faults.iter().zip([Signal::SIGKILL, Signal::SIGSTOP]) {
            if *at == Some(step) {
                // As from outside: nothing is cleaned up, and this thread does nothing more.
                let _ = raise(signal);
            }
        }
    }

    /// Takes over connections of the target from now on.
    pub(crate) fn add(&self, target: &Arc<Target>, hooks: Arc<Hooks>, workers: Vec<UnboundedSender<Taken>>) {
        let direct = DirectTarget { target: target.clone(), hooks, workers, turn: AtomicUsize::new(0) };
        lock(&self.targets).insert(target.ns, Arc::new(direct));
    }

    /// Takes over no more of the target.
    pub(crate) fn remove(&self, target: &Target) {
        let mut targets = lock(&self.targets);
        // The pod may be attached anew by now.
        if targets.get(&target.ns).is_some_and(|it| std::ptr::eq(&raw const *it.target, target)) {
            targets.remove(&target.ns);
            drop(targets);
            if let Err(error) = lock(&self.filters).remove(target.ns, &self.tables) {
                tracing::warn!(%error, target = target.name, "cannot clear the keys of a target");
            }
        }
    }

    /// Has heads of the target's connections scanned for the keys of these routes.
    pub(crate) fn scan_for(&self, target: &Target, routes: &Routes) -> io::Result<()> {
        lock(&self.filters).set(target.ns, routes, &self.tables)
    }

    /// Whether there are clones whose packets need the programs: also for a while after they were closed.
    pub(crate) fn has_clones(&self) -> bool {
        self.clones.load(Relaxed) > 0
    }

    /// Decides on what a predecessor follows to this port of the target.
    pub(crate) fn adopt(&self, target: &Target, port: u16) -> io::Result<()> {
        let (owner, slot) = (self.tables.owner(), target.slot.index());
        let conns = self.tables.conns_of(target.ns)?;
        for key in conns.iter().filter(|key| key.local_port == u32::from(port)) {
            self.order(Order { what: Order::ADOPT, owner, slot, ..held::order(key) });
        }
        Ok(())
    }

    /// Follows a connection that was open before, or was left to the app, once it is sure where a head begins on it.
    pub(crate) fn join(&self, target: &Target, key: &DialKey) {
        let (owner, slot) = (self.tables.owner(), target.slot.index());
        self.order(Order { what: Order::JOIN, at: monotonic_ns(), owner, slot, ..held::order(key) });
    }

    /// Whether rules of netfilter may be in the way of a clone's packets there: some 5 us.
    pub(crate) fn is_filtered(&self, netns: &Netns) -> bool {
        let ask = || self.order(Order { what: Order::IS_FILTERED, ..held::order(&DialKey::default()) });
        netns.visit(ask).unwrap_or(true)
    }

    /// The first descriptor behind those of the target's programs.
    pub(crate) fn above(&self, target: &Target) -> Option<RawFd> {
        Some(self.target(target.ns)?.hooks.above())
    }

    fn target(&self, ns: u64) -> Option<Arc<DirectTarget>> {
        lock(&self.targets).get(&ns).cloned()
    }

    /// Whether it was done: the connection may have gone, or not be held any more.
    fn order(&self, mut order: Order) -> bool {
        match prog_run(self.control.as_fd(), &mut order) {
            Ok(()) => order.done == 0,
            Err(error) => {
                tracing::error!(%error, "the program that changes connections does not run");
                false
            }
        }
    }
}

impl DirectTarget {
    /// Hands a connection to the worker whose turn it is.
    fn hand_over(&self, taken: Taken) {
        let turn = self.turn.fetch_add(1, Relaxed);
        if let Some(worker) = self.workers.get(turn % self.workers.len().max(1)) {
            // A worker that serves the target no more drops it, as it drops what it has.
            let _ = worker.send(taken);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
