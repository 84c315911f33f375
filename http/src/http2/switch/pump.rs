//! The way from the client to lines, of streams that are away: each line is told what it has room for, and the client
//! is given back the room that this takes of home's windows.

use super::{Answer, BUDGET, GrpcStatus, MOST_OUT, MOST_TOLD, Stream, Switch, away::Away, flow, line::Line};
use crate::http2::{
    fields::Fields,
    frame::{self, Head, code, flag, kind},
    hpack,
};

impl Switch {
    pub(super) fn wait_for_line(&mut self, id: u32, stream: u32) {
        let Some(at) = self.line_at(id) else { return };
        self.lines[at].waiting.push_back(stream);
        self.lines[at].streams += 1;
        // As much as a line is sure to take: home may let the client send less at first.
        let less = (flow::USUAL as u32).saturating_sub(self.home_window);
        if let Some(away) = self.away_mut(stream) {
            away.up.owed = less;
        }
        self.pump(at);
    }

    /// Something of the body; `is_last` of its frame.
    pub(super) fn body_away(&mut self, stream: u32, bytes: &[u8], is_last: bool) {
        let len = bytes.len();
        match self.streams.get_mut(&stream) {
            Some(Stream::Away(away)) if away.line.is_some() => {
                let line = self.lines.iter().find(|line| Some(line.id) == away.line);
                let speaks = line.is_some_and(|line| line.speaks);
                let is_full = line.is_some_and(Line::is_full);
                if speaks && self.up < BUDGET {
                    self.owed += len as u32;
                } else {
                    away.up.unpaid += len;
                }
                self.up += len;
                away.up.body.extend(bytes);
                let waits = !away.has_begun();
                // A frame that comes in drops goes on as one, which servers want.
                if is_last || away.up.body.len() >= frame::MOST {
                    self.has_something(stream);
                }
                if waits && speaks && is_full && self.up > BUDGET {
                    // It waits for others to end, and they could wait for room that it takes up.
                    self.breaks_off(stream, code::REFUSED_STREAM);
                }
            }
            // It came back while its frame was on the way.
            Some(Stream::Home(_)) => frame::write(&mut self.to_home.bytes, kind::DATA, 0, stream, bytes),
            _ => self.owed += len as u32,
        }
    }

    pub(super) fn pays_for_padding(&mut self, stream: u32, len: usize) {
        self.owed += len as u32;
        if let Some(away) = self.away_mut(stream) {
            away.up.owed += len as u32;
        }
    }

    /// The client has said everything.
    pub(super) fn ends_away(&mut self, stream: u32, trailers: Option<&Fields>) {
        match self.streams.get_mut(&stream) {
            Some(Stream::Away(away)) => {
                away.up.ended = true;
                away.up.trailers = trailers.map(|fields| {
                    let mut block = Vec::new();
                    hpack::encode(fields, &mut block);
                    block
                });
                if away.line.is_none() && away.down.told {
                    self.drop_away(stream);
                } else {
                    self.has_something(stream);
                }
            }
            Some(Stream::Home(_)) => {
                frame::write(&mut self.to_home.bytes, kind::DATA, flag::END_STREAM, stream, &[]);
                self.ends_at_home(stream, true);
            }
            Some(Stream::Gone) => drop(self.streams.remove(&stream)),
            None => {}
        }
    }

    /// The client has made room on a stream. Whether that is no business of home.
    pub(super) fn takes_away(&mut self, stream: u32, room: u32) -> bool {
        let away = match self.streams.get_mut(&stream) {
            Some(Stream::Away(away)) => away,
            Some(Stream::Home(_)) => return false,
            Some(Stream::Gone) => return true,
            None => return self.was_away(stream),
        };
        away.down.room += i64::from(room);
        let (line, begun) = (away.line, away.has_begun());
        let line = self.lines.iter_mut().find(|it| Some(it.id) == line);
        match line.filter(|_| begun) {
            Some(line) if line.out.len() < MOST_TOLD => {
                frame::window_update(&mut line.out.bytes, stream, room);
            }
            late => {
                if let Some(line) = late.filter(|_| away.up.updates == 0) {
                    line.untold.push_back(stream);
                }
                away.up.updates = away.up.updates.saturating_add(room).min(flow::MOST);
            }
        }
        self.wake_down(stream);
        true
    }

