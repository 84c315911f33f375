//! `target`: which workload, and in which namespace.

use byway_api::{PreviewTarget, TargetKind};

use super::keys::{self, Fate};
use super::walk::asks_for_nothing;
use super::{Overrides, Reader, Section};
use crate::args;

/// `None`: it cannot be read, which is said. `Some(None)`: without a target.
type Found = Option<Option<PreviewTarget>>;

/// The target, and the namespace. What the command line says need not be in the file.
pub(super) fn read(
    reader: &mut Reader<'_>,
    file: &Section<'_>,
    overrides: &Overrides,
) -> (Found, Option<String>) {
    let section = file.get("target");
    let of_object = section.clone().filter(|section| section.value.is_object());
    let namespace = of_object.as_ref().and_then(|section| section.get("namespace"));
    let namespace = overrides.namespace.clone().or_else(|| self::namespace(reader, &namespace?));
    if let Some(target) = &overrides.target {
        return (Some(Some(target.clone())), namespace);
    }
    let found = match (of_object, section) {
        (Some(section), _) => self::of_object(reader, &section),
        (None, Some(section)) => of_text(reader, &section),
        (None, None) => Some(None),
    };
    (found, namespace)
}

fn namespace(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<String> {
    let text = reader.text(section)?;
    args::namespace(&text).map_err(|message| reader.said.problem(&section.path, message)).ok()
}

/// `{ path: ..., namespace: NAME }`, or `{ deployment: NAME, container: NAME }`.
fn of_object(reader: &mut Reader<'_>, section: &Section<'_>) -> Found {
    let path = section.get("path");
    let fate = |name: &str| keys::find(&format!("target.{name}")).map(|known| known.fate);
    let is_honoured = |name: &str| matches!(fate(name), Some(Fate::Honoured(_)));
    let members: Vec<_> = members(section)
        .filter(|(name, _)| !["path", "namespace"].contains(name))
        .filter(|(name, it)| fate(name).is_none() || is_honoured(name) || !asks_for_nothing(it.value))
        .collect();
    match path {
        None if members.is_empty() => Some(None),
        // What is no workload, or none that can be cloned, is said where all keys are looked at.
        None if !members.iter().all(|(name, _)| is_honoured(name)) => None,
        None => of_members(reader, section, members).map(Some),
        Some(_) if !members.is_empty() => {
            let message = "names its workload twice: leave out `path`, or what stands beside it";
            reader.said.problem(&section.path, message);
            None
        }
        Some(path) if path.value.is_object() => {
            let members = self::members(&path).collect();
            of_members(reader, &path, members).map(Some)
        }
        Some(path) => of_text(reader, &path),
    }
}

/// Those that are there; null is as good as absent.
fn members<'v>(section: &Section<'v>) -> impl Iterator<Item = (&'v str, Section<'v>)> {
    section.members().filter(|(_, member)| !member.value.is_null())
}

/// `deployment/NAME/container/NAME`.
fn of_text(reader: &mut Reader<'_>, section: &Section<'_>) -> Found {
    let text = reader.text(section)?;
    if text == "targetless" {
        return Some(None);
    }
    let kind = text.split('/').next().unwrap_or_default();
    let target = unclonable(kind).map_or_else(|| args::target(&text), Err);
    target
        .map(Some)
        .map_err(|message| reader.said.problem(&section.path, format!("{text:?}: {message}")))
        .ok()
}

/// `{ stateful_set: NAME, container: NAME }`, with or without `_`.
fn of_members(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    mut members: Vec<(&str, Section<'_>)>,
) -> Option<PreviewTarget> {
    let container = members.iter().position(|(name, _)| *name == "container").map(|at| members.remove(at).1);
    let [(word, name)] = &members[..] else {
        reader.said.problem(
            &section.path,
            "names no single workload: write { deployment: NAME }, or \"deployment/NAME\"",
        );
        return None;
    };
    let kind = kind(word).map_err(|message| reader.said.problem(&name.path, message)).ok();
    let container = container.map(|container| part(reader, &container, args::container));
    let name = part(reader, name, args::object_name);
    Some(PreviewTarget {
        kind: kind?,
        name: name?,
        container: container.map_or(Some(None), |it| it.map(Some))?,
    })
}

/// A text that is a name of some kind.
fn part(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    judge: fn(&str) -> Result<String, String>,
) -> Option<String> {
    let text = reader.text(section)?;
    judge(&text).map_err(|message| reader.said.problem(&section.path, message)).ok()
}

fn kind(word: &str) -> Result<TargetKind, String> {
    let word = word.replace('_', "");
    unclonable(&word).map_or_else(|| args::kind(&word), Err)
}

/// Why what mirrord takes for a target cannot have a preview, if it cannot.
fn unclonable(kind: &str) -> Option<String> {
    match kind {
        "job" | "cronjob" | "workflow" => {
            Some(format!("a {kind} serves no requests that could be steered: name the workload that serves"))
        }
        "service" | "label" | "labels" => Some(format!(
            "a {kind} has no pod template to clone: name the workload whose pods it selects, e.g. deployment/NAME"
        )),
        _ => None,
    }
}
