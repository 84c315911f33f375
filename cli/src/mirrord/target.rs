//! `target`: which workload, and in which namespace.

use byway_api::PreviewTarget;

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
    let namespace = overrides.namespace.clone().or_else(|| reader.text(&namespace?));
    if let Some(target) = &overrides.target {
        return (Some(Some(target.clone())), namespace);
    }
    let path = match (of_object, section) {
        (Some(section), _) => section.get("path"),
        (None, section) => section,
    };
    let found = match path {
        None => Some(None),
        Some(path) if path.value.is_object() => of_members(reader, &path).map(Some),
        Some(path) => of_text(reader, &path),
    };
    (found, namespace)
}

/// `deployment/NAME/container/NAME`.
fn of_text(reader: &mut Reader<'_>, section: &Section<'_>) -> Found {
    let text = reader.text(section)?;
    if text == "targetless" {
        return Some(None);
    }
    parsed(reader, section, &text).map(Some)
}

/// `{ deployment: NAME, container: NAME }`.
fn of_members(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<PreviewTarget> {
    let container = section.get("container").map(|container| reader.text(&container));
    let kinds: Vec<_> =
        section.members().filter(|(name, member)| *name != "container" && !member.value.is_null()).collect();
    let [(kind, name)] = &kinds[..] else {
        reader.said.problem(
            &section.path,
            "names no single workload: write { deployment: NAME }, or \"deployment/NAME\"",
        );
        return None;
    };
    let name = reader.text(name)?;
    let text = match container {
        Some(None) => return None,
        Some(Some(container)) => format!("{kind}/{name}/container/{container}"),
        None => format!("{kind}/{name}"),
    };
    parsed(reader, section, &text)
}

fn parsed(reader: &mut Reader<'_>, section: &Section<'_>, text: &str) -> Option<PreviewTarget> {
    let kind = text.split('/').next().unwrap_or_default();
    let message = match kind {
        "job" | "cronjob" | "workflow" => {
            Some(format!("a {kind} serves no requests that could be steered: name the workload that serves"))
        }
        "service" | "label" => Some(format!(
            "a {kind} has no pod template to clone: name the workload whose pods it selects, e.g. deployment/NAME"
        )),
        _ => None,
    };
    let parsed = message.map_or_else(|| args::target(text), Err);
    parsed.map_err(|message| reader.said.problem(&section.path, format!("{text:?}: {message}"))).ok()
}
