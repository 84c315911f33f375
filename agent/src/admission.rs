//! How many connections the agent takes on. At its limit the workers' heartbeat says so, and the kernel passes new
//! connections on to the app.

mod memory;

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::{asleep::Sleepers, kernel::sys::monotonic_ns, snapshot::Copies, tables::Tables};
pub(crate) use memory::{Memory, resident_bytes};

/// How long the agent takes no more connections when the kernel had no descriptor or memory left for one.
const EXHAUSTED: Duration = Duration::from_secs(1);

/// Descriptors kept for connections that are on their way when the others are in use.
const RESERVE: u64 = 1024;

/// Shared by the workers.
pub(crate) struct Admission {
    tables: Arc<Tables>,
    workers: u32,
    limit: usize,
    memory: Memory,
    /// From this descriptor on no more connections are taken: the rest is for those that are on their way.
    last_file: i32,
    /// Duplicated to see which descriptor is free.
    probe: OwnedFd,
    open: AtomicUsize,
    exhausted_until: AtomicU64,
    draining: AtomicBool,
    /// For those who wait for the same.
    drain_began: watch::Sender<bool>,
    over_memory: AtomicBool,
    /// Requests without a key to a preview that has no target.
    refused: AtomicU64,
    /// Requests that wait for previews that sleep.
    pub(crate) sleepers: Sleepers,
    /// Of requests to all targets.
    pub(crate) copies: Arc<Copies>,
}

/// A connection that is counted until this is dropped.
pub(crate) struct Ticket(Arc<Admission>);

impl Admission {
    /// `files` is the limit of open files.
    pub(crate) fn new(
        tables: Arc<Tables>,
        workers: u32,
        limit: usize,
        memory: Memory,
        files: u64,
    ) -> io::Result<Self> {
        let reserve = (files / 4).min(RESERVE);
        Ok(Self {
            tables,
            workers,
            limit,
            memory,
            last_file: i32::try_from(files - reserve).unwrap_or(i32::MAX),
            probe: File::open("/dev/null")?.into(),
            open: AtomicUsize::new(0),
            exhausted_until: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            drain_began: watch::Sender::new(false),
            over_memory: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            sleepers: Sleepers::default(),
            copies: Arc::default(),
        })
    }

    /// Counts a connection that was accepted; at the limit it is the last for now.
    pub(crate) fn admit(self: &Arc<Self>, client: impl AsFd) -> Ticket {
        let full = self.open.fetch_add(1, Relaxed) + 1 >= self.limit;
        if full || client.as_fd().as_raw_fd() >= self.last_file {
            self.stop_steering();
        }
        Ticket(self.clone())
    }

    /// Whether the process may still open a good number of files. The kernel gives out the lowest descriptor that is
    /// free, so one number tells, unless something low was closed just now: then there is room indeed.
    fn has_files(&self) -> bool {
        let next = self.probe.as_fd().try_clone_to_owned();
        next.is_ok_and(|next| next.as_raw_fd() < self.last_file)
    }

    /// The kernel has no descriptor or memory left: whoever waits is served, new connections reach the app.
    pub(crate) fn exhausted(&self) {
        self.exhausted_until.store(monotonic_ns() + EXHAUSTED.as_nanos() as u64, Relaxed);
        self.stop_steering();
    }

    fn stop_steering(&self) {
        (0..self.workers).for_each(|worker| self.tables.close(worker));
    }

    /// Whether more connections may come.
    pub(crate) fn has_room(&self) -> bool {
        self.open() < self.limit
            && self.has_files()
            && !self.over_memory.load(Relaxed)
            && self.exhausted_until.load(Relaxed) <= monotonic_ns()
    }

    /// Looks at the memory in use; called a few times a second, not per connection.
    pub(crate) fn watch_memory(&self) {
        static SAID: std::sync::Once = std::sync::Once::new();
        match self.memory.is_over() {
            Ok(over) => self.over_memory.store(over, Relaxed),
            Err(error) => SAID.call_once(|| {
                tracing::warn!(%error, "cannot see how much memory is in use: its limit keeps no connection away");
            }),
        }
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// From now on kept connections are ended after the answer under way.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Relaxed);
        self.drain_began.send_replace(true);
    }

    /// Waits until kept connections are to be ended.
    pub(crate) async fn drain_begins(&self) {
        // The sender is this object's own, so waiting cannot fail.
        let _ = self.drain_began.subscribe().wait_for(|began| *began).await;
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

/// Whether the kernel had no descriptor or memory left.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}
