//! `feature.preview`: the image, how many pods, and how long.

use std::time::Duration;

use byway_api::{PreviewSpec, Ttl};
use serde_json::Value;

use super::{Overrides, Reader, Section};
use crate::args;

/// As in the CRD.
const MOST_REPLICAS: i64 = 20;

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

/// Time to live and number of pods.
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
    if !preview.value.is_object() {
        reader.said.problem(&preview.path, format!("is {}: write an object", preview.what()));
    }
    let (minutes, seconds) = (preview.get("ttl_mins"), preview.get("ttl_secs"));
    if minutes.is_some() && seconds.is_some() {
        reader.said.problem("feature.preview.ttl_mins", "and ttl_secs are both there: leave one of them out");
    }
    let minutes = minutes.and_then(|section| ttl(reader, &section, 60));
    let seconds = seconds.and_then(|section| ttl(reader, &section, 1));
    spec.ttl = overrides.ttl.or(minutes).or(seconds).unwrap_or(spec.ttl);
    if let Some(section) = preview.get("replicas") {
        match section.value.as_i64().filter(|replicas| (0..=MOST_REPLICAS).contains(replicas)) {
            Some(replicas) => spec.replicas = i32::try_from(replicas).unwrap_or(1),
            None => reader.said.problem(&section.path, format!("is no number from 0 to {MOST_REPLICAS}")),
        }
    }
}

/// How long to wait, if the file says.
pub(super) fn timeout(reader: &mut Reader<'_>, file: &Section<'_>) -> Option<Duration> {
    let section = file.at(&["feature", "preview", "creation_timeout_secs"])?;
    let seconds = section.value.as_u64();
    if seconds.is_none() {
        reader.said.problem(&section.path, "is no number of seconds");
    }
    seconds.map(Duration::from_secs)
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
