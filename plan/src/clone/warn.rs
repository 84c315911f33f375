//! What works, but not as one might expect: each with what it means and what to do.

use k8s_openapi::api::core::v1::PodSpec;

use super::{Source, injected};

#[cfg(test)]
mod tests;

/// Something to know of a preview that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A stable code, e.g. `InitContainers`.
    pub reason: &'static str,
    /// One or two sentences.
    pub message: String,
}

/// What is to be said of the pod as such. `spec` is the clone's while it still has what others set in it.
pub(super) fn of_pod(spec: &PodSpec, source: &Source) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let init: Vec<&str> = spec
        .init_containers
        .iter()
        .flatten()
        .filter(|c| injected::runs_first(c))
        .map(|c| c.name.as_str())
        .collect();
    if !init.is_empty() {
        let message = format!(
            "the init containers {} run again in each pod of the preview, e.g. migrations: set skipInitContainers to leave them out",
            init.join(", ")
        );
        warnings.push(Warning { reason: "InitContainers", message });
    }
    let gates: Vec<&str> =
        spec.readiness_gates.iter().flatten().map(|gate| gate.condition_type.as_str()).collect();
    if !gates.is_empty() {
        let message = format!(
            "the readiness gates {} are left out: whoever sets them for the target does not know the preview's pods",
            gates.join(", ")
        );
        warnings.push(Warning { reason: "GatesDropped", message });
    }
    if spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()) {
        let message = "the target's scheduling gates stay: the preview's pods wait until what lifts them for the target does so for them";
        warnings.push(Warning { reason: "SchedulingGates", message: message.to_owned() });
    }
    if spec.host_pid == Some(true) || spec.host_ipc == Some(true) {
        let message = "the preview's pods share processes or memory with their node, as the target's do: they can disturb each other";
        warnings.push(Warning { reason: "HostNamespaces", message: message.to_owned() });
    }
    if let Some(policy) = spec.restart_policy.as_deref().filter(|policy| *policy != "Always") {
        let message = format!(
            "the target's restart policy is {policy}, but the preview's containers are restarted whenever they end: use a target that runs on"
        );
        warnings.push(Warning { reason: "RestartPolicy", message });
    }
    if !source.unknown.is_empty() {
        let message = format!(
            "fields of the target that this version of Byway does not know are left out: {}",
            few(&source.unknown)
        );
        warnings.push(Warning { reason: "UnknownFields", message });
    }
    warnings
}

pub(super) fn resource_claims_shared(claims: &[&str]) -> Warning {
    let message = format!(
        "the devices of the ResourceClaims {} are shared with the target: what the preview does with them, the target notices, and where they take no second pod the preview's pods wait; use a resourceClaimTemplateName for devices of its own",
        claims.join(", ")
    );
    Warning { reason: "ResourceClaimShared", message }
}

pub(super) fn devices_shared(devices: &[String]) -> Warning {
    let message = format!(
        "the preview shares devices with other pods, perhaps with the target: {}. Memory and time that it takes there are theirs; lower what it takes in spec.env or spec.args, or set spec.replicas to 0 while nobody uses it",
        devices.join(", ")
    );
    Warning { reason: "DeviceShared", message }
}

pub(super) fn env_from(names: &[&String], patterns: &[&String]) -> Warning {
    let list = |of: &[&String]| of.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
    let mut message =
        "of unsetEnv, what envFrom brings from ConfigMaps and Secrets is not known here".to_owned();
    if !names.is_empty() {
        message += &format!("; {} are set to an empty text", list(names));
    }
    if !patterns.is_empty() {
        message += &format!("; those like {} are there still: name them one by one", list(patterns));
    }
    Warning { reason: "EnvFrom", message }
}

pub(super) fn env_from_not_mapped() -> Warning {
    let message = "of envMapping, what envFrom brings from ConfigMaps and Secrets is not known here and stays as it is: set what is to be different by its name in env";
    Warning { reason: "EnvFrom", message: message.to_owned() }
}

