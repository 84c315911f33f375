//! Ends: of lines, which the streams on them survive as an answer of the agent, and of home.

use super::{
    Answer, GrpcStatus, Home, Stream, Switch,
    away::{Last, Piece},
};
use crate::http2::{
    frame::{self, code, flag, kind},
    hpack,
};

/// Why a line has come to its end.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// What a client is told that is none of gRPC.
    pub status: u16,
    /// The stable code.
    pub code: &'a str,
    /// A sentence.
    pub why: &'a str,
    /// Streams that the line does not know of are home's.
    pub falls_back: bool,
}

/// What became of the streams of a line that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unanswered {
    /// Streams that nobody had answered: they have an answer of the agent now, or are home's.
    pub streams: usize,
}

impl Switch {
    /// The line has come to its end. Whoever has no answer from it gets one that says so.
    pub fn line_failed(&mut self, id: u32, failure: &Failure<'_>) -> Unanswered {
        let of_line = |it: &Stream| matches!(it, Stream::Away(away) if away.line == Some(id));
        let streams = self.streams.iter().filter(|(_, it)| of_line(it));
        let mut streams: Vec<u32> = streams.map(|(stream, _)| *stream).collect();
        streams.sort_unstable();
        let mut unanswered = Unanswered::default();
        for stream in streams {
            let Some(away) = self.away_mut(stream) else { continue };
            if away.down.told {
                self.breaks_off(stream, code::NO_ERROR); // the rest of the request is for nobody
            } else if away.down.ended {
                self.leaves_line(stream); // all has been said
            } else if away.down.answered {
                self.breaks_off(stream, code::INTERNAL_ERROR);
            } else {
                unanswered.streams += 1;
                if failure.falls_back && !away.has_begun() && !self.home_has_ended {
                    self.comes_home(stream);
                } else {
                    let (status, grpc) = (failure.status, GrpcStatus::Unavailable);
                    self.say(stream, &Answer { status, grpc, code: failure.code, why: failure.why });
                }
            }
        }
        self.remove_line(id);
        self.settle();
        unanswered
    }

    /// Home has ended. Whether others go on: then its streams have been broken off, and the client begins no more.
    /// Otherwise what was held of home is to be sent, and the end is to be passed on.
    pub fn home_ended(&mut self) -> bool {
        self.home_has_ended = true;
        if self.away == 0 || !self.from_home.lets_others() {
            self.rest_of_home();
            return false;
        }
        let at_home = self.streams.iter().filter(|(_, it)| matches!(it, Stream::Home(_)));
        let mut at_home: Vec<u32> = at_home.map(|(stream, _)| *stream).collect();
        at_home.sort_unstable();
        for stream in at_home {
            self.leaves_home(stream);
            frame::reset(&mut self.soon_client, stream, code::INTERNAL_ERROR);
            self.is_gone(stream, false);
        }
        self.drains_on();
        self.settle();
        true
    }

    /// An answer of the agent.
    pub(super) fn say(&mut self, stream: u32, answer: &Answer<'_>) {
        self.leaves_line(stream);
        let Some(away) = self.away_mut(stream) else { return };
        let (block, body) = away.asker.write(answer);
        let mut frames = Vec::new();
        frame::block(&mut frames, stream, frame::end(body.is_empty()), &[], &block);
        let last = if body.is_empty() { Last::End } else { Last::More };
        self.add_piece(stream, Piece::Frames(frames, last));
        if last == Last::More {
            self.add_piece(stream, Piece::Data(body.into(), Last::End));
        }
    }

    /// The stream ends without an answer, or in the middle of it.
    pub(super) fn breaks_off(&mut self, stream: u32, code: u32) {
        self.leaves_line(stream);
        let mut reset = Vec::new();
        frame::reset(&mut reset, stream, code);
        self.add_piece(stream, Piece::Frames(reset, Last::Reset));
    }

    /// A stream that no line knows of is home's after all. Numbers only grow, so where home knows a later one the client
    /// has to try again.
    fn comes_home(&mut self, stream: u32) {
        let is_late = stream < self.highest_home;
        let Some(away) = self.away_mut(stream) else { return };
        // Nor where the client has been given back the room that home's window has for it.
        if is_late || away.up.unpaid < away.up.body.len() {
            return self.breaks_off(stream, code::REFUSED_STREAM);
        }
        let Some(request) = away.request.clone() else { return };
        let (body, trailers) = (std::mem::take(&mut away.up.body), away.up.trailers.take());
        let (ended, by_head) = (away.up.ended, away.up.by_head);
        let updates = away.up.updates;
        away.up.unpaid = 0;
        self.up -= body.len();
        self.drop_away(stream);
        let mut block = Vec::new();
        if let Some(mirror) = &mut self.mirror {
            mirror.speak(&mut block);
        }
        hpack::encode(&request, &mut block);
        let to = &mut self.soon_home;
        frame::block(to, stream, frame::end(by_head), &[], &block);
        let (body, mut rest) = (Vec::from(body), 0);
        for part in body.chunks(frame::MOST) {
            rest += part.len();
            let end = ended && trailers.is_none() && rest == body.len();
            frame::write(to, kind::DATA, frame::end(end), stream, part);
        }
        if let Some(trailers) = trailers {
            frame::block(to, stream, flag::END_STREAM, &[], &trailers);
        } else if ended && !by_head && body.is_empty() {
            frame::write(to, kind::DATA, flag::END_STREAM, stream, &[]);
        }
        if updates > 0 {
            frame::window_update(to, stream, updates);
        }
        self.highest_home = stream;
        self.at_home += 1;
        self.streams
            .insert(stream, Stream::Home(Home { client_ended: ended, home_ended: false, mark: None }));
    }
}
