//! A connection that is held: what becomes of it, and how.
//!
//! A takeover, in the order that loses nothing whoever dies when: the clone is made, and says nothing yet; the connection
//! becomes its own, and what comes is dropped from here on; the app is told that the client has ended, which is the
//! point of no return; the clone goes on; what was held comes in anew, and reaches it.

mod inject;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use byway_abi::{
    DialKey,
    direct::{Conn, Event, MARK_APP, MARK_ASK, MARK_CLONE, Order, Socket, flag, state},
};
use byway_http::Doubt;

use super::{
    Direct, DirectTarget, Hooks, Step, Taken,
    clone::{Clone, with_scope},
    frame::Frame,
    idle::{Owes, is_quiet, owed},
    judge::{Judgement, judge, previews_of},
};
use crate::{
    address::unmapped,
    kernel::OptionBits,
    tables::route_counter,
    target::{Counter, Target},
};
pub(super) use inject::inject;

/// As `forward::exchange`: a head that takes longer goes to the app as it is, and what the app owes by then is missed.
const PATIENCE: Duration = Duration::from_secs(5);
/// So long a request waits that came before the one ahead of it was answered. Then the app gets it, and answers as it likes.
const AHEAD: Duration = Duration::from_millis(200);
/// So long the rest of a head may take, until it is the clone that waits for it.
const TORN: Duration = Duration::from_millis(20);
/// So long an app has said nothing whose answer cannot be told the end of.
const SILENCE: Duration = Duration::from_millis(500);
/// Between two questions after the app's socket: what the client acknowledges is told without one.
const AGAIN: Duration = Duration::from_millis(5);
/// Acknowledgements that are sent on before the app's socket is ended to make it stand.
const NUDGES: u32 = 3;
/// What is kept of a client that sends on while it is held.
const MOST_HELD: usize = 256 << 10;
/// Payload of an injected packet, at most: what fits every path.
pub(super) const MOST: usize = 1200;

/// TCP states (`TCP_ESTABLISHED` and so on).
const ESTABLISHED: u32 = 1;
const CLOSE_WAIT: u32 = 8;
const LAST_ACK: u32 = 9;

/// A connection that waits for a decision, or for the app.
pub(super) struct Held {
    pub(super) at: Arc<DirectTarget>,
    pub(super) conn: Conn,
    pub(super) socket: Socket,
    bits: OptionBits,
    frames: Vec<Frame>,
    /// The payload from the head on.
    bytes: Vec<u8>,
    since: Instant,
    /// When the app said something last, as far as is known.
    pub(super) spoke: Instant,
    /// The request before has not been answered.
    is_ahead: bool,
    /// It is to be taken over.
    wanted: bool,
    nudges: u32,
    filled: Option<Instant>,
    asked: Option<Instant>,
    /// The app has been told that the client has ended, before the clone was made.
    ended: bool,
}

/// A connection that was taken over.
pub(super) struct Standing {
    /// By which the hold is told from others.
    pub(super) at: u64,
    /// Its packets need the programs,
    _hooks: Arc<Hooks>,
    /// and its end is seen as long as somebody has the namespace.
    _target: Arc<Target>,
    /// When its clone was first seen to have gone.
    pub(super) gone: Option<Instant>,
}

/// What came of a takeover.
pub(super) enum Taking {
    Done(Standing),
    /// It is not held any more: the app has just ended it.
    Gone,
    /// The app has just said something: it is to be looked at anew.
    AppSpoke,
}

/// What to do with a held connection.
pub(super) enum Next {
    Wait,
    Release(Judgement),
    /// It cannot be taken over.
    Miss(&'static str),
    Take,
    /// Make the app's socket stand.
    Nudge,
}

impl Held {
    pub(super) fn new(at: Arc<DirectTarget>, event: &Event, bits: OptionBits) -> Self {
        let (now, conn) = (Instant::now(), event.conn);
        let owes = conn.flags & flag::ASKED != 0 || conn.app_end.wrapping_sub(conn.acked).cast_signed() > 0;
        Self {
            is_ahead: conn.requests > 0 && conn.flags & flag::PIPELINED == 0 && owes,
            at,
            conn,
            socket: event.socket,
            bits,
            frames: Vec::new(),
            bytes: Vec::new(),
            since: now,
            spoke: now,
            wanted: false,
            nudges: 0,
            filled: None,
            asked: None,
            ended: false,
        }
    }

    pub(super) fn push(&mut self, frame: Frame) {
        if self.bytes.len() > MOST_HELD {
            return; // it comes again
        }
        let end = self.conn.next.wrapping_add(self.bytes.len() as u32);
        let skip = end.wrapping_sub(frame.seq) as usize;
        self.bytes.extend_from_slice(frame.payload().get(skip..).unwrap_or_default());
        self.frames.push(frame);
    }

