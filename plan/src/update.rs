//! What a watch has seen, and which clones it bears on.

use std::sync::Arc;

use byway_api::{Preview, TargetKind};
use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::rows::{
    AgentRow, ChildRow, Name, NamespaceRow, PodRow, PodTemplateRow, PreviewPodRow, PublishedRow, Ref,
    ServiceRow, WorkloadRow,
};
use crate::scope::Scope;
use crate::table::Change;

/// What a watch has seen.
#[derive(Debug)]
pub enum Update {
    /// Previews.
    Preview(Change<Ref, Arc<Preview>>),
    /// Deployments that Previews own.
    Child(Change<Ref, ChildRow>),
    /// Pods of previews, by UID.
    PreviewPod(Change<Name, PreviewPodRow>),
    /// Pods of agents, by UID.
    Agent(Change<Name, AgentRow>),
    /// UIDs of nodes, by name.
    Node(Change<Name, Name>),
    /// Namespaces.
    Namespace(Change<Name, NamespaceRow>),
    /// What agents have programmed, by node.
    NodeRoutes(Change<Name, PublishedRow>),
    /// Workloads.
    Workload(TargetKind, Change<Ref, WorkloadRow>),
    /// PodTemplates.
    PodTemplate(Change<Ref, PodTemplateRow>),
    /// Services.
    Service(Change<Ref, ServiceRow>),
    /// PodDisruptionBudgets.
    Budget(Change<Ref, LabelSelector>),
    /// NetworkPolicies.
    Policy(Change<Ref, Box<NetworkPolicySpec>>),
    /// A NetworkPolicy that a Preview owns.
    OwnPolicy(Change<Ref, i64>),
    /// Pods of targets, by UID.
    TargetPod(Scope, Change<Name, PodRow>),
}

impl Update {
    /// The clones that it bears on.
    pub fn bears_on(&self) -> Clones {
        match self {
            Self::Workload(_, change) => change.into(),
            Self::Service(change) => change.into(),
            Self::Budget(change) => change.into(),
            Self::Policy(change) => change.into(),
            _ => Clones::None,
        }
    }
}

/// Clones that something bears on by what it selects.
#[derive(Debug, PartialEq, Eq)]
pub enum Clones {
    /// None.
    None,
    /// Those of a namespace.
    Of(Name),
    /// All: a list has ended, without what has gone before it.
    All,
}

impl<V> From<&Change<Ref, V>> for Clones {
    fn from(change: &Change<Ref, V>) -> Self {
        change.key().map_or(Self::All, |name| Self::Of(name.namespace.clone()))
    }
}
