//! Whose stream is it?

use std::sync::Arc;

use byway_http::{
    AppReason, Decision, Doubt,
    http2::{
        Fields,
        switch::{Answer, GrpcStatus, Scratch as Block, mark},
    },
    with_http2_head,
};

use super::{
    super::{connection::Place, refuse},
    Multiplex,
};
use crate::snapshot::{Leg, Routes};

/// Who gets a stream.
enum Destination {
    /// Home, and the preview whose answer that is, if it is one's.
    Home(Option<Arc<Leg>>),
    Away(Place),
    Nobody(AppReason, &'static str),
}

impl Multiplex<'_> {
    /// Decides the request that the switch has come to.
    pub(super) fn decide(&mut self, block: &mut Block) {
        match self.destination(block.fields()) {
            Destination::Home(leg) => {
                self.switch.goes_home(leg.as_deref().and_then(header), block);
                self.used = leg.or(self.used.take());
            }
            Destination::Away(place) => {
                let mark = place.leg().and_then(|leg| header(leg));
                let line = self.lines.to(&mut self.switch, place);
                self.switch.goes_away(line, mark, block);
            }
            Destination::Nobody(reason, why) => {
                let (status, grpc, code) = (404, GrpcStatus::NotFound, reason.code());
                self.switch.answer(&Answer { status, grpc, code, why }, block);
            }
        }
    }

    fn destination(&self, request: &Fields) -> Destination {
        let connection = self.connection;
        let routes = connection.target.routes.load();
        let routes = routes.at(connection.local.port());
        let origin = routes.origins.get(&connection.peer.ip());
        with_http2_head(request, |head| {
            let verdict = routes.table.decide(head, origin);
            if request.is_long() {
                // Not all of it is known, so nobody acts on what is.
                self.count_lost(routes, verdict.decision, Doubt::HeadTooLong);
                return Destination::Home(None);
            }
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
}

impl Multiplex<'_> {
    /// A request that was slow has gone home.
    pub(super) fn was_late(&self, request: &Fields) {
        let routes = self.connection.target.routes.load();
        let routes = routes.at(self.connection.local.port());
        let origin = routes.origins.get(&self.connection.peer.ip());
        with_http2_head(request, |head| {
            self.count_lost(routes, routes.table.decide(head, origin).decision, Doubt::SlowHead);
        });
    }

    /// A preview whose request goes home undecided is told, if home is another.
    fn count_lost(&self, routes: &Routes, decision: Decision, why: Doubt) {
        let leg = if let Decision::Preview(i, _) = decision { routes.legs.get(i) } else { None };
        if let Some(leg) = leg.filter(|_| matches!(self.place, Place::App) && !routes.is_own()) {
            self.connection.count_lost(leg, why);
        }
    }
}

/// What a preview adds to its answers.
pub(super) fn header(leg: &Leg) -> Option<Box<[u8]>> {
    leg.preview.header_value.as_ref().map(|value| mark("x-byway-preview", value.as_bytes()))
}
