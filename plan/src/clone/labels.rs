//! Which of the target's labels its clone has, and with which values.
//!
//! A clone that a Service selected would get unkeyed requests; one that the target's own workload or another selected
//! could be counted or adopted by it; and a PodDisruptionBudget would count it as one of the target's pods. So every
//! label that such a selector asks for has another value, one of the preview's own. It is not left out where that is
//! enough, since a policy may ask for it. The rest stays, since policies and people go by it.

use std::collections::BTreeMap;

use byway_api::{Key, Labels as Wished, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use wildmatch::WildMatch;

use super::registries::{Fate, fate};
use super::{Warning, warn};
use crate::rows::{SelectorRow, ServiceRow};
use crate::selectors::{GENERATED, Labels, exactly, matches, may_match, required};

#[cfg(test)]
mod tests;

/// Who selects pods.
#[derive(Debug)]
pub struct Selecting {
    /// For people, e.g. `PodDisruptionBudget my-app`.
    who: String,
    selector: LabelSelector,
}

impl Selecting {
    pub(super) const fn new(who: String, selector: LabelSelector) -> Self {
        Self { who, selector }
    }

    /// All of a namespace that select pods.
    pub fn all(services: &[ServiceRow], others: &[SelectorRow]) -> Vec<Self> {
        let services = services.iter().filter(|service| !service.selector.is_empty());
        let services = services.map(|it| Self::new(format!("Service {}", it.name), exactly(&it.selector)));
        let others =
            others.iter().map(|it| Self::new(format!("{} {}", it.kind, it.name), it.selector.clone()));
        services.chain(others).collect()
    }

    /// Whether it asks for one of Byway's labels: then it selects previews on purpose.
    fn means_previews(&self) -> bool {
        required(&self.selector).any(is_own)
    }

    /// Gives the labels that it asks for this value. Whether any of them had another.
    fn change(&self, labels: &mut Labels, value: &str) -> bool {
        let mut changed = false;
        for key in required(&self.selector) {
            if let Some(now) = labels.get_mut(key).filter(|now| *now != value) {
                value.clone_into(now);
                changed = true;
            }
        }
        changed
    }

    /// Leaves out the labels that it asks for.
    fn remove(&self, labels: &mut Labels) {
        for key in required(&self.selector) {
            labels.remove(key);
        }
    }
}

/// The labels of a clone's pods, beside those that are its `own`. What others select by has this `value`: a name that is
/// the preview's alone, so no selector asks for it.
///
/// None of `selecting` selects a pod that has both, save those that ask for no label at all, see [`inescapable`], or for
/// one of Byway's.
pub(super) fn turned(
    template: &Labels,
    wished: &Wished,
    own: &Labels,
    selecting: &[Selecting],
    value: &str,
) -> Labels {
    let mut labels = transferable(template, wished);
    let as_target: Labels = template.clone().into_iter().chain(own.clone()).collect();
    for one in unaware(selecting).filter(|one| may_match(&one.selector, &as_target)) {
        one.change(&mut labels, value);
    }
    labels.extend(wished.set.clone());
    escape(&mut labels, own, selecting, value);
    labels
}

/// Changes labels until none of `selecting` selects a pod that has them beside the `others`, which it keeps. With another
/// value, or without a label, one can select that did not before, e.g. `!canary`: so until nothing changes.
fn escape(labels: &mut Labels, others: &Labels, selecting: &[Selecting], value: &str) {
    loop {
        let both: Labels = labels.clone().into_iter().chain(others.clone()).collect();
        let finds = |one: &&Selecting| {
            matches(&one.selector, &both) && required(&one.selector).any(|key| labels.contains_key(key))
        };
        let Some(one) = unaware(selecting).find(finds) else { return };
        if !one.change(labels, value) {
            one.remove(labels);
        }
    }
}

/// What has to change of the labels of a preview's pod that runs, now that `selecting` is all that selects: the new values,
/// and `None` for what it must not have.
pub fn escaping(pod: &Labels, selecting: &[Selecting], value: &str) -> BTreeMap<String, Option<String>> {
    let is_fixed = |key: &String| is_own(key) || GENERATED.contains(&key.as_str());
    let (fixed, before): (Labels, Labels) = pod.clone().into_iter().partition(|(key, _)| is_fixed(key));
    let mut after = before.clone();
    escape(&mut after, &fixed, selecting, value);
    let changed = before.into_iter().filter(|(key, value)| after.get(key) != Some(value));
    changed.map(|(key, _)| (key.clone(), after.get(&key).cloned())).collect()
}

/// Those of a target's labels by which no tool would take its clone for it, and those that are wished for.
fn transferable(labels: &Labels, wished: &Wished) -> Labels {
    let fits = |globs: &[String], key: &str| globs.iter().any(|glob| WildMatch::new(glob).matches(key));
    let stays = |key: &str| !fits(&wished.drop, key) && (fate(key) == Fate::Kept || fits(&wished.keep, key));
    let mut labels = labels.clone();
    labels.retain(|key, _| stays(key) && !GENERATED.contains(&key.as_str()) && !is_own(key));
    labels
}

/// Names those that were set and have another value, since somebody selects by the given one.
pub(super) fn turned_in_vain(wished: &Wished, turned: &Labels) -> Option<Warning> {
    let others = wished.set.iter().filter(|(key, value)| turned.get(*key) != Some(value));
    let names: Vec<&str> = others.map(|(key, _)| key.as_str()).collect();
    (!names.is_empty()).then(|| warn::labels_turned(&names))
}

/// The labels of a clone's Deployment, beside its own: those of the target's, since a policy may ask for them; with another
/// value where its pods have one.
pub(super) fn of_workload(workload: &Labels, template: &Labels, wished: &Wished, turned: &Labels) -> Labels {
    let mut labels = transferable(workload, wished);
    labels.extend(wished.set.clone());
    for (key, value) in &mut labels {
        if let Some(other) = turned.get(key).filter(|other| template.get(key) != Some(other)) {
            value.clone_from(other);
        }
    }
    labels
}

fn unaware(selecting: &[Selecting]) -> impl Iterator<Item = &Selecting> {
    selecting.iter().filter(|one| !one.means_previews())
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

pub(super) fn is_own(key: &str) -> bool {
    key.starts_with("byway.dev/")
}
