//! The engine of one connection: the requests of a client, and the answers of whoever is asked.
//!
//! `home` is where the connection belongs: the app, or by origin a preview. What goes there goes on as it came,
//! pipelined or not. A request for another place is `away`: it waits until home has answered everything before it,
//! goes out alone, and its answer comes back before anything else goes on. So at any time one server is active.
//!
//! [`super::request`] is the way from the client to the server, [`super::response`] the way back.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use byway_http::{BodyScan, Doubt, HeadScan, RequestKind};
use tokio::time::{Sleep, sleep};

use super::{
    away::Away,
    connection::{Connection, FirstStream, Http2Start, Place, Server},
    count::Said,
    ending::{self, Ended, LateReset},
    lost::Lost,
    outbox::Outbox,
    refuse::Refused,
    tunnel,
};
use crate::{snapshot::Leg, stream::Stream};

/// A head that takes longer goes to the app as it is.
pub(super) const SLOW_HEAD: Duration = Duration::from_secs(5);

/// The way from the client to the server.
pub(super) enum Up {
    /// Nothing is known of the protocol yet.
    Detect,
    /// At the first byte of a head.
    Head,
    Body(BodyScan),
    /// In the body of a request that nobody gets.
    Refused(Refused),
    /// What follows must wait for the answers under way.
    Wait,
    /// Raw bytes.
    Raw,
    /// The client has begun to speak HTTP/2: nothing has gone on yet.
    Http2,
}

/// The way back.
pub(super) enum Down {
    Head,
    Body(BodyScan),
    /// In an answer of who is away that only the end of its server ends.
    Unframed,
    Raw,
    /// Home has taken an offer of h2c: what it sends now waits for the switch.
    Http2,
}

/// Why the engine stopped.
pub(super) enum Stop {
    /// Raw bytes from here on, between the client and the active server.
    Tunnel,
    /// The client speaks HTTP/2.
    Http2,
    /// Both ways have ended.
    Done,
    /// The client has been told that this was the last answer.
    Close,
    /// The active server or the client ended with a reset, or nothing sensible can follow.
    Reset,
}

/// A request that the active server has not answered yet.
pub(super) struct Asked {
    pub(super) kind: RequestKind,
    /// Whose answer it will be, where the pod is its own preview.
    pub(super) own: Option<Arc<Leg>>,
    /// Home may take the offer to go on in HTTP/2: what the client said of itself with it.
    pub(super) h2c: Option<Vec<u8>>,
}

