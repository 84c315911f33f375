//! `NodeRoutes`: what one node should steer (`spec`), and what its agent steers (`status`).
//!
//! The controller is the only writer of the spec, the agent of the status; `byway-agent --routes FILE` reads
//! the same document from disk. It is normalised: previews once, targets name them. One preview that this
//! version cannot read must not take the others down, so its fields are plain text here and each preview is
//! judged alone, by [`PreviewRoute::compile`](crate::route).
#![allow(clippy::duplicated_attributes, reason = "columns may be of one type")]

use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::absent::{is_default, is_yes, yes};
use crate::{ExistingConnections, Key, Match};

mod schema;
#[cfg(test)]
mod tests;

/// What the controller wants steered on this node.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "byway.dev",
    version = "v1alpha1",
    kind = "NodeRoutes",
    plural = "noderoutes",
    singular = "noderoutes",
    derive = "PartialEq",
    status = "NodeRoutesStatus",
    category = "byway",
    doc = "What the agent of one node should steer, and what it steers. Written by the controller and the agent; named after the node.",
    printcolumn(name = "Generation", type_ = "integer", json_path = ".metadata.generation"),
    printcolumn(name = "Observed", type_ = "integer", json_path = ".status.observedGeneration"),
    printcolumn(name = "Agent", type_ = "string", json_path = ".spec.agentPodUid"),
    printcolumn(name = "Failure", type_ = "string", json_path = ".status.failure.reason")
)]
#[serde(rename_all = "camelCase")]
pub struct NodeRoutesSpec {
    /// UID of the only agent pod that may write the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_pod_uid: Option<String>,
    /// The previews, in order of priority: where two match, the first one gets the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::previews")]
    pub previews: Vec<PreviewRoute>,
    /// The pods of each key's environment, so that what leaves them is keyed by its origin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<Environment>,
    /// The pods to steer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
}

impl NodeRoutes {
    /// Group and version.
    pub const API_VERSION: &str = "byway.dev/v1alpha1";
    /// Kind.
    pub const KIND: &str = "NodeRoutes";
}

/// One preview, as written by the controller and not judged yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, remote = "Self")]
#[schemars(!deny_unknown_fields)]
pub struct PreviewRoute {
    /// `NAMESPACE/NAME` of the Preview; unique in the document.
    pub name: String,
    /// Hash of what is routed; the agent acknowledges it.
    #[serde(default)]
    pub revision: String,
    /// The key, see [`Key`].
    pub key: String,
    /// What a request must look like; left out: the key in one of the default carriers.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub match_: Option<Match>,
    /// The ports whose requests it gets, of those that its targets steer; none: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Who answers when no backend can be reached.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_unreachable: OnUnreachable,
    /// What happens to connections that were open before the route. Where two previews of a target differ, they are
    /// closed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub existing_connections: ExistingConnections,
    /// From then on the route is dead, whatever the controller does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether responses of the preview get `x-byway-preview: NAME`.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub response_header: bool,
    /// The preview's pods whose containers are ready.
    #[serde(default)]
    pub backends: Vec<Backend>,
    /// Set by the controller where the administrator allows a match without a key.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_keyless: bool,
    /// Why this entry could not be read, e.g. a field that this version does not know. All but `name` and
    /// `revision` is then empty, and [`compile`](Self::compile) refuses it.
    #[serde(skip)]
    pub unreadable: Option<String>,
}

/// Who answers when no backend of a preview can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnUnreachable {
    /// An honest 502 that names the preview.
    #[default]
    Error,
    /// The app.
    Stable,
}

/// A pod of a preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(!deny_unknown_fields)]
pub struct Backend {
    /// `NAMESPACE/POD`, for readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its addresses, at most one of each family.
    pub ips: Vec<IpAddr>,
}

/// The pods that belong to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// The key.
    pub key: Key,
    /// Addresses of the environment's preview pods.
    pub ips: Vec<IpAddr>,
}

/// A pod to steer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// UID of the pod; the agent finds the network namespace by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// Path of the network namespace. Honoured from a local file only, never from the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<PathBuf>,
    /// `NAMESPACE/POD`.
    pub name: String,
    /// The pod's addresses.
    #[serde(default)]
    pub ips: Vec<IpAddr>,
    /// The ports to steer.
    #[schemars(schema_with = "schema::ports")]
    pub ports: Vec<u16>,
    /// Names of entries of [`NodeRoutesSpec::previews`], in any order.
    #[serde(default)]
    pub previews: Vec<String>,
    /// Who answers what no preview gets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unkeyed: Unkeyed,
    /// Whether it is steered ahead of any preview, so that no connection predates one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub armed: bool,
}

/// Who answers a request that no preview gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Unkeyed {
    /// The app, untouched.
    #[default]
    App,
    /// The agent, with 404. The pod is a preview without a target: what is keyed for one of the target's previews goes
    /// to the pod itself, over the connection that opaque traffic would take.
    NotFound,
}

