//! Connections to others than home, kept for this client connection: one to each, for all streams that go there.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::{sync::Mutex as Turn, task::JoinSet};

use super::{
    super::{
        away::KEPT,
        connection::{Connection, Place, Server},
    },
    greet::{Greeting, greet},
    server,
    way::Room,
};

/// Most of what a server said that is shown.
const SHOWN: usize = 64;

#[derive(Default)]
pub(super) struct Away {
    /// Who was asked last comes last.
    slots: Mutex<Vec<(Place, Arc<Turn<Slot>>)>>,
    drivers: Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct Slot {
    line: Option<Line>,
    /// The last dial failed: whoever waited for it meanwhile need not try again.
    failed: Option<(Instant, Unreachable)>,
}

/// A connection that takes streams.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) send: SendRequest<Bytes>,
    pub(super) room: Room,
    /// It said at once that it takes extended CONNECT.
    connect_protocol: bool,
    pod: Option<SocketAddr>,
}

/// Why a server cannot be asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Unreachable {
    #[error("could not be reached: {0}")]
    Dial(String),
    #[error("does not speak HTTP/2 without TLS, as this request does; what it said first: \"{0}\"")]
    NotHttp2(String),
}

impl Unreachable {
    /// The stable code, as in `x-byway-error`.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Dial(_) => "unreachable",
            Self::NotHttp2(_) => "not-http2",
        }
    }
}

impl From<io::Error> for Unreachable {
    fn from(error: io::Error) -> Self {
        Self::Dial(error.to_string())
    }
}

impl Away {
    /// The connection to `place`, made if there is none.
    pub(super) async fn line(&self, connection: &Connection, place: &Place) -> Result<Line, Unreachable> {
        let asked = Instant::now();
        let slot = self.slot(place);
        let mut slot = slot.lock().await;
        if let Some(line) = &mut slot.line
            && line.takes_more(place)
        {
            return Ok(line.clone());
        }
        if let Some((_, why)) = slot.failed.as_ref().filter(|(when, _)| *when > asked) {
            return Err(why.clone());
        }
        slot.line = None;
        match self.open(connection, place).await {
            Ok(line) => {
                slot.line = Some(line.clone());
                Ok(line)
            }
            Err(why) => {
                slot.failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    fn slot(&self, place: &Place) -> Arc<Turn<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(i) = slots.iter().position(|(other, _)| other.is(place)) {
            slots[i..].rotate_left(1);
            return slots[slots.len() - 1].1.clone();
        }
        if slots.len() == KEPT {
            slots.remove(0); // its streams go on, and it ends with the last of them
        }
        let slot = Arc::<Turn<Slot>>::default();
        slots.push((place.clone(), slot.clone()));
        slot
    }

    async fn open(&self, connection: &Connection, place: &Place) -> Result<Line, Unreachable> {
        let mut server = connection.dial(place).await?;
        let mut said = Vec::new();
        let Greeting::Http2(settings) = greet(server.stream(), &mut said).await? else {
            return Err(Unreachable::NotHttp2(first_line(&said)));
        };
        let pod = match &server {
            Server::App(_) => None,
            Server::Preview(_, pod) => Some(*pod),
        };
        let (send, driver) = server::open(server, said).await?;
        let mut drivers = self.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        while drivers.try_join_next().is_some() {}
        drivers.spawn(driver.run());
        Ok(Line { send, room: Room::default(), connect_protocol: settings.connect_protocol, pod })
    }
}

impl Line {
    /// Whether it takes extended CONNECT (RFC 8441).
    pub(super) fn takes_connect(&self) -> bool {
        self.connect_protocol || self.send.is_extended_connect_protocol_enabled()
    }

    /// Whether it is still open, and to a pod that the preview still has.
    fn takes_more(&mut self, place: &Place) -> bool {
        let current = match (place, self.pod) {
            (Place::Preview(leg), Some(pod)) => leg.preview.has_backend(pod),
            _ => true,
        };
        let mut cx = Context::from_waker(Waker::noop());
        current && matches!(self.send.poll_ready(&mut cx), Poll::Ready(Ok(())))
    }
}

/// What a server said, for people to read.
fn first_line(said: &[u8]) -> String {
    let line = said.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    line[..line.len().min(SHOWN)].escape_ascii().to_string()
}
