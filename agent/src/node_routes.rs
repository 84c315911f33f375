//! The node's own NodeRoutes object, as the API told of it last: what the source follows, and the acknowledgement answers.

use byway_api::NodeRoutesStatus;
use kube::api::ObjectMeta;

/// What of the object matters beside its document.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object {
    pub(crate) uid: String,
    pub(crate) generation: Option<i64>,
    /// `metadata.resourceVersion`, see [`version_of`].
    pub(crate) version: u64,
    /// How many lists had been read by then. Versions of different ones tell nothing of their order.
    pub(crate) list: u64,
    /// Who may acknowledge.
    pub(crate) agent_pod_uid: Option<String>,
    /// What was acknowledged last, by whomever; none if it cannot be read.
    pub(crate) status: Option<NodeRoutesStatus>,
}

/// The order of changes. Kubernetes promises since 1.35 that it is a number; what is none is newer than all.
pub(crate) fn version_of(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(u64::MAX)
}
