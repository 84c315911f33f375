//! One connection: its packets in order, the requests in them, and the statuses that the app has answered with.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use byway_abi::{DialKey, mirror::spread};
use byway_http::{
    RequestKind,
    copies::{Copied, Found, Reader, Segments},
    header_space, parse_request, with_http2_head,
};

use super::{answers::Answers, pace::Pace, part::Part, shower::Shower};
use crate::{
    snapshot::Shown,
    tables::{route_counter as counter, unix_ms},
    target::Target,
};

const FIN: u32 = 1;
const SYN: u32 = 2;
const RST: u32 = 4;
const ACK: u32 = 16;

/// What is missing for so long has not been copied: TCP sends again sooner what the network has lost.
const GAP: Duration = Duration::from_secs(3);
/// A connection that is silent for so long is joined anew, at its next request.
const SILENCE: Duration = Duration::from_secs(600);

pub(super) struct Flow {
    target: Arc<Target>,
    port: u16,
    place: u32,
    pub(super) pace: Arc<Pace>,
    segments: Segments,
    reader: Reader,
    answers: Answers,
    /// The client has said that it sends no more.
    is_ending: bool,
    gap_since: Option<Instant>,
    touched: Instant,
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
        Some(Self {
            target,
            port: u16::try_from(key.local_port).ok()?,
            place: spread(key),
            pace,
            segments: Segments::new(next),
            reader,
            answers: Answers::default(),
            is_ending: false,
            gap_since: None,
            touched: Instant::now(),
        })
    }

    /// Whether all bytes are needed.
    pub(super) const fn needs_all(&self) -> bool {
        self.reader.needs_all()
    }

    /// Whether nothing of it is copied for now.
    pub(super) fn is_left_out(&self) -> bool {
        self.place >= self.pace.reads()
    }

    /// Bytes that it holds.
    pub(super) fn held(&self) -> usize {
        self.segments.held() + self.reader.held() + self.answers.held()
    }

    /// Takes a packet of the client. Whether more is awaited.
    pub(super) fn take(&mut self, flags: u32, part: &Part<'_>, shower: &Shower) -> bool {
        self.touched = Instant::now();
        if flags & RST != 0 {
            return false;
        }
        // Data of a SYN (Fast Open) comes behind its number.
        let seq = if flags & SYN != 0 { part.seq.wrapping_add(1) } else { part.seq };
        let Part { payload, missing, .. } = *part;
        while !self.fits(seq, payload, missing, shower) {
            self.skip(shower);
        }
        self.gap_since = self.segments.gap().map(|_| self.gap_since.unwrap_or_else(Instant::now));
        self.is_ending |= flags & FIN != 0;
        !(self.is_ending && self.gap_since.is_none())
    }

    /// Whether there was room for a payload behind a gap.
    fn fits(&mut self, seq: u32, payload: &[u8], missing: u32, shower: &Shower) -> bool {
        let Self { target, port, place, pace, reader, answers, segments, .. } = self;
        let mut see = |found: Found| see(target, *port, *place, pace, answers, found, shower);
        segments.take(seq, payload, missing, |piece| reader.next(piece, &mut see))
    }

    /// Takes a packet of the app: how it begins, or over HTTP/2 all of it.
    pub(super) fn answered(&mut self, part: &Part<'_>) {
        if self.reader.needs_all() {
            self.answers.http2(part);
        } else {
            self.answers.http1(part.payload);
        }
    }

    /// Looks at it now and then. Whether more is awaited.
    pub(super) fn is_awaited(&mut self, shower: &Shower) -> bool {
        if self.gap_since.is_some_and(|since| since.elapsed() > GAP) {
            self.skip(shower);
        }
        self.answers.sweep();
        let is_over = self.is_ending && self.gap_since.is_none();
        !is_over && self.touched.elapsed() < SILENCE
    }

    /// Nothing more comes.
    pub(super) fn end(mut self, shower: &Shower) {
        while self.segments.gap().is_some() {
            self.skip(shower);
        }
        let Self { target, port, place, pace, reader, answers, .. } = &mut self;
        reader.end(|found| see(target, *port, *place, pace, answers, found, shower));
    }

    /// Goes on behind what is missing.
    fn skip(&mut self, shower: &Shower) {
        let Self { target, port, place, pace, reader, answers, segments, .. } = self;
        let mut see = |found: Found| see(target, *port, *place, pace, answers, found, shower);
        if let Some(missing) = segments.gap() {
            reader.gap(missing, &mut see);
            segments.skip(|piece| reader.next(piece, &mut see));
        }
        answers.forget();
        self.gap_since = self.segments.gap().map(|_| Instant::now());
    }
}

/// Shows a request to whom it is for.
fn see(
    target: &Target,
    port: u16,
    place: u32,
    pace: &Arc<Pace>,
    answers: &mut Answers,
    found: Found,
    shower: &Shower,
) {
    let routes = target.routes.load();
    let shown = || routes.shown(port).filter(|shown| place < shown.percent());
    let (copied, is_whole) = match found {
        Found::Whole(copied) => (copied, true),
        Found::Lost(Some(copied)) => (copied, false),
        Found::Lost(None) => return shown().for_each(|shown| shower.lost(&shown.leg, 1)),
    };
    let (takers, is_tunnel) = takers(&copied, shown());
    let has_turn = takers.is_empty() || pace.shows(place);
    let copied = Arc::new(copied);
    let mut asked = Vec::new();
    for shown in takers {
        // Of a tunnel only the request would be shown, and it would wait for what follows.
        if is_whole && !is_tunnel && has_turn {
            let counters = target.tables.route_counters(shown.leg.index);
            counters[counter::LAST_REQUEST].store(unix_ms(), Relaxed);
            asked.extend(shower.show(&shown.leg, port, pace, &copied));
        } else {
            shower.lost(&shown.leg, 1);
        }
    }
    answers.wait(&copied, asked);
}

/// Whom a request is for, and whether it asks for a tunnel.
fn takers<'r>(copied: &Copied, shown: impl Iterator<Item = &'r Shown>) -> (Vec<&'r Shown>, bool) {
    match copied {
        Copied::Http1 { bytes, head } => {
            let mut space = header_space();
            let Ok(head) = parse_request(&bytes[..*head], &mut space) else { return (Vec::new(), false) };
            let is_tunnel = matches!(head.kind, RequestKind::Upgrade { .. });
            (shown.filter(|shown| shown.takes(&head)).collect(), is_tunnel)
        }
        Copied::Http2 { fields, .. } => with_http2_head(fields, |head| {
            let is_tunnel = head.method == "CONNECT";
            (shown.filter(|shown| shown.takes(head)).collect(), is_tunnel)
        }),
    }
}
