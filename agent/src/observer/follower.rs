//! From copies of one connection's packets to the request heads in them, and to whether it owes an answer. Pure.
//!
//! A connection is joined in the middle, so at first nothing is known. HTTP/1 is known from a request on that begins
//! with a packet: whoever sends it has had all answers before, unless he pipelines. HTTP/2 is known only from its first
//! stream on: of those before nobody can tell whether one is still open.

use byway_http::RequestHead;

mod answers;
mod requests;
mod streams;
#[cfg(test)]
mod tests;
mod way;

use answers::Answers;
use requests::Requests;
use streams::Streams;
pub(crate) use way::Packet;
use way::Way;

/// A head that is longer is not put together: several such connections must not cost much memory.
const MOST: usize = 16 << 10;

/// What is known of a connection.
#[derive(Default)]
pub(crate) struct Follower {
    up: Way,
    down: Way,
    requests: Requests,
    answers: Answers,
    streams: Streams,
}

impl Follower {
    /// Takes in what the client has sent, and hands out each request head that it completes.
    pub(crate) fn take_request(&mut self, packet: Packet<'_>, mut found: impl FnMut(&RequestHead<'_, '_>)) {
        let Some(piece) = self.up.next(packet) else { return };
        if piece.is_behind_gap {
            self.requests.lose();
        }
        if !self.requests.is_known() {
            self.answers.lose();
        }
        self.streams.take_request(piece);
        let answers = &mut self.answers;
        self.requests.take(piece, |head| {
            answers.ask(head.kind);
            found(head);
        });
        if !self.requests.is_known() {
            self.answers.lose();
        }
    }

    /// Takes in what the app has sent.
    pub(crate) fn take_answer(&mut self, packet: Packet<'_>) {
        let Some(piece) = self.down.next(packet) else { return };
        if piece.is_behind_gap {
            self.answers.lose();
        }
        self.streams.take_answer(piece);
        self.answers.take(piece);
    }

    /// Whether all that was asked has been answered to its end, beyond doubt if all bytes have been seen.
    pub(crate) fn owes_nothing(&self) -> bool {
        (self.answers.are_whole() && self.requests.are_at_rest()) || self.streams.are_closed()
    }

    /// Bytes of both ways since the beginning, from the client first.
    pub(crate) fn seen(&self) -> [u64; 2] {
        [self.up.seen(), self.down.seen()]
    }

    /// Begins anew, now with the answers: of what came before nothing is known but what kind of client this is.
    pub(crate) fn restart(&mut self) {
        *self = Self { answers: self.answers.restarted(), ..Self::default() };
    }
}