/// What the agent of this node has programmed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeRoutesStatus {
    /// Who wrote this; a status of another instance claims nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
    /// `metadata.generation` of the spec that this status answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Why the agent steers nothing on this node at all, e.g. `NoBtf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// One entry per preview that the agent has seen.
    #[serde(default)]
    pub previews: Vec<RouteStatus>,
    /// What cannot be matched on targets. Written when a target is first seen so, then once a minute at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetTraffic>,
    /// What came to previews, since this instance knows them. Written when the first request comes, then once a minute
    /// at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<PreviewRequests>,
}

/// What an agent cannot do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// A stable code.
    pub reason: String,
    /// One sentence that says what to do.
    pub message: String,
}

/// What of a target's traffic does not reach previews by its headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetTraffic {
    /// [`Target::name`].
    pub target: String,
    /// Connections with TLS.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: u64,
    /// Connections with HTTP/2 to an app that does not speak it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub http2: u64,
    /// Connections that are open, and were before the route: the app serves them, whatever comes on them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub old_connections: u64,
    /// Steered ports that nothing listens on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::ports")]
    pub not_listening: Vec<u16>,
}

/// What came to a preview through the targets of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewRequests {
    /// `NAMESPACE/NAME` of the Preview.
    pub preview: String,
    /// What became of them.
    #[serde(flatten)]
    pub counts: RequestCounts,
    /// When the last one came. Whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_request_time: Option<Timestamp>,
}

/// What became of what a preview's key was on. Of those that are zero nothing is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestCounts {
    /// Requests that went to the preview.
    #[serde(default, skip_serializing_if = "is_default")]
    pub requests: u64,
    /// Of these, answered 502, or by the app instead, since no pod of the preview could be reached.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unreachable: u64,
    /// Requests that matched, but went to another preview that comes first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overlapped: u64,
    /// Connections that cannot be read, such as TLS, that went to the preview since they came from its environment.
    #[serde(default, skip_serializing_if = "is_default")]
    pub by_origin: u64,
    /// Requests that would have gone to the preview, but came on a connection that was open before the route. At least so
    /// many: not all of them can be seen.
    #[serde(default, skip_serializing_if = "is_default")]
    pub missed: u64,
}

impl RequestCounts {
    /// Each count by `with` of both.
    #[must_use]
    pub fn each(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            requests: with(self.requests, other.requests),
            unreachable: with(self.unreachable, other.unreachable),
            overlapped: with(self.overlapped, other.overlapped),
            by_origin: with(self.by_origin, other.by_origin),
            missed: with(self.missed, other.missed),
        }
    }
}

/// A run of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// UID of the agent's pod.
    pub pod_uid: String,
    /// When its process started.
    pub started_at: Timestamp,
}

/// What is live of one preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteStatus {
    /// `NAMESPACE/NAME` of the Preview.
    pub name: String,
    /// The revision that is live on every target not listed in `failures`; empty when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Why the newest revision was refused as a whole: a stable code, such as `TooNew`, and a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
    /// Targets on which it is not live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<TargetFailure>,
}

/// Why a preview was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The revision that is refused.
    #[serde(default)]
    pub revision: String,
    /// [`RouteError::code`](crate::RouteError::code).
    pub reason: String,
    /// One sentence that says what to do.
    pub message: String,
}

/// Why a preview is not live on a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetFailure {
    /// [`Target::name`].
    pub target: String,
    /// A stable code.
    pub reason: String,
    /// One sentence that says what to do.
    pub message: String,
}

impl<'de> Deserialize<'de> for PreviewRoute {
    /// Never fails on what one entry holds: an entry that does not fit is kept as [`unreadable`](Self::unreadable).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entry = serde_json::Value::deserialize(deserializer)?;
        // The derived function, not this one: `remote` makes it inherent.
        Ok(Self::deserialize(&entry).unwrap_or_else(|error| Self::kept(&entry, &error)))
    }
}

impl Serialize for PreviewRoute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl PreviewRoute {
    /// A route without backends, keyed by the default carriers.
    #[must_use]
    pub fn new(name: impl Into<String>, revision: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            revision: revision.into(),
            key: key.into(),
            match_: None,
            ports: Vec::new(),
            on_unreachable: OnUnreachable::Error,
            existing_connections: ExistingConnections::Leave,
            expires_at: None,
            response_header: true,
            backends: Vec::new(),
            allow_keyless: false,
            unreadable: None,
        }
    }

    fn kept(entry: &serde_json::Value, error: &serde_json::Error) -> Self {
        let text = |field: &str| entry[field].as_str().unwrap_or_default();
        Self { unreadable: Some(error.to_string()), ..Self::new(text("name"), text("revision"), "") }
    }
}
