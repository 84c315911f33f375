//! `feature.env`: variables of the preview's container.

use std::collections::BTreeMap;
use std::path::Path;

use byway_api::EnvMapping;
use byway_api::names::{KEY_ENV, PREVIEW_ENV};
use k8s_openapi::api::core::v1::EnvVar;
use serde_json::Value;

use super::{Reader, Section};

/// As in the CRD.
const MOST: usize = 100;

pub(super) fn read(reader: &mut Reader<'_>, file: &Section<'_>) -> Vec<EnvVar> {
    let Some(section) = file.at(&["feature", "env"]) else { return Vec::new() };
    match section.value {
        Value::Object(_) | Value::Bool(_) => {}
        _ => reader.said.problem(&section.path, format!("is {}: write an object or true", section.what())),
    }
    included(reader, &section);
    let mut all = BTreeMap::new();
    if let Some(path) = section.get("env_file") {
        all.extend(of_file(reader, &path));
    }
    if let Some(overrides) = section.get("override") {
        all.extend(overridden(reader, &overrides));
    }
    for name in [KEY_ENV, PREVIEW_ENV] {
        if all.contains_key(name) {
            reader.said.problem(
                &section.path,
                format!("sets {name}, which is set to the preview's own: leave it out"),
            );
        }
    }
    if all.len() > MOST {
        reader
            .said
            .problem(&section.path, format!("has {} variables, at most {MOST} are allowed", all.len()));
    }
    let var =
        |(name, value): (String, String)| EnvVar { name, value: Some(literal(&value)), value_from: None };
    all.into_iter().map(var).collect()
}

/// What of the target's environment is not to be there.
pub(super) fn unset(reader: &mut Reader<'_>, file: &Section<'_>) -> Vec<String> {
    let Some(section) = file.at(&["feature", "env"]) else { return Vec::new() };
    if section.value == &Value::Bool(false) {
        return vec!["*".to_owned()];
    }
    let lists = ["exclude", "unset"].map(|name| section.get(name));
    let all: Vec<String> = lists.iter().flatten().flat_map(|list| reader.texts(list)).collect();
    if all.len() > MOST {
        reader.said.problem(
            &section.path,
            format!("names {} variables to leave out, at most {MOST} are allowed", all.len()),
        );
    }
    all
}

/// Other values for variables of the target.
pub(super) fn mapping(reader: &mut Reader<'_>, file: &Section<'_>) -> Vec<EnvMapping> {
    let Some(section) = file.at(&["feature", "env", "mapping"]) else { return Vec::new() };
    if !section.value.is_object() {
        let message = format!("is {}: write an object of regular expressions and texts", section.what());
        reader.said.problem(&section.path, message);
    }
    let mut all = Vec::new();
    for (names, member) in section.members() {
        let Some(value) = reader.text(&member) else { continue };
        let mapping = EnvMapping { names: names.to_owned(), value: literal(&value) };
        if let Err(error) = mapping.regex() {
            let said = error.to_string();
            let why = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            reader.said.problem(&member.path, format!("its name is no regular expression: {why}"));
        }
        all.push(mapping);
    }
    if all.len() > MOST {
        let message = format!("has {} entries, at most {MOST} are allowed", all.len());
        reader.said.problem(&section.path, message);
    }
    all
}

fn included(reader: &mut Reader<'_>, section: &Section<'_>) {
    let Some(include) = section.get("include") else { return };
    let globs = reader.texts(&include);
    if globs.iter().all(|glob| glob != "*") && !globs.is_empty() {
        reader.said.warnings.push(format!(
            "{}: a clone has the whole environment of its target, not only {}",
            include.path,
            globs.join(", ")
        ));
    }
}

fn overridden(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<(String, String)> {
    if !section.value.is_object() {
        reader
            .said
            .problem(&section.path, format!("is {}: write an object of names and texts", section.what()));
    }
    let mut vars = Vec::new();
    for (name, member) in section.members() {
        match member.value {
            Value::String(_) => vars.extend(reader.text(&member).map(|value| (name.to_owned(), value))),
            Value::Number(_) | Value::Bool(_) => reader.said.problem(
                &member.path,
                format!("is {}: put it in quotes, \"{}\"", member.what(), member.value),
            ),
            _ => reader.said.problem(&member.path, format!("is {}: write a text", member.what())),
        }
        if !is_name(name) {
            reader.said.problem(
                &member.path,
                "is no name of a variable: it is made of printable ASCII characters other than `=`",
            );
        }
    }
    vars
}

fn of_file(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<(String, String)> {
    let Some(path) = reader.text(section) else { return Vec::new() };
    let text = match reader.outside.file(Path::new(&path)) {
        Ok(text) => text,
        Err(error) => {
            reader.said.problem(
                &section.path,
                format!("{path} cannot be read ({error}): the path is from where the command runs"),
            );
            return Vec::new();
        }
    };
    let mut vars = Vec::new();
    for line in dotenvy::from_read_iter(text.as_bytes()) {
        match line {
            Ok(var) => vars.push(var),
            Err(error) => {
                reader.said.problem(&section.path, format!("{path}: {error}"));
                break;
            }
        }
    }
    vars
}

/// As Kubernetes has it since 1.30, when it became less strict.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| (' '..='~').contains(&c) && c != '=')
}

/// Kubernetes puts a variable in for `$(NAME)`, and one `$` for two: neither is meant here.
fn literal(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        text.push(c);
        if c == '$' && matches!(chars.peek(), Some('$' | '(')) {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests;
