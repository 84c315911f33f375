//! `Preview`: what a user asks for, and what became of it.
//!
//! The rules that CEL can express are in the CRD, so that `kubectl apply` refuses at once. CEL knows neither
//! Rust's regexes nor where a key stands in a value: [`PreviewSpec::problems`] says the rest, in the same words
//! as the agent would.
#![allow(unreachable_pub, reason = "KubeSchema derives copies of its structs inside functions")]

use std::fmt;

use k8s_openapi::api::core::v1::EnvVar;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::{Deserialize, Serialize};

use crate::absent::is_default;
use crate::derives::{CustomResource, JsonSchema, KubeSchema};
use crate::{RequestCounts, Ttl};

mod env;
mod files;
mod idle;
mod incoming;
mod labels;
mod problems;
mod schema;
#[cfg(test)]
mod tests;

pub use env::EnvMapping;
pub use files::{Contents, EntryRef, File};
pub use idle::Idle;
pub use incoming::{Incoming, Mode, PortMapping};
pub use labels::Labels;
pub use problems::Problem;

/// A work-in-progress image beside the stable version of a workload.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "byway.dev",
    version = "v1alpha1",
    kind = "Preview",
    namespaced,
    derive = "PartialEq",
    status = "PreviewStatus",
    shortname = "bwp",
    category = "byway",
    doc = "A work-in-progress image beside the stable version of a workload: requests that carry its key reach it, all others reach the app.",
    selectable = ".spec.key",
    selectable = ".spec.target.name",
    selectable = ".spec.target.kind",
    selectable = ".status.key",
    selectable = ".status.phase",
    printcolumn(name = "Key", type_ = "string", json_path = ".status.key"),
    printcolumn(name = "Kind", type_ = "string", json_path = ".spec.target.kind", priority = 1),
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.target.name"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason", priority = 1),
    printcolumn(name = "Programmed", type_ = "integer", json_path = ".status.routes.programmed", priority = 1),
    printcolumn(name = "Wanted", type_ = "integer", json_path = ".status.routes.wanted", priority = 1),
    printcolumn(name = "Left", type_ = "string", json_path = ".status.timeLeft"),
    printcolumn(name = "Requests", type_ = "integer", json_path = ".status.traffic.requests", priority = 1),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.image", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 63").message("the name may have at most 63 characters: shorten it"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.key) == has(oldSelf.key)").message("key is immutable: make another Preview for another key"),
    validation = Rule::new("has(self.target) == has(oldSelf.target)").message("target is immutable: make another Preview for another target"),
    validation = Rule::new("has(self.target) || (has(self.incoming) && has(self.incoming.ports) && size(self.incoming.ports) > 0)")
        .message("a preview without a target needs incoming.ports: name the ports that its image serves"),
    validation = Rule::new("!has(self.idle) || (has(self.target) && (!has(self.incoming) || self.incoming.mode == 'steal'))")
        .message("idle needs a target and incoming.mode steal: what comes to the target wakes the preview"),
    validation = Rule::new("has(self.target) || !has(self.incoming) || self.incoming.mode != 'mirror'")
        .message("incoming.mode mirror needs a target: what comes to it is copied"),
    validation = Rule::new("has(self.target) || !has(self.incoming) || !has(self.incoming.portMapping)")
        .message("portMapping needs a target: a preview without one is called at its own ports"),
)]
pub struct PreviewSpec {
    /// What a request must carry to reach the preview. Immutable. Left out: generated, see status.key.
    #[schemars(schema_with = "schema::key")]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$')")
            .message("a key has 1 to 63 letters, digits, '.', '_' or '-', and begins and ends with a letter or digit"),
        validation = Rule::new("self == oldSelf").message("key is immutable: make another Preview for another key"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The workload that is cloned. Immutable. Left out: a fresh pod from the image, called through a Service of its own.
    #[x_kube(validation = Rule::new("self == oldSelf").message("target is immutable: make another Preview for another target"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PreviewTarget>,
    /// The image that the target's container runs in the preview.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[^\\\\s]+$')").message("image must be the name of an image, without blanks"))]
    pub image: String,
    /// When nodes pull the image. Left out: Always, unless image names a digest or the target's container says Never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// How long it lives: `90m`, `1h30m`, between `60s` and `720h`, or `never`. Counted from renewedAt, else from its creation.
    #[serde(default)]
    #[schemars(schema_with = "schema::ttl")]
    #[x_kube(validation = Rule::new("self == 'never' || (self.matches('^([0-9]+(h|m|s))+$') && duration(self) >= duration('60s') && duration(self) <= duration('720h'))")
        .message("ttl must be a duration between 60s and 720h such as 90m or 1h30m, or never"))]
    pub ttl: Ttl,
    /// Ends it earlier, once no request with its key has come for so long: `30m`, between `5m` and `720h`. Left out: only the
    /// ttl ends it. Counted from the last request, else from renewedAt, else from its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::idle_ttl")]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+(h|m|s))+$') && duration(self) >= duration('5m') && duration(self) <= duration('720h')")
        .message("idleTtl must be a duration between 5m and 720h such as 30m or 2h; leave it out for none"))]
    pub idle_ttl: Option<Ttl>,
    /// Lets it sleep while nobody uses it: it has no pods then, and a request with its key wakes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,
    /// From when the ttl counts. Set anew, it revives an expired preview and pulls a mutable tag again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed_at: Option<Time>,
    /// How many pods.
    #[serde(default = "one")]
    #[schemars(schema_with = "schema::replicas")]
    pub replicas: i32,
    /// Replaces the container's command (the image's entrypoint).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(max = 4096)))]
    pub command: Option<Vec<String>>,
    /// Replaces the container's args.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(max = 4096)))]
    pub args: Option<Vec<String>>,
    /// Added to the container's environment; a name that it has already is replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::env")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("!self.exists(e, e.name == 'BYWAY_KEY' || e.name == 'BYWAY_PREVIEW')")
            .message("BYWAY_KEY and BYWAY_PREVIEW are set to the preview's own: leave them out of env"))]
    pub env: Vec<EnvVar>,
    /// Takes variables of the target out of the container's environment, by their names; `*` stands for any characters, `?`
    /// for one. What env sets stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 512)))]
    pub unset_env: Vec<String>,
    /// Gives variables of the target another value, by their names: of those that fit a name, the first one holds. What env
    /// sets, and what unsetEnv takes out, goes before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub env_mapping: Vec<EnvMapping>,
    /// Files in the container, beside those of its image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["path".into()]))]
    pub files: Vec<File>,
    /// The labels of its pods, beside what Byway does to keep others from selecting them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// Leaves out the target's init containers, e.g. migrations. Native sidecars stay.
    #[serde(default, skip_serializing_if = "is_default")]
    pub skip_init_containers: bool,
    /// What to do with the claim templates of a StatefulSet.
    #[serde(default)]
    pub claim_templates: ClaimTemplates,
    /// Which requests reach it.
    #[serde(default)]
    pub incoming: Incoming,
}

