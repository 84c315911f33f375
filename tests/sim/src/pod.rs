//! A pod, as far as a kubelet is played.

use std::borrow::Cow;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodIP, PodReadinessGate};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;
use serde_json::Value;

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct PodView {
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) spec: Spec,
    #[serde(default)]
    pub(crate) status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    pub(crate) node_name: Option<String>,
    pub(crate) containers: Vec<Container>,
    pub(crate) readiness_gates: Vec<PodReadinessGate>,
    pub(crate) affinity: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    pub(crate) phase: Option<String>,
    #[serde(rename = "podIPs")]
    pub(crate) pod_ips: Vec<PodIP>,
    pub(crate) conditions: Vec<PodCondition>,
    pub(crate) container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ContainerStatus {
    pub(crate) ready: bool,
    pub(crate) state: State,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) waiting: Option<Waiting>,
    pub(crate) running: Option<Running>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Waiting {
    pub(crate) reason: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Running {
    pub(crate) started_at: Option<Timestamp>,
}

impl Resource for PodView {
    type DynamicType = ();
    type Scope = <Pod as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        Pod::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Pod::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Pod::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Pod::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl PodView {
    pub(crate) fn uid(&self) -> String {
        self.metadata.uid.clone().unwrap_or_default()
    }

    pub(crate) fn name(&self) -> String {
        self.metadata.name.clone().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> String {
        self.metadata.namespace.clone().unwrap_or_default()
    }

    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// Which of two is newer.
    pub(crate) fn version(&self) -> u64 {
        self.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// It is being deleted.
    pub(crate) fn is_going(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// A condition is true.
    pub(crate) fn is(&self, type_: &str) -> bool {
        self.condition(type_).is_some_and(|it| it.status == "True")
    }

    pub(crate) fn condition(&self, type_: &str) -> Option<&PodCondition> {
        self.status.conditions.iter().find(|it| it.type_ == type_)
    }

    /// When its first container was started.
    pub(crate) fn started_at(&self) -> Option<Timestamp> {
        self.status.container_statuses.first()?.state.running.as_ref()?.started_at
    }

    /// The only nodes that may have it, if it names some as the pods of a DaemonSet do.
    pub(crate) fn wanted_nodes(&self) -> Vec<&str> {
        const TERMS: &str = "/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
        let terms = self.spec.affinity.pointer(TERMS).and_then(Value::as_array);
        let names = terms.into_iter().flatten().filter_map(|it| it.pointer("/matchFields/0/values/0"));
        names.filter_map(Value::as_str).collect()
    }

    /// Drops what is only there for the API server.
    pub(crate) fn slim(&mut self) {
        self.metadata.managed_fields = None;
        self.metadata.annotations = None;
        self.metadata.owner_references = None;
    }
}
