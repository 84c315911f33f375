//! `NodeRoutes`: what one node should steer (`spec`), and what its agent steers (`status`).
//!
//! The controller is the only writer of the spec, the agent of the status; `byway-agent --routes FILE` reads
//! the same document from disk. It is normalised: previews once, targets name them. One preview that this
//! version cannot read must not take the others down, so its fields are plain text here and each preview is
//! judged alone, by [`PreviewRoute::compile`](crate::route).

use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Key, Match};

#[cfg(test)]
mod tests;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeRoutes {
    /// [`NodeRoutes::API_VERSION`].
    pub api_version: String,
    /// [`NodeRoutes::KIND`].
    pub kind: String,
    /// The name of the node.
    #[serde(default)]
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: NodeRoutesSpec,
    /// What is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<NodeRoutesStatus>,
}

impl NodeRoutes {
    /// Group and version.
    pub const API_VERSION: &str = "byway.dev/v1alpha1";
    /// Kind.
    pub const KIND: &str = "NodeRoutes";
}

/// As much of Kubernetes' metadata as a file needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// The name of the node.
    #[serde(default)]
    pub name: String,
}

/// What the controller wants steered on this node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeRoutesSpec {
    /// UID of the only agent pod that may write the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_pod_uid: Option<String>,
    /// The previews, in order of priority: where two match, the first one gets the request.
    #[serde(default)]
    pub previews: Vec<PreviewRoute>,
    /// The pods of each key's environment, so that what leaves them is keyed by its origin.
    #[serde(default)]
    pub environments: Vec<Environment>,
    /// The pods to steer.
    #[serde(default)]
    pub targets: Vec<Target>,
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
    /// Who answers when no backend can be reached.
    #[serde(default)]
    pub on_unreachable: OnUnreachable,
    /// From then on the route is dead, whatever the controller does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether responses of the preview get `x-byway-preview: NAME`.
    #[serde(default = "yes")]
    pub response_header: bool,
    /// The preview's pods whose containers are ready.
    #[serde(default)]
    pub backends: Vec<Backend>,
    /// Set by the controller where the administrator allows a match without a key.
    #[serde(default)]
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
    pub ports: Vec<u16>,
    /// Names of entries of [`NodeRoutesSpec::previews`], in any order.
    #[serde(default)]
    pub previews: Vec<String>,
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
    /// One entry per preview that the agent has seen.
    #[serde(default)]
    pub previews: Vec<PreviewStatus>,
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
pub struct PreviewStatus {
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
    fn kept(entry: &serde_json::Value, error: &serde_json::Error) -> Self {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            revision: text("revision"),
            key: String::new(),
            match_: None,
            on_unreachable: OnUnreachable::Error,
            expires_at: None,
            response_header: true,
            backends: Vec::new(),
            allow_keyless: false,
            unreadable: Some(error.to_string()),
        }
    }
}

const fn yes() -> bool {
    true
}
