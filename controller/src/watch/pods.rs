//! Pods as rows: of targets, of previews, of agents.

use byway_api::names;
use byway_plan::rows::{AgentRow, IN_CONSUL, Name, PodRow, PreviewPodRow, Ref};

use super::problem::{self, problem};
use super::slim::Pod;

/// The UID that the kubelet knows a static pod by, which the API server shows a mirror of.
const STATIC_POD: &str = "kubernetes.io/config.hash";

/// A pod that has, or will have, a network of its own. The addresses of all others are those of their nodes: they stand
/// for no pod, so nothing may be keyed by them.
fn pod(pod: &Pod) -> Option<PodRow> {
    if pod.is_over() || pod.spec.host_network == Some(true) {
        return None;
    }
    let meta = &pod.metadata;
    let uid = meta.annotations.as_ref().and_then(|it| it.get(STATIC_POD)).or(meta.uid.as_ref())?;
    Some(PodRow {
        uid: uid.as_str().into(),
        name: Ref::new(meta.namespace.as_deref()?, meta.name.as_deref()?),
        node: pod.spec.node_name.as_deref().map(Name::from),
        ips: pod.status.pod_ips.iter().filter_map(|ip| ip.ip.parse().ok()).collect(),
        ready: pod.is("Ready"),
        terminating: meta.deletion_timestamp.is_some(),
        in_consul: meta.annotations.as_ref().is_some_and(|it| it.contains_key(IN_CONSUL)),
    })
}

/// A pod that a target's selector found. Pods of previews are never targets by their labels.
pub(super) fn target(object: &Pod) -> Option<PodRow> {
    let is_preview = object.metadata.labels.as_ref().is_some_and(|it| it.contains_key(names::PREVIEW_LABEL));
    if is_preview { None } else { pod(object) }
}

pub(super) fn preview(object: &Pod) -> Option<PreviewPodRow> {
    let labels = object.metadata.labels.as_ref()?;
    let pod = pod(object)?;
    let is_lost = problem::is_lost(object);
    Some(PreviewPodRow {
        preview: Ref::new(pod.name.namespace.clone(), labels.get(names::PREVIEW_LABEL)?.as_str()),
        owner: owner(object)?.into(),
        revision: labels.get(names::REVISION_LABEL).map_or("", String::as_str).into(),
        labels: labels.clone(),
        containers_ready: object.is("ContainersReady") && !is_lost,
        gate: object.is(names::READINESS_GATE),
        created: object.created(),
        problem: problem(object),
        pod,
    })
}

pub(super) fn agent(object: &Pod) -> Option<AgentRow> {
    let pod = pod(object)?;
    let container = object.status.container_statuses.iter().find(|it| it.state.running.is_some());
    Some(AgentRow {
        uid: pod.uid,
        node: pod.node?,
        ready: pod.ready,
        terminating: pod.terminating,
        created: object.created(),
        started: container.and_then(|it| it.state.running.as_ref()?.started_at.as_ref()).map(|time| time.0),
    })
}

/// The name of the ReplicaSet that made it.
fn owner(object: &Pod) -> Option<&str> {
    let mut owners = object.metadata.owner_references.iter().flatten();
    owners.find(|it| it.controller == Some(true) && it.kind == "ReplicaSet").map(|it| it.name.as_str())
}
