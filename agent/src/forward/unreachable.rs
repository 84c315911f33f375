//! What the client is told when a preview cannot be reached: the truth, or the app's answer where the preview wants so.

use std::{io, task::Context};

use byway_http::{Doubt, RequestKind};

use super::{
    connection::Place,
    ending::{self, Ended},
    exchange::{Down, Exchange, Up},
    outbox::Outbox,
};

impl Exchange<'_> {
    /// No backend takes a connection.
    pub(super) fn unreachable(&mut self, cx: &mut Context<'_>, error: &io::Error) -> io::Result<()> {
        let Some(errand) = self.away.give_up() else { return Ok(()) };
        let Place::Preview(leg) = &errand.place else {
            return self.bad_gateway(cx, "the app", errand.has_body, error); // refused, as its connection would be
        };
        self.connection.count_unreachable(leg.index);
        if leg.preview.falls_back() && matches!(self.place, Place::App) {
            // Home has answered everything before, so the request simply goes there.
            return self.to_server.send(cx, self.home.stream(), &[&errand.head]);
        }
        let name = format!("preview {}", leg.preview.route.name);
        self.bad_gateway(cx, &name, errand.has_body, error)
    }

    /// The connection was taken by a server that does not speak HTTP/1, and so has not looked at the request. A body may
    /// have gone there, which is kept nowhere.
    pub(super) fn only_http2(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let error = io::Error::other("it speaks HTTP/2 only, and the request is HTTP/1");
        if self.away.errand().is_some_and(|errand| errand.has_body) {
            return self.unanswered(cx, &error);
        }
        self.to_server = Outbox::default(); // of the head that it did not take
        self.unreachable(cx, &error)
    }

    /// The connection was taken, but no answer came that could be passed on.
    pub(super) fn unanswered(&mut self, cx: &mut Context<'_>, error: &io::Error) -> io::Result<()> {
        let Some(errand) = self.away.give_up() else { return Ok(()) };
        let name = match &errand.place {
            Place::Preview(leg) => {
                self.connection.count_unreachable(leg.index);
                format!("preview {}", leg.preview.route.name)
            }
            Place::App => "the app".to_owned(),
        };
        self.bad_gateway(cx, &name, errand.has_body, error)
    }

    /// The body of a request that is away cannot be followed to its end.
    pub(super) fn reject(&mut self, cx: &mut Context<'_>, doubt: Doubt) -> io::Result<()> {
        self.away.reset();
        if self.lingers() || !matches!(self.down, Down::Head) || self.away.give_up().is_none() {
            return Err(io::Error::other(doubt.explain())); // the answer has begun: it cannot be taken back
        }
        self.answer(cx, "400 Bad Request", doubt.code(), doubt.explain(), true)
    }

    fn bad_gateway(
        &mut self,
        cx: &mut Context<'_>,
        who: &str,
        has_body: bool,
        error: &io::Error,
    ) -> io::Result<()> {
        // Part of a body may have come, and where the next request begins is not worth finding out.
        let why = format!("{who} could not be reached: {error}");
        self.answer(cx, "502 Bad Gateway", "unreachable", &why, has_body)
    }

    /// Answers in the place of the server that was asked.
    pub(super) fn answer(
        &mut self,
        cx: &mut Context<'_>,
        status: &str,
        code: &str,
        why: &str,
        last: bool,
    ) -> io::Result<()> {
        self.last |= last || self.connection.admission.draining();
        let text = format!("byway: {why}\n");
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
             x-byway-error: {code}\r\n{}\r\n",
            text.len(),
            if self.last { "connection: close\r\n" } else { "" },
        );
        // The answer to a HEAD ends with its head.
        let body = if self.waiting.front().is_some_and(|a| a.kind == RequestKind::Head) { "" } else { &text };
        self.to_server = Outbox::default();
        self.to_client.send(cx, &mut self.client, &[head.as_bytes(), body.as_bytes()])?;
        self.waiting.clear();
        self.down = Down::Head;
        self.up = Up::Wait;
        self.finished = self.last;
        if self.client_ended == Ended::PassedOn {
            ending::shutdown(self.home.stream());
        }
        Ok(())
    }
}
