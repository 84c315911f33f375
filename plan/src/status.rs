//! From all that is known of a Preview to its status: a pure function.

use byway_api::conditions::reason;
use byway_api::{Mode, Phase, PreviewStatus, RouteCounts, time_left};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::routes::{Plan, ports};
use crate::rows::{PreviewPodRow, Ref};
use crate::standing::{Is, Standing};
use crate::world::World;

pub mod acks;
mod conditions;
mod pods;
mod routes;
mod seen;
#[cfg(test)]
mod tests;
mod warnings;

use acks::Ack;
pub use conditions::in_order;
use conditions::{Conditions, Verdict};

/// How long acknowledgements may be missing before a preview that was ready says so: a pod that comes or goes is no
/// news to anybody who waits for the preview.
pub const PATIENCE: SignedDuration = SignedDuration::from_secs(3);

/// A status, and when it will be another one if nothing happens.
#[derive(Debug)]
pub struct Judged {
    /// What to write.
    pub status: PreviewStatus,
    /// When to look again.
    pub until: Option<Timestamp>,
}

/// What is said of one Preview. `late_since`: since when acknowledgements are missing.
pub fn judge(
    world: &World,
    plan: &Plan,
    standing: &Standing,
    own: &[&PreviewPodRow],
    acks: &[Ack],
    late_since: Option<Timestamp>,
    now: Timestamp,
) -> Judged {
    let preview = &standing.preview;
    let before = preview.status.clone().unwrap_or_default();
    let outcome = world.clones.get(&standing.uid);
    // What is said is about the newest spec only once the clone is of it: else a preview would be Ready for what it was
    // before, and whoever waits would go on to test that.
    let is_of_newest =
        !standing.is_live() || outcome.is_some_and(|it| it.generation() == preview.metadata.generation);
    let generation = if is_of_newest { preview.metadata.generation } else { before.observed_generation };
    let mut conditions = Conditions::new(&before, generation, now);
    let planned = plan.routes.get(&standing.uid);
    let mut until = None;

    let target = target_verdict(world, standing);
    let pods_verdict = pods::verdict(world, standing, own);
    let routes = match preview.spec.incoming.mode {
        Mode::Off => Verdict::yes(reason::OFF, "incoming.mode is off: no request is steered to the preview"),
        mode => routes::verdict(world, mode, planned, acks),
    };
    let routes = match late_since {
        // Whoever waits must not be told before it is true, but for whom it was true it still is, for a while.
        Some(since) if routes.is(reason::PROGRAMMING) && before_was_ready(&before, generation) => {
            let end = since.saturating_add(PATIENCE).unwrap_or(Timestamp::MAX);
            if now < end {
                until = Some(end);
                Verdict::yes(reason::PROGRAMMED, routes::programmed(preview.spec.incoming.mode))
            } else {
                routes
            }
        }
        _ => routes,
    };
    let ready = ready_verdict(standing, &target, &pods_verdict, &routes);
    // Some requests reach it.
    let serves = planned.is_some_and(|it| !it.backends.is_empty()) && acks.iter().any(Ack::is_programmed);
    let phase = phase(standing, [&target, &pods_verdict, &routes], ready.ok, serves);
    match &standing.is {
        Is::Live => {
            conditions.set(byway_api::conditions::TARGET_RESOLVED, &target);
            conditions.set(byway_api::conditions::PODS_READY, &pods_verdict);
            conditions.set(byway_api::conditions::ROUTES_PROGRAMMED, &routes);
        }
        _ => {
            for type_ in [
                byway_api::conditions::TARGET_RESOLVED,
                byway_api::conditions::PODS_READY,
                byway_api::conditions::ROUTES_PROGRAMMED,
            ] {
                conditions.set(type_, &ready);
            }
        }
    }
    conditions.set(byway_api::conditions::READY, &ready);
    conditions
        .set_or_drop(byway_api::conditions::WARNINGS, warnings::verdict(world, outcome, planned, standing));

    let left =
        standing.end().filter(|_| standing.is_live() || matches!(standing.is, Is::InConflict(_))).map(|at| {
            let (text, holds) = time_left(at.duration_since(now));
            let change = now.saturating_add(holds).unwrap_or(Timestamp::MAX);
            until = Some(until.map_or(change, |until: Timestamp| until.min(change)));
            text
        });
    let live = standing.is_live();
    let left = left.or_else(|| (live && standing.end().is_none()).then(|| "never".to_owned()));
    let status = PreviewStatus {
        key: Some(standing.key.to_string()),
        phase: Some(phase),
        observed_generation: generation,
        expires_at: standing.expires_at.map(Time),
        time_left: left,
        deployment: outcome.filter(|_| live).and_then(|it| it.deployment().map(str::to_owned)),
        service: outcome.filter(|_| live).and_then(|it| it.service().map(str::to_owned)),
        ports: if live { ports(world, standing) } else { Vec::new() },
        pods: pods::list(own, planned),
        routes: planned.map(|_| RouteCounts {
            programmed: acks.iter().filter(|ack| ack.is_programmed()).count() as u32,
            wanted: acks.len() as u32,
        }),
        traffic: standing.traffic.counts.clone(),
        last_request_time: standing.traffic.last.map(Time),
        conditions: conditions.done(),
    };
    Judged { status, until }
}

