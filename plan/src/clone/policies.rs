//! What NetworkPolicies mean for a clone. A policy that selected the target may not select its clone, since labels went.

use std::collections::BTreeMap;

use byway_api::{Key, Preview, names};
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube_core::ResourceExt;

use super::{Warning, deployment, labels, warn};
use crate::ports::protocol;
use crate::rows::PolicyRow;
use crate::selectors::{Labels, matches, may_match};

#[cfg(test)]
mod tests;

/// Every namespace has it, with its name; the API server sees to that.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// Names the policies that no longer hold, and the ports that agents need a policy of their own for.
pub(super) fn judge(
    policies: &[PolicyRow],
    template: &Labels,
    clone: &Labels,
    ports: &[u16],
    containers: &[Container],
) -> Judged {
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
        .filter(|port| !holding.is_empty() && !rules().any(|rule| lets_everybody_in(rule, *port, &names)))
        .collect();
    let by: Vec<&str> = holding.iter().map(|policy| policy.name.as_str()).collect();
    let mut warnings = Vec::new();
    warnings.extend((!lost.is_empty()).then(|| warn::policies_lost(&lost)));
    warnings.extend((!shut.is_empty()).then(|| warn::agents_let_in(&shut, &by)));
    Judged { shut, warnings }
}

/// What the policies of a namespace mean for a clone.
pub(super) struct Judged {
    /// The steered ports that agents may not reach.
    pub(super) shut: Vec<u16>,
    pub(super) warnings: Vec<Warning>,
}

/// Lets the agents in to ports that other policies shut. Only where some do: the first policy that selects a pod
/// shuts out everybody whom none names.
pub(super) fn for_agents(
    preview: &Preview,
    key: &Key,
    ports: &[u16],
    agents_namespace: &str,
) -> Option<NetworkPolicy> {
    let one = |name: &str, value: &str| LabelSelector {
        match_labels: Some([(name.to_owned(), value.to_owned())].into()),
        ..LabelSelector::default()
    };
    let agents = NetworkPolicyPeer {
        namespace_selector: Some(one(NAMESPACE_LABEL, agents_namespace)),
        pod_selector: Some(one(names::COMPONENT_LABEL, names::AGENT_COMPONENT)),
        ip_block: None,
    };
    let port = |port: &u16| NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(*port))),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    };
    let rule =
        NetworkPolicyIngressRule { from: Some(vec![agents]), ports: Some(ports.iter().map(port).collect()) };
    let mut policy = NetworkPolicy {
        metadata: deployment::metadata(preview, key),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels::selector(&preview.name_any())),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![rule]),
            egress: None,
        }),
    };
    deployment::stamp(&mut policy);
    (!ports.is_empty()).then_some(policy)
}

/// Left out, the types are `Ingress`, and `Egress` if there are such rules.
fn is_for_ingress(spec: &NetworkPolicySpec) -> bool {
    spec.policy_types.as_ref().is_none_or(|types| types.iter().any(|one| one == "Ingress"))
}

/// Whether agents surely get through. They run in another namespace, whose labels are not known here, and their addresses
/// are nobody's to promise: a rule that names whom it lets in may or may not mean them.
fn lets_everybody_in(rule: &NetworkPolicyIngressRule, port: u16, names: &BTreeMap<&str, i32>) -> bool {
    let ports = rule.ports.as_deref().unwrap_or_default();
    rule.from.as_deref().unwrap_or_default().is_empty()
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
