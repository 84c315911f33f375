//! What NetworkPolicies mean for a clone. A policy that selected the target may not select its clone, since labels went.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::networking::v1::{
    NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::duplicates::protocol;
use super::selectors::{Labels, matches, may_match};
use super::{PolicyRow, Warning, warn};

#[cfg(test)]
mod tests;

/// Names the policies that no longer hold, and the ports that no agent can reach.
pub(super) fn judge(
    policies: &[PolicyRow],
    template: &Labels,
    clone: &Labels,
    ports: &[u16],
    containers: &[Container],
) -> Vec<Warning> {
    let selects = |policy: &PolicyRow, labels: &Labels, how: fn(&LabelSelector, &Labels) -> bool| {
        how(policy.spec.pod_selector.as_ref().unwrap_or(&LabelSelector::default()), labels)
    };
    let lost: Vec<&str> = policies
        .iter()
        .filter(|policy| selects(policy, template, may_match) && !selects(policy, clone, matches))
        .map(|policy| policy.name.as_str())
        .collect();
    let holding: Vec<&PolicyRow> = policies
        .iter()
        .filter(|policy| selects(policy, clone, matches) && is_for_ingress(&policy.spec))
        .collect();
    let names = port_names(containers);
    let rules = || holding.iter().flat_map(|policy| policy.spec.ingress.iter().flatten());
    let shut: Vec<u16> = ports
        .iter()
        .copied()
        .filter(|port| !holding.is_empty() && !rules().any(|rule| may_let_in(rule, *port, &names)))
        .collect();
    let by: Vec<&str> = holding.iter().map(|policy| policy.name.as_str()).collect();
    let mut warnings = Vec::new();
    warnings.extend((!lost.is_empty()).then(|| warn::policies_lost(&lost)));
    warnings.extend((!shut.is_empty()).then(|| warn::agents_shut_out(&shut, &by)));
    warnings
}

/// Left out, the types are `Ingress`, and `Egress` if there are such rules.
fn is_for_ingress(spec: &NetworkPolicySpec) -> bool {
    spec.policy_types.as_ref().is_none_or(|types| types.iter().any(|one| one == "Ingress"))
}

/// Whether an agent may get through. It runs in another namespace, whose labels are not known here: a rule that names
/// namespaces or addresses gets the benefit of the doubt.
fn may_let_in(rule: &NetworkPolicyIngressRule, port: u16, names: &BTreeMap<&str, i32>) -> bool {
    let from = rule.from.as_deref().unwrap_or_default();
    let ports = rule.ports.as_deref().unwrap_or_default();
    let another = |peer: &NetworkPolicyPeer| peer.namespace_selector.is_some() || peer.ip_block.is_some();
    (from.is_empty() || from.iter().any(another))
        && (ports.is_empty() || ports.iter().any(|rule| covers(rule, port, names)))
}

fn covers(rule: &NetworkPolicyPort, port: u16, names: &BTreeMap<&str, i32>) -> bool {
    let port = i32::from(port);
    rule.protocol.as_deref().unwrap_or("TCP") == "TCP"
        && match &rule.port {
            None => true,
            Some(IntOrString::Int(first)) => (*first..=rule.end_port.unwrap_or(*first)).contains(&port),
            Some(IntOrString::String(name)) => names.get(name.as_str()) == Some(&port),
        }
}

fn port_names(containers: &[Container]) -> BTreeMap<&str, i32> {
    let ports = containers.iter().flat_map(|c| c.ports.iter().flatten()).filter(|p| protocol(p) == "TCP");
    ports.filter_map(|port| Some((port.name.as_deref()?, port.container_port))).collect()
}
