//! What a clone is made from: the target's pod template, read once.

use std::fmt;

use byway_api::TargetKind;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Refusal, injected};

#[cfg(test)]
mod tests;

/// What a clone is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Of the target.
    pub kind: TargetKind,
    /// Of the target.
    pub name: String,
    /// Of the target.
    pub uid: String,
    /// Labels and annotations of its pods.
    pub meta: ObjectMeta,
    /// Its pod spec. A Pod's own is without what admission put into it.
    pub spec: PodSpec,
    /// How the workload selects its pods. Absent of a Pod.
    pub selector: Option<LabelSelector>,
    /// Of a StatefulSet.
    pub claim_templates: Vec<PersistentVolumeClaim>,
    /// Containers that were there, or are, because of a mesh or an agent's injector.
    pub(super) injected: Vec<String>,
    /// Fields of the template that this version does not know, as paths.
    pub(super) unknown: Vec<String>,
}

/// What a look at the target found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// What can be cloned.
    Source(Box<Source>),
    /// A Rollout that keeps its pod template in another workload, which is to be read now.
    WorkloadRef(WorkloadRef),
}

/// Where a Rollout keeps its pod template.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadRef {
    /// Deployment or ReplicaSet.
    pub kind: TargetKind,
    /// In the same namespace.
    pub name: String,
    rollout: Identity,
    selector: Option<LabelSelector>,
}

impl WorkloadRef {
    /// The Rollout's source, now that the workload it refers to has been read.
    ///
    /// # Errors
    ///
    /// As [`source_of`].
    pub fn resolve(self, object: &Value) -> Result<Source, Refusal> {
        let mut source = of_workload(self.kind, object)?;
        source.kind = TargetKind::Rollout;
        source.name = self.rollout.name;
        source.uid = self.rollout.uid;
        // Argo Rollouts takes the workload's selector where the Rollout has none.
        source.selector = self.selector.or(source.selector);
        Ok(source)
    }
}

/// Reads the target, an object as the API server gives it.
///
/// # Errors
///
/// When there is no pod template in it, or none that should be cloned.
pub fn source_of(kind: TargetKind, object: &Value) -> Result<Found, Refusal> {
    let source = match kind {
        TargetKind::Pod => of_pod(object)?,
        TargetKind::Rollout => match rollouts_ref(object)? {
            Some(elsewhere) => return Ok(Found::WorkloadRef(elsewhere)),
            None => of_workload(kind, object)?,
        },
        _ => of_workload(kind, object)?,
    };
    Ok(Found::Source(Box::new(source)))
}

/// What all workloads have in common.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkloadSpec {
    selector: Option<LabelSelector>,
    template: Option<PodTemplateSpec>,
    #[serde(default)]
    volume_claim_templates: Option<Vec<PersistentVolumeClaim>>,
}

fn of_workload(kind: TargetKind, object: &Value) -> Result<Source, Refusal> {
    let Identity { name, uid } = Identity::of(object);
    if kind == TargetKind::ReplicaSet
        && let Some((owner_kind, owner)) = controller_of(object)
    {
        return Err(Refusal::OwnedReplicaSet { name, owner_kind, owner });
    }
    let target = || target_text(kind, &name);
    let read: WorkloadSpec = part(object, "spec", &target)?;
    let template = read.template.ok_or_else(|| Refusal::NoTemplate { target: target() })?;
    let spec = template.spec.ok_or_else(|| Refusal::NoTemplate { target: target() })?;
    let unknown = lost(&object["spec"]["template"]["spec"], &to_value(&spec), "spec");
    Ok(Source {
        kind,
        injected: injected::present(&spec),
        meta: template.metadata.unwrap_or_default(),
        spec,
        selector: read.selector,
        claim_templates: read.volume_claim_templates.unwrap_or_default(),
        unknown,
        name,
        uid,
    })
}

fn of_pod(object: &Value) -> Result<Source, Refusal> {
    let kind = TargetKind::Pod;
    let Identity { name, uid } = Identity::of(object);
    let target = || target_text(kind, &name);
    let mut spec: PodSpec = part(object, "spec", &target)?;
    let mut meta: ObjectMeta = part(object, "metadata", &target)?;
    let unknown = lost(&object["spec"], &to_value(&spec), "spec");
    let injected = injected::strip(&mut meta, &mut spec);
    Ok(Source { kind, name, uid, meta, spec, selector: None, claim_templates: Vec::new(), injected, unknown })
}

/// The `spec.workloadRef` of a Rollout without a template of its own.
fn rollouts_ref(object: &Value) -> Result<Option<WorkloadRef>, Refusal> {
    let reference = &object["spec"]["workloadRef"];
    let text = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
    if reference.is_null() {
        return Ok(None);
    }
    let rollout = Identity::of(object);
    let kind = match reference["kind"].as_str() {
        Some("Deployment") => TargetKind::Deployment,
        Some("ReplicaSet") => TargetKind::ReplicaSet,
        _ => return Err(Refusal::WorkloadRef { rollout: rollout.name, kind: text("kind") }),
    };
    let selector = serde_json::from_value(object["spec"]["selector"].clone()).ok();
    Ok(Some(WorkloadRef { kind, name: text("name"), rollout, selector }))
}

#[derive(Clone, Debug, PartialEq)]
struct Identity {
    name: String,
    uid: String,
}

impl Identity {
    fn of(object: &Value) -> Self {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        Self { name: text("name"), uid: text("uid") }
    }
}

/// Kind and name of the controller that made the object.
fn controller_of(object: &Value) -> Option<(String, String)> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == Value::Bool(true))?;
    Some((owner["kind"].as_str()?.to_owned(), owner["name"].as_str()?.to_owned()))
}

fn part<T: DeserializeOwned>(
    object: &Value,
    field: &'static str,
    target: &dyn Fn() -> String,
) -> Result<T, Refusal> {
    T::deserialize(&object[field]).map_err(|error| Refusal::Unreadable {
        target: target(),
        field,
        error: error.to_string(),
    })
}

/// E.g. `Deployment my-app`.
pub(super) fn target_text(kind: TargetKind, name: &str) -> String {
    format!("{} {name}", kind_text(kind))
}

const fn kind_text(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Deployment => "Deployment",
        TargetKind::StatefulSet => "StatefulSet",
        TargetKind::DaemonSet => "DaemonSet",
        TargetKind::ReplicaSet => "ReplicaSet",
        TargetKind::Pod => "Pod",
        TargetKind::Rollout => "Rollout",
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&target_text(self.kind, &self.name))
    }
}

fn to_value(spec: &PodSpec) -> Value {
    serde_json::to_value(spec).unwrap_or_default()
}

/// What is in `original` but not in `kept`, as paths. A field of a newer Kubernetes would be lost in silence.
fn lost(original: &Value, kept: &Value, path: &str) -> Vec<String> {
    match (original, kept) {
        (Value::Object(original), kept) => original
            .iter()
            .filter(|(_, value)| !value.is_null())
            .flat_map(|(name, value)| {
                let path = format!("{path}.{name}");
                match kept.get(name) {
                    Some(kept) => lost(value, kept, &path),
                    None => vec![path],
                }
            })
            .collect(),
        (Value::Array(original), Value::Array(kept)) => original
            .iter()
            .zip(kept)
            .enumerate()
            .flat_map(|(at, (value, kept))| lost(value, kept, &format!("{path}[{at}]")))
            .collect(),
        _ => Vec::new(),
    }
}
