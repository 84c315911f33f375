//! How much of a port is copied: what was asked for, and less while previews, or the agent itself, do not keep up. What is
//! not copied at all costs the app next to nothing.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use byway_abi::mirror::{Mirrored, Uncopied};

use crate::tables::Tables;

/// From one look to the next.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// So long all is well before more is tried.
const TRUST: Duration = Duration::from_millis(500);

/// Of one port of a target.
pub(super) struct Pace {
    ns: u64,
    port: u16,
    /// What is asked for: connections of a hundred, and whether their payloads are needed whole.
    percent: AtomicU32,
    whole: AtomicU32,
    is_http2: AtomicBool,
    /// Connections of a hundred for now.
    now: AtomicU32,
    /// Requests that a preview could not take.
    refused: AtomicU64,
}

/// What was seen at the last look.
#[derive(Default)]
pub(super) struct Seen {
    refused: u64,
    uncopied: Uncopied,
    well_since: Option<Instant>,
}

impl Pace {
    pub(super) const fn new(ns: u64, port: u16, percent: u32, is_whole: bool) -> Self {
        Self {
            ns,
            port,
            percent: AtomicU32::new(percent),
            whole: AtomicU32::new(is_whole as u32),
            is_http2: AtomicBool::new(false),
            now: AtomicU32::new(percent),
            refused: AtomicU64::new(0),
        }
    }

    /// Asks for something else.
    pub(super) fn ask(&self, percent: u32, is_whole: bool) {
        if self.percent.swap(percent, Relaxed) != percent {
            self.now.store(percent, Relaxed);
        }
        self.whole.store(is_whole.into(), Relaxed);
    }

    /// HTTP/2 is spoken here: payloads are needed whole, and so are connections. Of those that are left out nobody could
    /// count the requests, nor read on later.
    pub(super) fn need_all(&self, tables: &Tables) {
        if !self.is_http2.swap(true, Relaxed)
            && let Err(error) = self.write(tables)
        {
            tracing::debug!(%error, "requests of HTTP/2 may be cut");
        }
    }

    /// A preview could not take a request.
    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// Of how many connections of a hundred requests are copied for now.
    pub(super) fn now(&self) -> u32 {
        let what = if self.is_http2.load(Relaxed) { &self.percent } else { &self.now };
        what.load(Relaxed)
    }

    pub(super) fn write(&self, tables: &Tables) -> io::Result<()> {
        let (percent, is_http2) = (self.percent.load(Relaxed), self.is_http2.load(Relaxed));
        let whole = self.whole.load(Relaxed) | u32::from(is_http2);
        tables.mirror(self.ns, self.port, &Mirrored { percent, now: self.now(), whole, pad: 0 })
    }

    /// Copies less, or a little more. How many requests were not copied since the last look.
    pub(super) fn look(&self, tables: &Tables, seen: &mut Seen) -> io::Result<u64> {
        let uncopied = tables.uncopied(self.ns, self.port)?.unwrap_or_default();
        let refused = self.refused.load(Relaxed);
        let lost = uncopied.lost.saturating_sub(seen.uncopied.lost);
        let is_too_much = refused > seen.refused || uncopied.full > seen.uncopied.full;
        (seen.refused, seen.uncopied) = (refused, uncopied);
        let (percent, now) = (self.percent.load(Relaxed), self.now());
        if self.is_http2.load(Relaxed) {
            return Ok(lost);
        }
        let wanted = if is_too_much {
            seen.well_since = None;
            now / 2
        } else {
            let since = *seen.well_since.get_or_insert_with(Instant::now);
            if now == percent || since.elapsed() < TRUST {
                return Ok(lost);
            }
            seen.well_since = None;
            (now + 1 + now / 4).min(percent)
        };
        self.now.store(wanted, Relaxed);
        self.write(tables)?;
        Ok(lost)
    }
}
