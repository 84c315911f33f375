//! How much of a port is copied: what was asked for, and less while previews, or the agent itself, do not keep up, or the
//! processors have no time left for more than a few. What is not copied at all costs the app next to nothing.

use std::{
    collections::HashMap,
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
    /// Of how many connections of a hundred requests are shown for now.
    now: AtomicU32,
    /// Packets that were copied of them.
    copied: AtomicU64,
    /// Requests that were read, but are not shown for now.
    left_out: AtomicU64,
    /// Requests that a preview could not take.
    refused: AtomicU64,
}

/// Requests that were not copied, of connections at some of the hundred places.
pub(super) struct Lost {
    count: u64,
    from: u32,
    to: u32,
}

impl Lost {
    /// So many of them a preview would have been shown that is shown connections up to a place: as many as are to be
    /// expected, since it is not known of which connections they were. Parts of one are kept in `rest`.
    pub(super) fn share(&self, percent: u32, rest: &mut u64) -> u64 {
        let places = u64::from(self.to.saturating_sub(self.from).max(1));
        let own = u64::from(percent.max(self.from).min(self.to).saturating_sub(self.from));
        let all = self.count * own + *rest;
        *rest = all % places;
        all / places
    }
}

/// What was seen at the last look.
#[derive(Default)]
pub(super) struct Seen {
    copied: u64,
    left_out: u64,
    refused: u64,
    uncopied: Uncopied,
    /// Of the shares of previews that were shown some of this, by their routes.
    pub(super) rests: HashMap<u32, u64>,
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
            copied: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
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

    /// A packet was copied.
    pub(super) fn copied(&self) {
        self.copied.fetch_add(1, Relaxed);
    }

    /// A preview could not take a request.
    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// Whether requests of a connection at this place are shown for now.
    pub(super) fn shows(&self, place: u32) -> bool {
        let shows = place < self.now.load(Relaxed);
        self.left_out.fetch_add((!shows).into(), Relaxed);
        shows
    }

    /// Of how many connections of a hundred packets are copied for now. Over HTTP/2 of all: one that was left out could
    /// not be read on.
    pub(super) fn reads(&self) -> u32 {
        let what = if self.is_http2.load(Relaxed) { &self.percent } else { &self.now };
        what.load(Relaxed)
    }

    /// Whether that is less than what is asked for.
    pub(super) fn is_reduced(&self) -> bool {
        self.reads() < self.percent.load(Relaxed)
    }

    pub(super) fn write(&self, tables: &Tables) -> io::Result<()> {
        let (percent, is_http2) = (self.percent.load(Relaxed), self.is_http2.load(Relaxed));
        let whole = self.whole.load(Relaxed) | u32::from(is_http2);
        let answers = if is_http2 { self.now.load(Relaxed) } else { 0 };
        tables.mirror(self.ns, self.port, &Mirrored { percent, now: self.reads(), whole, answers })
    }

    /// Copies less, or a little more, and at most so many packets. Which requests were not copied since the last look.
    pub(super) fn look(&self, tables: &Tables, seen: &mut Seen, most: Option<u64>) -> io::Result<Lost> {
        let uncopied = tables.uncopied(self.ns, self.port)?.unwrap_or_default();
        let lost = uncopied.lost.saturating_sub(seen.uncopied.lost);
        let of_ring = uncopied.full > seen.uncopied.full;
        seen.uncopied = uncopied;
        let since = |what: &AtomicU64, before: &mut u64| {
            let now = what.load(Relaxed);
            now - std::mem::replace(before, now)
        };
        let copied = since(&self.copied, &mut seen.copied);
        let left_out = since(&self.left_out, &mut seen.left_out);
        let refused = since(&self.refused, &mut seen.refused);
        let is_too_much = refused > 0 || of_ring || most.is_some_and(|most| copied > most);
        let is_enough = most.is_some_and(|most| copied + left_out + lost > most);
        let (percent, now) = (self.percent.load(Relaxed), self.now.load(Relaxed));
        let from = if self.is_reduced() { self.reads() } else { 0 };
        let found = Lost { count: lost, from, to: percent };
        let wanted = if is_too_much {
            seen.well_since = None;
            less(now, copied, most)
        } else if is_enough {
            seen.well_since = None;
            now
        } else {
            let well = *seen.well_since.get_or_insert_with(Instant::now);
            if now == percent || well.elapsed() < TRUST {
                return Ok(found);
            }
            seen.well_since = None;
            (now * 2 + 1).min(percent)
        };
        if self.now.swap(wanted, Relaxed) != wanted {
            self.write(tables)?;
        }
        Ok(found)
    }
}

/// Of fewer connections than `now`: of a fourth, or of as few as bring so many packets as may be copied.
fn less(now: u32, copied: u64, most: Option<u64>) -> u32 {
    let enough = most.map_or(now.into(), |most| u64::from(now) * most / copied.max(1));
    enough.min(u64::from(now / 4)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_too_much_is_left_out_at_once() {
        assert_eq!(less(100, 5000, Some(50)), 1);
        assert_eq!(less(100, 60, Some(50)), 25);
        assert_eq!(less(100, 5000, None), 25, "a preview could not take it");
        assert_eq!(less(100, 10, Some(50)), 25);
        assert_eq!([less(3, 100, Some(50)), less(0, 100, Some(50))], [0, 0]);
    }

    #[test]
    fn of_what_was_left_out_each_preview_has_its_share() {
        let share =
            |count: u64, from: u32, to: u32, percent: u32| Lost { count, from, to }.share(percent, &mut 0);
        assert_eq!(
            [100, 50, 0].map(|percent| share(80, 0, 100, percent)),
            [80, 40, 0],
            "what there was no room for"
        );
        assert_eq!(
            [100, 50, 25, 10].map(|percent| share(75, 25, 100, percent)),
            [75, 25, 0, 0],
            "what was left out"
        );
        assert_eq!(share(3, 0, 0, 0), 0);
        assert_eq!(share(0, 0, 100, 100), 0);
        let (one, mut rest) = (Lost { count: 1, from: 0, to: 100 }, 0);
        assert_eq!((0..50).map(|_| one.share(10, &mut rest)).sum::<u64>(), 5, "one by one, too");
    }
}
