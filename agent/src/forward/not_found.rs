//! The answer to a request that nobody gets, see [`super::refuse`].

use std::{io, task::Context};

use super::{
    exchange::{Asked, Exchange, Up},
    refuse::Refused,
};

impl Exchange<'_> {
    /// The head has been read.
    pub(super) fn refused(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.connection.admission.count_refused();
        self.not_found(cx)
    }

    /// More of the body has come. Says how much of `bytes` belongs to it.
    pub(super) fn skip(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        let Up::Refused(refused) = &mut self.up else { return Ok(0) };
        let used = refused.skip(bytes);
        self.not_found(cx).map(|()| used)
    }

    /// Answers, unless more of the body is to come.
    fn not_found(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Up::Refused(refused) = &self.up else { return Ok(()) };
        if !refused.is_over() {
            return Ok(());
        }
        let Refused { kind, last, reason, why, .. } = *refused;
        self.waiting.push_back(Asked { kind, own: None, h2c: None });
        self.answer(cx, "404 Not Found", "", reason.code(), why, last)
    }
}
