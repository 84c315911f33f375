//! What becomes of a Preview in the cluster.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service, networking::v1::NetworkPolicy};

use super::Warning;

/// What a Preview owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Children {
    /// Runs it. Written as it is by server-side apply; [`byway_api::names::APPLIED_ANNOTATION`] tells whether that is needed.
    pub deployment: Deployment,
    /// Only of a Preview without a target: how other services call it.
    pub service: Option<Service>,
    /// Only where other policies shut the agents out.
    pub network_policy: Option<NetworkPolicy>,
    /// The ports to steer, ascending. Empty when `incoming.mode` is `off`.
    pub ports: Vec<u16>,
    /// What works, but not as one might expect; in a fixed order.
    pub warnings: Vec<Warning>,
}
