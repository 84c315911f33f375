//! Whom the requests of one connection are shown to, and what became of that.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use byway_http::{
    Decision, RequestHead, RequestKind,
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
    /// The client.
    pub(super) peer: IpAddr,
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
        let (takers, is_tunnel) = takers(&copied, shown(), |head| {
            let origin = routes.origins.get(&self.peer);
            matches!(routes.at(self.port).table.decide(head, origin).decision, Decision::App(_))
        });
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

/// Whom a request is shown to, if it is the app's and not another preview's; and whether it asks for a tunnel.
fn takers<'r>(
    copied: &Copied,
    shown: impl Iterator<Item = &'r Shown>,
    is_apps: impl Fn(&RequestHead<'_, '_>) -> bool,
) -> (Vec<&'r Shown>, bool) {
    let all = |head: &RequestHead<'_, '_>| {
        let mut takers: Vec<_> = shown.filter(|shown| shown.takes(head)).collect();
        if !takers.is_empty() && !is_apps(head) {
            takers.clear();
        }
        takers
    };
    match copied {
        Copied::Http1 { bytes, head } => {
            let mut space = header_space();
            let Ok(head) = parse_request(&bytes[..*head], &mut space) else { return (Vec::new(), false) };
            let is_tunnel = matches!(head.kind, RequestKind::Upgrade { .. });
            (all(&head), is_tunnel)
        }
        Copied::Http2 { fields, .. } => with_http2_head(fields, |head| {
            let is_tunnel = head.method == "CONNECT";
            (all(head), is_tunnel)
        }),
    }
}
