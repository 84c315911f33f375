//! Standard output: results only.

use std::io::{self, Write as _};

use byway_api::Preview;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::exit::{Exit, Failure};

/// Prints a text; a pipe that is closed is no error, as for other tools in a pipeline.
///
/// # Errors
///
/// When it cannot be written, say to a full disk.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failed, "CannotWrite", format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}

/// Rows below a head, in columns as wide as they need; empty without rows.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|it| it.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 3));
        }
        format!("{}\n", line.trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// `preview.byway.dev/NAME`, as kubectl prints it.
#[must_use]
pub fn name(preview: &Preview) -> String {
    format!("preview.byway.dev/{}\n", preview.name_any())
}

/// JSON, over several lines.
///
/// # Errors
///
/// Never, for what is printed here.
pub fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(unwritable)?;
    Ok(format!("{text}\n"))
}

/// YAML.
///
/// # Errors
///
/// Never, for what is printed here.
pub fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    serde_yaml_ng::to_string(value).map_err(unwritable)
}

/// A list as kubectl prints one.
#[must_use]
pub fn list(previews: &[Preview]) -> serde_json::Value {
    let items: Vec<_> = previews.iter().map(object).collect();
    serde_json::json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": items })
}

/// A Preview as kubectl prints one: without who wrote which field.
#[must_use]
pub fn object(preview: &Preview) -> serde_json::Value {
    let mut preview = preview.clone();
    preview.metadata.managed_fields = None;
    serde_json::to_value(preview).unwrap_or_default()
}

fn unwritable(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, "CannotWrite", format!("cannot write the result: {error}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_they_need() {
        let rows = [
            vec!["a".to_owned(), "ä b".to_owned(), String::new()],
            vec!["long one".into(), "c".into(), "d".into()],
        ];
        let text = super::table(&["NAME", "KEY", "X"], &rows);
        assert_eq!(text, "NAME       KEY   X\na          ä b\nlong one   c     d\n");
    }
}
