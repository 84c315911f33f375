//! From a pod spec to the Deployment of a Preview.

use std::collections::BTreeMap;

use byway_api::{Key, Preview, names};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{ConfigMap, PodReadinessGate, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube_core::{Resource, ResourceExt};
use serde::Serialize;

use super::{chosen, labels};
use crate::selectors::Labels;

#[cfg(test)]
mod tests;

/// Annotation on a preview's pods: `spec.renewedAt`, where a mutable tag is to be pulled again.
pub const RENEWED_ANNOTATION: &str = "byway.dev/renewed-at";

/// So many old ReplicaSets are kept: the one that the next rolling update replaces, for who wonders what changed.
const OLD_REVISIONS: i32 = 1;

/// The Deployment that runs `spec`: with these labels `of_workload`, and its pods with those labels and annotations, all
/// beside its own.
pub(super) fn of_pods(
    preview: &Preview,
    key: &Key,
    of_workload: Labels,
    labels: Labels,
    mut annotations: BTreeMap<String, String>,
    mut spec: PodSpec,
    files: Option<&ConfigMap>,
) -> Deployment {
    let name = preview.name_any();
    if chosen::is_mutable(&preview.spec.image)
        && let Some(renewed) = &preview.spec.renewed_at
    {
        annotations.insert(RENEWED_ANNOTATION.to_owned(), renewed.0.to_string());
    }
    // Agents route to a new pod before the rolling update may stop an old one.
    spec.readiness_gates = Some(vec![PodReadinessGate { condition_type: names::READINESS_GATE.to_owned() }]);
    let mut labels = labels;
    labels.extend(labels::own(&name, key));
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(spec),
    };
    let mut metadata = metadata(preview, key);
    metadata.labels = Some(of_workload.into_iter().chain(metadata.labels.unwrap_or_default()).collect());
    if let Some(name) = files.and_then(|it| it.metadata.name.clone()) {
        metadata.annotations.get_or_insert_default().insert(names::FILES_ANNOTATION.to_owned(), name);
    }
    let mut deployment = Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: Some(preview.spec.replicas),
            revision_history_limit: Some(OLD_REVISIONS),
            // Immutable: nothing that can change.
            selector: labels::selector(&name),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            template: with_revision(template),
            ..DeploymentSpec::default()
        }),
        status: None,
    };
    stamp(&mut deployment);
    deployment
}

/// Notes the hash of the template in it: agents route to the pods of the newest one.
fn with_revision(mut template: PodTemplateSpec) -> PodTemplateSpec {
    let revision = hash(&template);
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(names::REVISION_LABEL.to_owned(), revision);
    template
}

/// Name, labels and owner of what a Preview owns. It goes with its Preview; that it does not hold the Preview back
/// (`blockOwnerDeletion`) spares the controller a right to Previews' finalizers.
pub(super) fn metadata(preview: &Preview, key: &Key) -> ObjectMeta {
    let name = preview.name_any();
    let mut labels = labels::own(&name, key);
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "byway".to_owned());
    ObjectMeta {
        name: Some(names::child_name(&name, preview.uid().as_deref().unwrap_or_default())),
        namespace: preview.namespace(),
        labels: Some(labels),
        owner_references: preview.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// Notes the hash of the whole object on it, so that it is written only when it differs.
pub(super) fn stamp<T: Resource + Serialize>(object: &mut T) {
    let hash = hash(object);
    object.annotations_mut().insert(names::APPLIED_ANNOTATION.to_owned(), hash);
}

/// Maps are sorted and fields have a fixed order, so the same object has the same hash in every process.
fn hash<T: Serialize>(of: &T) -> String {
    names::hash(&[serde_json::to_vec(of).unwrap_or_default()], 16)
}
