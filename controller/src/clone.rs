//! From a target and a Preview to the objects that the Preview owns: pure, no I/O, no clock.
//!
//! [`source_of`] makes a [`Source`] of the target workload. [`of_target`] makes the clone of it, [`targetless`] the
//! fresh pod of a Preview without a target. Both give [`Children`], ready for server-side apply, or a [`Refusal`] that
//! says what to do. What works, but not as one might expect, is a [`Warning`].
//!
//! In this order a clone is made: refuse what must not be cloned, choose the `container`, find its `ports`, drop the
//! `labels` by which others select the target, turn the target's own `spread` on the clone, then `build`.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Service, ServicePort},
    networking::v1::{NetworkPolicy, NetworkPolicySpec},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

mod build;
mod chosen;
mod container;
mod deployment;
mod downward;
mod duplicates;
mod injected;
mod labels;
mod mesh;
mod policies;
pub(crate) mod ports;
mod refuse;
mod selectors;
mod source;
mod spread;
mod targetless;
#[cfg(test)]
mod testing;
mod volumes;
mod warn;

pub use build::of_target;
pub use deployment::RENEWED_ANNOTATION;
pub use refuse::Refusal;
pub use source::{Found, Source, WorkloadRef, source_of};
pub use targetless::targetless;
pub use warn::Warning;

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

/// What of the namespace bears on a clone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// All Services.
    pub services: &'a [ServiceRow],
    /// All that select pods by label: PodDisruptionBudgets, Deployments, StatefulSets, DaemonSets, ReplicaSets, Rollouts.
    pub selectors: &'a [SelectorRow],
    /// All NetworkPolicies but those of previews.
    pub network_policies: &'a [PolicyRow],
    /// Where the agents run.
    pub agents_namespace: &'a str,
    /// Access modes (`ReadWriteOnce`, ...) by name of the PersistentVolumeClaim. What is not in it does not exist.
    pub claims: Option<&'a BTreeMap<String, Vec<String>>>,
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceRow {
    /// Its name.
    pub name: String,
    /// Which pods it sends to. Empty: none, as of a Service without a selector.
    pub selector: BTreeMap<String, String>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
}

/// Something that selects pods by label.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectorRow {
    /// E.g. `PodDisruptionBudget`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Empty: all pods.
    pub selector: LabelSelector,
}

/// A NetworkPolicy.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyRow {
    /// Its name.
    pub name: String,
    /// What it says.
    pub spec: NetworkPolicySpec,
}

impl From<Service> for ServiceRow {
    fn from(service: Service) -> Self {
        let spec = service.spec.unwrap_or_default();
        // An ExternalName has no endpoints, whatever its selector.
        let external = spec.type_.as_deref() == Some("ExternalName");
        Self {
            name: service.metadata.name.unwrap_or_default(),
            selector: if external { BTreeMap::new() } else { spec.selector.unwrap_or_default() },
            ports: spec.ports.unwrap_or_default(),
        }
    }
}

impl From<NetworkPolicy> for PolicyRow {
    fn from(policy: NetworkPolicy) -> Self {
        Self { name: policy.metadata.name.unwrap_or_default(), spec: policy.spec.unwrap_or_default() }
    }
}
