//! From text to a value: JSON, YAML or TOML.

use std::path::Path;

use serde_json::Value;

use crate::unique::Unique;

/// Why a text cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) message: String,
    /// Counted from 1, if it is one line's fault.
    pub(super) line: Option<usize>,
}

/// Parses by the file's extension; where that says nothing, by what the text looks like.
pub(super) fn parse(text: &str, path: &Path) -> Result<Value, Unreadable> {
    let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "json" => json(text),
        "yaml" | "yml" => yaml(text),
        "toml" => toml(text),
        _ if text.trim_start().starts_with('{') => json(text),
        // YAML takes a line of TOML for a text, so it is asked last.
        _ => toml(text).or_else(|_| yaml(text)),
    }
}

fn json(text: &str) -> Result<Value, Unreadable> {
    serde_json::from_str(text).map(|Unique(value)| value).map_err(|error| {
        let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
        let comment = line.trim_start().starts_with("//") || line.contains("/*");
        let hint = if comment { " (JSON has no comments: take them out, or use YAML)" } else { "" };
        // What can be parsed and is wrong all the same says so itself.
        let not = if error.is_data() { "" } else { "this is not JSON: " };
        Unreadable { message: format!("{not}{error}{hint}"), line: Some(error.line()) }
    })
}

fn yaml(text: &str) -> Result<Value, Unreadable> {
    let wrong = |error: serde_yaml_ng::Error| Unreadable {
        message: format!("this is not YAML: {error}"),
        line: error.location().map(|it| it.line()),
    };
    let mut value: serde_yaml_ng::Value = serde_yaml_ng::from_str(text).map_err(wrong)?;
    value.apply_merge().map_err(wrong)?;
    serde_json::to_value(value)
        .map_err(|error| Unreadable { message: format!("this is not YAML: {error}"), line: None })
}

fn toml(text: &str) -> Result<Value, Unreadable> {
    toml::from_str(text).map_err(|error: toml::de::Error| Unreadable {
        message: format!("this is not TOML: {}", error.to_string().trim_end()),
        line: error.span().map(|span| text[..span.start].lines().count().max(1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_twice_is_refused_in_every_format() {
        for (path, text, wanted) in [
            (
                "a.json",
                "{\"a\": {\n\"b\": 1, \"b\": 2}}",
                "\"b\" is there twice: leave one of them out at line 2",
            ),
            ("a.yaml", "a:\n  b: 1\n  b: 2\n", "duplicate entry with key \"b\""),
            ("a.toml", "[a]\nb = 1\nb = 2\n", "duplicate key"),
        ] {
            let Unreadable { message, line } = parse(text, Path::new(path)).unwrap_err();
            assert!(message.contains(wanted), "{path}: {message}");
            assert!(line.is_some_and(|line| (2..=3).contains(&line)), "{path}: {line:?}");
        }
    }
}
