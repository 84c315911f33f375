//! All that was asked of the API server, with what could not be seen.

use std::collections::BTreeMap;

use byway_api::{Key, NodeRoutes, Preview, PreviewTarget, TargetKind, names};
use byway_plan::clone::{Children, Found, Refusal, Source, Surroundings, of_target, source_of};
use byway_plan::rows::{IN_CONSUL, PolicyRow, SelectorRow, ServiceRow};
use jiff::Timestamp;
use k8s_openapi::api::{
    admissionregistration::v1::MutatingWebhookConfiguration,
    coordination::v1::Lease,
    core::v1::{Namespace, Node, PersistentVolumeClaim, Pod, ResourceQuota, Service, ServiceSpec},
    networking::v1::NetworkPolicy,
    node::v1::RuntimeClass,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt as _;
use kube::core::{Selector, SelectorExt as _};
use serde_json::Value;

/// What was looked at, or why it could not be.
#[derive(Clone, Debug, PartialEq)]
pub enum Look<T> {
    /// This is there.
    Seen(T),
    /// A reason, e.g. `needs the permission to list nodes`.
    Hidden(String),
}

impl<T> Look<T> {
    /// What is there, if it could be seen.
    pub const fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(value) => Some(value),
            Self::Hidden(_) => None,
        }
    }
}

/// Whether this user may do something.
#[derive(Clone, Debug, PartialEq)]
pub struct Right {
    /// E.g. `create previews.byway.dev`.
    pub what: String,
    /// What cannot be done without it.
    pub needed_for: &'static str,
    /// Whether nothing works without it.
    pub required: bool,
    /// The API server's word.
    pub allowed: Look<bool>,
}

/// All that was asked.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When.
    pub now: Timestamp,
    /// Where previews would be.
    pub namespace: String,
    /// Of the API server: major and minor.
    pub version: Look<(u32, u32)>,
    /// Byway's, those that are there.
    pub crds: Look<Vec<CustomResourceDefinition>>,
    /// All nodes.
    pub nodes: Look<Vec<Node>>,
    /// Agents and controllers.
    pub parts: Look<Vec<Pod>>,
    /// The controller's.
    pub lease: Look<Option<Lease>>,
    /// What agents say.
    pub routes: Look<Vec<NodeRoutes>>,
    /// Byway's own namespace.
    pub home: Look<Option<Namespace>>,
    /// NetworkPolicies there.
    pub home_policies: Look<Vec<NetworkPolicy>>,
    /// The namespace of previews.
    pub space: Look<Option<Namespace>>,
    /// Its quotas.
    pub quotas: Look<Vec<ResourceQuota>>,
    /// What changes pods on their way into the cluster.
    pub webhooks: Look<Vec<MutatingWebhookConfiguration>>,
    /// How pods may be run.
    pub runtimes: Look<Vec<RuntimeClass>>,
    /// Groups of the API, e.g. `cilium.io`.
    pub groups: Look<Vec<String>>,
    /// Of this user.
    pub rights: Vec<Right>,
    /// If one was named.
    pub target: Option<TargetFacts>,
}

/// What was asked of a target and its surroundings.
#[derive(Clone, Debug)]
pub struct TargetFacts {
    /// Which.
    pub target: PreviewTarget,
    /// The Preview that is meant, or one as it would be.
    pub preview: Preview,
    /// The workload.
    pub object: Look<Option<Value>>,
    /// Of a Rollout: the workload that has its template.
    pub template: Look<Option<Value>>,
    /// All pods of the namespace.
    pub pods: Look<Vec<Pod>>,
    /// All Services of the namespace.
    pub services: Look<Vec<Service>>,
    /// All NetworkPolicies of the namespace.
    pub policies: Look<Vec<NetworkPolicy>>,
    /// All claims of the namespace.
    pub claims: Look<Vec<PersistentVolumeClaim>>,
    /// What selects pods by their labels.
    pub selectors: Look<Vec<SelectorRow>>,
}

impl Facts {
    /// The agents' pods.
    pub fn agents(&self) -> Look<Vec<&Pod>> {
        self.part(names::AGENT_COMPONENT)
    }

    /// Pods of one of Byway's parts.
    pub fn part(&self, component: &str) -> Look<Vec<&Pod>> {
        match &self.parts {
            Look::Seen(pods) => {
                let is =
                    |pod: &&Pod| pod.labels().get(names::COMPONENT_LABEL).is_some_and(|it| it == component);
                Look::Seen(pods.iter().filter(is).collect())
            }
            Look::Hidden(why) => Look::Hidden(why.clone()),
        }
    }

