//! Affinity and topology spread by which a target keeps its own pods apart, or together.
//!
//! A clone that had them as they are would be kept apart from the target, and could take the place that a replica of
//! the target waits for. So they turn to the clone's own pods. What speaks of other pods, e.g. of a cache, stays.

use k8s_openapi::api::core::v1::{PodAffinityTerm, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::selectors::{Labels, matches};

#[cfg(test)]
mod tests;

/// By which selectors the target's pods look for each other: a clone that they find would be in the target's way, too.
pub(super) fn selectors(spec: &PodSpec, labels: &Labels, namespace: &str) -> Vec<LabelSelector> {
    let mut spec = spec.clone();
    own_selectors(&mut spec, labels, namespace).into_iter().map(|selector| selector.clone()).collect()
}

/// Turns them to the pods that `own` selects.
pub(super) fn turn(spec: &mut PodSpec, labels: &Labels, namespace: &str, own: &LabelSelector) {
    for selector in own_selectors(spec, labels, namespace) {
        *selector = own.clone();
    }
}

fn own_selectors<'a>(spec: &'a mut PodSpec, labels: &Labels, namespace: &str) -> Vec<&'a mut LabelSelector> {
    let mut found = Vec::new();
    let affinity = spec.affinity.as_mut();
    let (together, apart) =
        affinity.map_or((None, None), |a| (a.pod_affinity.as_mut(), a.pod_anti_affinity.as_mut()));
    let mut terms: Vec<&mut PodAffinityTerm> = Vec::new();
    if let Some(affinity) = together {
        terms.extend(affinity.required_during_scheduling_ignored_during_execution.iter_mut().flatten());
        let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter_mut().flatten();
        terms.extend(preferred.map(|weighted| &mut weighted.pod_affinity_term));
    }
    if let Some(affinity) = apart {
        terms.extend(affinity.required_during_scheduling_ignored_during_execution.iter_mut().flatten());
        let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter_mut().flatten();
        terms.extend(preferred.map(|weighted| &mut weighted.pod_affinity_term));
    }
    for term in terms {
        if is_own(term, labels, namespace) {
            found.extend(term.label_selector.as_mut());
        }
    }
    for constraint in spec.topology_spread_constraints.iter_mut().flatten() {
        let selector = constraint.label_selector.as_mut();
        found.extend(selector.filter(|selector| matches(selector, labels)));
    }
    found
}

/// Whether the term finds the pods that have it. `matchLabelKeys` never change that: they ask for a pod's own values.
fn is_own(term: &PodAffinityTerm, labels: &Labels, namespace: &str) -> bool {
    let listed = term.namespaces.as_deref().unwrap_or_default();
    // A selector of namespaces is taken to select this one: their labels are not known here.
    let here = match &term.namespace_selector {
        Some(_) => true,
        None => listed.is_empty() || listed.iter().any(|name| name == namespace),
    };
    let differs = term.mismatch_label_keys.iter().flatten().any(|key| labels.contains_key(key));
    here && !differs && term.label_selector.as_ref().is_some_and(|selector| matches(selector, labels))
}
