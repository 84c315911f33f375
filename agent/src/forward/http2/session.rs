//! What the streams of one client connection share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use byway_http::{AppReason, Decision, with_http2_head};
use h2::client::SendRequest;
use http::request::Parts;
use tokio::time::sleep;

use super::{
    super::{
        connection::{Connection, Place},
        refuse,
    },
    away::Away,
    news::News,
    way::Room,
};
use crate::snapshot::Leg;

/// Most bytes of heads of the streams under way: beyond that, streams are refused, and may be tried again.
const MAX_HEADS: usize = 16 * 1024 * 1024;
/// How long streams of home that has gone wait for the end of the client's connection, which says it best.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Session {
    pub(super) connection: Connection,
    /// Where the connection belongs.
    pub(super) place: Place,
    pub(super) home: SendRequest<Bytes>,
    pub(super) to_home: Room,
    pub(super) to_client: Room,
    pub(super) away: Away,
    pub(super) news: Arc<News>,
    heads: AtomicUsize,
}

/// Who gets a stream.
pub(super) enum Destination {
    /// Home, and the preview whose answer that is, if it is one's.
    Home(Option<Arc<Leg>>),
    Away(Place),
    Nobody(AppReason, &'static str),
}

impl Session {
    pub(super) fn new(connection: Connection, place: Place, home: SendRequest<Bytes>) -> Self {
        Self {
            connection,
            place,
            home,
            to_home: Room::default(),
            to_client: Room::default(),
            away: Away::default(),
            news: Arc::default(),
            heads: AtomicUsize::new(0),
        }
    }

    /// Decides one stream, and counts it.
    pub(super) fn decide(&self, request: &Parts) -> Destination {
        let connection = &self.connection;
        let routes = connection.target.routes.load();
        let routes = routes.at(connection.local.port());
        let origin = routes.origins.get(&connection.peer.ip());
        with_http2_head(request, |head| {
            let verdict = routes.table.decide(head, origin);
            let refused = routes.is_own() && matches!(verdict.decision, Decision::App(_));
            connection.count(routes, head, verdict, refused);
            let place = match verdict.decision {
                Decision::App(reason) if refused => {
                    connection.admission.count_refused();
                    return Destination::Nobody(reason, refuse::why(reason, routes));
                }
                Decision::App(_) => Place::App,
                Decision::Preview(i, _) => match routes.legs.get(i).cloned() {
                    Some(leg) if routes.is_own() => return Destination::Home(Some(leg)),
                    Some(leg) => Place::Preview(leg),
                    None => Place::App,
                },
            };
            if !place.is(&self.place) {
                return Destination::Away(place);
            }
            // Home as it is in the newest routes.
            Destination::Home(match place {
                Place::App => None,
                Place::Preview(leg) => Some(leg),
            })
        })
    }

    /// Room for the head of a stream; none if there are too many.
    pub(super) fn make_room(&self, bytes: usize) -> bool {
        let fits = self.heads.fetch_add(bytes, Relaxed) + bytes <= MAX_HEADS;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.heads.fetch_sub(bytes, Relaxed);
    }

    /// Home has gone, and with it goes the client's connection, unless others are still being answered on it.
    pub(super) async fn is_orphaned(&self) {
        self.news.add_orphan();
        // At its end the connection takes its streams with it.
        sleep(PATIENCE).await;
        self.news.remove_orphan();
    }
}
