//! What the client is told when a preview has not answered: the truth, or the app's answer where the preview wants so.

use std::{fmt, io, task::Context};

use byway_http::{Doubt, RequestKind, http2::switch::RETRY_AFTER};

use super::{
    connection::Place,
    ending::{self, Ended},
    exchange::{Asked, Down, Exchange, Up},
    outbox::Outbox,
};
use crate::asleep::Asleep;

/// Why there is no answer. Its `Display` goes on behind the name of who should have given it.
pub(super) enum Failure<'a> {
    /// It sleeps, and has not woken.
    Asleep(&'a Asleep),
    /// No connection could be made.
    Unreachable(&'a io::Error),
    /// It speaks HTTP/2, and only that.
    OnlyHttp2,
    /// What it sent begins like this.
    NotHttp(&'a [u8]),
    /// The connection ended before an answer.
    Ended(&'a io::Error),
}

impl<'a> Failure<'a> {
    /// What a dial ended with.
    pub(super) fn of_dial(error: &'a io::Error) -> Self {
        Asleep::of(error).map_or(Self::Unreachable(error), Self::Asleep)
    }

    /// The status, and what else is in the head.
    fn head(&self) -> (&'static str, String) {
        match self {
            Self::Asleep(_) => ("503 Service Unavailable", format!("retry-after: {RETRY_AFTER}\r\n")),
            _ => ("502 Bad Gateway", String::new()),
        }
    }

    /// The stable code, as in `x-byway-error`.
    const fn code(&self) -> &'static str {
        match self {
            Self::Asleep(_) => "asleep",
            Self::Unreachable(_) => "unreachable",
            Self::OnlyHttp2 | Self::NotHttp(_) => "not-http1",
            Self::Ended(_) => "no-answer",
        }
    }
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asleep(asleep) => asleep.fmt(f),
            Self::Unreachable(error) => write!(f, "could not be reached: {error}"),
            Self::OnlyHttp2 => f.write_str("speaks HTTP/2 only, and the request is HTTP/1"),
            Self::NotHttp([TLS_ALERT, 3, ..]) => {
                f.write_str("speaks TLS only, and the request has come to it in plain text")
            }
            Self::NotHttp(bytes) => {
                let shown = &bytes[..bytes.len().min(MOST_SHOWN)];
                write!(f, "did not answer in HTTP: what it sent begins with \"{}\"", shown.escape_ascii())
            }
            Self::Ended(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("closed the connection without an answer")
            }
            Self::Ended(error) => write!(f, "broke the connection off before its answer: {error}"),
        }
    }
}

/// First byte of a TLS record with an alert (RFC 8446, 5.1). The major version follows it.
const TLS_ALERT: u8 = 21;
/// Most bytes that are shown of what is no answer.
const MOST_SHOWN: usize = 32;

impl Exchange<'_> {
    /// Nobody has taken the request: it goes to the app, where the preview wants so.
    pub(super) fn unreachable(&mut self, cx: &mut Context<'_>, failure: &Failure<'_>) -> io::Result<()> {
        let to_app = self
            .away
            .errand()
            .is_some_and(|errand| matches!(&errand.place, Place::Preview(leg) if leg.preview.falls_back()));
        if !(to_app && matches!(self.place, Place::App)) {
            return self.unanswered(cx, failure);
        }
        let Some(errand) = self.away.give_up() else { return Ok(()) };
        self.count_unanswered(&errand.place);
        // Home has answered everything before, so the request simply goes there.
        self.to_server.send(cx, self.home.stream(), &[&errand.head])
    }

    /// The connection was taken by a server that does not speak HTTP/1, and so has not looked at the request. A body may
    /// have gone there, which is kept nowhere.
    pub(super) fn only_http2(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.away.errand().is_some_and(|errand| errand.has_body) {
            return self.unanswered(cx, &Failure::OnlyHttp2);
        }
        self.to_server = Outbox::default(); // of the head that it did not take
        self.unreachable(cx, &Failure::OnlyHttp2)
    }

    /// There is no answer that could be passed on.
    pub(super) fn unanswered(&mut self, cx: &mut Context<'_>, failure: &Failure<'_>) -> io::Result<()> {
        let Some(errand) = self.away.give_up() else { return Ok(()) };
        self.count_unanswered(&errand.place);
        let who = match &errand.place {
            Place::Preview(leg) => format!("preview {}", leg.preview.route.name),
            Place::App => "the app".to_owned(),
        };
        // Part of a body may have come, and where the next request begins is not worth finding out.
        let last = errand.has_body || !errand.keep_alive;
        let (status, more) = failure.head();
        self.answer(cx, status, &more, failure.code(), &format!("{who} {failure}"), last)
    }

    fn count_unanswered(&self, place: &Place) {
        if let Place::Preview(leg) = place {
            self.connection.count_unreachable(leg.index);
        }
    }

    /// The body of a request that is away cannot be followed to its end.
    pub(super) fn reject(&mut self, cx: &mut Context<'_>, doubt: Doubt) -> io::Result<()> {
        self.away.reset();
        if self.lingers() || !matches!(self.down, Down::Head) || self.away.give_up().is_none() {
            return Err(io::Error::other(doubt.explain())); // the answer has begun: it cannot be taken back
        }
        self.answer(cx, "400 Bad Request", "", doubt.code(), doubt.explain(), true)
    }

    /// Answers in the place of the server that was asked. `more`: further lines of the head.
    pub(super) fn answer(
        &mut self,
        cx: &mut Context<'_>,
        status: &str,
        more: &str,
        code: &str,
        why: &str,
        last: bool,
    ) -> io::Result<()> {
        self.last |= last || self.connection.admission.draining();
        let text = format!("byway: {why}\n");
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
             x-byway-error: {code}\r\n{more}{}\r\n",
            text.len(),
            if self.last { "connection: close\r\n" } else { "" },
        );
        // The answer to a HEAD ends with its head.
        let is_head =
            |asked: &Asked| matches!(asked.kind, RequestKind::Head | RequestKind::Upgrade { head: true });
        let body = if self.waiting.front().is_some_and(is_head) { "" } else { &text };
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
