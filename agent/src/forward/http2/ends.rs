//! Ends of both sides, passed on as they come.

use std::{
    io,
    task::{Context, Poll},
};

use super::{Ended, Multiplex, Stop, ending};

impl Multiplex<'_> {
    /// Home sends no more.
    pub(super) fn end_home(&mut self, was_reset: bool) -> io::Result<()> {
        let others_go_on = self.switch.home_ended();
        self.home_ended = if others_go_on { Ended::PassedOn } else { Ended::Seen };
        if was_reset && !others_go_on {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if others_go_on {
            self.cannot_send();
        }
        Ok(())
    }

    /// Home takes nothing more. What it has sent before is still on its way to the client.
    pub(super) fn cannot_send(&mut self) {
        self.home_broken = true;
        self.switch.to_home().clear();
    }

    /// Passes on that a side has ended, when all that it sent has been taken.
    pub(super) fn pass_ends_on(&mut self) -> Option<Stop> {
        if self.home_broken {
            self.switch.to_home().clear();
        }
        if self.client_ended == Ended::Seen && self.switch.to_home().is_empty() {
            if self.home_ended == Ended::No {
                ending::shutdown(self.home.stream());
            }
            self.client_ended = Ended::PassedOn;
        }
        if self.home_ended == Ended::Seen && self.switch.to_client().is_empty() {
            if self.home_broken {
                return Some(Stop::Reset); // it closed with bytes unread
            }
            if self.client_ended == Ended::No {
                ending::shutdown(&self.client);
            }
            self.home_ended = Ended::PassedOn;
        }
        let both = self.client_ended == Ended::PassedOn && self.home_ended == Ended::PassedOn;
        // Whoever has half-closed may still wait for answers.
        (both && self.switch.away() == 0).then_some(Stop::Done)
    }

    /// A side that has half-closed may reset later, or turn out to have closed when something is sent to it.
    pub(super) fn poll_late_resets(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        if self.client_ended != Ended::No && self.client_reset.poll(cx, &self.client).is_ready() {
            return Poll::Ready(Stop::Reset);
        }
        let is_left = self.home_ended != Ended::No && self.switch.away() == 0;
        if is_left && (self.home_broken || self.home_reset.poll(cx, self.home.stream()).is_ready()) {
            return Poll::Ready(Stop::Reset);
        }
        Poll::Pending
    }
}
