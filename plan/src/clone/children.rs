//! What becomes of a Preview in the cluster.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::{Warning, deployment};

/// What a Preview owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Children {
    /// Runs it. Written as it is by server-side apply; [`byway_api::names::APPLIED_ANNOTATION`] tells whether that is needed.
    pub deployment: Deployment,
    /// Only of a Preview without a target: how other services call it.
    pub service: Option<Service>,
    /// Only where other policies shut the agents out.
    pub network_policy: Option<NetworkPolicy>,
    /// Only where files stand in the Preview. It never changes: other files are another one's.
    pub files: Option<ConfigMap>,
    /// The ports to steer, ascending. Empty when `incoming.mode` is `off`.
    pub ports: Vec<u16>,
    /// What works, but not as one might expect; in a fixed order.
    pub warnings: Vec<Warning>,
}

impl Children {
    /// The same, with as many pods as a preview has that sleeps.
    #[must_use]
    pub fn asleep(mut self) -> Self {
        if let Some(spec) = &mut self.deployment.spec {
            spec.replicas = Some(0);
        }
        deployment::stamp(&mut self.deployment);
        self
    }
}
