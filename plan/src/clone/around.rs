//! What is to be known of a namespace before something is cloned in it.

use std::collections::BTreeMap;

use crate::rows::{PolicyRow, SelectorRow, ServiceRow};

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
    /// Pods of the target have a proxy of Consul's.
    pub in_consul: bool,
    /// Access modes (`ReadWriteOnce`, ...) by name of the PersistentVolumeClaim. What is not in it does not exist.
    pub claims: Option<&'a BTreeMap<String, Vec<String>>>,
}
