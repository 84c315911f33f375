//! A connection to a server that speaks HTTP/2, and the task that drives it.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use h2::client::{Connection, SendRequest};

use super::{
    super::connection::Server,
    limits,
    news::{News, State},
    wire::{End, Wire},
};

/// A connection, to be driven by a task of its own.
pub(super) struct Driver {
    connection: Connection<Wire, Bytes>,
    end: Arc<End>,
}

/// Speaks HTTP/2 with a server that has been greeted and has said `said`.
pub(super) async fn open(server: Server, said: Vec<u8>) -> io::Result<(SendRequest<Bytes>, Driver)> {
    let wire = Wire::server(server, said);
    let end = wire.end();
    let (send, connection) = limits::for_server().handshake(wire).await.map_err(into_io)?;
    Ok((send, Driver { connection, end }))
}

impl Driver {
    pub(super) fn end(&self) -> Arc<End> {
        self.end.clone()
    }

    /// Drives the connection to its end: the server's, or that of the last stream and of all who could begin one.
    pub(super) async fn run(self) {
        if let Err(error) = self.connection.await {
            tracing::debug!(%error, "a connection to a server has ended");
        }
    }

    /// Drives the connection to its end, and tells how it stands.
    pub(super) async fn run_told(mut self, mut probe: SendRequest<Bytes>, news: Arc<News>) {
        let (mut is_open, mut takes_connect) = (true, false);
        let end = poll_fn(|cx| {
            let end = Pin::new(&mut self.connection).poll(cx);
            if is_open && !takes_connect && probe.is_extended_connect_protocol_enabled() {
                takes_connect = true;
                news.tell(State::Open);
            }
            // The library says nothing of a GOAWAY, but takes no new streams then.
            if end.is_pending() && is_open && matches!(probe.poll_ready(cx), Poll::Ready(Err(_))) {
                is_open = false;
                news.tell(State::GoingAway);
            }
            end
        })
        .await;
        let told = end.err().filter(|error| error.is_go_away() && error.is_remote());
        news.tell(State::Ended(told.and_then(|error| error.reason())));
    }
}

pub(super) fn into_io(error: h2::Error) -> io::Error {
    let text = error.to_string();
    error.into_io().unwrap_or_else(|| io::Error::other(text))
}
