//! Byway's own parts: CRDs, controller, agents.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;

use crate::doctor::facts::{Facts, is_ready};
use crate::doctor::finding::Findings;
use crate::fields;
use crate::words::{count, few};

/// The first that has what the chart uses.
const OLDEST: (u32, u32) = (1, 30);

pub(super) fn kubernetes(facts: &Facts, findings: &mut Findings) {
    let Some((major, minor)) = findings.see(&facts.version).copied() else { return };
    if (major, minor) < OLDEST {
        findings
            .problem(format!("the API server is of version {major}.{minor}, 1.30 is the oldest that works"));
    } else {
        findings.ok(format!("the API server is of version {major}.{minor}"));
    }
}

pub(super) fn crds(facts: &Facts, findings: &mut Findings) {
    let Some(there) = findings.see(&facts.crds) else { return };
    for (_, ours) in byway_api::crds() {
        let name = ours.name_any();
        let Some(theirs) = there.iter().find(|crd| crd.name_any() == name) else {
            findings.problem(format!("there is no CRD {name}: Byway is not installed"));
            continue;
        };
        let (ours, theirs) = (fields::of(&ours), fields::of(theirs));
        let missing: Vec<&String> = ours.difference(&theirs).collect();
        let unknown: Vec<&String> = theirs.difference(&ours).collect();
        if theirs.is_empty() {
            findings.problem(format!("the CRD {name} does not serve the version v1alpha1"));
        } else if !missing.is_empty() {
            findings
                .warning(format!("the CRD {name} is older than this command: it lacks {}", few(&missing)));
        } else if !unknown.is_empty() {
            findings.warning(format!(
                "the CRD {name} is newer than this command, which does not know {}",
                few(&unknown)
            ));
        } else {
            findings.ok(format!("the CRD {name} has every field that this command knows, and no other"));
        }
    }
}

pub(super) fn controller(facts: &Facts, findings: &mut Findings) {
    let pods = facts.part("byway-controller");
    let Some(pods) = findings.see(&pods) else { return };
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    match (pods.len(), ready) {
        (0, _) => findings.problem("no controller runs: nothing becomes of Previews"),
        (_, 0) => findings.problem(format!("none of the controller's {} pods is ready", pods.len())),
        (all, ready) if ready < all => {
            findings.warning(format!("{ready} of the controller's {all} pods are ready"));
        }
        (all, _) => findings.ok(format!("a controller runs, with {}", count(all, "ready pod"))),
    }
}

pub(super) fn lease(facts: &Facts, findings: &mut Findings) {
    let Some(lease) = findings.see(&facts.lease) else { return };
    let spec = lease.as_ref().and_then(|lease| lease.spec.as_ref());
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
    let (Some(spec), Some(holder)) = (spec, holder) else {
        findings.problem("no controller holds the lease byway-controller: nothing becomes of Previews");
        return;
    };
    let lasts = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or(0).into());
    let ends = spec.renew_time.as_ref().map(|renewed| renewed.0 + lasts);
    // Clocks differ a little.
    let late =
        ends.map(|ends| facts.now.duration_since(ends)).filter(|late| *late > SignedDuration::from_secs(5));
    match late {
        Some(late) => {
            findings.problem(format!("{holder} held the lease, and let it end {} s ago", late.as_secs()));
        }
        None => findings.ok(format!("{holder} holds the lease byway-controller and renews it")),
    }
}

pub(super) fn agents(facts: &Facts, findings: &mut Findings) {
    let (nodes, agents) = (facts.nodes_that_matter(), facts.agents());
    let (Some(nodes), Some(agents)) = (findings.see(&nodes), findings.see(&agents)) else { return };
    let with = |ready: bool| -> BTreeSet<&str> {
        let agents = agents.iter().filter(|pod| !ready || is_ready(pod));
        agents.filter_map(|pod| pod.spec.as_ref()?.node_name.as_deref()).collect()
    };
    let (any, ready) = (with(false), with(true));
    let lives = |node: &&&Node| {
        let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.any(|it| it.type_ == "Ready" && it.status == "True")
    };
    let living: Vec<String> = nodes.iter().filter(lives).map(|node| node.name_any()).collect();
    let (there, none): (Vec<String>, Vec<String>) =
        living.iter().cloned().partition(|node| any.contains(node.as_str()));
    let (well, unready): (Vec<String>, Vec<String>) =
        there.into_iter().partition(|node| ready.contains(node.as_str()));
    if !none.is_empty() {
        findings.problem(format!("no agent runs on {}: targets there cannot have previews", few(&none)));
    }
    if !unready.is_empty() {
        findings.problem(format!("the agent is not ready on {}", few(&unready)));
    }
    if living.is_empty() {
        findings.unknown("there is no ready node");
    } else if none.is_empty() && unready.is_empty() {
        findings.ok(format!("a ready agent runs on every ready node: {}", few(&well)));
    }
}
