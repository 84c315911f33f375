//! A connection whose client speaks HTTP/2: each stream is decided alone.
//!
//! Streams for home go over the one connection that was dialled when the client came; those for a preview over one
//! connection to it. The frames are the library's (`h2`). What is ours is who gets a stream, and that what one side
//! says of it (trailers, resets, the end of the connection) the other one hears.
//!
//! Each stream is a task, and so is each connection to a server; all of them are on the thread of the client's.

mod answer;
mod away;
mod bulk;
mod exchange;
mod greet;
mod limits;
mod news;
mod server;
mod session;
mod stream;
mod way;
mod wire;

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use byway_http::{Doubt, Http2Settings, detect::PREFACE};
use tokio::{
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};

use super::{
    connection::{Connection, Http2Start},
    count::Said,
    ending::{self, Ended},
    outbox::Outbox,
    tunnel,
};
use greet::Greeting;
use news::State;
use session::Session;
use wire::{End, Wire};

/// How long the end of home may take to reach a client that has no streams any more.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves the connection to its end.
pub(super) async fn serve(connection: Connection, mut start: Http2Start) {
    match greet::greet(start.home.stream(), &mut start.said).await {
        Ok(Greeting::Other) => {
            let Http2Start { client, place, mut home, heard, said } = start;
            connection.count_opaque(&place, Doubt::Http2);
            // The preface has been sent.
            let up = tunnel::Way::new(Outbox::of(heard[PREFACE.len()..].to_vec()), Ended::No);
            let down = tunnel::Way::new(Outbox::of(said), Ended::No);
            let said = Said::default();
            let used = move || connection.still_used(place.leg(), &said);
            tunnel::run(client, home.stream(), up, down, used, |_| {}).await;
        }
        Ok(Greeting::Http2(settings)) => {
            if let Some(both) = Multiplex::new(connection, start, settings).await {
                both.run().await;
            }
        }
        Err(_) => ending::reset_after_flush(&start.client).await,
    }
}

/// A client connection whose streams are told apart.
struct Multiplex {
    session: Arc<Session>,
    client: h2::server::Connection<Wire, Bytes>,
    client_end: Arc<End>,
    home_end: Arc<End>,
    /// How home stood when it was last looked at.
    seen: State,
    drains: bool,
    /// The client knows that home takes extended CONNECT.
    told_connect: bool,
    /// Home has ended.
    farewell: Option<Pin<Box<Sleep>>>,
    streams: JoinSet<()>,
    /// Of home alone; ends when this does.
    _driver: JoinSet<()>,
}

impl Multiplex {
    /// Speaks with both sides. Nothing if one of them ends before that.
    async fn new(connection: Connection, start: Http2Start, settings: Http2Settings) -> Option<Self> {
        let wire = Wire::client(start.client, start.heard);
        let client_end = wire.end();
        let (send, home) = server::open(start.home, start.said).await.ok()?;
        let home_end = home.end();
        let session = Arc::new(Session::new(connection, start.place, send.clone()));
        let mut driver = JoinSet::new();
        driver.spawn(home.run_told(send, session.news.clone()));
        let client = limits::for_client(&settings).handshake(wire).await.ok()?;
        Some(Self {
            session,
            client,
            client_end,
            home_end,
            seen: State::Open,
            drains: false,
            told_connect: settings.connect_protocol,
            farewell: None,
            streams: JoinSet::new(),
            _driver: driver,
        })
    }

    async fn run(mut self) {
        let admission = self.session.connection.admission.clone();
        let mut drain = pin!(admission.drain_begins());
        if poll_fn(|cx| self.poll(cx, drain.as_mut())).await == Last::HomeFirst {
            self.part().await;
        }
        if self.client_end.was_reset() {
            self.home_end.close_by_reset();
        }
    }

    /// Serves until one of both sides has ended, and says which.
    fn poll(&mut self, cx: &mut Context<'_>, drain: Pin<&mut impl Future<Output = ()>>) -> Poll<Last> {
        let news = self.session.news.clone();
        let state = news.poll_state(cx);
        if state != self.seen {
            self.seen = state;
            self.client.graceful_shutdown();
            if matches!(state, State::Ended(_)) {
                self.farewell = Some(Box::pin(sleep(FAREWELL)));
            }
        }
        if !self.drains && drain.poll(cx).is_ready() {
            self.drains = true;
            self.client.graceful_shutdown();
        }
        loop {
            match pin!(self.client.accept()).poll(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.streams.spawn(stream::serve(self.session.clone(), request, respond));
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a connection of HTTP/2 has ended");
                    return Poll::Ready(Last::Client);
                }
                Poll::Ready(None) => return Poll::Ready(Last::Client),
                Poll::Pending => break,
            }
        }
        // Of a home that was silent when it was greeted it turns out later. A client that has not acknowledged yet what it
        // was told before will, which is read above.
        let takes_connect = self.session.home.is_extended_connect_protocol_enabled();
        if takes_connect && !self.told_connect && self.client.enable_connect_protocol().is_ok() {
            self.told_connect = true;
            cx.waker().wake_by_ref(); // to have it sent
        }
        while let Poll::Ready(Some(ended)) = self.streams.poll_join_next(cx) {
            if let Err(error) = ended {
                tracing::error!(%error, "a stream ended by a fault of the agent");
            }
        }
        // Whoever is left waits for nobody: the end of the connection says so best.
        let orphans = news.orphans();
        if orphans > 0 && orphans == self.streams.len() {
            return Poll::Ready(Last::HomeFirst);
        }
        match &mut self.farewell {
            Some(farewell) if self.streams.is_empty() => farewell.as_mut().poll(cx).map(|()| Last::Client),
            _ => Poll::Pending,
        }
    }

    /// Home has ended, and the client's connection ends like it.
    async fn part(&mut self) {
        // What was on its way to the client goes there first.
        let flushed = poll_fn(|cx| {
            let gone = self.client.poll_closed(cx).is_ready();
            if gone || !self.client_end.is_full() { Poll::Ready(()) } else { Poll::Pending }
        });
        let _ = timeout(FAREWELL, flushed).await;
        if self.home_end.was_reset() {
            self.client_end.close_by_reset();
        }
        if let State::Ended(Some(code)) = self.seen {
            self.client.abrupt_shutdown(code);
            let _ = timeout(FAREWELL, poll_fn(|cx| self.client.poll_closed(cx))).await;
        }
    }
}

/// How both sides came to their end.
#[derive(PartialEq, Eq)]
enum Last {
    /// The client's side has ended, or has heard that it is over.
    Client,
    /// Home has left streams without an answer.
    HomeFirst,
}
