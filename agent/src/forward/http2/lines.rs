//! Lines: connections to others than home, kept for this client connection, one to each, for all streams that go there.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use byway_http::{ServerPreface, Switch, http2::switch::Failure, server_preface};
use tokio::time::{Sleep, sleep};

use super::{
    super::{
        away::KEPT,
        connection::{Connection, Place, Server},
        count::Said,
        outbox::Scratch,
    },
    flush,
    greet::{PATIENCE, SILENCE},
};
use crate::asleep::Asleep;

/// Most of what a server said that is shown.
const SHOWN: usize = 64;

pub(super) struct Lines<'a> {
    connection: &'a Connection,
    /// Who was asked last comes last.
    all: Vec<Line<'a>>,
    last_id: u32,
}

struct Line<'a> {
    id: u32,
    place: Place,
    state: State<'a>,
    /// It gets no more streams, and ends with its last one.
    is_old: bool,
    said: Said,
}

enum State<'a> {
    Dialling(Pin<Box<dyn Future<Output = io::Result<Server>> + Send + 'a>>),
    /// It has been greeted, and what it says first tells what it speaks.
    Greeted {
        server: Server,
        first: Vec<u8>,
        patience: Pin<Box<Sleep>>,
    },
    Open(Server),
}

/// Why a line has ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("{}", told(.0))]
    Unreachable(#[from] io::Error),
    #[error("does not speak HTTP/2 without TLS, as this request does; what it said first: \"{0}\"")]
    NotHttp2(String),
}

impl End {
    /// The stable code, as in `x-byway-error`.
    fn code(&self) -> &'static str {
        match self {
            _ if self.is_asleep() => "asleep",
            Self::Unreachable(_) => "unreachable",
            Self::NotHttp2(_) => "not-http2",
        }
    }

    fn status(&self) -> u16 {
        if self.is_asleep() { 503 } else { 502 }
    }

    fn is_asleep(&self) -> bool {
        matches!(self, Self::Unreachable(error) if Asleep::of(error).is_some())
    }
}

impl<'a> Lines<'a> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self { connection, all: Vec::new(), last_id: 0 }
    }

    /// The line to `place`, made if there is none.
    pub(super) fn to(&mut self, switch: &mut Switch, place: Place) -> u32 {
        let found = self.all.iter().position(|line| !line.is_old && line.place.is(&place));
        if let Some(i) = found {
            let port = self.connection.local.port();
            if self.all[i].is_current(&place, port) && switch.line_takes_more(self.all[i].id) {
                self.all[i..].rotate_left(1);
                return self.all[self.all.len() - 1].id;
            }
            self.all[i].is_old = true;
        }
        let in_use: Vec<usize> = (0..self.all.len()).filter(|i| !self.all[*i].is_old).collect();
        if in_use.len() >= KEPT {
            self.all[in_use[0]].is_old = true;
        }
        self.last_id += 1;
        let id = self.last_id;
        let name = match place.leg() {
            None => "the app".to_owned(),
            Some(leg) => format!("preview {}", leg.preview.route.name),
        };
        switch.add_line(id, name);
        let (connection, to) = (self.connection, place.clone());
        let state = State::Dialling(Box::pin(async move { connection.dial(&to).await }));
        self.all.push(Line { id, place, state, is_old: false, said: Said::default() });
        id
    }

    /// Serves all lines until they would wait; whether anything moved. `app_is_home`: who cannot be reached may be stood
    /// in for by home.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, switch: &mut Switch, app_is_home: bool) -> bool {
        let (connection, mut moved) = (self.connection, false);
        self.all.retain_mut(|line| {
            match line.poll(cx, switch) {
                Ok(false) => {}
                Ok(true) => {
                    connection.still_used(line.place.leg(), &line.said);
                    moved = true;
                }
                Err(end) => {
                    line.end(connection, switch, &end, app_is_home);
                    moved = true;
                    return false;
                }
            }
            let is_over = line.is_old && switch.on_line(line.id) == 0;
            let is_over = is_over && switch.to_line(line.id).is_none_or(|out| out.is_empty());
            if is_over {
                switch.remove_line(line.id);
            }
            !is_over
        });
        moved
    }

    /// Has the close of each line send a reset.
    pub(super) fn reset(&mut self) {
        for line in &mut self.all {
            if let State::Greeted { server, .. } | State::Open(server) = &mut line.state {
                server.stream().reset();
            }
        }
    }
}

