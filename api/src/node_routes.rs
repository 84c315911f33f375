//! `NodeRoutes`: what one node should steer (`spec`), and what its agent steers (`status`).
//!
//! The controller is the only writer of the spec, the agent of the status.
#![allow(clippy::duplicated_attributes, reason = "columns may be of one type")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::NodeTable;
use crate::absent::is_default;
use crate::derives::{CustomResource, JsonSchema};

#[cfg(feature = "kubernetes")]
mod object;
#[cfg(feature = "kubernetes")]
mod schema;
#[cfg(all(test, feature = "kubernetes"))]
mod tests;
mod written;

use written::Written;

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
    /// The [`NodeTable`], as JSON in a text. Every change of one preview is written to each node of its target and
    /// acknowledged there, and what the API server does for a field it does for each of them: as fields, a table of a
    /// hundred previews takes it some ten times the processor.
    #[schemars(length(max = 1_200_000))]
    pub table: String,
}

impl NodeRoutesSpec {
    /// What to steer.
    ///
    /// # Errors
    ///
    /// When the text is no table.
    pub fn read(&self) -> Result<NodeTable, serde_json::Error> {
        serde_json::from_str(&self.table)
    }
}

/// What the agent of this node has programmed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
pub struct NodeRoutesStatus {
    /// Who wrote this; a status of another instance claims nothing.
    pub instance: Option<Instance>,
    /// `metadata.generation` of the spec that this status answers.
    pub observed_generation: Option<i64>,
    /// Why the agent steers nothing on this node at all, e.g. `NoBtf`.
    pub failure: Option<Failure>,
    /// One entry per preview that the agent has seen, in the order of their names.
    pub previews: Vec<RouteStatus>,
    /// What cannot be matched on targets. Written when a target is first seen so, then once a minute at most.
    pub targets: Vec<TargetTraffic>,
    /// What came to previews, since this instance knows them. Written when the first request comes, then once a minute
    /// at most.
    pub requests: Vec<PreviewRequests>,
    /// Not all that came to previews fits: of those that are not in `requests`, what was said before stands.
    pub more_requests: bool,
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
    /// New connections that the agent could not take, or in which it reads no further, and that the app gets whatever they
    /// carry, by the code of the reason, such as `Backlog`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::counts")]
    pub passed_on: BTreeMap<String, u64>,
    /// How connections to its steered ports reach the app, where they may go straight: ports by `Direct`, or by the code of
    /// why they go through the agent. Empty where the agent was told to take all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::ports_by_code")]
    pub ways: BTreeMap<String, Vec<u16>>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestCounts {
    /// Requests that went to the preview.
    #[serde(default, skip_serializing_if = "is_default")]
    pub requests: u64,
    /// Of these, answered 502, or by the app instead, since no pod of the preview could be reached or answered.
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
    /// Requests with the key that did not go to the preview, since the path, the method or a header does not match.
    #[serde(default, skip_serializing_if = "is_default")]
    pub narrowed: u64,
    /// Of a preview that is shown copies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mirrored: Mirrored,
    /// Requests with the key that went to the app, since they or their connection could not be read beyond doubt, by the
    /// code of the reason, such as `BothLengths`. At least so many: not every key can be found then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::counts")]
    pub lost: BTreeMap<String, u64>,
}

/// What became of the requests that were to be copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mirrored {
    /// Copies that the preview has answered.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sent: u64,
    /// Requests that it did not get, or has not answered within ten seconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dropped: u64,
    /// Of those that were sent, as far as both answers were seen: with another status than the app's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status_differs: u64,
}

impl RequestCounts {
    /// Each count by `with` of both. What neither has stays away.
    #[must_use]
    pub fn each(&self, other: &Self, with: impl Fn(u64, u64) -> u64) -> Self {
        let codes = self.lost.keys().chain(other.lost.keys());
        let count = |of: &Self, code: &String| of.lost.get(code).copied().unwrap_or_default();
        let lost = codes.map(|code| (code.clone(), with(count(self, code), count(other, code))));
        Self {
            lost: lost.filter(|(_, n)| *n > 0).collect(),
            requests: with(self.requests, other.requests),
            unreachable: with(self.unreachable, other.unreachable),
            overlapped: with(self.overlapped, other.overlapped),
            by_origin: with(self.by_origin, other.by_origin),
            missed: with(self.missed, other.missed),
            narrowed: with(self.narrowed, other.narrowed),
            mirrored: Mirrored {
                sent: with(self.mirrored.sent, other.mirrored.sent),
                dropped: with(self.mirrored.dropped, other.mirrored.dropped),
                status_differs: with(self.mirrored.status_differs, other.mirrored.status_differs),
            },
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