    /// The nodes that matter: those of the target's pods, else all.
    pub fn nodes_that_matter(&self) -> Look<Vec<&Node>> {
        let nodes = match &self.nodes {
            Look::Seen(nodes) => nodes,
            Look::Hidden(why) => return Look::Hidden(why.clone()),
        };
        let of_target = self.target.as_ref().map(TargetFacts::own_pods).unwrap_or_default();
        let names: Vec<&str> =
            of_target.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.as_deref()).collect();
        let matters = |node: &&Node| names.is_empty() || names.contains(&node.name_any().as_str());
        Look::Seen(nodes.iter().filter(matters).collect())
    }
}

impl TargetFacts {
    /// Kind and name, for people.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{} {}", self.target.kind, self.target.name)
    }

    /// What a clone would be made from, if the workload is there.
    #[must_use]
    pub fn source(&self) -> Option<Result<Source, Refusal>> {
        let object = self.object.seen()?.as_ref()?;
        Some(match source_of(self.target.kind, object) {
            Ok(Found::Source(source)) => Ok(*source),
            Ok(Found::WorkloadRef(elsewhere)) => elsewhere.resolve(self.template.seen()?.as_ref()?),
            Err(refusal) => Err(refusal),
        })
    }

    /// The clone, as the controller would make it; of what could not be seen it knows nothing.
    #[must_use]
    pub fn clone_of(&self) -> Option<Result<Children, Refusal>> {
        let source = match self.source()? {
            Ok(source) => source,
            Err(refusal) => return Some(Err(refusal)),
        };
        let services: Vec<ServiceRow> =
            self.services.seen().into_iter().flatten().cloned().map(ServiceRow::from).collect();
        let policies: Vec<PolicyRow> =
            self.policies.seen().into_iter().flatten().cloned().map(PolicyRow::from).collect();
        let claims: Option<BTreeMap<String, Vec<String>>> =
            self.claims.seen().map(|claims| claims.iter().map(modes).collect());
        let around = Surroundings {
            services: &services,
            selectors: self.selectors.seen().map(Vec::as_slice).unwrap_or_default(),
            network_policies: &policies,
            // Only a NetworkPolicy that is made for the agents names it, and that is not looked at.
            agents_namespace: "byway",
            in_consul: self.own_pods().iter().any(|pod| pod.annotations().contains_key(IN_CONSUL)),
            claims: claims.as_ref(),
        };
        Some(of_target(&self.preview, &self.key(), &source, &around))
    }

    fn key(&self) -> Key {
        let named = self.preview.spec.key.as_ref().and_then(|key| key.parse().ok());
        named.unwrap_or_else(|| names::generated_key(&self.preview.name_any(), "doctor"))
    }

    /// The target's pods that are not on their way out; none if they could not be seen.
    #[must_use]
    pub fn own_pods(&self) -> Vec<&Pod> {
        let Some(Ok(source)) = self.source() else { return Vec::new() };
        let of_template = source.meta.labels.clone().unwrap_or_default();
        let by_labels = || LabelSelector { match_labels: Some(of_template.clone()), match_expressions: None };
        let selector = source.selector.clone().unwrap_or_else(by_labels);
        let is_own = |pod: &&Pod| {
            !pod.labels().contains_key(names::PREVIEW_LABEL)
                && pod.metadata.deletion_timestamp.is_none()
                && if self.target.kind == TargetKind::Pod {
                    pod.name_any() == self.target.name
                } else {
                    selects(&selector, pod.labels())
                }
        };
        self.pods.seen().into_iter().flatten().filter(is_own).collect()
    }
}

/// Whether a selector selects these labels; one that cannot be read selects nothing.
#[must_use]
pub fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
}

/// Whether a Service sends to pods with these labels.
#[must_use]
pub fn sends(service: &ServiceSpec, labels: &BTreeMap<String, String>) -> bool {
    let selector = service.selector.iter().flatten();
    // One without a selector is told by hand where to send.
    selector.clone().next().is_some()
        && selector.into_iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether a pod's condition `Ready` holds.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn modes(claim: &PersistentVolumeClaim) -> (String, Vec<String>) {
    let modes = claim.spec.as_ref().and_then(|spec| spec.access_modes.clone()).unwrap_or_default();
    (claim.name_any(), modes)
}
