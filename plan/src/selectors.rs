//! Label selectors, as Kubernetes reads them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

#[cfg(test)]
mod tests;

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// Labels that a controller puts on pods by itself: they are in no template, though selectors may ask for them.
pub(crate) const GENERATED: &[&str] = &[
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/job-name",
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    "pod-template-generation",
    "pod-template-hash",
    "rollouts-pod-template-hash",
    "statefulset.kubernetes.io/pod-name",
];

/// Whether `selector` selects a pod with exactly these labels. An empty one selects all.
pub(crate) fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().flatten().all(|requirement| holds(requirement, labels))
}

/// Whether `selector` selects some pod of a template with these labels, whatever controllers add to them.
pub(crate) fn may_match(selector: &LabelSelector, labels: &Labels) -> bool {
    let mut rest = selector.clone();
    let generated = |key: &str| GENERATED.contains(&key);
    if let Some(wanted) = &mut rest.match_labels {
        wanted.retain(|key, _| !generated(key));
    }
    if let Some(wanted) = &mut rest.match_expressions {
        wanted.retain(|requirement| !generated(&requirement.key));
    }
    // What asks for nothing but a generated label means one pod, of any workload.
    matches(selector, labels) || (required(&rest).next().is_some() && matches(&rest, labels))
}

/// The labels that a pod must have to be selected: without any one of them it is not.
pub(crate) fn required(selector: &LabelSelector) -> impl Iterator<Item = &str> {
    let expressions = selector.match_expressions.iter().flatten();
    let named = expressions.filter(|r| matches!(r.operator.as_str(), "In" | "Exists"));
    let keys = selector.match_labels.iter().flatten().map(|(key, _)| key);
    keys.chain(named.map(|r| &r.key)).map(String::as_str)
}

/// Whether it asks for nothing, and so selects all pods of a namespace: no workload means that.
pub(crate) fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.iter().flatten().next().is_none()
        && selector.match_expressions.iter().flatten().next().is_none()
}

/// The selector of exactly these labels, e.g. of a Service.
pub(crate) fn exactly(labels: &Labels) -> LabelSelector {
    LabelSelector { match_labels: Some(labels.clone()), match_expressions: None }
}

fn holds(requirement: &LabelSelectorRequirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    let listed = || value.is_some_and(|value| requirement.values.iter().flatten().any(|one| one == value));
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        // The API server lets no other through; what is not understood selects nothing.
        _ => false,
    }
}
