//! Packets that come in anew: what was held, to whom it belongs to, and those that move a socket.

use std::time::{Duration, Instant};

use byway_abi::direct::{MARK_APP, MARK_CLONE};

use super::{Held, MOST};
use crate::direct::{
    Hooks,
    clone::window,
    frame::{Frame, Said},
};

impl Held {
    /// Gives the app what lies before the head in packets that are held, as far as it has room for it. When the client
    /// sends them again they are held again.
    pub(super) fn fill_up(&mut self) {
        const PAUSE: Duration = Duration::from_millis(20);
        if self.filled.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        self.filled = Some(Instant::now());
        for frame in &self.frames {
            let within = |seq: u32| seq.wrapping_sub(frame.seq).cast_signed().max(0) as usize;
            let (has, before) = (within(self.socket.rcv_nxt), within(self.conn.next));
            if has < before {
                self.inject(frame, has, before, MARK_APP);
            }
        }
        self.ask();
    }

    /// What was held goes on: to the clone from the head on, what lies before is the app's.
    pub(in super::super) fn give_back(&self, mark: u32) {
        for frame in &self.frames {
            let before = self.conn.next.wrapping_sub(frame.seq).cast_signed().max(0) as usize;
            self.inject(frame, if mark == MARK_CLONE { before } else { 0 }, usize::MAX, mark);
        }
    }

    fn inject(&self, frame: &Frame, from: usize, to: usize, mark: u32) {
        let most = match self.socket.mss_clamp as usize {
            0 => MOST,
            mss => MOST.min(mss.saturating_sub(40).max(64)),
        };
        inject(&self.at.hooks, &frame.pieces(from, to, most, self.said(frame)), frame, mark);
    }

    /// What the client says by now. An acknowledgement that is older than what was sent before is taken for a forgery by a
    /// socket that has not seen the ones between, as a clone has not (RFC 5961, 5.2).
    fn said(&self, frame: &Frame) -> Said {
        let ack = self.conn.acked;
        let is_older = ack.wrapping_sub(frame.said.ack).cast_signed() > 0;
        if is_older { Said { ack, window: window(&self.socket, self.bits) } } else { frame.said }
    }

    pub(super) fn send(&self, like: &Frame, bytes: &[u8], mark: u32) {
        send(&self.at.hooks, like, bytes, mark);
    }
}

/// Packets in the likeness of a frame.
pub(in super::super) fn inject(hooks: &Hooks, pieces: &[Vec<u8>], like: &Frame, mark: u32) {
    for piece in pieces {
        send(hooks, like, piece, mark);
    }
}

fn send(hooks: &Hooks, like: &Frame, bytes: &[u8], mark: u32) {
    if let Err(error) = hooks.inject(bytes, like.interface, like.protocol(), mark) {
        // The client sends it again.
        tracing::debug!(%error, "cannot inject a packet");
    }
}
