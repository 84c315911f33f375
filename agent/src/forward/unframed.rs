//! Answers of a preview whose end the agent cannot tell beyond doubt: what they are is between the preview and the
//! client.
//!
//! Their bytes go on as they come until the server ends, and the client's connection ends behind them, since nobody here
//! knows where another answer could begin. The client is told so where the head has not gone on yet. What the app
//! answers goes on as it came in any case: see [`Exchange::turn_opaque`].

use std::{io, task::Context};

use byway_http::{AnswerStart, Doubt, answer_start};

use super::{
    ending::Ended,
    exchange::{Down, Exchange, Up},
    response::{Insert, may_be_http2},
    unreachable::Failure,
};

impl Exchange<'_> {
    /// `bytes` are the first ones of the answer, and none of them has gone on.
    pub(super) fn unframed(&mut self, cx: &mut Context<'_>, bytes: &[u8], doubt: Doubt) -> io::Result<()> {
        let at = match answer_start(bytes) {
            AnswerStart::Line(end) => Some(end),
            AnswerStart::Begun => None,
            AnswerStart::NeedMore | AnswerStart::Other if may_be_http2(bytes) => return self.only_http2(cx),
            AnswerStart::NeedMore | AnswerStart::Other => {
                return self.unanswered(cx, &Failure::NotHttp(bytes));
            }
        };
        tracing::debug!(
            target = self.connection.target.name,
            "an answer goes on as it is: {}",
            doubt.explain()
        );
        let insert = at.map(|at| Insert { at, place: self.answering(), last: true });
        self.last = true;
        self.down = Down::Unframed;
        self.pass(cx, bytes, 0, bytes.len(), insert)
    }

    /// The server that was asked has ended in the head of its answer. There are clients that read what came of it.
    pub(super) fn cut_off(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        error: &io::Error,
    ) -> io::Result<()> {
        // It had no whole request to answer.
        if matches!(self.up, Up::Body(_)) && self.client_ended != Ended::No {
            self.away.give_up();
            (self.last, self.finished) = (true, true);
            return Ok(());
        }
        let is_answer = matches!(answer_start(bytes), AnswerStart::Line(_) | AnswerStart::Begun);
        if !is_answer || error.kind() != io::ErrorKind::UnexpectedEof {
            return self.unanswered(cx, &Failure::Ended(error));
        }
        self.unframed(cx, bytes, Doubt::ResponseHead)?;
        self.answered(false);
        Ok(())
    }

    /// The client has its answer by its own reading, and goes on to something that nobody could answer.
    pub(super) fn asks_behind_unframed(&self) -> bool {
        matches!((&self.down, &self.up), (Down::Unframed, Up::Wait))
    }
}
