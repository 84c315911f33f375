//! A Preview in the words of a terminal.

use byway_api::{Key, Phase, Preview, PreviewTarget, conditions, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;

/// The key in force: of the spec, of the status, or the one that will be generated.
#[must_use]
pub fn key_of(preview: &Preview) -> Option<Key> {
    let status = preview.status.as_ref().and_then(|it| it.key.as_deref());
    match preview.spec.key.as_deref().or(status) {
        Some(key) => key.parse().ok(),
        None => Some(names::generated_key(&preview.name_any(), &preview.uid()?)),
    }
}

/// `deployment/checkout`, as `--target` takes it; `-` without one.
#[must_use]
pub fn target_of(preview: &Preview) -> String {
    preview.spec.target.as_ref().map_or_else(|| "-".to_owned(), target)
}

/// As `--target` takes it.
#[must_use]
pub fn target(target: &PreviewTarget) -> String {
    let container = target.container.as_ref().map(|it| format!("/container/{it}")).unwrap_or_default();
    format!("{}/{}{container}", target.kind.as_str().to_ascii_lowercase(), target.name)
}

/// A condition of the Preview.
#[must_use]
pub fn condition<'a>(preview: &'a Preview, type_: &str) -> Option<&'a Condition> {
    preview.status.as_ref()?.conditions.iter().find(|it| it.type_ == type_)
}

/// The state in a word, with the time that is left: `running (42m remaining)`.
#[must_use]
pub fn state(preview: &Preview, now: Timestamp) -> String {
    if preview.metadata.deletion_timestamp.is_some() {
        return "stopping".to_owned();
    }
    let expires = preview.status.as_ref().and_then(|it| it.expires_at.as_ref());
    // The agents end it at that second, whether or not a controller runs to say so.
    if expires.is_some_and(|at| at.0 <= now) {
        return "expired".to_owned();
    }
    let left = match expires {
        Some(at) => format!("{} remaining", left(at.0.duration_since(now))),
        None => "infinite".to_owned(),
    };
    match preview.status.as_ref().and_then(|it| it.phase) {
        Some(Phase::Ready) => format!("running ({left})"),
        Some(Phase::Asleep) => format!("asleep ({left})"),
        Some(Phase::Degraded) => format!("degraded ({left})"),
        Some(Phase::Failed) => "failed".to_owned(),
        Some(Phase::Expired) => "expired".to_owned(),
        Some(Phase::Pending) if waits_for_others(preview) => "waiting".to_owned(),
        Some(Phase::Pending) | None => "initializing".to_owned(),
    }
}

/// `is running (42m remaining)`, `has failed`: the state, to be put behind the name.
#[must_use]
pub fn is(state: &str) -> String {
    match state {
        "failed" | "expired" => format!("has {state}"),
        _ => format!("is {state}"),
    }
}

/// Whether it waits for something that is not its own.
fn waits_for_others(preview: &Preview) -> bool {
    use conditions::reason as r;
    const OTHERS: [&str; 7] = [
        r::TARGET_NOT_FOUND,
        r::NO_TARGET_PODS,
        r::UNSCHEDULABLE,
        r::NOT_SCHEDULED,
        r::NO_AGENT,
        r::AGENT_NOT_READY,
        r::SCALED_TO_ZERO,
    ];
    condition(preview, conditions::READY).is_some_and(|it| OTHERS.contains(&it.reason.as_str()))
}

/// What is to be said beside the state: why it is not ready.
#[must_use]
pub fn message(preview: &Preview) -> String {
    let told = |type_: &str, status: &str| {
        condition(preview, type_).filter(|it| it.status == status).map(|it| it.message.clone())
    };
    told(conditions::READY, "False").or_else(|| told(conditions::READY, "Unknown")).unwrap_or_default()
}

/// `42m`, `5h10m`, `3d4h`, rounded down; `<1m`.
#[must_use]
pub fn left(left: SignedDuration) -> String {
    let minutes = left.as_secs().max(0) / 60;
    let two = |big: i64, unit: char, small: i64, rest: char| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{rest}") }
    };
    match minutes {
        0 => "<1m".to_owned(),
        1..60 => format!("{minutes}m"),
        60..1440 => two(minutes / 60, 'h', minutes % 60, 'm'),
        _ => two(minutes / 1440, 'd', minutes % 1440 / 60, 'h'),
    }
}

/// `1 pod`, `3 pods`.
#[must_use]
pub fn count<N: Copy + std::fmt::Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    format!("{number} {what}{}", if number == N::from(1) { "" } else { "s" })
}

/// `a, b and 3 more`.
pub(crate) fn few<T: AsRef<str>>(items: &[T]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = items.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match items.len() {
        0..=SHOWN => shown.join(", "),
        more => format!("{} and {} more", shown.join(", "), more - SHOWN),
    }
}

/// `1m30s`: exact, as flags take it.
#[must_use]
pub fn span(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    let parts = [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `NAME -n NAMESPACE`, to be put behind a command.
#[must_use]
pub fn place(preview: &Preview) -> String {
    format!("{} -n {}", preview.name_any(), preview.namespace().unwrap_or_default())
}

/// `NAMESPACE/NAME`.
#[must_use]
pub fn full_name(preview: &Preview) -> String {
    format!("{}/{}", preview.namespace().unwrap_or_default(), preview.name_any())
}

/// Whether a status is of the newest spec, or of one as new as `generation`.
#[must_use]
pub fn is_about(preview: &Preview, generation: i64) -> bool {
    let observed = preview.status.as_ref().and_then(|it| it.observed_generation).unwrap_or_default();
    let ready = condition(preview, conditions::READY).and_then(|it| it.observed_generation);
    observed >= generation && ready.unwrap_or_default() >= generation
}

#[cfg(test)]
mod tests;