pub(super) struct Exchange<'a> {
    pub(super) connection: &'a Connection,
    pub(super) client: Stream,
    pub(super) place: Place,
    pub(super) home: Server,
    pub(super) away: Away<'a>,
    pub(super) up: Up,
    pub(super) down: Down,
    /// Bytes of the client that are not decided yet.
    pub(super) inbox: Vec<u8>,
    pub(super) up_scan: HeadScan,
    /// A response head that is not complete yet, and how much of it has gone on to the client.
    pub(super) partial: Vec<u8>,
    pub(super) partial_sent: usize,
    /// What home said before the client did, if it may be the beginning of HTTP/2; or a head that was held until the
    /// connection turned raw. It goes on before anything else.
    pub(super) early: Vec<u8>,
    pub(super) down_scan: HeadScan,
    /// Requests that the active server has not answered yet, in order.
    pub(super) waiting: VecDeque<Asked>,
    pub(super) to_server: Outbox,
    pub(super) to_client: Outbox,
    pub(super) client_ended: Ended,
    pub(super) home_ended: Ended,
    /// Home takes nothing more; what it has sent before is still passed on.
    pub(super) home_broken: bool,
    /// Nothing may follow the response under way.
    pub(super) last: bool,
    /// Home has been asked to close: what follows is no request (RFC 9112, 9.6), and goes home as it comes.
    pub(super) closes: bool,
    /// The last response is complete.
    pub(super) finished: bool,
    pub(super) slow_head: Option<Pin<Box<Sleep>>>,
    /// What goes on as raw bytes is looked at for what previews lose by that.
    lost: Option<Box<Lost>>,
    said: Said,
    client_reset: LateReset,
    home_reset: LateReset,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(connection: &'a Connection, client: Stream, place: Place, home: Server) -> Self {
        Self {
            connection,
            client,
            place,
            home,
            away: Away::new(connection),
            up: Up::Detect,
            down: Down::Head,
            inbox: Vec::new(),
            up_scan: HeadScan::default(),
            partial: Vec::new(),
            partial_sent: 0,
            early: Vec::new(),
            down_scan: HeadScan::of_answers(),
            waiting: VecDeque::new(),
            to_server: Outbox::default(),
            to_client: Outbox::default(),
            client_ended: Ended::No,
            home_ended: Ended::No,
            home_broken: false,
            last: false,
            closes: false,
            finished: false,
            slow_head: None,
            lost: None,
            said: Said::default(),
            client_reset: LateReset::default(),
            home_reset: LateReset::default(),
        }
    }

    /// Runs to the end of the connection, unless it turns out to speak HTTP/2.
    pub(super) async fn run(mut self) -> Option<Http2Start> {
        let stop = poll_fn(|cx| self.poll(cx)).await;
        match stop {
            Ok(Stop::Done) => {}
            Ok(Stop::Http2) => {
                let Self { client, place, home, inbox, early, mut waiting, .. } = self;
                let asked = waiting.pop_front();
                let first =
                    asked.and_then(|Asked { own, h2c, .. }| Some(FirstStream { settings: h2c?, own }));
                return Some(Http2Start { client, place, home, heard: inbox, said: early, first });
            }
            Ok(Stop::Close) => ending::close(&mut self.client).await,
            Ok(Stop::Tunnel) => {
                let (connection, leg) = (self.connection, self.in_use().cloned());
                let Self { client, home, mut away, place, mut lost, .. } = self;
                let Self { to_server, to_client, client_ended, home_ended, .. } = self;
                // The other connections have no part in what follows.
                let mut server = away.take_active().unwrap_or(home);
                let up = tunnel::Way::new(to_server, client_ended);
                let down = tunnel::Way::new(to_client, home_ended);
                let said = Said::default();
                let used = move || connection.still_used(leg.as_ref(), &said);
                let heard = move |bytes: &[u8]| {
                    if let Some(lost) = &mut lost {
                        lost.look(connection, &place, bytes);
                    }
                };
                tunnel::run(client, &mut server, up, down, used, heard).await;
            }
            Ok(Stop::Reset) | Err(_) => {
                self.home.stream().reset();
                self.away.reset();
                ending::reset_after_flush(&mut self.client).await;
            }
        }
        None
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Stop>> {
        self.connection.still_used(self.in_use(), &self.said);
        loop {
            // Each way returns when it would wait for I/O, so both are asked again whenever one has changed what
            // the other waits for.
            let before = self.position();
            if let Some(stop) = self.poll_up(cx)? {
                return Poll::Ready(Ok(stop));
            }
            if let Some(stop) = self.poll_down(cx)? {
                return Poll::Ready(Ok(stop));
            }
            if matches!(self.down, Down::Http2) {
                if self.home_broken || self.client_ended != Ended::No {
                    self.turn_raw();
                } else if self.goes_on_in_http2() && self.to_server.is_empty() && self.to_client.is_empty() {
                    return Poll::Ready(Ok(Stop::Http2));
                }
            }
            let whole = self.client_ended == Ended::No && self.home_ended == Ended::No;
            if matches!((&self.up, &self.down), (Up::Raw, Down::Raw)) && self.inbox.is_empty() && whole {
                return Poll::Ready(Ok(Stop::Tunnel));
            }
            if self.position() == before {
                return match self.poll_late_resets(cx) {
                    Poll::Ready(()) => Poll::Ready(Ok(Stop::Reset)),
                    Poll::Pending => self.poll_slow_head(cx),
                };
            }
        }
    }

    /// A side that has half-closed may reset later, or turn out to have closed when something is sent to it.
    fn poll_late_resets(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Nor is it read while somebody is dialled, who may sleep.
        let unread = self.client_ended != Ended::No || self.away.is_dialling();
        if unread && self.client_reset.poll(cx, &self.client).is_ready() {
            return Poll::Ready(());
        }
        if self.home_ended == Ended::No || self.away.is_active() {
            return Poll::Pending;
        }
        let reset = self.home_reset.poll(cx, self.home.stream()).is_ready();
        if reset || self.home_broken { Poll::Ready(()) } else { Poll::Pending }
    }

    /// What one way waits for from the other.
    fn position(&self) -> (u8, usize, bool, bool, bool) {
        let up = match self.up {
            Up::Detect => 0,
            Up::Head => 1,
            Up::Body(_) => 2,
            Up::Wait => 3,
            Up::Raw => 4,
            Up::Refused(_) => 5,
            Up::Http2 => 6,
        };
        (up, self.waiting.len(), self.away.is_active(), self.away.is_dialling(), self.finished)
    }

    fn poll_slow_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Stop>> {
        let waits = !self.inbox.is_empty() || !self.early.is_empty();
        let collecting = matches!(self.up, Up::Detect | Up::Head) && waits;
        if !collecting {
            self.slow_head = None;
            return Poll::Pending;
        }
        let timer = self.slow_head.get_or_insert_with(|| Box::pin(sleep(SLOW_HEAD)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.slow_head = None;
        self.turn_opaque(if self.early.is_empty() { Doubt::SlowHead } else { Doubt::ServerSpokeFirst });
        self.poll(cx)
    }

    /// From here on raw bytes, both ways, between the client and home.
    pub(super) fn turn_opaque(&mut self, doubt: Doubt) {
        self.connection.count_opaque(&self.place, doubt);
        self.lost = Lost::new(doubt);
        self.turn_raw();
    }

    /// Bytes of the client that go home as they came.
    pub(super) fn look_for_lost(&mut self, bytes: &[u8]) {
        if let Some(lost) = &mut self.lost {
            lost.look(self.connection, &self.place, bytes);
        }
    }

    /// As [`turn_opaque`](Self::turn_opaque), on purpose: a tunnel.
    pub(super) fn turn_raw(&mut self) {
        // What was held of an answer's head goes on first.
        let held = std::mem::take(&mut self.partial);
        self.early.extend_from_slice(held.get(self.partial_sent..).unwrap_or_default());
        self.partial_sent = 0;
        self.up = Up::Raw;
        self.down = Down::Raw;
    }

    /// The client has sent the request whose offer of h2c home has taken.
    pub(super) const fn goes_on_in_http2(&self) -> bool {
        matches!((&self.up, &self.down), (Up::Wait, Down::Http2))
    }

    /// A server that is not home has answered, and the rest of the body is still on its way to it.
    pub(super) fn lingers(&self) -> bool {
        self.away.is_active() && self.waiting.is_empty()
    }

    /// The server that was asked has answered, and has all that was meant for it. It may be asked again if `keep`.
    pub(super) fn come_back(&mut self, keep: bool) {
        self.away.come_back(keep && !self.last && self.client_ended == Ended::No);
        if self.client_ended == Ended::PassedOn {
            ending::shutdown(self.home.stream());
        }
    }

    /// Who is asked now.
    pub(super) fn active_place(&self) -> &Place {
        self.away.place().unwrap_or(&self.place)
    }

    /// The preview that is asked, or has a tunnel.
    fn in_use(&self) -> Option<&Arc<Leg>> {
        match self.active_place() {
            Place::Preview(leg) => {
                let is_asked = self.away.is_active() || !self.waiting.is_empty();
                (is_asked || matches!(self.down, Down::Raw)).then_some(leg)
            }
            Place::App => self.waiting.front()?.own.as_ref(),
        }
    }

    /// The connection to who is asked now; none while it is dialled.
    pub(super) fn active_server(&mut self) -> Option<&mut Stream> {
        if self.away.is_active() { self.away.server().map(Server::stream) } else { Some(self.home.stream()) }
    }
}
