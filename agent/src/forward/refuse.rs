//! Requests that nobody gets: those without a key to a pod that is its own preview.
//!
//! The answer is the agent's, and so is the body of such a request: it is read to its end and thrown away, so that the
//! connection can go on. A body that is long, or that the client holds back until it is told to send it, is not
//! waited for: then the answer is the last.

use std::{io, task::Context};

use byway_http::{AppReason, Body, BodyScan, RequestHead, RequestKind};

use super::exchange::{Asked, Exchange, Up};
use crate::snapshot::Routes;

/// Most bytes of a body that are read for nothing.
const MOST_BYTES: u64 = 1 << 20;

/// A request that is refused, and how much of its body is still to come.
pub(super) struct Refused {
    kind: RequestKind,
    body: BodyScan,
    /// Bytes that may still be thrown away.
    patience: u64,
    /// Nothing can follow on this connection.
    last: bool,
    reason: AppReason,
    why: &'static str,
}

impl Refused {
    pub(super) fn new(head: &RequestHead<'_, '_>, reason: AppReason, routes: &Routes) -> Self {
        let body = BodyScan::new(head.body);
        let is_long = matches!(head.body, Body::Length(n) if n > MOST_BYTES);
        let is_held_back = head.expects_continue && !body.done();
        Self {
            kind: head.kind,
            body,
            patience: MOST_BYTES,
            last: !head.keep_alive || is_long || is_held_back,
            reason,
            why: why(reason, routes),
        }
    }
}

/// What the client can do about it.
pub(super) fn why(reason: AppReason, routes: &Routes) -> &'static str {
    let by_default = routes.legs.iter().any(|leg| leg.preview.route.matcher.is_none());
    match reason {
        AppReason::Narrowed => {
            "this preview's `match` wants another path, method or header than this request has"
        }
        AppReason::UnknownKey => "the key in this request is not the key of this preview",
        AppReason::NoKey if by_default => {
            "this is a preview, and it answers requests that carry its key: send the header `x-byway-key: KEY`, \
             `byway-key=KEY` in `baggage`, or the cookie `byway-key=KEY`"
        }
        AppReason::NoKey => {
            "this is a preview, and it answers requests that carry its key where its `match` wants it"
        }
    }
}

impl Exchange<'_> {
    /// The head has been read.
    pub(super) fn refused(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.connection.admission.count_refused();
        match &self.up {
            Up::Refused(refused) if refused.last || refused.body.done() => self.not_found(cx),
            _ => Ok(()),
        }
    }

    /// Throws away what belongs to the body, and says how much that was.
    pub(super) fn skip(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        let Up::Refused(refused) = &mut self.up else { return Ok(0) };
        let used = match refused.body.advance(bytes) {
            Ok(used) => used,
            Err(_) => {
                refused.last = true; // where the next request begins is in doubt
                bytes.len()
            }
        };
        refused.patience = refused.patience.saturating_sub(used as u64);
        refused.last |= refused.patience == 0;
        if refused.last || refused.body.done() {
            self.not_found(cx)?;
        }
        Ok(used)
    }

    fn not_found(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Up::Refused(Refused { kind, last, reason, why, .. }) = &self.up else { return Ok(()) };
        let (last, reason, why) = (*last, *reason, *why);
        self.waiting.push_back(Asked { kind: *kind, own: None });
        self.answer(cx, "404 Not Found", reason.code(), why, last)
    }
}
