//! A client's connection, and who may answer on it: the app or a preview.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    admission::Admission,
    backend::{self, Pulse},
    dial::{self, AppStream},
    snapshot::{Leg, Routes},
    stream::Stream,
    target::Target,
};

/// A connection that was accepted.
pub(crate) struct Connection {
    pub(crate) worker: u32,
    pub(crate) target: Arc<Target>,
    pub(crate) client: Option<Stream>,
    /// Who called.
    pub(crate) peer: SocketAddr,
    /// Whom they called: the address and port of the app.
    pub(crate) local: SocketAddr,
    pub(crate) admission: Arc<Admission>,
}

/// Who answers.
#[derive(Clone)]
pub(super) enum Place {
    App,
    Preview(Arc<Leg>),
}

impl Place {
    pub(super) const fn leg(&self) -> Option<&Arc<Leg>> {
        match self {
            Self::App => None,
            Self::Preview(leg) => Some(leg),
        }
    }

    /// Whether it is the same app or preview, perhaps of another snapshot.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::App, Self::App) => true,
            (Self::Preview(a), Self::Preview(b)) => a.preview.route.name == b.preview.route.name,
            _ => false,
        }
    }
}

/// An open connection to whoever answers.
pub(super) enum Server {
    App(AppStream),
    Preview(Stream, SocketAddr, Pulse),
}

impl Server {
    pub(super) fn stream(&mut self) -> &mut Stream {
        match self {
            Self::App(app) => &mut app.stream,
            Self::Preview(stream, ..) => stream,
        }
    }

    /// Ready when its pod has vanished. To be asked whenever something is awaited of it. The app is in the same pod as
    /// the agent's socket, and cannot vanish alone.
    pub(super) fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match self {
            Self::App(_) => Poll::Pending,
            Self::Preview(stream, _, pulse) => pulse.poll_lost(cx, stream),
        }
    }
}

/// What is known of a connection when its client turns out to speak HTTP/2.
pub(super) struct Http2Start {
    pub(super) client: Stream,
    pub(super) place: Place,
    pub(super) home: Server,
    /// Of the client, its preface first.
    pub(super) heard: Vec<u8>,
    /// Of home, which may have spoken first.
    pub(super) said: Vec<u8>,
    /// Where the connection began with HTTP/1.
    pub(super) first: Option<FirstStream>,
}

/// The request with which home has taken an offer of h2c, and which is stream 1 now ([`byway_http::h2c`]).
pub(super) struct FirstStream {
    /// What the client has said of itself.
    pub(super) settings: Vec<u8>,
    /// Whose answer it will be, where the pod is its own preview.
    pub(super) own: Option<Arc<Leg>>,
}

impl Connection {
    /// Connects to `place`.
    pub(super) async fn dial(&self, place: &Place) -> io::Result<Server> {
        match place {
            Place::App => dial::app(self.worker, &self.target, self.peer, self.local, &self.admission)
                .await
                .map(Server::App),
            Place::Preview(leg) => {
                if leg.preview.sleeps() {
                    self.calls(leg);
                }
                let sleepers = &self.admission.sleepers;
                let preview = sleepers.awake(&self.target, self.local.port(), leg).await?;
                let (stream, pod) = backend::connect(preview, self.local).await?;
                Ok(Server::Preview(stream, pod, Pulse::default()))
            }
        }
    }

    /// Where the connection belongs as a whole: to the app, or to the preview of the environment that it comes from.
    fn home(&self, routes: &Routes) -> Place {
        if routes.is_own() {
            return Place::App;
        }
        let by_origin = routes.origins.get(&self.peer.ip()).and_then(|key| routes.table.home(key));
        by_origin.and_then(|i| routes.legs.get(i)).map_or(Place::App, |leg| Place::Preview(leg.clone()))
    }

    /// Dials home at once, so that a server that speaks first does, and a refusal is passed on.
    pub(super) async fn dial_home(&self) -> io::Result<(Place, Server)> {
        let home = self.home(self.target.routes.load().at(self.local.port()));
        match (self.dial(&home).await, &home) {
            (Err(_), Place::Preview(leg)) => {
                self.count_unreachable(leg.index);
                if !leg.preview.falls_back() {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                Ok((Place::App, self.dial(&Place::App).await?))
            }
            (server, _) => server.map(|server| (home, server)),
        }
    }
}