pub(super) fn labels_turned(names: &[&str]) -> Warning {
    let message = format!(
        "of labels.set, {} have another value or are left out: a Service, a workload or a budget would select the preview by what was given, and unkeyed requests would reach it; give values that nobody selects by",
        names.join(", ")
    );
    Warning { reason: "LabelsTurned", message }
}

pub(super) fn mapping_unused(ports: &[u16]) -> Warning {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let message = format!(
        "incoming.portMapping names port {}, which is not steered: add it to incoming.ports, or leave it out",
        ports.join(", ")
    );
    Warning { reason: "MappingUnused", message }
}

pub(super) fn addresses(annotations: &[String]) -> Warning {
    let message = format!(
        "the fixed addresses of {} are left out, since a pod of the target has them: the preview's pods get any; what lets only those addresses in does not let in what the preview calls from",
        annotations.join(", ")
    );
    Warning { reason: "AddressDropped", message }
}

pub(super) fn dapr_id(target: &str, own: &str) -> Warning {
    let message = format!(
        "to Dapr the preview is {own}, not {target}: calls by Dapr reach the target, and with the key the preview; its state begins empty, its subscriptions get each message once more, and what lets only {target} in does not let it in"
    );
    Warning { reason: "DaprAppId", message }
}

pub(super) fn outside_consul() -> Warning {
    let message = "the preview is outside Consul's mesh, since Consul registers only pods that a Service selects: what it calls goes without the proxy. For it to be inside, make a Service that selects its label byway.dev/preview; its name is then the preview's in Consul";
    Warning { reason: "OutsideMesh", message: message.to_owned() }
}

pub(super) fn claim_shared(claim: &str) -> Warning {
    let message = format!(
        "the PersistentVolumeClaim {claim} is shared with the target: what the preview writes, the target reads"
    );
    Warning { reason: "ClaimShared", message }
}

pub(super) fn claim_unknown(claim: &str) -> Warning {
    let message = format!(
        "the PersistentVolumeClaim {claim} does not exist, so the preview's pods cannot start: create it"
    );
    Warning { reason: "ClaimUnknown", message }
}

pub(super) fn starts_empty(templates: &[String]) -> Warning {
    let message = format!(
        "the volumes of the claim templates {} start empty, and end with each pod",
        templates.join(", ")
    );
    Warning { reason: "StartsEmpty", message }
}

pub(super) fn host_path(path: &str) -> Warning {
    let message = format!(
        "the preview can write to {path} on its node, as the target can: they see each other's files"
    );
    Warning { reason: "HostPathWritable", message }
}

pub(super) fn still_selected(by: &[&str]) -> Warning {
    let message = format!(
        "the preview's pods are selected by {}, which ask for no label: add {{ key: byway.dev/preview, operator: DoesNotExist }} to their matchExpressions",
        by.join(", ")
    );
    Warning { reason: "StillSelected", message }
}

pub(super) fn policies_lost(policies: &[&str]) -> Warning {
    let message = format!(
        "the NetworkPolicies {} select the target but not the preview, whose labels differ where Services select by them: what they allow or forbid does not hold for it, so add a policy for pods with the label byway.dev/preview",
        policies.join(", ")
    );
    Warning { reason: "NetworkPolicyLost", message }
}

pub(super) fn agents_let_in(ports: &[u16], policies: &[&str]) -> Warning {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let message = format!(
        "the NetworkPolicies {} hold for the preview, too: a policy of its own lets Byway's agents in to port {}, and nobody else",
        policies.join(", "),
        ports.join(", ")
    );
    Warning { reason: "AgentsLetIn", message }
}

pub(super) fn labels_in_files(labels: &[String]) -> Warning {
    let message = format!(
        "files that show the labels {} have other values in the preview, or none, as its pods do",
        labels.join(", ")
    );
    Warning { reason: "LabelsDiffer", message }
}

pub(super) fn not_steered(ports: impl IntoIterator<Item = String>) -> Warning {
    let ports: Vec<String> = ports.into_iter().collect();
    let message = format!("only TCP is steered: {} stays with the target", ports.join(", "));
    Warning { reason: "NotSteered", message }
}

/// The first few of a list that may be long.
fn few(items: &[String]) -> String {
    let shown = items.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    match items.len().checked_sub(5) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}
