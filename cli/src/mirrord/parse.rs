//! From text to a value: JSON, YAML or TOML.

use std::path::Path;

use serde_json::Value;

use crate::unique::Unique;

/// Parses by the file's extension; where that says nothing, by what the text looks like.
pub(super) fn parse(text: &str, path: &Path) -> Result<Value, String> {
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

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map(|Unique(value)| value).map_err(|error| {
        let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
        let comment = line.trim_start().starts_with("//") || line.contains("/*");
        let hint = if comment { " (JSON has no comments: take them out, or use YAML)" } else { "" };
        // What can be parsed and is wrong all the same says so itself.
        let not = if error.is_data() { "" } else { "this is not JSON: " };
        format!("{not}{error}{hint}")
    })
}

fn yaml(text: &str) -> Result<Value, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("this is not YAML: {error}");
    let mut value: serde_yaml_ng::Value = serde_yaml_ng::from_str(text).map_err(|error| wrong(&error))?;
    value.apply_merge().map_err(|error| wrong(&error))?;
    serde_json::to_value(value).map_err(|error| wrong(&error))
}

fn toml(text: &str) -> Result<Value, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| format!("this is not TOML: {error}"))
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
            let error = parse(text, Path::new(path)).unwrap_err();
            assert!(error.contains(wanted), "{path}: {error}");
        }
    }
}
