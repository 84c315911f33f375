//! One text to compare with, exact or a regex, and how `{{ key }}` gets into it.

use std::fmt;
use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ast::ErrorKind;

use super::MatchError;
use crate::Key;

/// Most bytes of a pattern as it is written.
pub(super) const MAX_LEN: usize = 1024;
/// Most bytes of a compiled regex, and of its lazily built automaton.
const MAX_COMPILED: usize = 256 * 1024;
/// Deepest nesting of groups and classes.
const MAX_NEST: u32 = 32;

#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Exact(Box<str>),
    Regex(Regex),
}

impl Pattern {
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => text == exact.as_bytes(),
            Self::Regex(regex) => regex.is_match(text),
        }
    }

    /// Matches `Name: value`, which is put together on the stack unless it is long.
    pub(super) fn matches_line(&self, name: &str, value: &[u8]) -> bool {
        let parts = [name.as_bytes(), b": ", value];
        let len = parts.iter().map(|part| part.len()).sum();
        let mut short = [0; 512];
        if len > short.len() {
            return self.matches(&parts.concat());
        }
        let mut at = 0;
        for part in parts {
            short[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        self.matches(&short[..len])
    }

    pub(super) fn is_exactly(&self, text: &str) -> bool {
        matches!(self, Self::Exact(exact) if **exact == *text)
    }

    fn text(&self) -> &str {
        match self {
            Self::Exact(exact) => exact,
            Self::Regex(regex) => regex.as_str(),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        matches!(self, Self::Exact(_)) == matches!(other, Self::Exact(_)) && self.text() == other.text()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => write!(f, "is {exact:?}"),
            Self::Regex(regex) => write!(f, "matches /{regex}/"),
        }
    }
}

/// A text with the key put in, and where that was.
pub(super) struct Filled {
    pub(super) text: String,
    /// (range of `{{ key }}` in the template, range of the key in the text).
    pub(super) keys: Vec<(Range<usize>, Range<usize>)>,
}

impl Filled {
    /// Puts `key` in wherever `template` has `{{ key }}`, with any blanks inside the braces.
    pub(super) fn new(template: &str, key: &str) -> Self {
        let mut filled = Self { text: String::with_capacity(template.len()), keys: Vec::new() };
        let mut done = 0;
        for (start, _) in template.match_indices("{{") {
            let Some(len) = template[start + 2..].find("}}") else {
                break;
            };
            let end = start + 2 + len + 2;
            if start < done || template[start + 2..end - 2].trim() != "key" {
                continue;
            }
            filled.text.push_str(&template[done..start]);
            let at = filled.text.len();
            filled.text.push_str(key);
            filled.keys.push((start..end, at..filled.text.len()));
            done = end;
        }
        filled.text.push_str(&template[done..]);
        filled
    }

    /// Where in the template a byte of the text comes from.
    fn origin_of(&self, at: usize) -> usize {
        let mut shift = (0, 0);
        for (template, text) in &self.keys {
            if at < text.start {
                break;
            }
            if at < text.end {
                return template.start;
            }
            shift = (template.end, text.end);
        }
        at - shift.1 + shift.0
    }
}

/// Compiles a regex for `key`; the second value says whether it contains `{{ key }}`.
pub(super) fn regex(
    field: &str,
    template: &str,
    key: &Key,
    any_case: bool,
) -> Result<(Pattern, bool), MatchError> {
    if template.len() > MAX_LEN {
        return Err(MatchError::TooLong { field: field.to_owned(), len: template.len(), max: MAX_LEN });
    }
    let filled = Filled::new(template, &regex::escape(key.as_str()));
    let syntax = regex_syntax::ParserBuilder::new()
        .utf8(false)
        .unicode(false)
        .case_insensitive(any_case)
        .nest_limit(MAX_NEST)
        .build()
        .parse(&filled.text);
    if let Err(error) = syntax {
        return Err(bad_regex(field, template, &filled, &error));
    }
    let regex = RegexBuilder::new(&filled.text)
        .unicode(false)
        .case_insensitive(any_case)
        .nest_limit(MAX_NEST)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
        .map_err(|_| MatchError::RegexTooBig {
            field: field.to_owned(),
            pattern: template.to_owned(),
            limit: MAX_COMPILED,
        })?;
    Ok((Pattern::Regex(regex), !filled.keys.is_empty()))
}

fn bad_regex(field: &str, template: &str, filled: &Filled, error: &regex_syntax::Error) -> MatchError {
    let (at, reason) = match error {
        regex_syntax::Error::Parse(e) => (e.span().start.offset, parse_reason(e, &filled.text)),
        regex_syntax::Error::Translate(e) => (e.span().start.offset, e.kind().to_string()),
        other => (0, other.to_string()),
    };
    let mut offset = filled.origin_of(at).min(template.len());
    while !template.is_char_boundary(offset) {
        offset -= 1;
    }
    MatchError::BadRegex {
        field: field.to_owned(),
        pattern: template.to_owned(),
        column: template[..offset].chars().count() + 1,
        offset,
        reason,
    }
}

/// What other engines know and this one does not is named, with a way around it.
fn parse_reason(error: &regex_syntax::ast::Error, text: &str) -> String {
    let rest = &text[error.span().start.offset..];
    match error.kind() {
        ErrorKind::UnsupportedLookAround => {
            let (name, instead) = match rest.as_bytes().get(2) {
                Some(b'<') => ("lookbehind", "a group before it"),
                _ => ("lookahead", "the text itself, or two entries in `all`"),
            };
            format!("{name} is not supported, because it can take exponential time: match {instead} instead")
        }
        ErrorKind::UnsupportedBackreference => "backreferences are not supported, because they can take \
             exponential time: write out what the group may be"
            .to_owned(),
        ErrorKind::FlagUnrecognized
            if text[..error.span().start.offset].ends_with("(?") && rest.starts_with('>') =>
        {
            "atomic groups are not supported, and not needed here: write `(?:...)`".to_owned()
        }
        ErrorKind::NestLimitExceeded(max) => format!("groups nest deeper than {max}: flatten them"),
        kind => kind.to_string(),
    }
}
