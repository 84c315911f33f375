//! What containers read of their pod's labels, where the clone's pod has others.

use k8s_openapi::api::core::v1::{Container, DownwardAPIVolumeFile, EnvVar, ObjectFieldSelector, PodSpec};

use super::{Warning, warn};
use crate::selectors::{GENERATED, Labels};

#[cfg(test)]
mod tests;

/// Writes into the environment what the target's containers read from a label that the clone does not have, or has with
/// another value.
pub(super) fn keep_values(container: &mut Container, template: &Labels, clone: &Labels) {
    for var in container.env.iter_mut().flatten() {
        let label = label_of(var).filter(|label| differs(label, template, clone));
        if let Some(value) = label.and_then(|label| template.get(label)) {
            // A value is searched for $(NAME), a label is not.
            var.value = Some(value.clone());
            var.value_from = None;
        }
    }
}

/// Names the labels that the target's containers read from files, and in which the clone differs.
pub(super) fn changed_files(spec: &PodSpec, template: &Labels, clone: &Labels) -> Option<Warning> {
    let mut labels: Vec<String> = files(spec)
        .filter_map(|file| label_in(file.field_ref.as_ref()?))
        .filter(|label| template.contains_key(*label) && differs(label, template, clone))
        .map(str::to_owned)
        .collect();
    labels.sort();
    labels.dedup();
    (!labels.is_empty()).then(|| warn::labels_in_files(&labels))
}

/// What controllers generate is of one pod, and not to be copied.
fn differs(label: &str, template: &Labels, clone: &Labels) -> bool {
    clone.get(label) != template.get(label) && !GENERATED.contains(&label)
}

fn files(spec: &PodSpec) -> impl Iterator<Item = &DownwardAPIVolumeFile> {
    let volumes = || spec.volumes.iter().flatten();
    let plain = volumes().filter_map(|volume| volume.downward_api.as_ref()?.items.as_ref());
    let sources = volumes().filter_map(|volume| volume.projected.as_ref()?.sources.as_ref()).flatten();
    plain.chain(sources.filter_map(|source| source.downward_api.as_ref()?.items.as_ref())).flatten()
}

fn label_of(var: &EnvVar) -> Option<&str> {
    label_in(var.value_from.as_ref()?.field_ref.as_ref()?)
}

fn label_in(field: &ObjectFieldSelector) -> Option<&str> {
    field.field_path.strip_prefix("metadata.labels['")?.strip_suffix("']")
}
