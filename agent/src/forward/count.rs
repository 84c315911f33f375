//! What is counted of each request, and said of it in the log.

use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use byway_http::{AppReason, Decision, Doubt, RequestHead, Verdict};

use super::connection::{Connection, Place};
use crate::{
    snapshot::{Leg, Routes},
    tables::{route_counter as counter, unix_ms},
    target::Counter,
};

/// How often it is said that a preview is still in use, in milliseconds.
const STILL: u64 = 1000;

/// When it was last said on this connection or stream.
pub(super) type Said = Cell<u64>;

impl Connection {
    /// Counts a request that has been decided. `refused`: nobody gets it.
    pub(super) fn count(&self, routes: &Routes, head: &RequestHead<'_, '_>, verdict: Verdict, refused: bool) {
        let keyed = match verdict.decision {
            Decision::App(reason) => {
                self.count_app(routes, head, reason);
                false
            }
            Decision::Preview(i, _) => {
                self.count_preview(routes, i);
                true
            }
        };
        if let Some(leg) = verdict.narrowed.and_then(|i| routes.legs.get(i)) {
            self.route_counter(leg.index, counter::NARROWED).fetch_add(1, Relaxed);
        }
        if refused {
            return;
        }
        if let Some(leg) = verdict.overlapped.and_then(|i| routes.legs.get(i)) {
            self.route_counter(leg.index, counter::OVERLAPPED).fetch_add(1, Relaxed);
        }
        self.target.count(if keyed { Counter::PreviewRequests } else { Counter::AppRequests });
    }

    /// Counts a connection that goes on as raw bytes between the client and `place`.
    pub(super) fn count_opaque(&self, place: &Place, doubt: Doubt) {
        let (target, code) = (&self.target, doubt.code());
        tracing::debug!(target = target.name, client = %self.peer, reason = code, "opaque: {}", doubt.explain());
        target.count(Counter::Opaque(doubt));
        if let Place::Preview(leg) = place {
            self.route_counter(leg.index, counter::OPAQUE).fetch_add(1, Relaxed);
            self.route_counter(leg.index, counter::LAST_REQUEST).store(unix_ms(), Relaxed);
        }
    }

    /// A preview is in use by what began before: a tunnel, a stream, a long answer.
    pub(super) fn still_used(&self, leg: Option<&Arc<Leg>>, said: &Said) {
        let Some(leg) = leg else { return };
        let now = unix_ms();
        if now.saturating_sub(said.get()) < STILL {
            return;
        }
        said.set(now);
        // As it is in the newest routes: the counters of one that has gone may be another's by now.
        let routes = self.target.routes.load();
        if let Some(leg) = routes.legs.iter().find(|it| it.preview.route.name == leg.preview.route.name) {
            self.route_counter(leg.index, counter::LAST_REQUEST).store(now, Relaxed);
        }
    }

    /// Somebody waits for a preview that sleeps: this is what wakes it.
    pub(super) fn calls(&self, leg: &Leg) {
        self.route_counter(leg.index, counter::LAST_REQUEST).store(unix_ms(), Relaxed);
    }

    pub(super) fn count_unreachable(&self, route: u32) {
        self.route_counter(route, counter::UNREACHABLE).fetch_add(1, Relaxed);
    }

    fn count_app(&self, routes: &Routes, head: &RequestHead<'_, '_>, reason: AppReason) {
        if reason == AppReason::UnknownKey {
            self.target.count(Counter::UnknownKey);
        }
        if reason != AppReason::NoKey
            && let Some(near) =
                tracing::enabled!(tracing::Level::DEBUG).then(|| routes.table.near_miss(head)).flatten()
        {
            tracing::debug!(target = self.target.name, reason = reason.code(), "to the app: {near}");
        }
    }

    fn count_preview(&self, routes: &Routes, route: usize) {
        let Some(leg) = routes.legs.get(route) else { return };
        self.route_counter(leg.index, counter::REQUESTS).fetch_add(1, Relaxed);
        self.route_counter(leg.index, counter::LAST_REQUEST).store(unix_ms(), Relaxed);
    }

    pub(super) fn route_counter(&self, route: u32, what: usize) -> &std::sync::atomic::AtomicU64 {
        &self.target.tables.route_counters(route)[what]
    }
}
