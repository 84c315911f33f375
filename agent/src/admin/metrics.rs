//! Prometheus metrics, gathered from the counters when they are asked for. No label has values that users can grow
//! without bound: targets and previews are added up, `debug routes` tells them apart.

use std::sync::atomic::Ordering::Relaxed;

use byway_abi::Steer;
use byway_http::Doubt;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter as Count, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::Health;
use crate::{admission::resident_bytes, target::Counter};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct To {
    to: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Became {
    became: &'static str,
}

/// All metrics as OpenMetrics text.
pub(super) fn encode(health: &Health) -> String {
    // Also of targets that have gone: a counter never falls.
    let admission = health.admission.get();
    let totals = admission.map(|admission| admission.tables().target_totals());
    let sum = |what: Counter| totals.map_or(0, |totals| totals[what.index()]);
    let mut registry = Registry::with_prefix("byway_agent");

    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("targets", "Targets attached", health.targets.load(Relaxed));
    gauge(
        "connections_open",
        "Connections accepted and not ended yet",
        admission.map_or(0, |a| a.open() as u64),
    );
    gauge("connections_limit", "Most connections at once", admission.map_or(0, |a| a.limit() as u64));
    gauge("steering", "1 when new connections are taken", u64::from(admission.is_some_and(|a| a.has_room())));
    let help = "Connections to targets that are open, and were before the route";
    gauge("old_connections", help, sum(Counter::OldOpen));
    let memory = Gauge::<i64>::default();
    memory.set(resident_bytes().ok().and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(0));
    registry.register_with_unit("resident_memory", "Resident memory", Unit::Bytes, memory);

    let mut counter = |name: &str, help: &str, value: u64| {
        let counter = Count::<u64>::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    };
    counter("connections_accepted", "Connections accepted", sum(Counter::Accepted));
    counter("dials_failed", "Dials of an app that were refused, and passed on so", sum(Counter::DialFailed));
    counter(
        "unknown_keys",
        "Requests to the app that carried a key without a route",
        sum(Counter::UnknownKey),
    );
    counter(
        "old_requests",
        "Requests seen on connections that were open before a route",
        sum(Counter::OldRequests),
    );
    counter(
        "old_requests_missed",
        "Of these, the keyed ones, which a preview would have got",
        sum(Counter::OldMissed),
    );
    counter("old_packets_lost", "Packets on such connections that were not looked at", sum(Counter::OldLost));
    counter(
        "old_connections_drained",
        "Such connections that were closed while idle",
        sum(Counter::OldDrained),
    );
    counter("bad_documents", "Routes documents that could not be read", health.bad_documents.load(Relaxed));

    if let Some(register) = &health.source {
        register(&mut registry);
    }

    let requests = Family::<To, Count>::default();
    requests.get_or_create(&To { to: "app" }).inc_by(sum(Counter::AppRequests));
    requests.get_or_create(&To { to: "preview" }).inc_by(sum(Counter::PreviewRequests));
    requests.get_or_create(&To { to: "nobody" }).inc_by(admission.map_or(0, |a| a.refused()));
    registry.register("requests", "Requests decided", requests);

    let copied = admission.map(|admission| admission.copies.counts()).unwrap_or_default();
    let copies = Family::<Became, Count>::default();
    for (became, count) in
        [("sent", copied.sent), ("dropped", copied.dropped), ("status_differs", copied.status_differs)]
    {
        copies.get_or_create(&Became { became }).inc_by(count);
    }
    registry.register("copies", "Requests of which previews were to get copies", copies);

    // Whatever they carry: a keyed request among them does not reach its preview.
    let passed_on = Family::<Reason, Count>::default();
    let steered = admission.and_then(|admission| admission.tables().steer_totals().ok()).unwrap_or_default();
    for why in Steer::PASSED_ON {
        passed_on.get_or_create(&Reason { reason: why.code() }).inc_by(steered[why as usize]);
    }
    let help = "New connections that the kernel passed on to the app, since the agent could not take them";
    registry.register("connections_passed_on", help, passed_on);

    let opaque = Family::<Reason, Count>::default();
    for doubt in Doubt::ALL {
        opaque.get_or_create(&Reason { reason: doubt.code() }).inc_by(sum(Counter::Opaque(doubt)));
    }
    registry.register("connections_opaque", "Connections that turned opaque", opaque);

    let mut encoded = String::new();
    match text::encode(&mut encoded, &registry) {
        Ok(()) => encoded,
        Err(error) => format!("# {error}\n"),
    }
}
