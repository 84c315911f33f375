//! Values of flags.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use byway_api::{ExistingConnections, OnUnreachable, PortMapping, PreviewTarget, PullPolicy, TargetKind};

use super::names;
use crate::words::span;

/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvVarArg {
    /// Before the first `=`.
    pub name: String,
    /// Behind it.
    pub value: String,
}

/// `PATH=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileArg {
    /// In the container.
    pub path: String,
    /// On this machine.
    pub local: PathBuf,
}

/// Kinds as people write them, as for kubectl.
const KINDS: [(TargetKind, &[&str]); 6] = [
    (TargetKind::Deployment, &["deployment", "deployments", "deploy"]),
    (TargetKind::StatefulSet, &["statefulset", "statefulsets", "sts"]),
    (TargetKind::DaemonSet, &["daemonset", "daemonsets", "ds"]),
    (TargetKind::ReplicaSet, &["replicaset", "replicasets", "rs"]),
    (TargetKind::Pod, &["pod", "pods", "po"]),
    (TargetKind::Rollout, &["rollout", "rollouts", "ro"]),
];

/// `KIND/NAME[/container/NAME]`.
pub(crate) fn target(text: &str) -> Result<PreviewTarget, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let (kind, name, container) = match parts[..] {
        [kind, name] => (kind, name, None),
        [kind, name, "container", container] if !container.is_empty() => {
            (kind, name, Some(container.to_owned()))
        }
        _ => return Err("write KIND/NAME or KIND/NAME/container/NAME, e.g. deployment/checkout".to_owned()),
    };
    if name.is_empty() {
        return Err("the name after the / is missing, e.g. deployment/checkout".to_owned());
    }
    names::target(PreviewTarget { kind: self::kind(kind)?, name: name.to_owned(), container })
}

/// The kind that a word means.
pub(crate) fn kind(text: &str) -> Result<TargetKind, String> {
    // As `deployments.apps`, too.
    let word = text.to_ascii_lowercase();
    let word = word.split('.').next().unwrap_or_default();
    let known = KINDS.iter().find(|(_, words)| words.contains(&word));
    known.map(|(kind, _)| *kind).ok_or_else(|| {
        let known: Vec<&str> = KINDS.iter().map(|(_, words)| words[0]).collect();
        format!("`{text}` is no kind of workload that can have a preview: use {}", known.join(", "))
    })
}

pub(super) fn env(text: &str) -> Result<EnvVarArg, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok(EnvVarArg { name: name.to_owned(), value: value.to_owned() })
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

pub(super) fn file(text: &str) -> Result<FileArg, String> {
    match text.split_once('=') {
        Some((path, local)) if path.starts_with('/') && !local.is_empty() => {
            Ok(FileArg { path: path.to_owned(), local: local.into() })
        }
        _ => Err("write PATH=FILE, the path in the container first, e.g. /etc/app/config.yaml=config.yaml"
            .to_owned()),
    }
}

pub(super) fn port_mapping(text: &str) -> Result<PortMapping, String> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let pair = text.split_once(':').and_then(|(port_of, preview)| Some((port(port_of)?, port(preview)?)));
    pair.map(|(port, preview_port)| PortMapping { port, preview_port })
        .ok_or_else(|| "write PORT:PREVIEW_PORT, both between 1 and 65535, e.g. 8080:9090".to_owned())
}

pub(super) fn pull_policy(text: &str) -> Result<PullPolicy, String> {
    let all = [PullPolicy::Always, PullPolicy::IfNotPresent, PullPolicy::Never];
    let found = all.into_iter().find(|it| it.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| "write Always, IfNotPresent or Never".to_owned())
}

pub(super) fn on_unreachable(text: &str) -> Result<OnUnreachable, String> {
    match text {
        "error" => Ok(OnUnreachable::Error),
        "stable" => Ok(OnUnreachable::Stable),
        _ => Err("write error or stable".to_owned()),
    }
}

/// An unset variable in a script is a mistake, not a wish for what comes by default.
pub(super) fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("it is empty: leave the flag out, or give it a value".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

pub(super) fn existing_connections(text: &str) -> Result<ExistingConnections, String> {
    match text {
        "leave" => Ok(ExistingConnections::Leave),
        "drainIdle" => Ok(ExistingConnections::DrainIdle),
        _ => Err("write leave or drainIdle".to_owned()),
    }
}

/// Seconds that a command waits for something.
pub(crate) const PATIENCE: RangeInclusive<u64> = 1..=30 * 24 * 3600;
/// Seconds without a request after which a preview may sleep, and that a request waits for it to wake: as in the CRD.
pub(crate) const SLEEP_AFTER: RangeInclusive<u64> = 30..=30 * 24 * 3600;
pub(crate) const WAKE_TIMEOUT: RangeInclusive<u64> = 1..=600;

pub(super) fn patience(text: &str) -> Result<Duration, String> {
    within(text, PATIENCE)
}

pub(super) fn sleep_after(text: &str) -> Result<Duration, String> {
    within(text, SLEEP_AFTER)
}

pub(super) fn wake_timeout(text: &str) -> Result<Duration, String> {
    within(text, WAKE_TIMEOUT)
}

fn within(text: &str, seconds: RangeInclusive<u64>) -> Result<Duration, String> {
    let time = duration(text)?;
    let [least, most] = [seconds.start(), seconds.end()].map(|it| span(Duration::from_secs(*it)));
    let is_within = seconds.contains(&time.as_secs());
    is_within.then_some(time).ok_or_else(|| format!("write a time between {least} and {most}"))
}

/// `90s`, `5m`, `1h30m`; a bare number is of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().or_else(|| with_units(text));
    seconds.map(Duration::from_secs).ok_or_else(|| "write a duration such as 90s, 5m or 1h30m".to_owned())
}

/// Seconds, unless there are more than can be counted.
fn with_units(text: &str) -> Option<u64> {
    let (mut total, mut digits) = (0_u64, String::new());
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        let number: u64 = digits.parse().ok()?;
        total = number.checked_mul(unit).and_then(|it| total.checked_add(it))?;
        digits.clear();
    }
    (!text.is_empty() && digits.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests;
