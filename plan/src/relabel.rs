//! Pods of previews that somebody selects since they were made: a Service or a budget that came later.
//!
//! The clone's template changes, too, but its pods only with the next rollout, and a rollout may not get on. So the labels
//! are taken off the pods that run, at once.

use std::collections::BTreeMap;

use byway_api::names;

use crate::clone::{Selecting, escaping};
use crate::rows::PreviewPodRow;
use crate::standing::Standing;

#[cfg(test)]
mod tests;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// What to change of the labels of a preview's pod, and what they are then. Nothing, if nobody selects it.
pub fn relabel(
    row: &PreviewPodRow,
    standing: &Standing,
    selecting: &[Selecting],
) -> Option<(BTreeMap<String, Option<String>>, Labels)> {
    let value = names::child_name(&standing.name.name, &standing.uid);
    let changes = escaping(&row.labels, selecting, &value);
    if changes.is_empty() || row.pod.terminating {
        return None;
    }
    let mut labels = row.labels.clone();
    for (key, value) in &changes {
        match value {
            Some(value) => drop(labels.insert(key.clone(), value.clone())),
            None => drop(labels.remove(key)),
        }
    }
    Some((changes, labels))
}
