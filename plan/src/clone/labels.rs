//! Which of the target's labels and annotations its clone may have.
//!
//! A clone that a Service selected would get unkeyed requests; one that the target's own workload or another selected
//! could be counted or adopted by it; and a PodDisruptionBudget would count it as one of the target's pods. So every
//! label that such a selector asks for is left out, and the rest stays, since policies and people go by it.

use byway_api::{Key, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{Warning, warn};
use crate::selectors::{GENERATED, Labels, exactly, matches, may_match, required};

#[cfg(test)]
mod tests;

/// Prefixes of what GitOps tools track their objects by. Tools that find it on an object that is not in their
/// repository report it, or delete it.
const TRACKED: &[&str] = &[
    "applyset.kubernetes.io/",
    "argocd.argoproj.io/",
    "config.k8s.io/",
    "fleet.cattle.io/",
    "helm.toolkit.fluxcd.io/",
    "kapp.k14s.io/",
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/",
    "meta.helm.sh/",
    "objectset.rio.cattle.io/",
];

/// Who selects pods.
pub(super) struct Selecting {
    /// For people, e.g. `PodDisruptionBudget my-app`.
    who: String,
    selector: LabelSelector,
}

impl Selecting {
    pub(super) const fn new(who: String, selector: LabelSelector) -> Self {
        Self { who, selector }
    }

    /// Whether it asks for one of Byway's labels: then it selects previews on purpose.
    fn means_previews(&self) -> bool {
        required(&self.selector).any(is_own)
    }

    /// Leaves out what it asks for.
    fn escape(&self, labels: &mut Labels) {
        for key in required(&self.selector) {
            labels.remove(key);
        }
    }
}

/// The labels of a clone's pods, beside those that are its `own`.
///
/// None of `selecting` selects a pod that has both, save those that ask for no label at all, see [`inescapable`], or for
/// one of Byway's.
pub(super) fn kept(template: &Labels, own: &Labels, selecting: &[Selecting]) -> Labels {
    let mut labels = template.clone();
    labels.retain(|key, _| !is_tracking(key) && !GENERATED.contains(&key.as_str()) && !is_own(key));
    let both = |labels: &Labels| labels.clone().into_iter().chain(own.clone()).collect::<Labels>();
    let unaware = || selecting.iter().filter(|one| !one.means_previews());
    let as_target = both(template);
    for one in unaware().filter(|one| may_match(&one.selector, &as_target)) {
        one.escape(&mut labels);
    }
    // Without a label, a selector can match that did not before, e.g. `!canary`: so until nothing changes.
    while let Some(one) = unaware()
        .find(|one| required(&one.selector).next().is_some() && matches(&one.selector, &both(&labels)))
    {
        one.escape(&mut labels);
    }
    labels
}

/// Names those that select a clone whatever is left out: they ask for no label, only for the absence of some, or nothing.
pub(super) fn inescapable(labels: &Labels, selecting: &[Selecting]) -> Option<Warning> {
    let matching = selecting.iter().filter(|one| !one.means_previews() && matches(&one.selector, labels));
    let who: Vec<&str> = matching.map(|one| one.who.as_str()).collect();
    (!who.is_empty()).then(|| warn::still_selected(&who))
}

/// The labels that all pods of a Preview have, and nobody else's.
pub(super) fn own(preview: &str, key: &Key) -> Labels {
    Labels::from([
        (names::PREVIEW_LABEL.to_owned(), preview.to_owned()),
        (names::KEY_LABEL.to_owned(), key.as_str().to_owned()),
    ])
}

/// Selects the pods of a Preview.
pub(super) fn selector(preview: &str) -> LabelSelector {
    let labels = Labels::from([(names::PREVIEW_LABEL.to_owned(), preview.to_owned())]);
    exactly(&labels)
}

/// Whether it is metadata of a tool that tracks its objects by it. `app.kubernetes.io/instance` is not meant: Argo CD
/// looks for it on objects without an owner only, and pods have one.
pub(super) fn is_tracking(key: &str) -> bool {
    TRACKED.iter().any(|prefix| key.starts_with(prefix))
}

pub(super) fn is_own(key: &str) -> bool {
    key.starts_with("byway.dev/")
}
