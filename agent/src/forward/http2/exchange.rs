//! A request and its answer, both under way at once: an answer may begin, and even end, before its request does.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::ResponseFuture, server::SendResponse};
use http::{HeaderName, Response};

use super::way::{self, Room, Way};
use crate::snapshot::Leg;

const PREVIEW: HeaderName = HeaderName::from_static("x-byway-preview");

pub(super) struct Exchange {
    up: Way,
    up_state: Up,
    answer: ResponseFuture,
    down: Down,
    respond: SendResponse<Bytes>,
    /// Of the client's connection.
    room: Room,
    /// Of the preview that answers.
    leg: Option<Arc<Leg>>,
}

/// The way from the client.
#[derive(PartialEq, Eq)]
enum Up {
    Going,
    Complete,
    /// The server takes no more of it. What it says instead comes the other way.
    Refused,
}

/// The way back.
enum Down {
    Head,
    Body(Way),
    /// The answer is complete. The stream is still needed to see what becomes of the request.
    Complete(SendStream<Bytes>),
}

/// How the exchange ended.
pub(super) enum End {
    Complete,
    /// The client has broken it off.
    ClientReset(Reason),
    /// The server has, or its connection ended.
    ServerFailed(h2::Error),
}

impl Exchange {
    pub(super) fn new(
        request: RecvStream,
        to: SendStream<Bytes>,
        answer: ResponseFuture,
        respond: SendResponse<Bytes>,
        [to_server, room]: [Room; 2],
        leg: Option<Arc<Leg>>,
    ) -> Self {
        let up_state = if request.is_end_stream() { Up::Complete } else { Up::Going };
        let up = Way::new(request, to, to_server);
        Self { up, up_state, answer, down: Down::Head, respond, room, leg }
    }

    pub(super) fn has_answered(&self) -> bool {
        !matches!(self.down, Down::Head)
    }

    pub(super) fn respond(&mut self) -> &mut SendResponse<Bytes> {
        &mut self.respond
    }

    pub(super) fn reset_server(&mut self, reason: Reason) {
        self.up.to.send_reset(reason);
    }

    /// Goes on until it would wait.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Poll::Ready(reset) = self.poll_client_reset(cx) {
            return Poll::Ready(End::ClientReset(reset.unwrap_or(Reason::CANCEL)));
        }
        if self.up_state == Up::Going {
            match self.up.poll(cx) {
                Poll::Ready(way::End::Complete) => self.up_state = Up::Complete,
                Poll::Ready(way::End::Refused) => self.up_state = Up::Refused,
                Poll::Ready(way::End::Broken(error)) => {
                    return Poll::Ready(End::ClientReset(error.reason().unwrap_or(Reason::CANCEL)));
                }
                Poll::Pending => {}
            }
        }
        if matches!(self.down, Down::Head)
            && let Poll::Ready(Err(end)) = self.poll_head(cx)
        {
            return Poll::Ready(end);
        }
        if let Down::Body(way) = &mut self.down {
            match way.poll(cx) {
                Poll::Ready(way::End::Complete) => self.complete(),
                Poll::Ready(way::End::Broken(error)) => return Poll::Ready(End::ServerFailed(error)),
                // Its reset is seen first; this is the end of its connection.
                Poll::Ready(way::End::Refused) => return Poll::Ready(End::ClientReset(Reason::CANCEL)),
                Poll::Pending => {}
            }
        }
        // A request that the server does not want to the end is let go with its stream, without an error.
        let done = matches!(self.down, Down::Complete(_)) && self.up_state != Up::Going;
        if done { Poll::Ready(End::Complete) } else { Poll::Pending }
    }

    fn poll_client_reset(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reason, h2::Error>> {
        match &mut self.down {
            Down::Head => self.respond.poll_reset(cx),
            Down::Body(way) => way.to.poll_reset(cx),
            Down::Complete(to) => to.poll_reset(cx),
        }
    }

    /// Passes on the head of the answer, and what was said ahead of it (1xx).
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        // Whoever takes no answer has gone.
        let gone = |_| End::ClientReset(Reason::CANCEL);
        while let Poll::Ready(Some(interim)) = self.answer.poll_informational(cx) {
            let interim = interim.map_err(End::ServerFailed)?;
            self.respond.send_informational(interim).map_err(gone)?;
        }
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        let (mut head, body) = answer.map_err(End::ServerFailed)?.into_parts();
        if let Some(name) = self.leg.as_ref().and_then(|leg| leg.preview.header_value.clone()) {
            head.headers.append(PREVIEW, name);
        }
        let ended = body.is_end_stream();
        let to = self.respond.send_response(Response::from_parts(head, ()), ended).map_err(gone)?;
        self.down =
            if ended { Down::Complete(to) } else { Down::Body(Way::new(body, to, self.room.clone())) };
        Poll::Ready(Ok(()))
    }

    fn complete(&mut self) {
        if let Down::Body(way) = std::mem::replace(&mut self.down, Down::Head) {
            self.down = Down::Complete(way.to);
        }
    }
}
