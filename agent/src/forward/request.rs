//! The way from the client to a server: find the head, decide, send on.

use std::{
    io,
    mem::take,
    task::{Context, Poll},
};

use byway_http::{
    BodyScan, Decision, Detected, Doubt, RequestKind, detect, h2c, header_space, parse_request,
};

use super::{
    connection::Place,
    ending::{self, Ended},
    exchange::{Asked, Exchange, Stop, Up},
    outbox::{Outbox, SCRATCH, Scratch},
    refuse::Refused,
    splice,
    unreachable::Failure,
};

/// What becomes of a request head.
enum Next {
    /// It goes home with the bytes around it.
    Home,
    /// It has set out to another place.
    Away,
    /// Nobody gets it.
    Refused,
    /// Others must be answered first.
    Later,
}

impl Exchange<'_> {
    /// Goes on until it would wait.
    pub(super) fn poll_up(&mut self, cx: &mut Context<'_>) -> io::Result<Option<Stop>> {
        loop {
            if matches!(self.up, Up::Http2) {
                return Ok(Some(Stop::Http2));
            }
            if self.finished || self.home_broken || !self.flush_up(cx)? {
                return Ok(None);
            }
            if self.goes_on_in_http2() {
                return Ok(None); // what follows is for the switch
            }
            if self.last && matches!(self.up, Up::Detect | Up::Head) {
                return Ok(None); // the client has been told that there will be no more answers
            }
            if matches!(self.up, Up::Wait) && self.waiting.is_empty() && !self.last {
                if self.lingers() {
                    self.come_back(true); // now it has the whole body
                }
                self.up = Up::Head;
            }
            if !self.inbox.is_empty() && self.takes_more() {
                let mut bytes = take(&mut self.inbox);
                let used = self.take_in(cx, &bytes)?;
                bytes.drain(..used);
                if !bytes.is_empty() {
                    self.inbox = bytes;
                }
                if used > 0 {
                    continue;
                }
            }
            if self.client_ended != Ended::No {
                if self.pass_end_on() {
                    continue;
                }
                return Ok(None);
            }
            if self.inbox.len() >= SCRATCH {
                return Ok(None); // the client sends ahead of its answers
            }
            if let Up::Body(scan) = &mut self.up
                && scan.opaque_run() >= splice::FROM
            {
                // All but the last byte: only what is read can be seen to end.
                match self.to_server.poll_splice(cx, &self.client, scan.opaque_run() - 1)? {
                    Poll::Pending => return Ok(None),
                    Poll::Ready(0) => self.client_ended = Ended::Seen,
                    Poll::Ready(moved) => {
                        scan.skip(moved as u64);
                        self.away.body_comes();
                    }
                }
                continue;
            }
            let mut scratch = Scratch::take();
            match scratch.poll_read(cx, &mut self.client) {
                Poll::Pending => return Ok(None),
                Poll::Ready(Ok([])) => self.client_ended = Ended::Seen,
                Poll::Ready(Ok(_)) if self.asks_behind_unframed() => return Ok(Some(Stop::Reset)),
                Poll::Ready(Ok(bytes)) if self.inbox.is_empty() && self.takes_more() => {
                    let used = self.take_in(cx, bytes)?;
                    self.inbox.extend_from_slice(&bytes[used..]);
                }
                Poll::Ready(Ok(bytes)) => self.inbox.extend_from_slice(bytes),
                Poll::Ready(Err(error)) => {
                    self.let_go(cx);
                    return Err(error);
                }
            }
        }
    }

    /// Whether bytes of the client can be dealt with now: decided, sent on, or found to be in doubt.
    fn takes_more(&self) -> bool {
        !matches!(self.up, Up::Wait | Up::Http2) || self.awaits_tunnel()
    }

    /// Home has been asked for a tunnel, and has not answered.
    fn awaits_tunnel(&self) -> bool {
        !self.away.is_active() && self.asked_for_tunnel()
    }

    fn asked_for_tunnel(&self) -> bool {
        self.waiting
            .back()
            .is_some_and(|a| matches!(a.kind, RequestKind::Upgrade { .. } | RequestKind::Connect))
    }

    /// The client has reset. What was held of a head is the app's, as it would be without us.
    fn let_go(&mut self, cx: &mut Context<'_>) {
        if matches!(self.up, Up::Detect | Up::Head) && !self.away.is_active() {
            let held = take(&mut self.inbox);
            // An app that takes nothing more needs no more either.
            let _ = self.to_server.send(cx, self.home.stream(), &[&held]);
        }
    }

    /// Whether the active server has everything that was meant for it.
    fn flush_up(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.away.is_active() {
            match self.away.poll_dial(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => self.unreachable(cx, &Failure::of_dial(&error))?,
                Poll::Ready(Ok(())) => self.send_errand(cx),
            }
        }
        let away = self.away.is_active();
        let server = match self.away.server() {
            Some(server) if away => server.stream(),
            _ => self.home.stream(),
        };
        match self.to_server.poll_flush(cx, server) {
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(_)) => {
                self.cannot_send();
                Ok(false)
            }
            Poll::Pending => Ok(false),
        }
    }

    fn send_errand(&mut self, cx: &mut Context<'_>) {
        let Some(errand) = self.away.errand().filter(|e| !e.sent) else { return };
        errand.sent = true;
        let head = take(&mut errand.head);
        if let Some(server) = self.away.server() {
            // A connection that has been closed meanwhile is seen on the way back.
            let _ = self.to_server.send(cx, server.stream(), &[&head]);
        }
        if let Some(errand) = self.away.errand() {
            errand.head = head;
        }
    }

    /// Sends on what can be, and says how many of `bytes` have been dealt with.
    fn take_in(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let awaits_tunnel = self.awaits_tunnel();
            match &mut self.up {
                Up::Detect => match detect(rest) {
                    Detected::NeedMore => break,
                    Detected::Http1 if !self.early.is_empty() => self.turn_opaque(Doubt::ServerSpokeFirst),
                    Detected::Http1 => self.up = Up::Head,
                    // Also where no preview is for the port: the first one gets the next keyed stream.
                    Detected::Http2 => self.up = Up::Http2,
                    Detected::Opaque(doubt) => self.turn_opaque(doubt),
                },
                Up::Head if self.closes => self.up = Up::Raw,
                Up::Head => match self.up_scan.end(rest) {
                    Ok(None) => break,
                    Ok(Some(len)) => {
                        self.up_scan.reset();
                        self.slow_head = None; // this one was not
                        match self.decide(&rest[..len], at == 0) {
                            Ok(Next::Home) => at += len,
                            Ok(Next::Away) => return Ok(len),
                            Ok(Next::Refused) => return self.refused(cx).map(|()| len),
                            Ok(Next::Later) => break,
                            Err(doubt) => self.turn_opaque(doubt),
                        }
                    }
                    Err(doubt) => self.turn_opaque(doubt),
                },
                Up::Body(scan) => match scan.advance(rest) {
                    Ok(used) => {
                        at += used;
                        self.away.body_comes();
                        if scan.done() {
                            self.body_sent();
                        }
                    }
                    // Where the next request begins is in doubt, so nothing more goes to the preview.
                    Err(doubt) if self.away.is_active() => {
                        return self.reject(cx, doubt).map(|()| bytes.len());
                    }
                    Err(doubt) => self.turn_opaque(doubt),
                },
                Up::Refused(_) => return self.skip(cx, bytes),
                Up::Raw => {
                    self.look_for_lost(rest);
                    at = bytes.len();
                }
                Up::Http2 => break,
                Up::Wait if awaits_tunnel => self.turn_opaque(Doubt::EarlyTunnelData),
                Up::Wait => break,
            }
        }
        if at > 0 {
            let away = self.away.is_active();
            let Some(server) = (if away { self.away.server() } else { Some(&mut self.home) }) else {
                return Ok(0);
            };
            if self.to_server.send(cx, server.stream(), &[&bytes[..at]]).is_err() {
                self.cannot_send();
            }
        }
        Ok(at)
    }

    /// The server takes nothing more. What it sent before that is still on its way back, and what follows that
    /// tells how the connection ended.
    fn cannot_send(&mut self) {
        self.home_broken |= !self.away.is_active();
        self.to_server = Outbox::default();
    }

    /// Decides one request. `first`: nothing that was decided before waits to be sent.
    fn decide(&mut self, bytes: &[u8], first: bool) -> Result<Next, Doubt> {
        let mut space = header_space();
        let head = parse_request(bytes, &mut space)?;
        let target = &self.connection.target;
        let routes = target.routes.load();
        let routes = routes.at(self.connection.local.port());
        let origin = routes.origins.get(&self.connection.peer.ip());
        let verdict = routes.table.decide(&head, origin);
        let leg = match verdict.decision {
            Decision::Preview(i, _) => routes.legs.get(i).cloned(),
            Decision::App(_) => None,
        };
        let refused = leg.is_none() && routes.is_own();
        let (place, own) = match leg {
            Some(leg) if !routes.is_own() => (Place::Preview(leg), None),
            own => (Place::App, own),
        };
        let away = !place.is(&self.place);
        if (away || refused) && !(first && self.waiting.is_empty()) {
            if first {
                self.up = Up::Wait;
            }
            return Ok(Next::Later);
        }
        self.connection.count(routes, &head, verdict, refused);
        if let (true, Decision::App(reason)) = (refused, verdict.decision) {
            self.up = Up::Refused(Refused::new(&head, reason, routes));
            return Ok(Next::Refused);
        }
        // Away it would be the preview's connection that goes on in HTTP/2, with the streams of all users.
        let mut h2c = h2c::offered(&head);
        let plain = h2c.take_if(|_| away).map(|_| h2c::without_offer(bytes));
        let kind = match &plain {
            Some(plain) => parse_request(plain, &mut header_space())?.kind,
            None => head.kind,
        };
        self.waiting.push_back(Asked { kind, own, h2c });
        let scan = BodyScan::new(head.body);
        let done = scan.done();
        self.up = Up::Body(scan);
        self.closes = !away && !head.keep_alive;
        if away {
            self.away.set_out(place, plain.as_deref().unwrap_or(bytes), &head);
        }
        if done {
            self.body_sent();
        }
        Ok(if away { Next::Away } else { Next::Home })
    }

    /// The request has been sent to its end.
    fn body_sent(&mut self) {
        // What follows an Upgrade or CONNECT is HTTP or not: the answer tells.
        self.up = if self.away.is_active() || self.asked_for_tunnel() { Up::Wait } else { Up::Head };
    }

    /// Passes the client's end on to who is asked now. Whether there is more to do at once.
    fn pass_end_on(&mut self) -> bool {
        match self.up {
            Up::Wait if !self.inbox.is_empty() => return false,
            _ if !self.inbox.is_empty() => {
                self.turn_raw(); // half a head: the app sees it as it came
                return true;
            }
            _ => {}
        }
        let both_ended = self.home_ended == Ended::PassedOn && !self.away.is_active();
        if self.client_ended == Ended::Seen
            && let Some(server) = self.active_server()
        {
            // When home has ended too, the close that follows says it.
            if !both_ended {
                ending::shutdown(server);
            }
            self.client_ended = Ended::PassedOn;
        }
        false
    }
}
