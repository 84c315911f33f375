//! Why a match is refused, each with what to write instead.

/// Why a match is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// Names nothing.
    #[error("{field} is empty: name a header, headerFilter, path or method, or leave it out")]
    Empty {
        /// Where, e.g. `any[1]`.
        field: String,
    },
    /// Some way through needs no key.
    #[error(
        "{field} lets requests through without the key: give it a header matcher that contains `{{{{ key }}}}`, \
         e.g. {{ name: x-traffic, exact: \"{{{{ key }}}}\" }}, or ask the cluster's administrator to allow keyless matches"
    )]
    Keyless {
        /// Where, e.g. `any[1]`.
        field: String,
    },
    /// `{{ key }}` with a key character right beside it can never be a token of its own.
    #[error(
        "{field}: `{{{{ key }}}}` has the key character {beside:?} right beside it, so this can never match: \
         the key must stand alone, with something that is no letter, digit, `.`, `_` or `-` around it"
    )]
    KeyNotAlone {
        /// Where.
        field: String,
        /// The character.
        beside: char,
    },
    /// None or several of `exact`, `prefix`, `regex`.
    #[error("{field} must have exactly one of {choices}: it has {found}")]
    NotOne {
        /// Where.
        field: String,
        /// The fields to choose from.
        choices: &'static str,
        /// How many there are.
        found: usize,
    },
    /// Not a header name.
    #[error(
        "{field} {name:?} is not a header name: write 1 to 128 letters, digits or any of !#$%&'*+-.^_`|~"
    )]
    BadName {
        /// Where.
        field: String,
        /// What was there.
        name: String,
    },
    /// Not a method.
    #[error("{field} {method:?} is not a method: write it as it is sent, in capitals, e.g. {suggestion}")]
    BadMethod {
        /// Where.
        field: String,
        /// What was there.
        method: String,
        /// The same in capitals, or `GET`.
        suggestion: String,
    },
    /// A path that cannot be in a request.
    #[error(
        "{field} {path:?} can match no request: a path begins with `/` and has no `?`, `#`, blank or control character"
    )]
    BadPath {
        /// Where.
        field: String,
        /// What was there.
        path: String,
    },
    /// A value that cannot be in a header.
    #[error(
        "{field} {value:?} can match no header: values have no control characters and no blanks at their ends"
    )]
    BadValue {
        /// Where.
        field: String,
        /// What was there.
        value: String,
    },
    /// Longer than is allowed.
    #[error("{field} has {len} bytes, at most {max} are allowed: shorten it")]
    TooLong {
        /// Where.
        field: String,
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// More entries than are allowed.
    #[error(
        "{field} has {len} entries, at most {max} are allowed: split the preview, or join entries in a regex"
    )]
    TooMany {
        /// `all` or `any`.
        field: &'static str,
        /// How many there are.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A regex with an error.
    #[error("{field}: the regex `{pattern}` is wrong at column {column} (byte {offset}): {reason}")]
    BadRegex {
        /// Where.
        field: String,
        /// As it was written, with `{{ key }}`.
        pattern: String,
        /// Characters before the error, plus one.
        column: usize,
        /// Bytes before the error.
        offset: usize,
        /// What is wrong, and for what other engines know, what to write instead.
        reason: String,
    },
    /// A regex that is fine but too big.
    #[error("{field}: the regex `{pattern}` needs more than {limit} bytes compiled: use smaller repetitions")]
    RegexTooBig {
        /// Where.
        field: String,
        /// As it was written.
        pattern: String,
        /// The limit in bytes.
        limit: usize,
    },
}

impl MatchError {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "Empty",
            Self::Keyless { .. } => "Keyless",
            Self::KeyNotAlone { .. } => "KeyNotAlone",
            Self::NotOne { .. } => "NotOne",
            Self::BadName { .. } => "BadHeaderName",
            Self::BadMethod { .. } => "BadMethod",
            Self::BadPath { .. } => "BadPath",
            Self::BadValue { .. } => "BadHeaderValue",
            Self::TooLong { .. } => "TooLong",
            Self::TooMany { .. } => "TooMany",
            Self::BadRegex { .. } => "BadRegex",
            Self::RegexTooBig { .. } => "RegexTooBig",
        }
    }
}