impl Line<'_> {
    /// Whether it leads to where the preview still is for this port.
    fn is_current(&self, place: &Place, port: u16) -> bool {
        match (place, &self.state) {
            (
                Place::Preview(leg),
                State::Greeted { server: Server::Preview(_, pod, _), .. }
                | State::Open(Server::Preview(_, pod, _)),
            ) => leg.preview.is_reached_at(*pod, port),
            _ => true,
        }
    }

    /// Serves it until it would wait; whether anything moved, or how it ended.
    fn poll(&mut self, cx: &mut Context<'_>, switch: &mut Switch) -> Result<bool, End> {
        if let State::Dialling(dialling) = &mut self.state {
            let Poll::Ready(server) = dialling.as_mut().poll(cx) else { return Ok(false) };
            self.state =
                State::Greeted { server: server?, first: Vec::new(), patience: Box::pin(sleep(SILENCE)) };
        }
        if let State::Greeted { .. } = &self.state {
            self.poll_greeted(cx, switch)?;
        }
        match &mut self.state {
            State::Open(server) => {
                let moved = exchange(cx, switch, self.id, server)?;
                match server.poll_lost(cx) {
                    Poll::Ready(error) if !moved => Err(error.into()),
                    _ => Ok(moved),
                }
            }
            _ => Ok(false),
        }
    }

    /// Waits for the first words of its server.
    fn poll_greeted(&mut self, cx: &mut Context<'_>, switch: &mut Switch) -> Result<(), End> {
        let State::Greeted { server, first, patience } = &mut self.state else { return Ok(()) };
        if let Some(out) = switch.to_line(self.id) {
            flush(cx, out, Pin::new(server.stream()))?;
        }
        loop {
            let mut scratch = Scratch::take();
            match scratch.poll_read(cx, server.stream()) {
                Poll::Pending => break,
                Poll::Ready(Ok([])) => return Err(End::NotHttp2(first_line(first))),
                Poll::Ready(read) => first.extend_from_slice(read?),
            }
            match server_preface(first) {
                ServerPreface::Http2 => return self.open(switch),
                ServerPreface::Other => return Err(End::NotHttp2(first_line(first))),
                ServerPreface::NeedMore => patience.set(sleep(PATIENCE)),
            }
        }
        if patience.as_mut().poll(cx).is_pending() {
            return Ok(());
        }
        if !first.is_empty() {
            return Err(End::NotHttp2(first_line(first)));
        }
        switch.line_speaks(self.id);
        self.open(switch)
    }

    fn open(&mut self, switch: &mut Switch) -> Result<(), End> {
        let refused = State::Dialling(Box::pin(async { Err(io::ErrorKind::NotConnected.into()) }));
        match std::mem::replace(&mut self.state, refused) {
            State::Greeted { server, first, .. } => {
                self.state = State::Open(server);
                switch.line(self.id, &mut first.as_slice()).map_err(|error| io::Error::other(error).into())
            }
            other => {
                self.state = other;
                Ok(())
            }
        }
    }

    /// Has its streams hear of its end.
    fn end(&self, connection: &Connection, switch: &mut Switch, end: &End, app_is_home: bool) {
        let name = match self.place.leg() {
            None => "the app".to_owned(),
            Some(leg) => format!("preview {}", leg.preview.route.name),
        };
        let has_spoken = matches!(self.state, State::Open(_));
        let falls_back =
            app_is_home && !has_spoken && self.place.leg().is_some_and(|leg| leg.preview.falls_back());
        let why = format!("{name} {end}");
        let left = switch
            .line_failed(self.id, &Failure { status: end.status(), code: end.code(), why: &why, falls_back });
        if let Some(leg) = self.place.leg() {
            (0..left.streams).for_each(|_| connection.count_unreachable(leg.index));
        }
        tracing::debug!(why, streams = left.streams, "a line has ended");
    }
}

/// Both ways of an open line; whether anything moved.
fn exchange(cx: &mut Context<'_>, switch: &mut Switch, id: u32, server: &mut Server) -> Result<bool, End> {
    let mut moved = false;
    loop {
        let mut moves = false;
        if let Some(out) = switch.to_line(id) {
            // Who takes nothing more may have said why: that is read below.
            moves = flush(cx, out, Pin::new(server.stream())).unwrap_or_else(|_| {
                out.clear();
                false
            });
        }
        switch.line_took(id);
        if switch.takes_line(id) {
            let mut scratch = Scratch::take();
            match scratch.poll_read(cx, server.stream()) {
                Poll::Pending => {}
                Poll::Ready(Ok([])) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Poll::Ready(read) => {
                    switch.line(id, &mut read?).map_err(io::Error::other)?;
                    moves = true;
                }
            }
        }
        if !moves {
            return Ok(moved);
        }
        moved = true;
    }
}

/// Why nobody could be asked.
fn told(error: &io::Error) -> String {
    Asleep::of(error).map_or_else(|| format!("could not be reached: {error}"), ToString::to_string)
}

/// What a server said, for people to read.
fn first_line(said: &[u8]) -> String {
    let line = said.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    line[..line.len().min(SHOWN)].escape_ascii().to_string()
}
