//! Objects cut down to what is read of them: a pod of 10 KB becomes one of some hundred bytes before it is a row.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::core::v1::{
    ContainerPort, ContainerState, PodCondition, PodIP, PodResourceClaim, PodResourceClaimStatus, ServicePort,
};
use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::api::policy::v1 as policy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Deserializer};

/// An object with other contents than the type that it is of.
macro_rules! slim {
    ($($(#[$doc:meta])* $name:ident as $full:ty { $($field:ident: $of:ty),* })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        pub(crate) struct $name {
            pub(crate) metadata: ObjectMeta,
            $(#[serde(default)] pub(crate) $field: $of,)*
        }

        impl Resource for $name {
            type DynamicType = ();
            type Scope = <$full as Resource>::Scope;

            fn kind((): &()) -> Cow<'_, str> { <$full as Resource>::kind(&()) }
            fn group((): &()) -> Cow<'_, str> { <$full as Resource>::group(&()) }
            fn version((): &()) -> Cow<'_, str> { <$full as Resource>::version(&()) }
            fn plural((): &()) -> Cow<'_, str> { <$full as Resource>::plural(&()) }
            fn meta(&self) -> &ObjectMeta { &self.metadata }
            fn meta_mut(&mut self) -> &mut ObjectMeta { &mut self.metadata }
        }
    )* };
}

slim! {
    /// A pod.
    Pod as core::Pod { spec: PodSpec, status: PodStatus }
    /// A Deployment that a Preview owns.
    Child as apps::Deployment { status: ChildStatus }
    /// A Deployment.
    Deployment as apps::Deployment { spec: WorkloadSpec }
    /// A StatefulSet.
    StatefulSet as apps::StatefulSet { spec: WorkloadSpec }
    /// A DaemonSet.
    DaemonSet as apps::DaemonSet { spec: WorkloadSpec }
    /// A ReplicaSet.
    ReplicaSet as apps::ReplicaSet { spec: WorkloadSpec }
    /// A PodTemplate.
    PodTemplate as core::PodTemplate { template: Template }
    /// A PodDisruptionBudget.
    Budget as policy::PodDisruptionBudget { spec: Selecting }
    /// A Service.
    Service as core::Service { spec: ServiceSpec }
    /// A NetworkPolicy.
    NetworkPolicy as networking::NetworkPolicy { spec: networking::NetworkPolicySpec }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodSpec {
    pub(crate) node_name: Option<String>,
    pub(crate) host_network: Option<bool>,
    #[serde(default)]
    pub(crate) resource_claims: Vec<PodResourceClaim>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodStatus {
    pub(crate) phase: Option<String>,
    #[serde(rename = "podIPs")]
    pub(crate) pod_ips: Vec<PodIP>,
    pub(crate) conditions: Vec<PodCondition>,
    pub(crate) init_container_statuses: Vec<ContainerStatus>,
    pub(crate) container_statuses: Vec<ContainerStatus>,
    pub(crate) resource_claim_statuses: Vec<PodResourceClaimStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerStatus {
    pub(crate) name: String,
    pub(crate) ready: bool,
    pub(crate) restart_count: i32,
    pub(crate) state: ContainerState,
    pub(crate) last_state: ContainerState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ChildStatus {
    pub(crate) conditions: Vec<apps::DeploymentCondition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Selecting {
    pub(crate) selector: LabelSelector,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct WorkloadSpec {
    #[serde(deserialize_with = "or_default")]
    pub(crate) selector: LabelSelector,
    #[serde(deserialize_with = "or_default")]
    pub(crate) template: Template,
    pub(crate) workload_ref: Option<WorkloadRef>,
}

/// Custom resources may have a field that is null, and mean that it is not there.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(of: D) -> Result<T, D::Error> {
    Option::deserialize(of).map(Option::unwrap_or_default)
}

/// Of a Rollout. Of what kind it may be is [`source_of`](byway_plan::clone::source_of)'s to say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WorkloadRef {
    pub(crate) kind: String,
    pub(crate) name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Template {
    pub(crate) metadata: TemplateMeta,
    pub(crate) spec: TemplateSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TemplateMeta {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TemplateSpec {
    pub(crate) containers: Vec<TemplateContainer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TemplateContainer {
    pub(crate) ports: Vec<ContainerPort>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ServiceSpec {
    pub(crate) selector: BTreeMap<String, String>,
    pub(crate) ports: Vec<ServicePort>,
}

impl Pod {
    pub(crate) fn condition(&self, type_: &str) -> Option<&PodCondition> {
        self.status.conditions.iter().find(|condition| condition.type_ == type_)
    }

    pub(crate) fn is(&self, type_: &str) -> bool {
        self.condition(type_).is_some_and(|condition| condition.status == "True")
    }

    /// Nothing of it runs any more, or will.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    pub(crate) fn created(&self) -> Timestamp {
        self.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
    }
}
