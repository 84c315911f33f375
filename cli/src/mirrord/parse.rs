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
        let hint = match comment(text) {
            Some(line) => {
                format!(" (JSON has no comments, as in line {line}: take them out, or use YAML)")
            }
            None => String::new(),
        };
        // What can be parsed and is wrong all the same says so itself.
        let not = if error.is_data() { "" } else { "this is not JSON: " };
        Unreadable { message: format!("{not}{error}{hint}"), line: Some(error.line()) }
    })
}

/// The line of the first comment, as other languages write them: what begins outside of quotes, and not within a word.
fn comment(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped, mut line, mut before) = (false, false, 1, b' ');
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let begins = *byte == b'#' || matches!(bytes.get(at..at + 2), Some(b"//" | b"/*"));
        match byte {
            b'\n' => {
                // A text ends with its line.
                is_quoted = false;
                line += 1;
            }
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            _ if begins && !is_quoted && !before.is_ascii_alphanumeric() && before != b':' => {
                return Some(line);
            }
            _ => {}
        }
        before = *byte;
    }
    None
}

fn yaml(text: &str) -> Result<Value, Unreadable> {
    let wrong = |error: serde_yaml_ng::Error| Unreadable {
        message: format!("this is not YAML: {error}"),
        line: error.location().map(|it| it.line()),
    };
    let mut value: serde_yaml_ng::Value = serde_yaml_ng::from_str(text).map_err(wrong)?;
    value.apply_merge().map_err(wrong)?;
    // By way of its text, in which the names 1 and "1" are the same, and are both there.
    let json = serde_json::to_string(&value)
        .map_err(|error| Unreadable { message: format!("this is not YAML: {error}"), line: None })?;
    serde_json::from_str(&json).map(|Unique(value)| value).map_err(|error| {
        let said = error.to_string();
        let message = said.split(" at line ").next().unwrap_or_default().to_owned();
        Unreadable { message, line: None }
    })
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
    fn a_comment_in_json_is_named() {
        let said = |text: &str| parse(text, Path::new("a.json")).unwrap_err().message;
        for (text, line) in [
            ("{ \"a\": \"http://x\", // why\n\"b\": 1 }", 1),
            ("// why\n{}", 1),
            ("{\n\"a\": 1, /* why */ \"b\": 2 }", 2),
            ("{\n\"a\": 1 # why\n}", 2),
            ("{\n\"a\\\"\": 1\n// why\n}", 3),
        ] {
            let said = said(text);
            let wanted = format!("JSON has no comments, as in line {line}:");
            assert!(said.contains(&wanted), "{text}: {said}");
        }
        for text in
            ["{ \"a\": \"http://x#y\" ", "{ \"a\": \"/* \\\" // \" ", "{ a: 1 }", "{ \"a\": http://x/y#z }"]
        {
            assert!(!said(text).contains("comments"), "{text}");
        }
    }

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
