//! Keyed requests that a preview does not get, since their connection could not be read beyond doubt: counted for it.
//!
//! This looks at bytes on their way and has no say in it. It sees most such requests, not all: where one begins is told
//! by how the bytes come.

use std::sync::atomic::Ordering::Relaxed;

use byway_http::{Decision, Doubt, LooseScan, RequestHead};

use super::connection::{Connection, Place};
use crate::{
    snapshot::Leg,
    tables::{route_counter as counter, unix_ms},
};

/// Of one connection that turned opaque.
pub(super) struct Lost {
    why: Doubt,
    scan: LooseScan,
}

impl Lost {
    /// `None` where no key can be read.
    pub(super) fn new(why: Doubt) -> Option<Box<Self>> {
        let is_readable = !matches!(why, Doubt::Tls | Doubt::Http2);
        is_readable.then(|| Box::new(Self { why, scan: LooseScan::default() }))
    }

    /// Looks at the next bytes of the client, which go to `place`.
    pub(super) fn look(&mut self, connection: &Connection, place: &Place, bytes: &[u8]) {
        let routes = connection.target.routes.load();
        let routes = routes.at(connection.local.port());
        // To a pod that is its own preview all of it comes.
        if routes.legs.is_empty() || routes.is_own() {
            self.scan = LooseScan::default();
            return;
        }
        let origin = routes.origins.get(&connection.peer.ip());
        let why = self.why;
        let found = |head: &RequestHead<'_, '_>| {
            let Decision::Preview(i, _) = routes.table.decide(head, origin).decision else { return };
            let Some(leg) = routes.legs.get(i) else { return };
            if !place.is(&Place::Preview(leg.clone())) {
                connection.count_lost(leg, why);
            }
        };
        self.scan.look(bytes, |name| routes.table.asks_about(name), found);
    }
}

impl Connection {
    /// Counts a keyed request that its preview does not get.
    pub(super) fn count_lost(&self, leg: &Leg, why: Doubt) {
        let name = &leg.preview.route.name;
        tracing::debug!(target = self.target.name, preview = name, reason = why.code(), "lost");
        leg.losses.count(why);
        self.route_counter(leg.index, counter::LOST).fetch_add(1, Relaxed);
        // Whoever sends such requests uses the preview, or tries to.
        self.route_counter(leg.index, counter::LAST_REQUEST).store(unix_ms(), Relaxed);
    }
}
