//! What goes out to the client, and when: home's frames are never cut into, and home and the streams that are away take
//! turns where the client's window is short.

use super::{
    MOST_OUT, Stream, Switch,
    away::{Last, Piece},
};
use crate::http2::frame::{self, code, kind};

/// What the client is owed of its window before it is told. A fourth of the smallest that there is.
const GRANT: u32 = 16 * 1024;

impl Switch {
    /// Lets go out what can. To be called when what was to be sent to the client has been taken.
    pub fn settle(&mut self) {
        for at in 0..self.lines.len() {
            self.pump(at);
        }
        self.settle_home();
        if !self.from_home.is_between() {
            return;
        }
        self.settle_soon();
        if self.to_client.len() < MOST_OUT {
            self.others_wait = false;
            while self.settle_queue() | self.settle_ready() {}
        }
        if !self.from_home.lets_others() {
            return;
        }
        if !self.others_wait {
            let released = self.share.release();
            if released > 0 {
                frame::window_update(&mut self.soon_home, 0, released);
                self.settle_home();
            }
        }
        self.settle_soon();
        if self.owed >= GRANT {
            frame::window_update(&mut self.to_client.bytes, 0, std::mem::take(&mut self.owed));
        }
    }

    fn settle_soon(&mut self) {
        if self.from_home.lets_others() {
            self.to_client.bytes.append(&mut self.soon_client);
        }
    }

    /// Lets go home what waited for the client to be between two frames.
    pub(super) fn settle_home(&mut self) {
        if self.from_client.is_between() {
            self.to_home.bytes.append(&mut self.soon_home);
        }
    }

    /// Something for the client.
    pub(super) fn add_piece(&mut self, stream: u32, piece: Piece) {
        let Some(Stream::Away(away)) = self.streams.get_mut(&stream) else { return };
        let (Piece::Frames(_, last) | Piece::Data(_, last)) = &piece;
        away.down.ended |= *last != Last::More;
        if let Some(line) = self.lines.iter_mut().find(|line| Some(line.id) == away.line) {
            line.held_down += piece.len();
        }
        match (away.down.pieces.back_mut(), piece) {
            (Some(Piece::Data(before, last @ Last::More)), Piece::Data(bytes, then)) => {
                before.extend(bytes);
                *last = then;
            }
            (_, piece) => away.down.pieces.push_back(piece),
        }
        if away.down.room <= 0 {
            self.pays_ahead(stream);
        }
        self.wake_down(stream);
    }

    /// The stream may have something for the client.
    pub(super) fn wake_down(&mut self, stream: u32) {
        if let Some(Stream::Away(away)) = self.streams.get_mut(&stream)
            && !away.down.queued
            && !away.down.pieces.is_empty()
        {
            away.down.queued = true;
            self.ready.push_back(stream);
        }
    }

    /// Lets go on something of the stream whose turn it is; whether anything did.
    fn settle_ready(&mut self) -> bool {
        if self.to_client.len() >= MOST_OUT || !self.from_home.lets_others() {
            return false;
        }
        let Some(stream) = self.ready.pop_front() else { return false };
        let Some(Stream::Away(away)) = self.streams.get_mut(&stream) else { return true };
        let down = &mut away.down;
        down.queued = false;
        let to = &mut self.to_client.bytes;
        let last = match down.pieces.front_mut() {
            None => return true,
            Some(Piece::Frames(bytes, last)) => {
                if let Some(line) = self.lines.iter_mut().find(|line| Some(line.id) == away.line) {
                    line.held_down -= bytes.len();
                }
                to.append(bytes);
                *last
            }
            Some(Piece::Data(bytes, last)) => {
                let room = self.share.for_others(self.at_home > 0);
                let for_stream = usize::try_from(down.room).unwrap_or(0);
                let len = bytes.len().min(room).min(for_stream).min(frame::MOST);
                if len == 0 && !bytes.is_empty() {
                    if for_stream == 0 {
                        return true; // it comes back when the client has made room
                    }
                    down.queued = true;
                    self.ready.push_front(stream);
                    self.others_wait = true;
                    return false;
                }
                let is_whole = len == bytes.len();
                let end = is_whole && *last == Last::End;
                frame::head(to, len, kind::DATA, frame::end(end), stream);
                to.extend(bytes.drain(..len));
                down.room -= len as i64;
                self.others_spoke = true;
                self.share.others_send(len);
                if let Some(line) = self.lines.iter_mut().find(|line| Some(line.id) == away.line) {
                    line.held_down -= len;
                    let paid = down.paid.min(len);
                    down.paid -= paid;
                    line.pay(len - paid);
                }
                if !is_whole {
                    self.wake_down(stream);
                    return true;
                }
                *last
            }
        };
        down.pieces.pop_front();
        match last {
            Last::More => self.wake_down(stream),
            Last::End => {
                self.answered(stream);
                self.wake_down(stream); // a reset may follow
            }
            Last::Reset => {
                let client_ended = away.up.ended;
                self.drop_away(stream);
                self.is_gone(stream, client_ended);
            }
        }
        true
    }

    /// The client has the whole answer.
    fn answered(&mut self, stream: u32) {
        let Some(away) = self.away_mut(stream) else { return };
        away.down.told = true;
        let (line, ended, told) = (away.line, away.up.ended, away.up.told);
        match line {
            Some(_) if told => self.drop_away(stream),
            Some(_) => {}
            None => {
                self.drop_away(stream);
                if !ended {
                    // The rest of the request is for nobody (RFC 9113, 8.1).
                    frame::reset(&mut self.to_client.bytes, stream, code::NO_ERROR);
                    self.is_gone(stream, false);
                }
            }
        }
    }

    /// The stream is over, and all that belongs to it.
    pub(super) fn drop_away(&mut self, stream: u32) {
        self.leaves_line(stream);
        if matches!(self.streams.get(&stream), Some(Stream::Away(_))) {
            self.streams.remove(&stream);
            self.away -= 1;
        }
    }

    /// The stream is not its line's any more. What waits for the line is for nobody; what waits for the client stays.
    pub(super) fn leaves_line(&mut self, stream: u32) {
        let Some(Stream::Away(away)) = self.streams.get_mut(&stream) else { return };
        self.up -= away.up.body.len();
        self.owed += std::mem::take(&mut away.up.unpaid) as u32;
        away.up.body.clear();
        let has_begun = away.has_begun();
        if let Some(request) = away.request.take() {
            self.heads -= request.size();
        }
        let Some(id) = away.line.take() else { return };
        let Some(line) = self.lines.iter_mut().find(|line| line.id == id) else { return };
        line.streams -= 1;
        line.begun -= usize::from(has_begun);
        line.held_down -= away.down.pieces.iter().map(Piece::len).sum::<usize>();
        line.pay(away.down.body() - std::mem::take(&mut away.down.paid));
    }
}
