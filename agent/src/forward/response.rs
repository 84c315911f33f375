//! The way from a server back to the client: follow the answers, so that it is known where each ends.
//!
//! What comes from the app goes on at once and unchanged. An answer of a preview gets one header, and one of a
//! draining agent says that it is the last: such heads are held until they are complete.

use std::{
    io,
    mem::take,
    task::{Context, Poll},
};

use byway_http::{
    AnswerStart, Body, BodyScan, Doubt, ServerPreface, answer_start, h2c, parse_response, server_preface,
};

use super::{
    connection::Place,
    ending::{self, Ended},
    exchange::{Down, Exchange, Stop, Up},
    outbox::{Outbox, Scratch},
    splice,
};

const CLOSE: &[u8] = b"connection: close\r\n";

/// Header lines to be put into an answer.
pub(super) struct Insert {
    /// Behind the status line.
    pub(super) at: usize,
    /// Whose answer it is.
    pub(super) place: Place,
    /// It is the last one.
    pub(super) last: bool,
}

impl Exchange<'_> {
    /// Goes on until it would wait.
    pub(super) fn poll_down(&mut self, cx: &mut Context<'_>) -> io::Result<Option<Stop>> {
        loop {
            match self.to_client.poll_flush(cx, &mut self.client)? {
                Poll::Pending => return Ok(None),
                Poll::Ready(()) if self.finished => return Ok(Some(Stop::Close)),
                Poll::Ready(()) if self.home_ended == Ended::Seen => {
                    if self.home_broken {
                        return Ok(Some(Stop::Reset)); // it closed with bytes unread
                    }
                    if self.client_ended == Ended::PassedOn && !self.away.is_active() {
                        return Ok(Some(Stop::Done)); // the close that follows says it
                    }
                    ending::shutdown(&self.client);
                    self.home_ended = Ended::PassedOn;
                }
                Poll::Ready(()) => {}
            }
            if matches!(self.down, Down::Http2) {
                return Ok(None);
            }
            if !self.early.is_empty() {
                if matches!(self.up, Up::Detect | Up::Http2) && self.client_ended == Ended::No {
                    return Ok(None);
                }
                let early = take(&mut self.early);
                self.to_client.send(cx, &mut self.client, &[&early])?;
                continue;
            }
            let away = self.away.is_active();
            if self.home_ended != Ended::No && !away {
                return Ok((self.client_ended == Ended::PassedOn).then_some(Stop::Done));
            }
            let server = match self.away.server() {
                Some(server) if away => server.stream(),
                None if away => return Ok(None), // it is being dialled
                _ => self.home.stream(),
            };
            let mut scratch = Scratch::take();
            let read = match &mut self.down {
                Down::Body(scan) if scan.opaque_run() >= splice::FROM => {
                    // All but the last byte: only what is read can be seen to end.
                    match self.to_client.poll_splice(cx, server, scan.opaque_run() - 1) {
                        Poll::Ready(Ok(moved @ 1..)) => {
                            scan.skip(moved as u64);
                            continue;
                        }
                        end => end.map_ok(|_| [].as_slice()),
                    }
                }
                _ => scratch.poll_read(cx, server),
            };
            let read = match read {
                Poll::Pending => match self.away.server().unwrap_or(&mut self.home).poll_lost(cx) {
                    Poll::Pending => return Ok(None),
                    Poll::Ready(error) => Err(error),
                },
                Poll::Ready(read) => read,
            };
            match read {
                _ if self.lingers() => {
                    // It has closed, or says what nobody asked for: what is left of the body is for nobody.
                    self.last = true;
                    self.come_back(false);
                    self.finished = true;
                }
                Ok([]) if away => {
                    if let Some(stop) = self.away_ended(cx, &io::ErrorKind::UnexpectedEof.into())? {
                        return Ok(Some(stop));
                    }
                }
                Ok([]) => self.end_home(cx)?,
                Ok(bytes) if matches!(self.up, Up::Detect) && may_be_http2(bytes) => {
                    self.early = bytes.to_vec();
                }
                Ok(bytes) => {
                    if let Some(stop) = self.take_back(cx, bytes)? {
                        return Ok(Some(stop));
                    }
                }
                Err(error) if away => return self.away_ended(cx, &error),
                Err(error) => return Err(error), // passed on as a reset
            }
        }
    }

    /// Home sends no more. What the client still sends goes there as it comes.
    fn end_home(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let held = take(&mut self.partial);
        self.to_client.send(cx, &mut self.client, &[&held[self.partial_sent..]])?;
        self.home_ended = Ended::Seen;
        self.turn_raw();
        Ok(())
    }

    /// The server that was asked has closed, or reset.
    fn away_ended(&mut self, cx: &mut Context<'_>, error: &io::Error) -> io::Result<Option<Stop>> {
        let closed = error.kind() == io::ErrorKind::UnexpectedEof;
        let endless = match &self.down {
            Down::Body(scan) => scan.opaque_run() == u64::MAX,
            Down::Unframed => true,
            Down::Head | Down::Raw | Down::Http2 => false,
        };
        match &self.down {
            Down::Head if self.partial.is_empty() && self.away.try_again() => {
                self.to_server = Outbox::default(); // of the head that the closed one did not take
            }
            Down::Head => {
                let held = take(&mut self.partial);
                self.down_scan.reset();
                self.cut_off(cx, &held, error)?;
            }
            _ if closed && endless => {
                self.last = true; // only its end tells the client that the answer is complete
                self.answered(false);
            }
            _ => return Ok(Some(if closed { Stop::Close } else { Stop::Reset })),
        }
        Ok(None)
    }

    /// Sends `bytes` on to the client, and follows where in an answer they end.
    fn take_back(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<Option<Stop>> {
        if self.partial.is_empty() {
            return self.follow(cx, bytes, 0);
        }
        let mut whole = take(&mut self.partial);
        let sent = take(&mut self.partial_sent);
        whole.extend_from_slice(bytes);
        self.follow(cx, &whole, sent)
    }

    /// `sent` bytes have gone on already.
    fn follow(&mut self, cx: &mut Context<'_>, bytes: &[u8], mut sent: usize) -> io::Result<Option<Stop>> {
        let mut at = 0;
        let mut insert = None;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.down {
                Down::Head => {
                    let Some(kind) = self.waiting.front().map(|asked| asked.kind) else {
                        self.unexpected();
                        continue;
                    };
                    let away = self.away.is_active();
                    let head = match self.down_scan.end(rest) {
                        // It may be silent from here on.
                        Ok(None) if away && answer_start(rest) == AnswerStart::Other => {
                            Err(Doubt::ResponseHead)
                        }
                        Ok(None) => break,
                        Ok(Some(len)) => {
                            self.down_scan.reset();
                            parse_response(&rest[..len], kind).map(|head| (len, head))
                        }
                        Err(_) => Err(Doubt::ResponseHead),
                    };
                    let (len, head) = match head {
                        Ok(found) => found,
                        Err(_) if away && answer_start(rest) == AnswerStart::NeedMore => break,
                        Err(doubt) if away => {
                            self.down_scan.reset();
                            self.pass(cx, bytes, sent, at, insert)?;
                            return self.unframed(cx, rest, doubt).map(|()| None);
                        }
                        Err(doubt) => {
                            self.turn_opaque(doubt);
                            continue;
                        }
                    };
                    let line = at + head.status_line;
                    // A head of which some has gone on already, before the drain began, stays as it is.
                    if !head.interim && self.holds() && sent <= line {
                        if let Some(before) = insert.take() {
                            self.pass(cx, bytes, sent, at, Some(before))?;
                            sent = at;
                        }
                        // Of pipelined requests the last answer is the one to say so: all are served. One that comes
                        // before its request has ended does not: the rest would be lost.
                        let draining =
                            self.connection.admission.draining() && !matches!(self.up, Up::Body(_));
                        let drained = draining && self.waiting.len() == 1 && head.body != Body::Tunnel;
                        let last = drained || self.may_lack_its_body();
                        insert = Some(Insert { at: line, place: self.answering(), last });
                        self.last |= last;
                    }
                    at += len;
                    if head.interim {
                        if head.status == 100 {
                            self.away.body_comes();
                        }
                        continue;
                    }
                    if head.body == Body::Tunnel {
                        if self.takes_h2c(&bytes[at - len..at]) {
                            self.down = Down::Http2;
                            self.early = bytes[at..].to_vec();
                            return self.pass(cx, bytes, sent, at, insert).map(|()| None);
                        }
                        self.turn_raw();
                        continue;
                    }
                    let scan = BodyScan::of_answer(head.body);
                    let done = scan.done();
                    self.down = Down::Body(scan);
                    if self.away.is_active() {
                        self.last |= !head.keep_alive;
                    }
                    if done && self.answered(at == bytes.len()) {
                        return self.pass(cx, bytes, sent, at, insert).map(|()| None);
                    }
                }
                Down::Body(scan) => match scan.advance(rest) {
                    Ok(used) => {
                        at += used;
                        if scan.done() && self.answered(at == bytes.len()) {
                            return self.pass(cx, bytes, sent, at, insert).map(|()| None);
                        }
                    }
                    Err(_) if self.away.is_active() => {
                        self.last = true;
                        if let Some(head) = &mut insert {
                            head.last = true;
                        }
                        self.down = Down::Unframed;
                    }
                    Err(_) => self.turn_opaque(Doubt::ResponseFraming),
                },
                Down::Unframed | Down::Raw | Down::Http2 => at = bytes.len(),
            }
        }
        // Of a head that is held nothing goes on before all of it does.
        let until = if matches!(self.down, Down::Head) && self.holds() { at.max(sent) } else { bytes.len() };
        self.pass(cx, bytes, sent, until, insert)?;
        if matches!(self.down, Down::Head) && at < bytes.len() {
            self.partial = bytes[at..].to_vec();
            self.partial_sent = until - at;
        }
        Ok(None)
    }

    /// Sends `bytes[from..to]` on, with what is to be put in, in one call.
    pub(super) fn pass(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        from: usize,
        to: usize,
        insert: Option<Insert>,
    ) -> io::Result<()> {
        let Some(Insert { at, place, last }) = insert else {
            return self.to_client.send(cx, &mut self.client, &[&bytes[from..to]]);
        };
        let header: &[u8] = match &place {
            Place::Preview(leg) => &leg.preview.header_line,
            Place::App => &[],
        };
        let close: &[u8] = if last { CLOSE } else { &[] };
        self.to_client.send(cx, &mut self.client, &[&bytes[from..at], header, close, &bytes[at..to]])
    }

    /// Whether heads are held until they are complete.
    fn holds(&self) -> bool {
        self.away.is_active()
            || matches!(self.place, Place::Preview(_))
            || self.waiting.front().is_some_and(|asked| asked.own.is_some())
            || self.connection.admission.draining()
    }

    /// A final answer, and the client may still send the body that it has announced, or another request.
    fn may_lack_its_body(&mut self) -> bool {
        let sent = matches!(self.up, Up::Wait);
        self.away.errand().is_some_and(|errand| errand.expects_continue && !sent)
    }

    /// Whose answer the next one is.
    pub(super) fn answering(&self) -> Place {
        match self.waiting.front().and_then(|asked| asked.own.clone()) {
            Some(own) => Place::Preview(own),
            None => self.active_place().clone(),
        }
    }

    /// Home goes on in HTTP/2, with this answer.
    fn takes_h2c(&self, answer: &[u8]) -> bool {
        let is_offered = self.waiting.front().is_some_and(|asked| asked.h2c.is_some());
        is_offered && self.client_ended == Ended::No && h2c::is_taken(answer)
    }

    /// Home sent something that nobody asked for.
    fn unexpected(&mut self) {
        let never_asked = matches!(self.up, Up::Detect);
        self.turn_opaque(if never_asked { Doubt::ServerSpokeFirst } else { Doubt::UnexpectedResponse });
    }

    /// The answer under way is complete; `clean` when nothing came behind it. Whether that is all from this server.
    pub(super) fn answered(&mut self, clean: bool) -> bool {
        self.waiting.pop_front();
        self.down = Down::Head;
        let away = self.away.is_active();
        if away {
            let (keeps, certain) =
                self.away.errand().map_or((false, false), |e| (e.keep_alive, !e.expects_continue));
            self.last |= !keeps;
            // What it has not taken of the body is for nobody else.
            if !matches!(self.up, Up::Wait) || !self.to_server.is_empty() {
                if clean && certain && !self.last {
                    return true; // it lingers
                }
                self.last = true;
            }
            self.come_back(clean);
        }
        self.finished = self.last;
        away || self.finished
    }
}

/// Whether these can be the first bytes of a server that speaks HTTP/2. Some send them before the client's.
pub(super) fn may_be_http2(bytes: &[u8]) -> bool {
    server_preface(bytes) != ServerPreface::Other
}
