//! PodsReady: the clone's pods, and what keeps them from being ready.

use byway_api::PreviewPod;
use byway_api::conditions::reason;

use super::conditions::Verdict;
use crate::outcome::CloneOutcome;
use crate::refused::advice;
use crate::routes::Planned;
use crate::rows::PreviewPodRow;
use crate::standing::Standing;
use crate::world::World;

/// The verdict.
pub(super) fn verdict(world: &World, standing: &Standing, own: &[&PreviewPodRow]) -> Verdict {
    let Some(CloneOutcome::Applied(applied)) = world.clones.get(&standing.uid) else {
        return Verdict::unknown(
            reason::PENDING,
            "its pods are not looked after before the target can be cloned",
        );
    };
    if let Some(idle) = standing.preview.spec.idle.as_ref().filter(|_| standing.is_asleep) {
        let message = format!(
            "it sleeps, since nobody uses it: a request with its key wakes it, and waits for it {} at most",
            idle.wake_timeout
        );
        return Verdict::yes(reason::ASLEEP, message);
    }
    let replicas = standing.preview.spec.replicas.max(0) as usize;
    if replicas == 0 {
        return Verdict::no(
            reason::SCALED_TO_ZERO,
            "replicas is 0: keyed requests are answered as incoming.onUnreachable says",
        );
    }
    let newest: Vec<&&PreviewPodRow> =
        own.iter().filter(|it| *it.revision == *applied.revision && !it.pod.terminating).collect();
    let ready = newest.iter().filter(|it| it.containers_ready).count();
    if ready >= replicas {
        return Verdict::yes(reason::PODS_READY, format!("{ready} of {replicas} pods are ready"));
    }
    let is_before = |it: &&PreviewPodRow| *it.revision != *applied.revision;
    let answers = own.iter().any(|it| is_before(it) && it.containers_ready && !it.pod.terminating);
    let meanwhile = if answers { ", and the version before answers until then" } else { "" };
    let counts = format!("{ready} of {replicas} pods are ready{meanwhile}");
    let child = crate::rows::Ref::new(standing.name.namespace.clone(), applied.deployment.as_str());
    let cannot_create = world.children.get(&child).and_then(|it| it.failure.as_ref());
    let troubled = newest.iter().filter(|it| !it.containers_ready).find_map(|it| {
        it.problem
            .as_ref()
            .map(|(reason, message)| (*reason, format!("{counts}; {}: {message}", it.pod.name.name)))
    });
    match (troubled, cannot_create) {
        (Some((reason, message)), _) => Verdict::no(reason, message),
        (None, Some((reason, said))) => {
            let advice = advice(reason, standing.preview.spec.target.is_some());
            Verdict::no(*reason, format!("{counts}; {said}; {advice}"))
        }
        (None, None) if newest.len() < replicas => {
            Verdict::no(reason::UPDATING, format!("{counts}; pods are being created"))
        }
        (None, None) => {
            Verdict::no(reason::CONTAINERS_NOT_READY, format!("{counts}; waiting for their containers"))
        }
    }
}

/// The pods, in the order of their names.
pub(super) fn list(own: &[&PreviewPodRow], planned: Option<&Planned>) -> Vec<PreviewPod> {
    /// More than this in a status helps nobody.
    const MOST: usize = 32;
    let routed = |it: &PreviewPodRow| planned.is_some_and(|planned| planned.backends.contains(&it.pod.uid));
    let mut pods: Vec<PreviewPod> =
        own.iter().filter(|it| !it.pod.terminating).map(|it| pod_of(it, routed(it))).collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    pods.truncate(MOST);
    pods
}

fn pod_of(row: &PreviewPodRow, routed: bool) -> PreviewPod {
    PreviewPod {
        name: row.pod.name.name.to_string(),
        node: row.pod.node.as_deref().map(str::to_owned),
        ready: row.containers_ready,
        routed,
    }
}
