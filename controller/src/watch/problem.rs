//! What keeps a pod from being ready, in the words of its status.

use byway_api::conditions::reason;
use byway_api::names;
use byway_plan::refused::create_failure;
use k8s_openapi::api::apps::v1::DeploymentCondition;
use k8s_openapi::api::core::v1::{PodCondition, PodResourceClaim};

use super::slim::{ContainerStatus, Pod};

#[cfg(test)]
mod tests;

/// A reason and a sentence that says what to do.
pub(super) type Problem = (&'static str, Box<str>);

/// Whether the node of a pod is lost: nobody is there to say that its containers are not ready, so Kubernetes has set
/// `Ready` alone, of a pod that was so. A kubelet whose containers are ready denies that only for a gate.
pub(super) fn is_lost(pod: &Pod) -> bool {
    let is_denied =
        |it: &PodCondition| it.status == "False" && it.reason.as_deref() != Some("ReadinessGatesNotReady");
    pod.is("ContainersReady")
        && pod.is(names::READINESS_GATE)
        && pod.condition("Ready").is_some_and(is_denied)
}

/// Of a pod of a preview.
pub(super) fn problem(pod: &Pod) -> Option<Problem> {
    let status = &pod.status;
    if is_lost(pod) {
        let node = pod.spec.node_name.as_deref().unwrap_or_default();
        let said = format!("node {node} does not answer; Kubernetes replaces the pod after some minutes");
        return Some((reason::CONTAINERS_NOT_READY, said.into()));
    }
    let containers = || status.init_container_statuses.iter().chain(&status.container_statuses);
    if let Some(found) = containers().find_map(of_container) {
        return Some(found);
    }
    if pod.spec.node_name.is_none() && pod.condition("PodScheduled").is_none() {
        return Some((reason::NOT_SCHEDULED, not_scheduled(pod).into()));
    }
    let scheduled = pod.condition("PodScheduled").filter(|it| it.status == "False")?;
    let why = scheduled.message.as_deref().unwrap_or("the scheduler gives no reason");
    Some((reason::UNSCHEDULABLE, format!("no node takes the pod: {why}").into()))
}

/// The scheduler has not said anything: it does not try a pod whose claims are not there.
fn not_scheduled(pod: &Pod) -> String {
    let made = |name: &str| {
        let made = pod.status.resource_claim_statuses.iter().find(|it| it.name == name);
        made.and_then(|it| it.resource_claim_name.clone())
    };
    let claim = |it: &PodResourceClaim| match (&it.resource_claim_name, &it.resource_claim_template_name) {
        (Some(claim), _) => format!("the ResourceClaim {claim}"),
        (None, Some(template)) => match made(&it.name) {
            Some(claim) => format!("the ResourceClaim {claim}, made of the template {template}"),
            None => format!("a ResourceClaim of the template {template}"),
        },
        (None, None) => format!("the resource claim {}", it.name),
    };
    let claims: Vec<String> = pod.spec.resource_claims.iter().map(claim).collect();
    let what = "not scheduled yet, and the scheduler says nothing of it";
    if claims.is_empty() {
        return what.to_owned();
    }
    format!("{what}; it needs {}, which may be missing or not yet allocated", claims.join(" and "))
}

fn of_container(status: &ContainerStatus) -> Option<Problem> {
    let name = &status.name;
    let waiting = status.state.waiting.as_ref();
    let why = waiting.and_then(|it| it.reason.as_deref()).unwrap_or_default();
    let said = waiting.and_then(|it| it.message.as_deref()).unwrap_or(why);
    match why {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "RegistryUnavailable"
        | "ImageInspectError"
        | "SignatureValidationFailed" => Some((
            reason::IMAGE_PULL_FAILED,
            format!("container {name}: {said}; check spec.image and the pull secrets of the pods").into(),
        )),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some((reason::CONTAINER_CONFIG, format!("container {name} cannot be created: {said}").into()))
        }
        "CrashLoopBackOff" => Some((reason::CRASH_LOOP, ended(status))),
        // The kubelet waits longer and longer before it says CrashLoopBackOff.
        _ if status.restart_count >= 2 && !status.ready && status.last_state.terminated.is_some() => {
            Some((reason::CRASH_LOOP, ended(status)))
        }
        _ => None,
    }
}

fn ended(status: &ContainerStatus) -> Box<str> {
    let name = &status.name;
    let last = status.last_state.terminated.as_ref();
    let how = last.map_or_else(
        || "it ends again and again".to_owned(),
        |last| {
            let reason = last.reason.as_deref().unwrap_or("Error");
            let said = last.message.as_deref().map(|it| format!(": {}", it.trim())).unwrap_or_default();
            format!(
                "it ended with exit code {} ({reason}{said}), {} times",
                last.exit_code, status.restart_count
            )
        },
    );
    format!("container {name}: {how}; kubectl logs --previous may say why").into()
}

/// Why a Deployment cannot create its pods, in the API server's words.
pub(super) fn replica_failure(conditions: &[DeploymentCondition]) -> Option<Problem> {
    let failure = conditions.iter().find(|it| it.type_ == "ReplicaFailure" && it.status == "True")?;
    let said = failure.message.as_deref().unwrap_or("the API server gives no reason");
    Some((create_failure(said), said.into()))
}
