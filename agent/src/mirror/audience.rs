//! Whom the requests of one connection are shown to, and what became of that.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use byway_http::{
    RequestKind,
    copies::{Copied, Found},
    header_space, parse_request, with_http2_head,
};

use super::{answers::Answers, pace::Pace, shower::Shower};
use crate::{
    snapshot::Shown,
    tables::{route_counter as counter, unix_ms},
    target::Target,
};

pub(super) struct Audience {
    pub(super) target: Arc<Target>,
    pub(super) port: u16,
    /// Of the connection, among a hundred.
    pub(super) place: u32,
    pub(super) pace: Arc<Pace>,
    pub(super) answers: Answers,
}

impl Audience {
    /// Shows a request to whom it is for.
    pub(super) fn see(&mut self, found: Found, shower: &Shower) {
        let routes = self.target.routes.load();
        let shown = || routes.shown(self.port).filter(|shown| self.place < shown.percent());
        let (copied, is_whole) = match found {
            Found::Whole(copied) => (copied, true),
            Found::Lost(Some(copied)) => (copied, false),
            Found::Lost(None) => return shown().for_each(|shown| shower.lost(&shown.leg, 1)),
        };
        let (takers, is_tunnel) = takers(&copied, shown());
        let has_turn = takers.is_empty() || self.pace.shows(self.place);
        let copied = Arc::new(copied);
        let mut asked = Vec::new();
        for shown in takers {
            // Of a tunnel only the request would be shown, and it would wait for what follows.
            if is_whole && !is_tunnel && has_turn {
                let counters = self.target.tables.route_counters(shown.leg.index);
                counters[counter::LAST_REQUEST].store(unix_ms(), Relaxed);
                asked.extend(shower.show(&shown.leg, self.port, &self.pace, &copied));
            } else {
                shower.lost(&shown.leg, 1);
            }
        }
        self.answers.wait(&copied, asked);
    }
}

/// Whom a request is for, and whether it asks for a tunnel.
fn takers<'r>(copied: &Copied, shown: impl Iterator<Item = &'r Shown>) -> (Vec<&'r Shown>, bool) {
    match copied {
        Copied::Http1 { bytes, head } => {
            let mut space = header_space();
            let Ok(head) = parse_request(&bytes[..*head], &mut space) else { return (Vec::new(), false) };
            let is_tunnel = matches!(head.kind, RequestKind::Upgrade { .. });
            (shown.filter(|shown| shown.takes(&head)).collect(), is_tunnel)
        }
        Copied::Http2 { fields, .. } => with_http2_head(fields, |head| {
            let is_tunnel = head.method == "CONNECT";
            (shown.filter(|shown| shown.takes(head)).collect(), is_tunnel)
        }),
    }
}
