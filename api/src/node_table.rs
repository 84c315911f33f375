//! `NodeTable`: what to steer on one node.
//!
//! In a cluster it is what a [`NodeRoutes`](crate::NodeRoutes) holds; `byway-agent --routes FILE` reads it from disk. It is
//! normalised: previews once, targets name them. One preview that this version cannot read must not take the others down,
//! so its fields are plain text here and each preview is judged alone, by [`PreviewRoute::compile`](crate::route).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_path_to_error::{Path, Track};

use crate::absent::{is_default, is_yes, yes};
use crate::derives::JsonSchema;
use crate::{Key, Match};

#[cfg(test)]
mod tests;

/// What to steer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeTable {
    /// The previews, in order of priority: where two match, the first one gets the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previews: Vec<PreviewRoute>,
    /// The pods of each key's environment that are not among the backends above: what leaves any of them is keyed by its
    /// origin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<Environment>,
    /// The pods to steer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
}

impl NodeTable {
    /// Whose calls are keyed by where they come from: pods that answer for a preview are of its key's environment.
    pub fn origins(&self) -> impl Iterator<Item = (IpAddr, Key)> {
        let answering = self.previews.iter().flat_map(|preview| {
            let key: Option<Key> = preview.key.parse().ok(); // none: the preview is refused, and says so
            let ips = preview.backends.iter().flat_map(|it| it.ips.iter().copied());
            ips.filter_map(move |ip| Some((ip, key.clone()?)))
        });
        let others = self.environments.iter().flat_map(|it| it.ips.iter().map(|ip| (*ip, it.key.clone())));
        answering.chain(others)
    }
}

/// A [`NodeTable`] in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeTableFile {
    /// [`Self::API_VERSION`].
    pub api_version: String,
    /// [`Self::KIND`].
    pub kind: String,
    /// Its name, and what else readers may want.
    #[serde(default)]
    pub metadata: BTreeMap<String, Value>,
    /// The table.
    pub spec: NodeTable,
}

impl NodeTableFile {
    /// Group and version.
    pub const API_VERSION: &str = "byway.dev/v1alpha1";
    /// Kind.
    pub const KIND: &str = "NodeTable";

    /// Of a node.
    #[must_use]
    pub fn new(name: &str, spec: NodeTable) -> Self {
        let metadata = BTreeMap::from([("name".to_owned(), name.into())]);
        Self { api_version: Self::API_VERSION.to_owned(), kind: Self::KIND.to_owned(), metadata, spec }
    }
}

/// One preview, as written by the controller and not judged yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, remote = "Self")]
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
    /// Where the preview listens for requests to a port, if it does not at the same one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub preview_ports: BTreeMap<u16, u16>,
    /// How long a request waits while there is no backend, in seconds: the preview sleeps, and wakes for it. Left out: not
    /// at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_timeout_seconds: Option<u32>,
    /// It gets copies of requests and answers none: those of so many connections of a hundred. No key is needed. Left out: it
    /// answers what is keyed for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies_percent: Option<u8>,
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

/// A pod of a preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backend {
    /// `NAMESPACE/POD`, for readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its addresses, at most one of each family.
    pub ips: Vec<IpAddr>,
}

/// The pods that belong to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// The key.
    pub key: Key,
    /// Addresses of preview pods.
    pub ips: Vec<IpAddr>,
}

/// A pod to steer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Those of them that are said to speak HTTP/2 without TLS: connections go through the agent from the first one on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http2: Vec<u16>,
    /// Names of entries of [`NodeTable::previews`], in any order.
    #[serde(default)]
    pub previews: Vec<String>,
    /// Who answers what no preview gets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unkeyed: Unkeyed,
    /// Whether it is steered ahead of any preview, so that no connection predates one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub armed: bool,
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

/// What happens to connections that were open before the route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ExistingConnections {
    /// They stay with the app, and keyed requests on them miss the preview.
    #[default]
    Leave,
    /// Those that are shown to owe nothing are closed, so that clients open others: unused ones, and those of HTTP/1 once a
    /// request on them was seen to be answered. A request that is just on its way is lost, as whenever a server closes an
    /// idle connection.
    DrainIdle,
}

/// Who answers a request that no preview gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unkeyed {
    /// The app, untouched.
    #[default]
    App,
    /// The agent, with 404. The pod is a preview without a target: what is keyed for one of the target's previews goes
    /// to the pod itself, over the connection that opaque traffic would take.
    NotFound,
}

impl<'de> Deserialize<'de> for PreviewRoute {
    /// Never fails on what one entry holds: an entry that does not fit is kept as [`unreadable`](Self::unreadable).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entry = Value::deserialize(deserializer)?;
        let mut path = Track::new();
        // The derived function, not this one: `remote` makes it inherent.
        let read = Self::deserialize(serde_path_to_error::Deserializer::new(&entry, &mut path));
        Ok(read.unwrap_or_else(|error| Self::kept(&entry, &path.path(), &error)))
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
            preview_ports: BTreeMap::new(),
            wake_timeout_seconds: None,
            copies_percent: None,
            on_unreachable: OnUnreachable::Error,
            existing_connections: ExistingConnections::Leave,
            expires_at: None,
            response_header: true,
            backends: Vec::new(),
            allow_keyless: false,
            unreadable: None,
        }
    }

    fn kept(entry: &Value, path: &Path, error: &serde_json::Error) -> Self {
        let text = |field: &str| entry[field].as_str().unwrap_or_default();
        let is_root = path.iter().next().is_none();
        let why = if is_root { error.to_string() } else { format!("{error}, in `{path}`") };
        Self { unreadable: Some(why), ..Self::new(text("name"), text("revision"), "") }
    }
}
