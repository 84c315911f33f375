//! What a clone is made from: the target's pod template, read once.

use std::fmt;

use byway_api::TargetKind;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Refusal, injected};
use crate::rows::TemplateOf;
use crate::selectors::{self, Labels};

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
    /// Labels of the target itself. None of a Pod, whose labels are those of its pods.
    pub labels: Labels,
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
    /// What it is, in the same namespace.
    pub template: TemplateOf,
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
        let source = match &self.template {
            TemplateOf::Workload(kind, _) => of_workload(*kind, object)?,
            TemplateOf::PodTemplate(name) => of_pod_template(name, object)?,
        };
        let Identity { name, uid, labels } = self.rollout;
        // Argo Rollouts takes the workload's selector where the Rollout has none.
        let selector = self.selector.filter(|it| !selectors::is_empty(it)).or(source.selector);
        Ok(Source { kind: TargetKind::Rollout, name, uid, labels, selector, ..source })
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
    let identity = Identity::of(object);
    if kind == TargetKind::ReplicaSet
        && let Some((owner_kind, owner)) = controller_of(object)
    {
        return Err(Refusal::OwnedReplicaSet { name: identity.name, owner_kind, owner });
    }
    let target = target_text(kind, &identity.name);
    let read: WorkloadSpec = part(object, "spec", &|| target.clone())?;
    let selector = read.selector;
    let claim_templates = read.volume_claim_templates.unwrap_or_default();
    let source = of_template(kind, identity, &target, read.template, &object["spec"]["template"])?;
    Ok(Source { selector, claim_templates, ..source })
}

/// A PodTemplate, to which a Rollout may refer.
fn of_pod_template(name: &str, object: &Value) -> Result<Source, Refusal> {
    let target = format!("PodTemplate {name}");
    let template = part(object, "template", &|| target.clone())?;
    of_template(TargetKind::Rollout, Identity::of(object), &target, template, &object["template"])
}

fn of_template(
    kind: TargetKind,
    identity: Identity,
    target: &str,
    template: Option<PodTemplateSpec>,
    original: &Value,
) -> Result<Source, Refusal> {
    let missing = || Refusal::NoTemplate { target: target.to_owned() };
    let template = template.ok_or_else(missing)?;
    let spec = template.spec.ok_or_else(missing)?;
    Ok(Source {
        kind,
        name: identity.name,
        uid: identity.uid,
        labels: identity.labels,
        injected: injected::present(&spec),
        meta: template.metadata.unwrap_or_default(),
        unknown: lost(&original["spec"], &to_value(&spec), "spec"),
        spec,
        selector: None,
        claim_templates: Vec::new(),
    })
}

fn of_pod(object: &Value) -> Result<Source, Refusal> {
    let kind = TargetKind::Pod;
    let Identity { name, uid, .. } = Identity::of(object);
    let target = || target_text(kind, &name);
    let mut spec: PodSpec = part(object, "spec", &target)?;
    let mut meta: ObjectMeta = part(object, "metadata", &target)?;
    let unknown = lost(&object["spec"], &to_value(&spec), "spec");
    let injected = injected::strip(&mut meta, &mut spec);
    let (labels, claim_templates) = (Labels::new(), Vec::new());
    Ok(Source { kind, name, uid, labels, meta, spec, selector: None, claim_templates, injected, unknown })
}

/// The `spec.workloadRef` of a Rollout without a template of its own.
fn rollouts_ref(object: &Value) -> Result<Option<WorkloadRef>, Refusal> {
    let reference = &object["spec"]["workloadRef"];
    let text = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
    if reference.is_null() {
        return Ok(None);
    }
    let rollout = Identity::of(object);
    let Some(template) = TemplateOf::named(&text("kind"), &text("name")) else {
        return Err(Refusal::WorkloadRef { rollout: rollout.name, kind: text("kind") });
    };
    let selector = serde_json::from_value(object["spec"]["selector"].clone()).ok();
    Ok(Some(WorkloadRef { template, rollout, selector }))
}

#[derive(Clone, Debug, PartialEq)]
struct Identity {
    name: String,
    uid: String,
    labels: Labels,
}

impl Identity {
    fn of(object: &Value) -> Self {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let labels = Labels::deserialize(&object["metadata"]["labels"]).unwrap_or_default();
        Self { name: text("name"), uid: text("uid"), labels }
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
