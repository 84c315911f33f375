//! One connection: its packets in order, the requests in them, and the statuses that the app has answered with.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use byway_abi::{
    DialKey,
    mirror::{MOST_UNWANTED, spread},
};
use byway_http::copies::{Found, Reader, Segments};

use super::{answers::Answers, audience::Audience, ending::Ending, pace::Pace, part::Part, shower::Shower};
use crate::{address::unmapped, target::Target};

const SYN: u32 = 2;
const ACK: u32 = 16;

/// What is missing for so long has not been copied: TCP sends again sooner what the network has lost.
const GAP: Duration = Duration::from_secs(3);

pub(super) struct Flow {
    audience: Audience,
    segments: Segments,
    reader: Reader,
    ending: Ending,
    gap_since: Option<Instant>,
    /// Up to there nothing is copied.
    unwanted: Option<u32>,
}

impl Flow {
    pub(super) const fn begins(flags: u32) -> bool {
        flags & (SYN | ACK) == SYN
    }

    /// One that begins here, or is joined here.
    pub(super) fn of(
        target: Arc<Target>,
        pace: Arc<Pace>,
        key: &DialKey,
        flags: u32,
        part: &Part<'_>,
    ) -> Option<Self> {
        let begins = Self::begins(flags);
        if !begins && part.payload.is_empty() {
            return None;
        }
        let (next, reader) =
            if begins { (part.seq.wrapping_add(1), Reader::new()) } else { (part.seq, Reader::midway()) };
        let port = u16::try_from(key.local_port).ok()?;
        Some(Self {
            audience: Audience {
                target,
                peer: unmapped(key.remote),
                port,
                place: spread(key),
                pace,
                answers: Answers::default(),
            },
            segments: Segments::new(next),
            reader,
            ending: Ending::new(Instant::now()),
            gap_since: None,
            unwanted: None,
        })
    }

    /// How much of its port is copied.
    pub(super) fn pace(&self) -> &Pace {
        &self.audience.pace
    }

    /// Whether all bytes are needed.
    pub(super) const fn needs_all(&self) -> bool {
        self.reader.needs_all()
    }

    /// Whether nothing of it is copied for now.
    pub(super) fn is_left_out(&self) -> bool {
        self.audience.place >= self.pace().reads()
    }

    /// Bytes that it holds.
    pub(super) fn held(&self) -> usize {
        self.segments.held() + self.reader.held() + self.audience.answers.held()
    }

    /// Takes a packet of the client. Whether more is awaited.
    pub(super) fn take(&mut self, flags: u32, part: &Part<'_>, shower: &Shower) -> bool {
        // Data of a SYN (Fast Open) comes behind its number.
        let seq = if flags & SYN != 0 { part.seq.wrapping_add(1) } else { part.seq };
        let Part { payload, missing, .. } = *part;
        while !self.fits(seq, payload, missing, shower) {
            self.skip(shower);
        }
        self.gap_since = self.segments.gap().map(|_| self.gap_since.unwrap_or_else(Instant::now));
        self.ending.by_client(flags, Instant::now());
        self.goes_on()
    }

    fn goes_on(&self) -> bool {
        !self.ending.is_over(self.gap_since.is_some(), Instant::now())
    }

    /// Up to where payloads are of no use from now on, or that they are again; if that is another place than before.
    pub(super) fn unwanted(&mut self) -> Option<Option<u32>> {
        /// Less is not worth a word.
        const LEAST: u64 = 256 << 10;
        let (next, run) = (self.segments.next(), self.reader.unwanted());
        let left = |until: u32| u64::from(until.wrapping_sub(next));
        let now = match self.unwanted {
            // As far as was said, or as can be said at a time.
            Some(until) if left(until).min(run) > 0 && left(until) <= u64::from(MOST_UNWANTED) => {
                return None;
            }
            None if run < LEAST => return None,
            _ => (run > 0).then(|| next.wrapping_add(run.min(MOST_UNWANTED.into()) as u32)),
        };
        self.unwanted = now;
        Some(now)
    }

    /// Whether part of it is not copied.
    pub(super) const fn is_passed_over(&self) -> bool {
        self.unwanted.is_some()
    }

    /// Whether there was room for a payload behind a gap.
    fn fits(&mut self, seq: u32, payload: &[u8], missing: u32, shower: &Shower) -> bool {
        let Self { audience, segments, reader, .. } = self;
        let mut see = |found: Found| audience.see(found, shower);
        segments.take(seq, payload, missing, |piece| reader.next(piece, &mut see))
    }

    /// Takes a packet of the app: how it begins, or over HTTP/2 all of it.
    pub(super) fn answered(&mut self, flags: u32, part: &Part<'_>) {
        self.ending.by_app(flags);
        if self.reader.needs_all() {
            self.audience.answers.http2(part);
        } else {
            self.audience.answers.http1(part.payload);
        }
    }

    /// Looks at it now and then. Whether more is awaited.
    pub(super) fn is_awaited(&mut self, shower: &Shower) -> bool {
        if self.gap_since.is_some_and(|since| since.elapsed() > GAP) {
            self.skip(shower);
        }
        self.audience.answers.sweep();
        self.goes_on()
    }

    /// Nothing more comes.
    pub(super) fn end(mut self, shower: &Shower) {
        while self.segments.gap().is_some() {
            self.skip(shower);
        }
        self.reader.end(|found| self.audience.see(found, shower));
    }

    /// Goes on behind what is missing.
    fn skip(&mut self, shower: &Shower) {
        let Self { audience, segments, reader, .. } = self;
        let mut see = |found: Found| audience.see(found, shower);
        if let Some(missing) = segments.gap() {
            reader.gap(missing, &mut see);
            segments.skip(|piece| reader.next(piece, &mut see));
        }
        audience.answers.forget();
        self.gap_since = self.segments.gap().map(|_| Instant::now());
    }
}