fn target_verdict(world: &World, standing: &Standing) -> Verdict {
    let namespace = &standing.name.namespace;
    if let Some(target) = &standing.preview.spec.target
        && target.kind != byway_api::TargetKind::Pod
        && world.workload(namespace, target).is_none()
    {
        if world.children.get(&Ref::new(namespace.clone(), target.name.as_str())).is_some() {
            let message =
                format!("{} {} is itself the clone of a preview: name its target", target.kind, target.name);
            return Verdict::no("TargetIsPreview", message);
        }
        let hint = match target.kind {
            byway_api::TargetKind::ReplicaSet => ", or it belongs to a Deployment: name that one",
            byway_api::TargetKind::Rollout => "; are Argo Rollouts installed?",
            _ => "",
        };
        return Verdict::no(
            reason::TARGET_NOT_FOUND,
            format!("there is no {} {} in namespace {namespace}{hint}", target.kind, target.name),
        );
    }
    match world.clones.get(&standing.uid) {
        None => Verdict::unknown(reason::PENDING, "the target has not been looked at yet"),
        Some(outcome) => match outcome.refusal() {
            Some((code, message)) => Verdict::no(code, message),
            None if standing.preview.spec.target.is_none() => {
                Verdict::yes(reason::CLONED, "it has no target: its pods are made of the image alone")
            }
            None => Verdict::yes(reason::CLONED, "the target's pod template is cloned"),
        },
    }
}

fn ready_verdict(standing: &Standing, target: &Verdict, pods: &Verdict, routes: &Verdict) -> Verdict {
    match &standing.is {
        Is::Expired(at) => {
            Verdict::no(reason::EXPIRED, format!("it ended at {at}; set spec.renewedAt to now to revive it"))
        }
        Is::Idle(at) => Verdict::no(
            reason::EXPIRED,
            format!(
                "it ended at {at}, since no request with its key had come for its idleTtl; set spec.renewedAt to now to revive it"
            ),
        ),
        Is::InConflict(holder) => Verdict::no(
            reason::CONFLICT,
            format!(
                "{holder} is older and has the same key and target: change that one, delete it, or make a Preview with another key"
            ),
        ),
        Is::Leaving => Verdict::no(reason::PENDING, "it is being deleted"),
        Is::Live => match [target, pods, routes].into_iter().find(|it| !it.ok) {
            Some(first) => Verdict::no(first.reason.clone(), first.message.clone()),
            None if standing.preview.spec.incoming.mode == Mode::Off => {
                Verdict::yes(reason::READY, "it runs; incoming.mode is off, so no request is steered to it")
            }
            None if standing.is_asleep => Verdict::yes(reason::ASLEEP, pods.message.clone()),
            None if standing.preview.spec.incoming.mode == Mode::Mirror => {
                Verdict::yes(reason::READY, "the app answers, and the preview is shown copies")
            }
            None => Verdict::yes(reason::READY, "requests with the key reach the preview"),
        },
    }
}

fn phase(standing: &Standing, verdicts: [&Verdict; 3], ready: bool, serves: bool) -> Phase {
    match &standing.is {
        Is::Expired(_) | Is::Idle(_) => Phase::Expired,
        Is::InConflict(_) => Phase::Failed,
        Is::Leaving => Phase::Pending,
        Is::Live if ready && standing.is_asleep => Phase::Asleep,
        Is::Live if ready => Phase::Ready,
        Is::Live if serves => Phase::Degraded,
        Is::Live if verdicts.into_iter().any(|it| it.is_final) => Phase::Failed,
        Is::Live => Phase::Pending,
    }
}

/// Of this very generation: what was ready before an update says nothing of what comes after it.
fn before_was_ready(before: &PreviewStatus, generation: Option<i64>) -> bool {
    before.conditions.iter().any(|it| {
        it.type_ == byway_api::conditions::READY
            && it.status == "True"
            && it.observed_generation == generation
    })
}