    /// Tells the line what it did not take before.
    fn tell_late(&mut self, at: usize) {
        let line = &mut self.lines[at];
        if line.owes_settings && line.out.len() < MOST_OUT {
            line.owes_settings = false;
            frame::write(&mut line.out.bytes, kind::SETTINGS, 0, 0, &self.settings.for_line());
        }
        while line.out.len() < MOST_OUT
            && let Some(stream) = line.untold.pop_front()
        {
            if let Some(Stream::Away(away)) = self.streams.get_mut(&stream)
                && away.line == Some(line.id)
                && away.up.updates > 0
            {
                frame::window_update(&mut line.out.bytes, stream, std::mem::take(&mut away.up.updates));
            }
        }
    }

    /// The client has broken off a stream that is away.
    pub(super) fn client_resets(&mut self, head: &Head, payload: &[u8]) {
        if let Some(away) = self.away_mut(head.stream) {
            let line = away.line.filter(|_| away.has_begun() && !away.down.ended);
            if let Some(at) = line.and_then(|id| self.line_at(id)) {
                let out = &mut self.lines[at].out.bytes;
                out.extend_from_slice(&head.raw);
                out.extend_from_slice(payload);
            }
            self.drop_away(head.stream);
        } else {
            self.streams.remove(&head.stream);
        }
    }

    /// The client has made room on the connection.
    pub(super) fn client_takes(&mut self, head: &Head, payload: &[u8], room: u32) {
        let for_home = self.share.grow(room, self.others_wait);
        if for_home == room {
            self.to_home.bytes.extend_from_slice(&head.raw);
            self.to_home.bytes.extend_from_slice(payload);
        } else if for_home > 0 {
            frame::window_update(&mut self.to_home.bytes, 0, for_home);
        }
    }

    /// The client takes so much more, or less, on each stream.
    pub(super) fn client_window_changes(&mut self, change: i64) {
        for stream in self.all_away() {
            if let Some(away) = self.away_mut(stream) {
                away.down.room += change;
                if change < 0 {
                    self.pays_ahead(stream);
                }
                self.wake_down(stream);
            }
        }
    }

    /// The client takes less of a stream than its line was told. What has come of it waits, and must not take up the line's
    /// window, which others need.
    pub(super) fn pays_ahead(&mut self, stream: u32) {
        let Some(Stream::Away(away)) = self.streams.get_mut(&stream) else { return };
        let Some(line) = self.lines.iter_mut().find(|it| Some(it.id) == away.line) else { return };
        let unpaid = away.down.body() - away.down.paid;
        away.down.paid += unpaid;
        line.pay(unpaid);
    }

    /// Home lets the client send so much more, or less, on each stream. Streams that are away keep what they had.
    pub(super) fn home_window_changes(&mut self, change: i64) {
        let less = u32::try_from(-change).unwrap_or(0);
        if less == 0 {
            return;
        }
        for stream in self.all_away() {
            if let Some(away) = self.away_mut(stream) {
                away.up.owed = away.up.owed.saturating_add(less);
            }
            self.gives_room(stream);
        }
    }

    /// The line's server speaks HTTP/2: its streams are home's no more, and neither is the room that they took.
    pub(super) fn speaks(&mut self, at: usize) {
        if std::mem::replace(&mut self.lines[at].speaks, true) {
            return;
        }
        let id = self.lines[at].id;
        for stream in self.streams.values_mut() {
            if let Stream::Away(away) = stream
                && away.line == Some(id)
            {
                self.owed += std::mem::take(&mut away.up.unpaid) as u32;
            }
        }
    }

    /// Tells the line what it has room for.
    pub(super) fn pump(&mut self, at: usize) {
        self.tell_late(at);
        self.begin_waiting(at);
        while self.lines[at].out.len() < MOST_OUT
            && let Some(stream) = self.lines[at].busy.pop_front()
        {
            self.send_up(at, stream);
        }
    }

