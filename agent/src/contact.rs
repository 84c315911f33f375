//! How it stands with the API server, in numbers.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::kernel::sys::monotonic_ns;

/// Counted on the control runtime, read by the admin listener.
#[derive(Default)]
pub(crate) struct Contact {
    /// `CLOCK_MONOTONIC`; 0 before the first.
    last_answer: AtomicU64,
    watch_restarts: AtomicU64,
    acks: AtomicU64,
    ack_errors: AtomicU64,
}

impl Contact {
    /// The server has answered a request as it was asked to.
    pub(crate) fn answered(&self) {
        self.last_answer.store(monotonic_ns(), Relaxed);
    }

    pub(crate) fn count_watch_restart(&self) {
        self.watch_restarts.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_ack(&self) {
        self.acks.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_ack_error(&self) {
        self.ack_errors.fetch_add(1, Relaxed);
    }

    /// How long ago the last answer came; none before the first.
    pub(crate) fn age(&self) -> Option<Duration> {
        let last = self.last_answer.load(Relaxed);
        (last > 0).then(|| Duration::from_nanos(monotonic_ns().saturating_sub(last)))
    }

    pub(crate) fn watch_restarts(&self) -> u64 {
        self.watch_restarts.load(Relaxed)
    }

    pub(crate) fn acks(&self) -> u64 {
        self.acks.load(Relaxed)
    }

    pub(crate) fn ack_errors(&self) -> u64 {
        self.ack_errors.load(Relaxed)
    }
}
