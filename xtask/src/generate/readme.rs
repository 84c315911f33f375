//! The chart's README: its values, what they are when nothing is said, and the comments that explain them.
//!
//! `values.yaml` is the one place where a value is explained. A comment makes a row of the value below it, with all that
//! the value holds; a value without a comment, of its own or of what it is part of, is an error.

use anyhow::{Context as _, Result, ensure};
use serde_yaml_ng::Value;

#[cfg(test)]
mod tests;

const HEAD: &str = include_str!("readme.md");

/// The whole page.
pub(super) fn make(values: &str) -> Result<String> {
    let parsed: Value = serde_yaml_ng::from_str(values).context("values.yaml is no YAML")?;
    let rows = rows(values, &parsed)?;
    let line = |row: &Row| Ok(format!("| `{}` | `{}` | {} |\n", row.path, shown(&row.default)?, row.text));
    let table = rows.iter().map(line).collect::<Result<String>>()?;
    Ok(format!("{HEAD}\n| value | default | |\n|---|---|---|\n{table}"))
}

/// A value that is explained.
#[derive(Debug, PartialEq)]
struct Row {
    path: String,
    default: Value,
    text: String,
}

/// A key of the file, where it stands.
struct Key {
    indent: usize,
    name: String,
    explained: bool,
    is_leaf: bool,
}

fn rows(text: &str, parsed: &Value) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut above: Vec<Key> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in text.lines() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if let Some(said) = content.strip_prefix('#') {
            comment.push(said.trim());
            continue;
        }
        let explanation = std::mem::take(&mut comment).join(" ");
        let Some((name, rest)) = content.split_once(':').filter(|(name, _)| is_name(name)) else { continue };
        // What is part of something explained needs no words of its own.
        let explained = |keys: &[Key]| keys.iter().any(|key| key.explained);
        let gone = above.iter().position(|key| key.indent >= indent).unwrap_or(above.len());
        ensure_explained(&above[gone..], &above[..gone])?;
        above.truncate(gone);
        if explained(&above) {
            continue;
        }
        let is_leaf = !rest.trim().is_empty();
        above.push(Key { indent, name: name.to_owned(), explained: !explanation.is_empty(), is_leaf });
        if !explanation.is_empty() {
            let names: Vec<&str> = above.iter().map(|key| key.name.as_str()).collect();
            let default = names.iter().try_fold(parsed, |value, name| value.get(name));
            let default = default.with_context(|| format!("{} is not where it seems", names.join(".")))?;
            rows.push(Row { path: names.join("."), default: default.clone(), text: explanation });
        }
    }
    ensure_explained(&above, &[])?;
    Ok(rows)
}

fn ensure_explained(done: &[Key], above: &[Key]) -> Result<()> {
    let silent = done.iter().find(|key| key.is_leaf && !key.explained);
    let path = || above.iter().chain(done).map(|key| key.name.as_str()).collect::<Vec<_>>().join(".");
    ensure!(silent.is_none(), "{} in values.yaml has no comment that explains it", path());
    Ok(())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())
}

/// As it would be given to `--set-json`.
fn shown(value: &Value) -> Result<String> {
    Ok(serde_json::to_string(value)?.replace('|', "\\|"))
}
