//! `feature.preview`: the image, how many pods, and how long.

use std::ops::RangeInclusive;
use std::time::Duration;

use byway_api::{Idle, Labels, PreviewSpec, Ttl};
use serde_json::{Value, json};

use super::walk::asks_for_nothing;
use super::{Overrides, Reader, Section};
use crate::args::{self, values};
use crate::words;

/// As in the CRD.
const MOST_REPLICAS: i64 = 20;
const MOST_GLOBS: usize = 50;

pub(super) fn image(reader: &mut Reader<'_>, file: &Section<'_>, overrides: &Overrides) -> Option<String> {
    if let Some(image) = &overrides.image {
        return Some(image.clone());
    }
    const PATH: &str = "feature.preview.image";
    let Some(section) = file.at(&["feature", "preview", "image"]) else {
        reader.said.problem(PATH, "is missing: name the image that the preview runs, here or with --image");
        return None;
    };
    let image = reader.text(&section)?;
    args::image(&image).map_err(|message| reader.said.problem(PATH, message)).ok()
}

/// Time to live, number of pods, sleep, and labels.
pub(super) fn read(
    reader: &mut Reader<'_>,
    file: &Section<'_>,
    overrides: &Overrides,
    spec: &mut PreviewSpec,
) {
    let Some(preview) = file.at(&["feature", "preview"]) else {
        spec.ttl = overrides.ttl.unwrap_or(spec.ttl);
        return;
    };
    let (minutes, seconds) = (preview.get("ttl_mins"), preview.get("ttl_secs"));
    if minutes.is_some() && seconds.is_some() {
        reader.said.problem("feature.preview.ttl_mins", "and ttl_secs are both there: leave one of them out");
    }
    let minutes = minutes.and_then(|section| ttl(reader, &section, 60));
    let seconds = seconds.and_then(|section| ttl(reader, &section, 1));
    spec.ttl = overrides.ttl.or(minutes).or(seconds).unwrap_or(spec.ttl);
    spec.idle = preview.get("idle").filter(|it| !asks_for_nothing(it.value)).and_then(|it| idle(reader, &it));
    spec.labels =
        preview.get("labels").filter(|it| !asks_for_nothing(it.value)).map(|it| labels(reader, &it));
    if let Some(section) = preview.get("replicas") {
        match section.value.as_i64().filter(|replicas| (0..=MOST_REPLICAS).contains(replicas)) {
            Some(replicas) => spec.replicas = i32::try_from(replicas).unwrap_or(1),
            None => reader.said.problem(&section.path, format!("is no number from 0 to {MOST_REPLICAS}")),
        }
    }
}

/// When it sleeps. Not while nothing of it is asked for.
fn idle(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Idle> {
    if !reader.is_object(section) {
        return None;
    }
    let start_asleep = section.get("start_idle").is_some_and(|it| {
        it.value.as_bool().unwrap_or_else(|| {
            reader.said.problem(&it.path, "is neither true nor false");
            false
        })
    });
    let mut time = |name: &str, within| {
        let found = seconds(reader, &section.get(name)?, within);
        found.map(|seconds| format!("{seconds}s"))
    };
    let sleep_after = time("sleep_after_secs", values::SLEEP_AFTER);
    let wake_timeout = time("wake_timeout_secs", values::WAKE_TIMEOUT);
    let mut idle = json!({ "startAsleep": start_asleep });
    for (name, value) in [("sleepAfter", sleep_after), ("wakeTimeout", wake_timeout)] {
        if let Some(value) = value {
            idle[name] = value.into();
        }
    }
    serde_json::from_value(idle).ok()
}

/// Which of the target's labels its pods have.
fn labels(reader: &mut Reader<'_>, section: &Section<'_>) -> Labels {
    reader.is_object(section);
    let mut list = |name: &str| {
        let globs = section.get(name).map(|it| reader.texts(&it)).unwrap_or_default();
        if globs.len() > MOST_GLOBS {
            let message = format!("has {} entries, at most {MOST_GLOBS} are allowed", globs.len());
            reader.said.problem(format!("{}.{name}", section.path), message);
        }
        globs
    };
    Labels { keep: list("include"), drop: list("exclude"), ..Labels::default() }
}

/// How long to wait, if the file says.
pub(super) fn timeout(reader: &mut Reader<'_>, file: &Section<'_>) -> Option<Duration> {
    let section = file.at(&["feature", "preview", "creation_timeout_secs"])?;
    seconds(reader, &section, values::PATIENCE).map(Duration::from_secs)
}

fn seconds(reader: &mut Reader<'_>, section: &Section<'_>, within: RangeInclusive<u64>) -> Option<u64> {
    let found = section.value.as_u64().filter(|it| within.contains(it));
    if found.is_none() {
        let (least, most) = within.into_inner();
        let message = format!(
            "is no number of seconds between {least} and {most}, {}",
            words::span(Duration::from_secs(most))
        );
        reader.said.problem(&section.path, message);
    }
    found
}

fn ttl(reader: &mut Reader<'_>, section: &Section<'_>, unit: u64) -> Option<Ttl> {
    let number = match section.value {
        Value::String(text) if text == "infinite" => return Some(Ttl::Never),
        // As a template gives it.
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    let Some(number) = number else {
        reader.said.problem(&section.path, "is neither a whole number nor \"infinite\"");
        return None;
    };
    let seconds = number.saturating_mul(unit);
    let parsed = format!("{seconds}s").parse::<Ttl>();
    if parsed.is_err() {
        reader.said.problem(
            &section.path,
            "a preview lives between 1 minute and 30 days: write a number in between, or \"infinite\"",
        );
    }
    parsed.ok()
}