/// A workload in the Preview's namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewTarget {
    /// Its kind.
    pub kind: TargetKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The container that gets the new image. Left out: the only one, or the one that serves the ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub container: Option<String>,
}

/// Kinds of workloads that can be cloned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TargetKind {
    /// apps/v1.
    Deployment,
    /// apps/v1.
    StatefulSet,
    /// apps/v1.
    DaemonSet,
    /// apps/v1, one that belongs to no Deployment.
    ReplicaSet,
    /// v1, one pod.
    Pod,
    /// argoproj.io/v1alpha1.
    Rollout,
}

impl TargetKind {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::Pod => "Pod",
            Self::Rollout => "Rollout",
        }
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When nodes pull an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// Whenever a pod starts.
    Always,
    /// When the node lacks it, e.g. of images that were loaded into a local cluster.
    IfNotPresent,
    /// Never: the node must have it.
    Never,
}

impl PullPolicy {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// What becomes of a StatefulSet's claim templates: a clone cannot share the volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClaimTemplates {
    /// The preview is refused.
    #[default]
    Refuse,
    /// Each becomes an empty volume that ends with the pod.
    EmptyDir,
}

/// What became of a Preview.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewStatus {
    /// The key in force: spec.key, or the one that was generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// All conditions in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When it ends. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// How long it lives at least, in coarse steps, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_left: Option<String>,
    /// The Deployment that runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The Service of a preview without a target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The ports that are steered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::ports")]
    pub ports: Vec<u16>,
    /// Its pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub pods: Vec<PreviewPod>,
    /// On how many of the target's ready pods it is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<RouteCounts>,
    /// What became of what carried its key: at least so many, since what an agent had not told yet when it ended is not known.
    #[serde(default, skip_serializing_if = "is_default")]
    pub traffic: RequestCounts,
    /// When the last request with its key came, known within some minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_request_time: Option<Time>,
    /// TargetResolved, PodsReady, RoutesProgrammed, Ready, and Warnings where there are some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// All conditions in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// On its way.
    Pending,
    /// Keyed requests reach it through every ready pod of the target.
    Ready,
    /// It has no pods while nobody uses it. A request with its key wakes it.
    Asleep,
    /// Keyed requests reach it through some pods of the target, or through none for now.
    Degraded,
    /// It has ended; the object stays for a while and says so.
    Expired,
    /// It cannot go on unless something is changed.
    Failed,
}

impl Phase {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Ready => "Ready",
            Self::Asleep => "Asleep",
            Self::Degraded => "Degraded",
            Self::Expired => "Expired",
            Self::Failed => "Failed",
        }
    }
}

/// A pod of the preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewPod {
    /// Its name.
    pub name: String,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Whether its containers are ready.
    pub ready: bool,
    /// Whether keyed requests go to it.
    pub routed: bool,
}

/// On how many of the target's ready pods a preview is live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteCounts {
    /// Acknowledged by the agents.
    pub programmed: u32,
    /// The target's ready pods.
    pub wanted: u32,
}

const fn one() -> i32 {
    1
}
