//! Requests that nobody gets: those without a key to a pod that is its own preview.
//!
//! The answer is the agent's, and so is the body of such a request: it is read to its end and thrown away, so that the
//! connection can go on. A body that is long, or that the client holds back until it is told to send it, is not
//! waited for: then the answer is the last.

use byway_http::{AppReason, Body, BodyScan, RequestHead, RequestKind};

use crate::snapshot::Routes;

/// Most bytes of a body that are read for nothing.
const MOST_BYTES: u64 = 1 << 20;

/// A request that is refused, and how much of its body is still to come.
pub(super) struct Refused {
    pub(super) kind: RequestKind,
    body: BodyScan,
    /// Bytes that may still be thrown away.
    patience: u64,
    /// Nothing can follow on this connection.
    pub(super) last: bool,
    pub(super) reason: AppReason,
    pub(super) why: &'static str,
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

    /// Throws away what belongs to the body, and says how much that was.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> usize {
        let used = match self.body.advance(bytes) {
            Ok(used) => used,
            Err(_) => {
                self.last = true; // where the next request begins is in doubt
                bytes.len()
            }
        };
        self.patience = self.patience.saturating_sub(used as u64);
        self.last |= self.patience == 0;
        used
    }

    /// It can be answered: nothing more of it is waited for.
    pub(super) fn is_over(&self) -> bool {
        self.last || self.body.done()
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
