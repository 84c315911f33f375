//! Warnings: things to know that do not keep a preview from being ready.

use std::collections::{BTreeMap, BTreeSet};

use byway_api::conditions::reason;
use byway_api::{ExistingConnections, TargetTraffic, loss, names, passed_on};

use super::conditions::Verdict;
use super::seen::seen;
use crate::outcome::CloneOutcome;
use crate::routes::Planned;
use crate::standing::Standing;
use crate::world::World;

pub(super) fn verdict(
    world: &World,
    outcome: Option<&CloneOutcome>,
    planned: Option<&Planned>,
    standing: &Standing,
) -> Option<Verdict> {
    if !standing.is_live() {
        return None;
    }
    let mut warnings: Vec<(String, String)> = outcome.map(|it| it.warnings().to_vec()).unwrap_or_default();
    if let Some(planned) = planned {
        warnings.extend(traffic(world, planned, outcome.map_or(&[], |it| it.ports())));
        warnings.extend(old_connections(world, planned, standing));
    }
    warnings.extend(lost(&standing.traffic.counts.lost));
    let (first, _) = warnings.first()?;
    let reason = if warnings.len() > 1 { reason::SEVERAL.to_owned() } else { first.clone() };
    let text: Vec<String> = if warnings.len() > 1 {
        warnings.iter().map(|(code, message)| format!("{code}: {message}")).collect()
    } else {
        warnings.iter().map(|(_, message)| message.clone()).collect()
    };
    Some(Verdict::yes(&reason, text.join("; ")))
}

/// Connections that the app serves since they are older than the route, and what was missed on them.
fn old_connections(world: &World, planned: &Planned, standing: &Standing) -> Option<(String, String)> {
    let open: u64 = seen(world, planned).map(|it| it.old_connections).sum();
    if open == 0 {
        return None;
    }
    let missed = match standing.traffic.counts.missed {
        0 => "no request with the key has been seen on them yet (in HTTP/2 and TLS none can be)".to_owned(),
        1 => "1 request with the key has been missed on them so far".to_owned(),
        n => format!("{n} requests with the key have been missed on them so far"),
    };
    let fix = match standing.preview.spec.incoming.existing_connections {
        ExistingConnections::Leave => {
            "set incoming.existingConnections to drainIdle, restart the clients' connection pools, or"
        }
        ExistingConnections::DrainIdle => {
            "those of HTTP/1 are closed once a request on them was seen to be answered, others (HTTP/2, gRPC, TLS) are left alone; restart the clients' connection pools, or"
        }
    };
    let (were, bypass) =
        if open == 1 { ("connection was", "bypasses") } else { ("connections were", "bypass") };
    let message = format!(
        "{open} {were} open before the route and {bypass} the preview, and {missed}; {fix} annotate the target with {}=true ahead of the next preview",
        names::ARMED_ANNOTATION
    );
    Some((reason::OLD_CONNECTIONS.to_owned(), message))
}

/// Requests that carried the key and went to the app all the same, by reason: the most frequent ones with what to do.
fn lost(by_reason: &BTreeMap<String, u64>) -> Option<(String, String)> {
    const NAMED: usize = 3;
    let all: u64 = by_reason.values().sum();
    let mut by_reason: Vec<(&str, u64)> = by_reason.iter().map(|(code, n)| (code.as_str(), *n)).collect();
    by_reason.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let said = |(code, n): &(&str, u64)| match loss(code) {
        Some(it) => format!("{n} since {} ({code}): {}", it.why, it.fix),
        None => format!("{n} for a reason that this controller does not know yet ({code}): upgrade it"),
    };
    let named: Vec<String> = by_reason.iter().take(NAMED).map(said).collect();
    let more = if by_reason.len() > NAMED { "; status.traffic.lost has the rest" } else { "" };
    let requests = if all == 1 { "request" } else { "requests" };
    let message = format!("{all} {requests} with the key went to the app, {}{more}", named.join("; "));
    (all > 0).then(|| (reason::REQUESTS_LOST.to_owned(), message))
}

/// So many, rounded down to one digit: a number that grows is not worth a write each minute.
fn connections(count: u64) -> String {
    match count {
        1 => "1 connection".to_owned(),
        0..10 => format!("{count} connections"),
        _ => format!("{} connections or more", count - count % 10_u64.pow(count.ilog10())),
    }
}

/// What the agents see on the target's pods that no header can match.
fn traffic(world: &World, planned: &Planned, ports: &[u16]) -> Vec<(String, String)> {
    let (mut tls, mut http2) = (Vec::new(), Vec::new());
    let mut passed = Vec::new();
    let mut deaf: BTreeSet<(&str, u16)> = BTreeSet::new();
    for seen in seen(world, planned) {
        passed.extend(passed_by(seen));
        if seen.tls > 0 {
            tls.push(format!("{} ({} on its steered ports)", seen.target, connections(seen.tls)));
        }
        if seen.http2 > 0 {
            http2.push(format!("{} ({} on its steered ports)", seen.target, connections(seen.http2)));
        }
        deaf.extend(
            seen.not_listening
                .iter()
                .filter(|port| ports.contains(*port))
                .map(|port| (seen.target.as_str(), *port)),
        );
    }
    let mut warnings = Vec::new();
    for (what, targets) in [("TLS", tls), ("HTTP/2, which the app does not speak,", http2)] {
        if !targets.is_empty() {
            let message = format!(
                "{what} arrives at {}: no header can be read in it, so it reaches the app, unless it comes from a pod of the environment",
                targets.join(", ")
            );
            warnings.push((reason::TRAFFIC_NOT_MATCHED.to_owned(), message));
        }
    }
    if !passed.is_empty() {
        let message = format!("connections went to the app, whatever they carried: {}", passed.join("; "));
        warnings.push((reason::CONNECTIONS_PASSED_ON.to_owned(), message));
    }
    if !deaf.is_empty() {
        let list: Vec<String> = deaf.iter().map(|(target, port)| format!("{port} of {target}")).collect();
        let message = format!(
            "nothing listens on port {}; set incoming.ports to the ports that the app serves",
            list.join(", ")
        );
        warnings.push((reason::NOTHING_LISTENS.to_owned(), message));
    }
    warnings
}

/// Connections to a target that its agent did not take, or in which it reads no further, by reason.
fn passed_by(seen: &TargetTraffic) -> impl Iterator<Item = String> {
    seen.passed_on.iter().map(|(code, count)| {
        let (why, fix) = match passed_on(code) {
            Some(it) => (it.why, it.fix),
            None => {
                ("the agent has a reason that this controller does not know yet", "upgrade the controller")
            }
        };
        format!("{} to {} since {why} ({code}): {fix}", connections(*count), seen.target)
    })
}
