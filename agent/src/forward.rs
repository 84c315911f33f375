//! From an accepted connection to its end: dial, read heads, decide per request, forward.

mod away;
mod count;
mod ending;
mod exchange;
mod http2;
mod outbox;
mod refuse;
mod request;
mod response;
mod splice;
mod tunnel;
mod unreachable;

use std::{io, net::SocketAddr, sync::Arc};

use tokio::net::TcpStream;

use crate::{
    admission::Admission,
    backend,
    dial::{self, AppStream},
    snapshot::{Leg, Routes},
    target::{Counter, Target},
};
use exchange::Exchange;

/// A connection that was accepted.
pub(crate) struct Connection {
    pub(crate) worker: u32,
    pub(crate) target: Arc<Target>,
    pub(crate) client: Option<TcpStream>,
    /// Who called.
    pub(crate) peer: SocketAddr,
    /// Whom they called: the address and port of the app.
    pub(crate) local: SocketAddr,
    pub(crate) admission: Arc<Admission>,
}

/// Who answers.
#[derive(Clone)]
pub(crate) enum Place {
    App,
    Preview(Arc<Leg>),
}

impl Place {
    const fn leg(&self) -> Option<&Arc<Leg>> {
        match self {
            Self::App => None,
            Self::Preview(leg) => Some(leg),
        }
    }

    /// Whether it is the same app or preview, perhaps of another snapshot.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::App, Self::App) => true,
            (Self::Preview(a), Self::Preview(b)) => a.preview.route.name == b.preview.route.name,
            _ => false,
        }
    }
}

/// An open connection to whoever answers.
pub(crate) enum Server {
    App(AppStream),
    Preview(TcpStream, SocketAddr),
}

impl Server {
    fn stream(&mut self) -> &mut TcpStream {
        match self {
            Self::App(app) => &mut app.stream,
            Self::Preview(stream, _) => stream,
        }
    }
}

impl Connection {
    /// Connects to `place`.
    pub(crate) async fn dial(&self, place: &Place) -> io::Result<Server> {
        match place {
            Place::App => dial::app(self.worker, &self.target, self.peer, self.local, &self.admission)
                .await
                .map(Server::App),
            Place::Preview(leg) => {
                let (stream, pod) = backend::connect(leg.preview.clone(), self.local).await?;
                Ok(Server::Preview(stream, pod))
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
    async fn dial_home(&self) -> io::Result<(Place, Server)> {
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

/// Serves the connection to its end.
pub(crate) async fn forward(mut connection: Connection) {
    let Some(client) = connection.client.take() else { return };
    let (place, home) = match connection.dial_home().await {
        Ok(home) => home,
        Err(error) => {
            tracing::debug!(%error, target = connection.target.name, "the dial was refused: passed on as a reset");
            connection.target.count(Counter::DialFailed);
            ending::reset(&client);
            return;
        }
    };
    let http2 = Exchange::new(&connection, client, place, home).run().await;
    if let Some(start) = http2 {
        // Apart, so that a connection of HTTP/1 has no room for it.
        Box::pin(http2::serve(connection, start)).await;
    }
}