    /// How the app's socket stands. One that was ended may be gone by now, and how it stood before is what a clone needs.
    pub(super) fn see(&mut self, socket: Socket) {
        if socket.found == 1 || !self.ended {
            self.socket = socket;
        }
    }

    pub(super) fn next(&mut self, direct: &Direct, key: &DialKey) -> Next {
        // Of one that was open before one head was seen, and that may have been none: nothing waits for long then.
        let is_tentative = self.conn.flags & flag::JOINED != 0 && self.conn.requests == 1;
        let mut is_late = self.since.elapsed() > if is_tentative { AHEAD } else { PATIENCE };
        let mut unkeyed = None;
        if !self.wanted {
            let routes = self.at.target.routes.load();
            match judge(&self.bytes, self.conn.requests == 0, routes.at(key.local_port as u16)) {
                Judgement::Wait if self.since.elapsed() < TORN => return Next::Wait,
                // Nothing that is held is acknowledged, so a client that sends in small pieces cannot go on.
                Judgement::Wait => self.wanted = true,
                Judgement::Take => self.wanted = true,
                Judgement::Http2 => {
                    self.at.target.learn_http2(key.local_port as u16);
                    // Where the server has spoken first, as it may, the client must not have its word already.
                    if self.socket.found != 1 || !self.client_has_all() {
                        return Next::Release(Judgement::Http2);
                    }
                    self.wanted = true;
                }
                Judgement::App(seen) if self.is_ahead => {
                    is_late = self.since.elapsed() > AHEAD;
                    unkeyed = Some(seen);
                }
                other => return Next::Release(other),
            }
        }
        let give_up = |why| match unkeyed {
            Some(seen) => Next::Release(Judgement::App(seen)),
            None => Next::Miss(why),
        };
        let app = &self.socket;
        let stands = app.found == 1
            && (app.state == ESTABLISHED || (self.ended && [CLOSE_WAIT, LAST_ACK].contains(&app.state)));
        if !stands {
            // The next nudge would end whatever it reaches.
            let is_elsewhere = || self.nudges == NUDGES && direct.is_filtered(&self.at.target.netns);
            return if is_late || is_elsewhere() { give_up("NoSocket") } else { Next::Nudge };
        }
        // All that lies before the head must be the app's: an answer may come before the request is complete.
        if app.rcv_nxt != self.conn.next.wrapping_add(self.ended.into()) {
            if is_late {
                return give_up("Incomplete");
            }
            self.fill_up();
            return Next::Wait;
        }
        let answer = match direct.tables.answer(key) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "cannot read how an answer begins");
                None
            }
        };
        match owed(&self.conn, answer.as_ref()) {
            Owes::Nothing if self.ended || self.client_has_all() => Next::Take,
            Owes::Unknown if is_tentative => give_up("OpenBefore"),
            Owes::Unknown if is_quiet(app) && self.spoke.elapsed() > SILENCE => Next::Take,
            // An app that does not wait for requests.
            Owes::Untold if self.conn.requests == 0 => Next::Miss("ServerSpokeFirst"),
            Owes::Untold if is_late => give_up("Pipelined"),
            _ if is_late => give_up("Unanswered"),
            _ => Next::Wait,
        }
    }

    /// Whether nothing of the app is on its way: what a hushed one says is not.
    fn client_has_all(&self) -> bool {
        self.socket.snd_nxt == self.conn.app_end || self.conn.is_hushed()
    }

    /// Whether it waits for the app, and is to look how that stands.
    pub(super) fn asks(&self) -> bool {
        (self.wanted || self.is_ahead) && self.may_ask()
    }

    fn may_ask(&self) -> bool {
        self.asked.is_none_or(|at| at.elapsed() >= AGAIN)
    }

    pub(super) fn ask(&mut self) {
        self.asked = Some(Instant::now());
        if let Some(first) = self.frames.first() {
            self.send(first, &first.acknowledgement(), MARK_ASK);
        }
    }

    /// The packet that is held would have completed the handshake. An acknowledgement may; where the app waits for data
    /// (`TCP_DEFER_ACCEPT`) only the client's end does.
    pub(super) fn nudge(&mut self, direct: &Direct, key: &DialKey) {
        let Some(first) = self.frames.first() else { return };
        if !self.may_ask() {
            return; // many packets may have come at once, and what came of the last one is not known yet
        }
        self.nudges += 1;
        if self.nudges <= NUDGES {
            self.send(first, &first.acknowledgement(), MARK_APP);
            self.ask();
        } else if !self.ended
            && self.conn.requests == 0
            && direct.order(Order { what: Order::END_FIRST, at: self.conn.at, ..order(key) })
        {
            self.send(first, &first.end(self.conn.next, first.said.ack), MARK_APP);
            self.ended = true;
        }
    }

    /// The app goes on.
    pub(super) fn release(&self, direct: &Direct, key: &DialKey, judgement: Judgement) {
        let target = &self.at.target;
        let released = match judgement {
            Judgement::App(seen) => {
                target.count(Counter::AppRequests);
                if seen.has_unknown_key {
                    target.count(Counter::UnknownKey);
                }
                self.count(seen.narrowed, route_counter::NARROWED);
                let mut flags = flag::ASKED;
                if seen.is_head {
                    flags |= flag::HEAD;
                }
                if self.is_ahead {
                    flags |= flag::PIPELINED;
                }
                direct.order(Order {
                    what: Order::RELEASE,
                    at: self.conn.at,
                    state: state::DIRECT,
                    next: self.conn.next.wrapping_add(seen.bytes as u32),
                    answer: self.frames.last().map_or(self.conn.acked, |it| it.said.ack),
                    requests: 1,
                    flags,
                    ..order(key)
                })
            }
            Judgement::Opaque(doubt) => {
                target.count(Counter::Opaque(doubt));
                let_go(direct, key, &self.conn, 0)
            }
            Judgement::Http2 => {
                target.count(Counter::Opaque(Doubt::Http2));
                let_go(direct, key, &self.conn, flag::UNREAD)
            }
            Judgement::Wait | Judgement::Take => let_go(direct, key, &self.conn, flag::UNREAD),
        };
        // Where it was not done the connection is the app's already, or gone.
        tracing::trace!(released, reason = self.conn.reason, "released");
        self.give_back(MARK_APP);
    }

    /// A request with a key goes to the app: said, and counted for its preview.
    pub(super) fn miss(&self, direct: &Direct, key: &DialKey, why: &'static str) {
        let target = &self.at.target;
        tracing::info!(target = target.name, client = %unmapped(key.remote), reason = why, "a direct connection is left to the app");
        let_go(direct, key, &self.conn, flag::UNREAD);
        target.count(Counter::DirectMissed);
        let routes = target.routes.load();
        self.count(previews_of(&self.bytes, routes.at(key.local_port as u16)), route_counter::MISSED);
        self.give_back(MARK_APP);
    }

    fn count(&self, routes: impl IntoIterator<Item = u32>, what: usize) {
        for route in routes {
            self.at.target.tables.route_counters(route)[what].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn take_over(&self, direct: &Direct, key: &DialKey) -> io::Result<Taking> {
        let first = self.frames.first().ok_or(io::ErrorKind::UnexpectedEof)?;
        let (boundary, sent) = (self.conn.next, self.conn.app_end);
        let target = &self.at.target;
        let ends = [boundary, sent];
        let (hooks, app) = (&self.at.hooks, &self.socket);
        let clone = Clone::make(&target.netns, hooks, key, first.interface, ends, app, direct)?;
        direct.reach(Step::Cloned);
        let this = Order { at: self.conn.at, port: clone.port.into(), answer: sent, ..order(key) };
        if !direct.order(Order { what: Order::TAKE, ..this }) {
            let now = direct.tables.conn(key)?;
            return match now.filter(|it| it.state == state::HELD && it.at == self.conn.at) {
                None => Ok(Taking::Gone),
                Some(it) if it.app_end != sent => Ok(Taking::AppSpoke),
                Some(_) => Err(io::Error::other("there is no place for it, see --max-direct")),
            };
        }
        direct.reach(Step::Taken);
        if !direct.order(Order { what: Order::COMMIT, ..this }) {
            // Stopped for so long, or it has just ended.
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the app had it again in the middle of it"));
        }
        if !self.ended {
            self.send(first, &first.end(boundary, sent), MARK_APP);
        }
        direct.reach(Step::Ended);
        let client = clone.go_on()?;
        direct.order(Order { what: Order::READY, ..this });
        direct.reach(Step::Ready);
        self.give_back(MARK_CLONE);
        direct.reach(Step::Given);
        target.count(Counter::DirectTaken);
        let at = |addr, port: u32| with_scope(SocketAddr::new(unmapped(addr), port as u16), first.interface);
        let (peer, local) = (at(key.remote, key.remote_port), at(key.local, key.local_port));
        self.at.hand_over(Taken { client, peer, local });
        Ok(Taking::Done(Standing {
            at: self.conn.at,
            _hooks: self.at.hooks.clone(),
            _target: self.at.target.clone(),
            gone: None,
        }))
    }
}

/// The connection is the app's for good.
pub(super) fn let_go(direct: &Direct, key: &DialKey, conn: &Conn, flags: u32) -> bool {
    direct.order(Order { what: Order::RELEASE, at: conn.at, state: state::OPAQUE, flags, ..order(key) })
}

pub(super) fn order(key: &DialKey) -> Order {
    Order {
        key: *key,
        what: 0,
        done: -1,
        at: 0,
        state: 0,
        next: 0,
        answer: 0,
        flags: 0,
        port: 0,
        requests: 0,
        owner: 0,
        slot: 0,
        pad: 0,
    }
}
