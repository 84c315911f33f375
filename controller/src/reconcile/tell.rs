//! When a status is worth a write, and when an event.

use std::sync::Arc;

use byway_api::{Phase, Preview, PreviewStatus};
use byway_plan::rows::Ref;
use byway_plan::standing::Standing;
use jiff::SignedDuration;

use crate::write::Desired;

/// What is only progress is written this much later than what was written before.
const PROGRESS: SignedDuration = SignedDuration::from_secs(1);
/// Mere counts of requests are written this much later than what was written before.
const COUNTS: SignedDuration = SignedDuration::from_secs(60);

/// An event to report.
#[derive(Clone)]
pub(super) struct Report {
    pub(super) preview: Arc<Preview>,
    pub(super) phase: Phase,
    pub(super) reason: String,
    pub(super) message: String,
}

/// How long a status may wait for another that is written with it.
pub(super) fn pause(before: &PreviewStatus, now: &PreviewStatus) -> SignedDuration {
    let counted = PreviewStatus {
        traffic: now.traffic.clone(),
        last_request_time: now.last_request_time.clone(),
        ..before.clone()
    };
    if before.last_request_time.is_some() && counted == *now {
        COUNTS
    } else if is_progress(before, now) {
        PROGRESS
    } else {
        SignedDuration::ZERO
    }
}

/// Whether a status differs from the one before only in what is on its way: counts, reasons, messages.
fn is_progress(before: &PreviewStatus, now: &PreviewStatus) -> bool {
    fn said(it: &PreviewStatus) -> impl Iterator<Item = (&str, &str, Option<i64>)> {
        it.conditions.iter().map(|it| (it.type_.as_str(), it.status.as_str(), it.observed_generation))
    }
    before.phase == now.phase && before.expires_at == now.expires_at && said(before).eq(said(now))
}

/// Reports a change of phase, and of what is wrong: of each step on the way there would be too many to be read.
pub(super) fn report(reports: &mut Desired<Ref, Report, ()>, standing: &Standing, status: &PreviewStatus) {
    let ready = |status: &PreviewStatus| {
        status.conditions.iter().find(|it| it.type_ == byway_api::conditions::READY).cloned()
    };
    let (Some(now), Some(phase)) = (ready(status), status.phase) else { return };
    let before = standing.preview.status.as_ref();
    let is_wrong = matches!(phase, Phase::Failed | Phase::Degraded);
    let is_same = before.is_some_and(|before| {
        before.phase == status.phase && (!is_wrong || ready(before).is_some_and(|it| it.reason == now.reason))
    });
    if !is_same {
        let report =
            Report { preview: standing.preview.clone(), phase, reason: now.reason, message: now.message };
        reports.want(standing.name.clone(), report);
    }
}
