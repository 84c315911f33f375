//! Warnings: things to know that do not keep a preview from being ready.

use std::collections::BTreeSet;

use byway_api::conditions::reason;

use super::conditions::Verdict;
use crate::plan::Planned;
use crate::standing::Standing;
use crate::world::World;
use crate::write::clone::CloneOutcome;

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
    }
    let (first, _) = warnings.first()?;
    let reason = if warnings.len() > 1 { reason::SEVERAL.to_owned() } else { first.clone() };
    let text: Vec<String> = if warnings.len() > 1 {
        warnings.iter().map(|(code, message)| format!("{code}: {message}")).collect()
    } else {
        warnings.iter().map(|(_, message)| message.clone()).collect()
    };
    Some(Verdict::yes(&reason, text.join("; ")))
}

/// What the agents see on the target's pods that no header can match.
fn traffic(world: &World, planned: &Planned, ports: &[u16]) -> Vec<(String, String)> {
    let (mut tls, mut http2) = (Vec::new(), Vec::new());
    let mut deaf: BTreeSet<(&str, u16)> = BTreeSet::new();
    for wanted in &planned.wanted {
        let Some(row) = world.node_routes.get(&wanted.node) else { continue };
        let Some(seen) = row.status.targets.iter().find(|it| it.target == wanted.target) else { continue };
        if seen.tls > 0 {
            tls.push(seen.target.as_str());
        }
        if seen.http2 > 0 {
            http2.push(seen.target.as_str());
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
