//! Conditions as `metav1.Condition` has them: a transition time moves only when the status does.

use byway_api::PreviewStatus;
use byway_api::conditions::is_passing;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// One condition's contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether it is true.
    pub(super) ok: bool,
    status: &'static str,
    pub(super) reason: String,
    pub(super) message: String,
    /// Waiting will not help.
    pub(super) is_final: bool,
}

/// Most bytes of a message, by `metav1.Condition`.
const LONGEST: usize = 32 << 10;

impl Verdict {
    pub(super) fn yes(reason: &str, message: impl Into<String>) -> Self {
        Self { ok: true, status: "True", reason: reason.to_owned(), message: message.into(), is_final: false }
    }

    pub(super) fn no(reason: impl Into<String>, message: impl Into<String>) -> Self {
        let reason = reason.into();
        let is_final = !is_passing(&reason);
        Self { ok: false, status: "False", is_final, reason, message: message.into() }
    }

    pub(super) fn unknown(reason: &str, message: &str) -> Self {
        Self {
            ok: false,
            status: "Unknown",
            reason: reason.to_owned(),
            message: message.to_owned(),
            is_final: false,
        }
    }

    pub(super) fn is(&self, reason: &str) -> bool {
        self.reason == reason
    }
}

/// To the API server they are a map, and it may give them back in another order.
pub fn in_order(conditions: &mut [Condition]) {
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
}

/// The conditions of a status that is being written.
pub(super) struct Conditions<'a> {
    before: &'a PreviewStatus,
    generation: Option<i64>,
    now: Timestamp,
    now_set: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(before: &'a PreviewStatus, generation: Option<i64>, now: Timestamp) -> Self {
        Self { before, generation, now, now_set: Vec::new() }
    }

    pub(super) fn set(&mut self, type_: &str, verdict: &Verdict) {
        let before = self.before.conditions.iter().find(|it| it.type_ == type_);
        let since = match before {
            Some(before) if before.status == verdict.status => before.last_transition_time.clone(),
            // Kubernetes keeps whole seconds, and what is written must be what is read.
            _ => Time(Timestamp::from_second(self.now.as_second()).unwrap_or(self.now)),
        };
        let mut message = verdict.message.clone();
        if message.len() > LONGEST {
            let cut = (0..=LONGEST - 4).rev().find(|at| message.is_char_boundary(*at)).unwrap_or_default();
            message.truncate(cut);
            message.push_str(" ...");
        }
        self.now_set.push(Condition {
            type_: type_.to_owned(),
            status: verdict.status.to_owned(),
            reason: verdict.reason.clone(),
            message,
            observed_generation: self.generation,
            last_transition_time: since,
        });
    }

    pub(super) fn set_or_drop(&mut self, type_: &str, verdict: Option<Verdict>) {
        if let Some(verdict) = verdict {
            self.set(type_, &verdict);
        }
    }

    /// In the order of their types, as [`in_order`] has them.
    pub(super) fn done(mut self) -> Vec<Condition> {
        in_order(&mut self.now_set);
        self.now_set
    }
}
