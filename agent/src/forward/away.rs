//! Requests to another place than home, one at a time, over connections kept for this client connection.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use byway_http::{Body, RequestHead};

use super::connection::{Connection, Place, Server};

/// Most connections kept for one client connection, each to another place. Who has not been asked for longest goes.
pub(super) const KEPT: usize = 8;

type Dialling<'a> = Pin<Box<dyn Future<Output = io::Result<Server>> + Send + 'a>>;

/// A connection that may serve another request.
struct Kept {
    place: Place,
    server: Server,
}

/// The request that is away.
pub(super) struct Errand {
    pub(super) place: Place,
    /// Kept until the answer: a connection that has served before may turn out to be closed.
    pub(super) head: Vec<u8>,
    /// The head has been handed to the connection.
    pub(super) sent: bool,
    /// It may be sent again: its method is idempotent (RFC 9110, 9.2.2) and it has no body.
    pub(super) repeatable: bool,
    pub(super) has_body: bool,
    /// The client may send the body or not, so behind an early answer nobody knows what follows.
    pub(super) expects_continue: bool,
    /// Another request may follow on the client's connection.
    pub(super) keep_alive: bool,
    /// Over a connection that has served before.
    reused: bool,
}

pub(super) struct Away<'a> {
    connection: &'a Connection,
    kept: Vec<Kept>,
    errand: Option<Errand>,
    active: Option<Server>,
    dialling: Option<Dialling<'a>>,
}

impl<'a> Away<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, kept: Vec::new(), errand: None, active: None, dialling: None }
    }

    /// A request is away.
    pub(super) fn is_active(&self) -> bool {
        self.errand.is_some()
    }

    /// A request is away, and there is no connection for it yet.
    pub(super) fn is_dialling(&self) -> bool {
        self.is_active() && self.active.is_none()
    }

    pub(super) fn place(&self) -> Option<&Place> {
        self.errand.as_ref().map(|e| &e.place)
    }

    pub(super) fn errand(&mut self) -> Option<&mut Errand> {
        self.errand.as_mut()
    }

    pub(super) fn server(&mut self) -> Option<&mut Server> {
        self.active.as_mut()
    }

    pub(super) fn take_active(&mut self) -> Option<Server> {
        self.errand = None;
        self.active.take()
    }

    /// Sets out. The connection is kept or to be dialled; ask [`poll_dial`](Self::poll_dial).
    pub(super) fn set_out(&mut self, place: Place, bytes: &[u8], head: &RequestHead<'_, '_>) {
        let found = self.kept.iter().position(|k| k.place.is(&place));
        let port = self.connection.local.port();
        let kept = found.map(|i| self.kept.remove(i)).and_then(|k| k.for_another(&place, port));
        let reused = kept.is_some();
        self.active = kept.map(|k| k.server);
        let has_body = !matches!(head.body, Body::Empty | Body::Length(0));
        let idempotent = matches!(head.method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE");
        self.errand = Some(Errand {
            place,
            head: bytes.to_vec(),
            sent: false,
            repeatable: idempotent && !has_body,
            has_body,
            expects_continue: head.expects_continue,
            keep_alive: head.keep_alive,
            reused,
        });
    }

    /// Ready when there is a connection; an error when nobody can be reached.
    pub(super) fn poll_dial(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.active.is_some() {
            return Poll::Ready(Ok(()));
        }
        let Some(errand) = &self.errand else { return Poll::Pending };
        let connection = self.connection;
        let dialling = self.dialling.get_or_insert_with(|| {
            let place = errand.place.clone();
            Box::pin(async move { connection.dial(&place).await })
        });
        let dialled = std::task::ready!(dialling.as_mut().poll(cx));
        self.dialling = None;
        self.active = Some(dialled?);
        Poll::Ready(Ok(()))
    }

    /// The client has been told to send the body, or does so unasked.
    pub(super) fn body_comes(&mut self) {
        if let Some(errand) = &mut self.errand {
            errand.expects_continue = false;
        }
    }

    /// A connection that has served before turned out to be closed: the request may go out once more, over a new one.
    pub(super) fn try_again(&mut self) -> bool {
        let Some(errand) = self.errand.as_mut().filter(|e| e.reused && e.repeatable) else { return false };
        errand.reused = false;
        errand.sent = false;
        self.active = None;
        true
    }

    /// Nobody could be reached, or nobody answered.
    pub(super) fn give_up(&mut self) -> Option<Errand> {
        self.active = None;
        self.dialling = None;
        self.errand.take()
    }

    /// The answer is complete.
    pub(super) fn come_back(&mut self, keep: bool) {
        let (errand, active) = (self.errand.take(), self.active.take());
        let (Some(Errand { place, .. }), Some(server), true) = (errand, active, keep) else { return };
        if self.kept.len() == KEPT {
            self.kept.remove(0);
        }
        self.kept.push(Kept { place, server });
    }

    pub(super) fn reset(&mut self) {
        if let Some(server) = &mut self.active {
            server.stream().reset();
        }
    }
}

impl Kept {
    /// Itself, if it is still open and to where the preview still is for this port.
    fn for_another(mut self, place: &Place, port: u16) -> Option<Self> {
        let current = match (place, &self.server) {
            (Place::Preview(leg), Server::Preview(_, pod, _)) => leg.preview.is_reached_at(*pod, port),
            _ => true,
        };
        let silent = self.server.stream().try_read(&mut [0]);
        let open = matches!(silent, Err(e) if e.kind() == io::ErrorKind::WouldBlock);
        (current && open).then_some(self)
    }
}
