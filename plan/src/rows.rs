//! What the controller remembers of the cluster's objects.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use byway_api::{NodeRoutesSpec, NodeRoutesStatus, TargetKind};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// A name that many rows share.
pub type Name = Arc<str>;

/// A namespaced object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ref {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
}

impl Ref {
    /// Of two names.
    pub fn new(namespace: impl Into<Name>, name: impl Into<Name>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for Ref {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceRow {
    /// All of its workloads are to be steered ahead of any preview.
    pub armed: bool,
    /// There may be previews in it. Where there may be none, nothing is steered ahead of them.
    pub open: bool,
}

/// A pod, as far as routes need it.
#[derive(Clone, Debug, PartialEq)]
pub struct PodRow {
    /// Its UID.
    pub uid: Name,
    /// Its name.
    pub name: Ref,
    /// Where it runs.
    pub node: Option<Name>,
    /// At most one address of each family.
    pub ips: Vec<IpAddr>,
    /// Its condition `Ready`.
    pub ready: bool,
    /// It is being deleted.
    pub terminating: bool,
    /// It has a proxy of Consul's.
    pub in_consul: bool,
}

/// What Consul puts on a pod that it has injected its proxy into: a label and an annotation.
pub const IN_CONSUL: &str = "consul.hashicorp.com/connect-inject-status";

/// A pod of a preview.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewPodRow {
    /// What any pod has.
    pub pod: PodRow,
    /// The Preview.
    pub preview: Ref,
    /// The ReplicaSet that made it.
    pub owner: Name,
    /// Which version of the clone's template it runs.
    pub revision: Name,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its condition `ContainersReady`.
    pub containers_ready: bool,
    /// Its readiness gate is open.
    pub gate: bool,
    /// When it was created.
    pub created: Timestamp,
    /// What keeps it from being ready: a reason and a sentence.
    pub problem: Option<(&'static str, Box<str>)>,
}

/// A pod of an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentRow {
    /// Its UID.
    pub uid: Name,
    /// The node that it serves.
    pub node: Name,
    /// Its condition `Ready`.
    pub ready: bool,
    /// It is being deleted.
    pub terminating: bool,
    /// When the pod was created.
    pub created: Timestamp,
    /// When its container was started last.
    pub started: Option<Timestamp>,
}

/// A NodeRoutes object.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedRow {
    /// [`fingerprint`] of its spec.
    pub fingerprint: u64,
    /// The agent's word.
    pub status: NodeRoutesStatus,
}

/// What tells specs apart.
pub fn fingerprint(spec: &NodeRoutesSpec) -> u64 {
    let mut hasher = DefaultHasher::new();
    spec.agent_pod_uid.hash(&mut hasher);
    spec.table.hash(&mut hasher);
    hasher.finish()
}

/// A workload that may be a target.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadRow {
    /// Its UID.
    pub uid: Name,
    /// Raised by each change of its spec.
    pub generation: i64,
    /// Where a Rollout keeps its pod template, if not in itself.
    pub template_of: Option<TemplateOf>,
    /// Its pods. Empty of a Rollout that leaves this to the workload which has its template.
    pub selector: LabelSelector,
    /// What its pods are like.
    pub template: Box<TemplateRow>,
}

/// What a Rollout may take its pod template from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TemplateOf {
    /// A Deployment or a ReplicaSet.
    Workload(TargetKind, Name),
    /// A PodTemplate.
    PodTemplate(Name),
}

impl TemplateOf {
    /// Of a kind as it is written; nothing if it is none of which a Rollout takes a template.
    pub fn named(kind: &str, name: &str) -> Option<Self> {
        match kind {
            "Deployment" => Some(Self::Workload(TargetKind::Deployment, name.into())),
            "ReplicaSet" => Some(Self::Workload(TargetKind::ReplicaSet, name.into())),
            "PodTemplate" => Some(Self::PodTemplate(name.into())),
            _ => None,
        }
    }
}

/// A PodTemplate.
#[derive(Clone, Debug, PartialEq)]
pub struct PodTemplateRow {
    /// Its UID.
    pub uid: Name,
    /// Raised by each change of its template.
    pub generation: i64,
    /// What its pods are like.
    pub template: Box<TemplateRow>,
}

/// A pod template, as far as its pods may be steered ahead of any preview.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateRow {
    /// The workload or its template asks for that.
    pub armed: bool,
    /// Labels of its pods.
    pub labels: BTreeMap<String, String>,
    /// TCP ports that its containers list.
    pub ports: Vec<u16>,
    /// Those of them that have a name.
    pub named: Vec<(Box<str>, u16)>,
}

/// A Deployment that a Preview owns.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildRow {
    /// Its UID.
    pub uid: Name,
    /// UID of the Preview.
    pub owner: Name,
    /// Raised by each change of its spec.
    pub generation: i64,
    /// Why it cannot create pods: a reason, and the API server's words.
    pub failure: Option<(&'static str, Box<str>)>,
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

/// Who a workload of a kind is.
pub type WorkloadKey = (TargetKind, Ref);
