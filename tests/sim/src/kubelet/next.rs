//! The next step with a pod: a function of what it is, how it shall behave, and how long it has been so.

use std::time::Duration;

use super::picture::{Picture, StatusPatch};
use crate::manner::{Does, Manner};
use crate::pod::PodView;

/// What to do with a pod.
#[derive(Debug)]
pub(super) enum Step {
    Nothing,
    /// Look again then.
    After(Duration),
    Bind,
    Status(StatusPatch),
    Remove,
}

pub(super) fn next(pod: &PodView, manner: &Manner, age: Duration) -> Step {
    let is_over = matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed"));
    if pod.is_going() {
        return match manner.ends_after.checked_sub(age).filter(|left| !left.is_zero()) {
            _ if manner.is_dead => Step::Nothing,
            Some(left) => Step::After(left),
            None => Step::Remove,
        };
    }
    if is_over {
        return Step::Nothing;
    }
    if pod.spec.node_name.is_none() && manner.does == Does::IsNotTried {
        return Step::Nothing;
    }
    if pod.spec.node_name.is_none() && manner.does != Does::IsUnschedulable {
        return Step::Bind;
    }
    let wanted = Picture::wanted(pod, manner, age);
    if wanted != Picture::of(pod) {
        return Step::Status(wanted.patch(pod));
    }
    match &manner.does {
        Does::RunsAfter(delay) if !wanted.containers_ready && !manner.is_dead => {
            Step::After(delay.saturating_sub(age).max(Duration::from_millis(1)))
        }
        _ => Step::Nothing,
    }
}
