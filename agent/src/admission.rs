//! How many connections the agent takes on. At its limit the workers' heartbeat says so, and the kernel passes new
//! connections on to the app.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{kernel::sys::monotonic_ns, tables::Tables};

/// How long the agent takes no more connections when the kernel had no descriptor or memory left for one.
const EXHAUSTED: Duration = Duration::from_secs(1);

/// Shared by the workers.
pub(crate) struct Admission {
    tables: Arc<Tables>,
    workers: u32,
    limit: usize,
    /// Most resident memory, in bytes.
    memory_limit: u64,
    open: AtomicUsize,
    exhausted_until: AtomicU64,
    draining: AtomicBool,
    over_memory: AtomicBool,
}

/// A connection that is counted until this is dropped.
pub(crate) struct Ticket(Arc<Admission>);

impl Admission {
    pub(crate) fn new(tables: Arc<Tables>, workers: u32, limit: usize, memory_limit: u64) -> Self {
        Self {
            tables,
            workers,
            limit,
            memory_limit,
            open: AtomicUsize::new(0),
            exhausted_until: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            over_memory: AtomicBool::new(false),
        }
    }

    /// Counts a connection that was accepted; at the limit it is the last for now.
    pub(crate) fn admit(self: &Arc<Self>) -> Ticket {
        if self.open.fetch_add(1, Relaxed) + 1 >= self.limit {
            self.stop_steering();
        }
        Ticket(self.clone())
    }

    /// The kernel has no descriptor or memory left: whoever waits is served, new connections reach the app.
    pub(crate) fn exhausted(&self) {
        self.exhausted_until.store(monotonic_ns() + EXHAUSTED.as_nanos() as u64, Relaxed);
        self.stop_steering();
    }

    fn stop_steering(&self) {
        (0..self.workers).for_each(|worker| self.tables.pass_by(worker));
    }

    /// Whether more connections may come.
    pub(crate) fn has_room(&self) -> bool {
        self.open() < self.limit
            && !self.over_memory.load(Relaxed)
            && self.exhausted_until.load(Relaxed) <= monotonic_ns()
    }

    /// Looks at the memory in use; called a few times a second, not per connection.
    pub(crate) fn watch_memory(&self) {
        self.over_memory.store(resident_bytes() > self.memory_limit, Relaxed);
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// From now on kept connections are ended after the answer under way.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Relaxed)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// Resident memory of the process (`/proc/self/statm`, second field, in pages).
pub(crate) fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
