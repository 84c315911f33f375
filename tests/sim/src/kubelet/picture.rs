//! What of a pod's status a kubelet says, in short and in full.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodCondition;
use serde_json::{Value, json};

use crate::manner::{Does, Manner};
use crate::pod::PodView;

/// A status in short: two that are the same need no write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    scheduled: bool,
    runs: bool,
    pub(super) containers_ready: bool,
    ready: bool,
    /// Why the container waits.
    waiting: Option<&'static str>,
    started_at: Option<Timestamp>,
}

/// A status to write.
#[derive(Debug)]
pub(super) struct StatusPatch {
    /// A strategic merge patch.
    pub(super) status: Value,
    /// The pod's new address, if it gets one.
    pub(super) ip: Option<String>,
    /// Its containers are ready from then on.
    pub(super) gets_ready: bool,
}

const WAITING: [&str; 3] = ["ErrImagePull", "CrashLoopBackOff", "CreateContainerConfigError"];

impl Picture {
    pub(super) fn of(pod: &PodView) -> Self {
        let first = pod.status.container_statuses.first();
        let waiting = first.and_then(|it| it.state.waiting.as_ref()).map(|it| it.reason.as_str());
        Self {
            // A pod that was made with the name of a node is told of no schedule; nobody waits for it.
            scheduled: pod.spec.node_name.is_some() || pod.condition("PodScheduled").is_none(),
            runs: pod.status.phase.as_deref() == Some("Running"),
            containers_ready: pod.is("ContainersReady"),
            ready: pod.is("Ready"),
            waiting: WAITING.into_iter().find(|it| Some(*it) == waiting),
            started_at: pod.started_at(),
        }
    }

    pub(super) fn wanted(pod: &PodView, manner: &Manner, age: Duration) -> Self {
        let waiting = match manner.does {
            Does::ImagePullFails => Some(WAITING[0]),
            Does::CrashLoops => Some(WAITING[1]),
            Does::LacksSecret => Some(WAITING[2]),
            _ => None,
        };
        let scheduled = manner.does != Does::IsUnschedulable;
        let runs = scheduled && !matches!(waiting, Some("ErrImagePull" | "CreateContainerConfigError"));
        let containers_ready = match manner.does {
            Does::RunsAfter(delay) => age >= delay,
            _ => false,
        };
        let is_running = runs && waiting.is_none();
        let started_at = manner.restarted.or_else(|| pod.started_at());
        let mut picture = Self {
            scheduled,
            runs,
            containers_ready,
            ready: containers_ready && gates_are_open(pod) && !manner.is_dead,
            waiting,
            started_at: is_running.then(|| started_at.unwrap_or_else(whole_second)),
        };
        if manner.is_dead {
            // Nobody is there who could say anything but that the node is gone.
            picture = Self { ready: false, ..Self::of(pod) };
        }
        picture
    }

    /// What leads from what is there to this.
    pub(super) fn patch(&self, pod: &PodView) -> StatusPatch {
        let now = whole_second().to_string();
        let mut conditions = Vec::new();
        let mut condition = |type_: &str, is: bool, reason: Option<&str>, message: Option<&str>| {
            let status = if is { "True" } else { "False" };
            let is_so = |before: &PodCondition| {
                before.status == status && (reason.is_none() || before.reason.as_deref() == reason)
            };
            if !pod.condition(type_).is_some_and(is_so) {
                conditions.push(json!({
                    "type": type_, "status": status, "reason": reason, "message": message,
                    "lastTransitionTime": now,
                }));
            }
        };
        if !self.scheduled {
            let why = "0/3 nodes are available: 3 Insufficient memory.";
            condition("PodScheduled", false, Some("Unschedulable"), Some(why));
            let status = json!({ "conditions": conditions });
            return StatusPatch { status, ip: None, gets_ready: false };
        }
        condition("PodScheduled", true, None, None);
        condition("Initialized", true, None, None);
        let unready = "ContainersNotReady";
        condition(
            "ContainersReady",
            self.containers_ready,
            (!self.containers_ready).then_some(unready),
            None,
        );
        // The node lifecycle controller gives no reason, where a kubelet does.
        let why = match (self.containers_ready, self.ready) {
            (true, false) if !gates_are_open(pod) => Some("ReadinessGatesNotReady"),
            (false, false) => Some(unready),
            _ => None,
        };
        condition("Ready", self.ready, why, None);
        let mut status = json!({
            "conditions": conditions,
            "phase": if self.runs { "Running" } else { "Pending" },
            "containerStatuses": self.containers(pod),
        });
        let mut ip = None;
        if pod.status.pod_ips.is_empty() {
            let (ipv4, ipv6) = fresh_ips();
            status["startTime"] = json!(now);
            status["podIP"] = json!(ipv4);
            status["podIPs"] = json!([{ "ip": ipv4 }, { "ip": ipv6 }]);
            ip = Some(ipv4);
        }
        StatusPatch { status, ip, gets_ready: self.containers_ready }
    }

    fn containers(&self, pod: &PodView) -> Vec<Value> {
        let is_restarted =
            self.started_at.is_some() && pod.started_at().is_some_and(|it| Some(it) != self.started_at);
        let containers = pod.spec.containers.iter().map(|container| {
            let (name, image) = (&container.name, &container.image);
            let mut status = json!({
                "name": name, "image": image, "imageID": image, "containerID": format!("sim://{}/{name}", pod.uid()),
                "ready": self.containers_ready, "started": self.waiting.is_none(),
                "restartCount": u32::from(is_restarted),
                "state": { "running": { "startedAt": self.started_at } },
            });
            if let Some(reason) = self.waiting {
                let message = match reason {
                    "ErrImagePull" => format!("failed to pull and unpack image \"{image}\": not found"),
                    "CrashLoopBackOff" => format!("back-off 5m0s restarting failed container={name}"),
                    _ => "secret \"my-secret\" not found".to_owned(),
                };
                status["state"] = json!({ "waiting": { "reason": reason, "message": message } });
                status["started"] = json!(false);
                if reason == "CrashLoopBackOff" {
                    let ended = json!({ "exitCode": 1, "reason": "Error", "containerID": "sim://before" });
                    status["lastState"] = json!({ "terminated": ended });
                    status["restartCount"] = json!(5);
                }
            }
            status
        });
        containers.collect()
    }
}

fn gates_are_open(pod: &PodView) -> bool {
    pod.spec.readiness_gates.iter().all(|gate| pod.is(&gate.condition_type))
}

/// Kubernetes keeps no parts of seconds.
fn whole_second() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Addresses that no other pod has.
fn fresh_ips() -> (String, String) {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let [_, b, c, d] = n.to_be_bytes();
    (format!("10.{b}.{c}.{d}"), format!("fd00::{n:x}"))
}
