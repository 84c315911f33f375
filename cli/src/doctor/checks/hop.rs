//! The hop from an agent to a preview's pod.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicySpec};
use kube::ResourceExt as _;

use super::clone::OF_POLICIES;
use crate::doctor::facts::{Facts, selects, sends};
use crate::doctor::finding::{Findings, Level};
use crate::words::few;

pub(super) fn policies(facts: &Facts, findings: &mut Findings) {
    let Some(target) = &facts.target else { return };
    if findings.see(&target.policies).is_some()
        && let Some(Ok(children)) = target.clone_of()
    {
        for warning in children.warnings.iter().filter(|it| OF_POLICIES.contains(&it.reason)) {
            // That the agents are let in by a policy of the preview's own is as it should be.
            let level = if warning.reason == "AgentsLetIn" { Level::Ok } else { Level::Warning };
            findings.said(level, format!("{}: {}", warning.reason, warning.message));
        }
    }
    let agents = facts.agents();
    if let (Some(policies), Some(agents)) = (findings.see(&facts.home_policies), findings.see(&agents)) {
        let of_agents = |policy: &&k8s_openapi::api::networking::v1::NetworkPolicy| {
            let selector =
                policy.spec.as_ref().and_then(|spec| spec.pod_selector.clone()).unwrap_or_default();
            agents.first().is_some_and(|agent| selects(&selector, agent.labels()))
        };
        let holding: Vec<_> = policies
            .iter()
            .filter(of_agents)
            .filter(|policy| policy.spec.as_ref().is_some_and(is_for_egress))
            .collect();
        let lets_out = holding.iter().filter_map(|policy| policy.spec.as_ref()).any(may_let_out);
        if !holding.is_empty() && !lets_out {
            let names: Vec<String> = holding.iter().map(|policy| policy.name_any()).collect();
            findings.problem(format!(
                "the NetworkPolicies {} in Byway's namespace let agents out to no other namespace: no keyed request gets to a preview",
                few(&names)
            ));
        }
    }
    if findings.all.is_empty() {
        findings.ok("no NetworkPolicy stands between the agents and a preview");
    }
}

/// Left out, the types are `Ingress`, and `Egress` if there are such rules.
fn is_for_egress(spec: &NetworkPolicySpec) -> bool {
    match &spec.policy_types {
        Some(types) => types.iter().any(|one| one == "Egress"),
        None => spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
    }
}

/// A rule that names namespaces or addresses gets the benefit of the doubt.
fn may_let_out(spec: &NetworkPolicySpec) -> bool {
    let elsewhere = |peer: &NetworkPolicyPeer| peer.namespace_selector.is_some() || peer.ip_block.is_some();
    spec.egress.iter().flatten().any(|rule| {
        let to = rule.to.as_deref().unwrap_or_default();
        to.is_empty() || to.iter().any(elsewhere)
    })
}

pub(super) fn families(facts: &Facts, findings: &mut Findings) {
    let Some(target) = &facts.target else { return };
    let agents = facts.agents();
    let Some(agents) = findings.see(&agents) else { return };
    let own = target.own_pods();
    let (theirs, ours) = (families_of(&own), families_of(agents));
    if theirs.is_empty() || ours.is_empty() {
        findings.unknown("no pod of the target, or no agent, has an address yet");
        return;
    }
    if theirs.is_disjoint(&ours) {
        findings.problem(format!("its pods have {} only, the agents {} only", words(&theirs), words(&ours)));
        return;
    }
    let labels = own.first().map(|pod| pod.labels().clone()).unwrap_or_default();
    let mut well = true;
    for service in target.services.seen().into_iter().flatten() {
        let Some(spec) = &service.spec else { continue };
        let sends = sends(spec, &labels);
        let lacking: Vec<&str> = spec
            .ip_families
            .iter()
            .flatten()
            .map(String::as_str)
            .filter(|family| sends && !theirs.contains(family))
            .collect();
        if !lacking.is_empty() {
            well = false;
            findings.warning(format!(
                "the Service {} is of {}, which its pods have not",
                service.name_any(),
                few(&lacking)
            ));
        }
    }
    if well {
        let both = words(&theirs.intersection(&ours).copied().collect());
        findings.ok(format!("agents and its pods both have addresses of {both}"));
    }
}

fn families_of(pods: &[&Pod]) -> BTreeSet<&'static str> {
    let ips =
        pods.iter().flat_map(|pod| pod.status.iter().flat_map(|status| status.pod_ips.iter().flatten()));
    ips.map(|ip| if ip.ip.contains(':') { "IPv6" } else { "IPv4" }).collect()
}

fn words(families: &BTreeSet<&'static str>) -> String {
    families.iter().copied().collect::<Vec<_>>().join(" and ")
}