    fn begin_waiting(&mut self, at: usize) {
        while self.lines[at].takes_stream()
            && self.lines[at].out.len() < MOST_OUT
            && let Some(stream) = self.lines[at].waiting.pop_front()
        {
            let line = &mut self.lines[at];
            let Some(Stream::Away(away)) = self.streams.get_mut(&stream) else { continue };
            let asks_for_tunnel = away.request.as_ref().is_some_and(|it| it.get(b":protocol").is_some());
            if asks_for_tunnel && !line.takes_connect {
                let why = format!("{} does not take extended CONNECT", line.name);
                let (status, grpc, code) = (502, GrpcStatus::Unavailable, "no-extended-connect");
                self.say(stream, &Answer { status, grpc, code, why: &why });
                continue;
            }
            let Some(request) = away.request.take() else { continue };
            self.heads -= request.size();
            let mut block = Vec::with_capacity(request.size());
            if !std::mem::replace(&mut line.has_asked, true) {
                block.push(0x20); // nothing is put into its table, whatever it allows (RFC 7541, 4.2)
            }
            hpack::encode(&request, &mut block);
            let up = &mut away.up;
            up.told = up.by_head;
            up.room = line.window;
            frame::block(&mut line.out.bytes, stream, frame::end(up.told), &[], &block);
            if up.updates > 0 {
                frame::window_update(&mut line.out.bytes, stream, std::mem::take(&mut up.updates));
            }
            line.begun += 1;
            self.has_something(stream);
            self.gives_room(stream);
        }
    }

    /// One frame of a body, or its end.
    fn send_up(&mut self, at: usize, stream: u32) {
        let line = &mut self.lines[at];
        let Some(Stream::Away(away)) = self.streams.get_mut(&stream) else { return };
        if away.line != Some(line.id) || !away.has_begun() {
            return;
        }
        let up = &mut away.up;
        up.queued = false;
        let room = usize::try_from(up.room.min(line.room)).unwrap_or(0);
        let len = up.body.len().min(room).min(frame::MOST);
        if len == 0 && !up.body.is_empty() {
            if up.room > 0 {
                up.queued = true;
                line.starved.push_back(stream);
            }
            return;
        }
        let is_last = len == up.body.len() && up.ended;
        let out = &mut line.out.bytes;
        if len > 0 || up.trailers.is_none() {
            let end = is_last && up.trailers.is_none();
            frame::head(out, len, kind::DATA, frame::end(end), stream);
            out.extend(up.body.drain(..len));
        }
        if let Some(trailers) = up.trailers.take_if(|_| is_last) {
            frame::block(out, stream, flag::END_STREAM, &[], &trailers);
        }
        up.told = is_last;
        up.room -= len as i64;
        line.room -= len as i64;
        self.up -= len;
        let paid = up.unpaid.min(len);
        up.unpaid -= paid;
        self.owed += paid as u32;
        up.owed += len as u32;
        if away.has_something() {
            away.up.queued = true;
            line.busy.push_back(stream);
        }
        let over = away.up.told && away.down.told;
        self.gives_room(stream);
        if over {
            self.drop_away(stream);
        }
    }

    /// Gives the client room on a stream whose body has gone on.
    fn gives_room(&mut self, stream: u32) {
        let enough = self.home_window.max(flow::USUAL as u32) / 4;
        let Some(Stream::Away(away)) = self.streams.get_mut(&stream) else { return };
        if away.up.owed >= enough && !away.up.ended {
            frame::window_update(&mut self.soon_client, stream, std::mem::take(&mut away.up.owed));
        }
    }

    /// The stream may have something for its line.
    pub(super) fn has_something(&mut self, stream: u32) {
        let Some(Stream::Away(away)) = self.streams.get_mut(&stream) else { return };
        if !away.has_begun() || !away.has_something() || away.up.queued {
            return;
        }
        let id = away.line;
        if let Some(line) = self.lines.iter_mut().find(|line| Some(line.id) == id) {
            away.up.queued = true;
            line.busy.push_back(stream);
        }
    }

    fn all_away(&self) -> Vec<u32> {
        let away = self.streams.iter().filter(|(_, it)| matches!(it, Stream::Away(_)));
        away.map(|(stream, _)| *stream).collect()
    }

    pub(super) fn away_mut(&mut self, stream: u32) -> Option<&mut Away> {
        match self.streams.get_mut(&stream) {
            Some(Stream::Away(away)) => Some(away),
            _ => None,
        }
    }
}
