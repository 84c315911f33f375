//! What happens while a command waits, as one JSON object per line. Names of fields and events are stable.

use byway_api::{Preview, conditions};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::exit::Failure;
use crate::fix::{fix, fix_of};
use crate::words;

/// A step that is told: the `event` of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Flags and file are understood.
    Loaded,
    /// The API server has answered, and would take it.
    Connected,
    /// The Preview is new.
    Created,
    /// The Preview was there, and is another one now.
    Updated,
    /// It waits; `reason` and `message` are those of the condition `Ready`.
    Waiting,
    /// The target's template is cloned.
    Cloned,
    /// Its pods are ready.
    PodsReady,
    /// The agents steer requests to it.
    Routed,
    /// Requests reach it.
    Ready,
    /// It lives longer now.
    Extended,
    /// It is being deleted.
    Stopping,
    /// It is gone.
    Stopped,
    /// Something to know.
    Warning,
    /// A line of a container's log.
    Log,
    /// The command of `run` has been started.
    Running,
    /// The command of `run` has ended, see `exit`.
    Ended,
    /// It did not work, see `reason` and `fix`.
    Failed,
}

impl Step {
    /// All of them, for the documentation's test.
    pub const ALL: [Self; 17] = [
        Self::Loaded,
        Self::Connected,
        Self::Created,
        Self::Updated,
        Self::Waiting,
        Self::Cloned,
        Self::PodsReady,
        Self::Routed,
        Self::Ready,
        Self::Extended,
        Self::Stopping,
        Self::Stopped,
        Self::Warning,
        Self::Log,
        Self::Running,
        Self::Ended,
        Self::Failed,
    ];
}

/// A line of the stream.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When it was told.
    pub time: Timestamp,
    /// What.
    pub event: Step,
    /// A stable word, where there is one: of the condition, or of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For people.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// How the program, or the command of `run`, ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
    /// Of which Preview.
    #[serde(flatten)]
    pub preview: Option<About>,
}

/// A Preview, as far as a program that started it wants to know.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    name: String,
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routes: Option<byway_api::RouteCounts>,
    /// What to send, each `Name: value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<String>,
}

impl About {
    /// Of a Preview.
    #[must_use]
    pub fn of(preview: &Preview) -> Self {
        let key = words::key_of(preview);
        let status = preview.status.clone().unwrap_or_default();
        let headers = key.as_ref().map(|key| crate::reach::Reach::of(&preview.spec, key).headers(key));
        Self {
            name: preview.name_any(),
            namespace: preview.namespace().unwrap_or_default(),
            key: key.map(|it| it.to_string()),
            target: preview.spec.target.as_ref().map(words::target),
            image: preview.spec.image.clone(),
            phase: status.phase.map(byway_api::Phase::as_str),
            expires_at: status.expires_at.map(|it| it.0),
            routes: status.routes,
            headers: headers.unwrap_or_default(),
        }
    }
}

impl Event {
    /// A step, in words.
    #[must_use]
    pub fn new(event: Step, message: impl Into<String>) -> Self {
        Self {
            time: now(),
            event,
            reason: None,
            message: message.into(),
            fix: None,
            exit: None,
            preview: None,
        }
    }

    /// Of this Preview: what is to be done names it.
    #[must_use]
    pub fn of(mut self, preview: &Preview) -> Self {
        if let (Some(_), Some(reason)) = (&self.fix, &self.reason) {
            self.fix = fix_of(reason, preview);
        }
        self.preview = Some(About::of(preview));
        self
    }

    /// For this reason, with what to do about it.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.fix = fix(reason).map(str::to_owned);
        self.reason = Some(reason.to_owned());
        self
    }

    /// With an exit code.
    #[must_use]
    pub fn exit(mut self, code: u8) -> Self {
        self.exit = Some(code);
        self
    }

    /// A Preview is ready.
    #[must_use]
    pub fn ready(preview: &Preview) -> Self {
        Self::new(Step::Ready, "ready: requests with the key reach the preview").of(preview)
    }

    /// Why a Preview is not ready yet.
    #[must_use]
    pub fn waiting(preview: &Preview) -> Self {
        match words::condition(preview, conditions::READY) {
            Some(ready) => Self::new(Step::Waiting, ready.message.clone()).because(&ready.reason),
            None => {
                let reason = conditions::reason::PENDING;
                Self::new(Step::Waiting, "the controller has not looked at it yet").because(reason)
            }
        }
        .of(preview)
    }

    /// A command that failed.
    #[must_use]
    pub fn failed(failure: &Failure) -> Self {
        let fix = failure.fix.clone().or_else(|| fix(&failure.reason).map(str::to_owned));
        let reason = Some(failure.reason.clone());
        Self { reason, fix, ..Self::new(Step::Failed, failure.message.clone()) }.exit(failure.exit.code())
    }

    /// The line.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self)
            .unwrap_or_else(|error| format!("{{\"event\":\"failed\",\"message\":\"{error}\"}}"))
    }
}

/// To the millisecond.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
