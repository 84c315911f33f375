//! A match, compiled for one key: what the agent asks about each request.

use std::fmt;

use super::pattern::Pattern;
use crate::Key;

/// A match for one key, ready to be asked. Two are equal when they say the same of every request by their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledMatch {
    pub(super) key: Key,
    pub(super) keyed: bool,
    pub(super) all: Vec<Test>,
    /// Empty, or at least one clause must hold.
    pub(super) any: Vec<Vec<Test>>,
}

/// Where the key may stand for a match to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource<'a> {
    /// In the values of the header of this name (lower case).
    Header(&'a str),
    /// It is the whole value of the header of this name (lower case), so any other key there is another key.
    WholeHeader(&'a str),
    /// In any header's value.
    AnyHeader,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Header { name: Box<str>, value: Pattern, keyed: bool },
    HeaderLine { line: Pattern, keyed: bool },
    Path(PathTest),
    Method(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathTest {
    Pattern(Pattern),
    /// Without a slash at its end; empty matches every path.
    Prefix(Box<str>),
}

/// Which parts of a request are asked about; the others count as satisfied.
#[derive(Clone, Copy)]
struct Ask<'a, H> {
    request_line: Option<(&'a str, &'a [u8])>,
    headers: Option<H>,
}

impl CompiledMatch {
    /// Whether a request matches. `path` is without the query.
    pub fn matches<'h>(
        &self,
        method: &str,
        path: &[u8],
        headers: impl Iterator<Item = (&'h str, &'h [u8])> + Clone,
    ) -> bool {
        self.holds(&Ask { request_line: Some((method, path)), headers: Some(headers) })
    }

    /// Whether method and path match, whatever the headers: for requests that are keyed by their origin, which
    /// takes the place of the headers.
    #[must_use]
    pub fn matches_narrowing(&self, method: &str, path: &[u8]) -> bool {
        let no_headers: Option<std::iter::Empty<(&str, &[u8])>> = None;
        self.holds(&Ask { request_line: Some((method, path)), headers: no_headers })
    }

    /// Whether the headers match, whatever method and path: for saying why a request did not match.
    pub fn matches_headers<'h>(&self, headers: impl Iterator<Item = (&'h str, &'h [u8])> + Clone) -> bool {
        self.holds(&Ask { request_line: None, headers: Some(headers) })
    }

    /// Whether the key is required; `false` only where an administrator allows a match without one.
    #[must_use]
    pub const fn is_keyed(&self) -> bool {
        self.keyed
    }

    /// Where the key may stand: a request without it in any of these places does not match a keyed match.
    pub fn key_sources(&self) -> impl Iterator<Item = KeySource<'_>> {
        self.all.iter().chain(self.any.iter().flatten()).filter_map(|test| match test {
            Test::Header { name, value, keyed: true } if value.is_exactly(self.key.as_str()) => {
                Some(KeySource::WholeHeader(name))
            }
            Test::Header { name, keyed: true, .. } => Some(KeySource::Header(name)),
            Test::HeaderLine { keyed: true, .. } => Some(KeySource::AnyHeader),
            _ => None,
        })
    }

    /// The headers that are asked about, in lower case; `None` when that is all of them.
    #[must_use]
    pub fn header_names(&self) -> Option<Vec<&str>> {
        let mut names = Vec::new();
        for test in self.all.iter().chain(self.any.iter().flatten()) {
            match test {
                Test::Header { name, .. } => names.push(&**name),
                Test::HeaderLine { .. } => return None,
                Test::Path(_) | Test::Method(_) => {}
            }
        }
        Some(names)
    }

    fn holds<'h, H: Iterator<Item = (&'h str, &'h [u8])> + Clone>(&self, ask: &Ask<'_, H>) -> bool {
        self.all.iter().all(|test| self.test(test, ask))
            && (self.any.is_empty()
                || self.any.iter().any(|clause| clause.iter().all(|test| self.test(test, ask))))
    }

    fn test<'h, H: Iterator<Item = (&'h str, &'h [u8])> + Clone>(
        &self,
        test: &Test,
        ask: &Ask<'_, H>,
    ) -> bool {
        match test {
            Test::Header { name, value, keyed } => ask.headers.as_ref().is_none_or(|headers| {
                headers.clone().any(|(n, v)| {
                    n.eq_ignore_ascii_case(name) && (!keyed || self.key.is_token_of(v)) && value.matches(v)
                })
            }),
            Test::HeaderLine { line, keyed } => ask.headers.as_ref().is_none_or(|headers| {
                headers.clone().any(|(n, v)| (!keyed || self.key.is_token_of(v)) && line.matches_line(n, v))
            }),
            Test::Path(path) => ask.request_line.is_none_or(|(_, it)| path.matches(it)),
            Test::Method(method) => ask.request_line.is_none_or(|(it, _)| it == &**method),
        }
    }
}

impl PathTest {
    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.matches(path),
            Self::Prefix(prefix) => {
                path.strip_prefix(prefix.as_bytes()).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
            }
        }
    }
}

impl fmt::Display for CompiledMatch {
    /// In words, e.g. `header x-traffic is "pr-1" and (path under "/api" or method is GET)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, &self.all, " and ", fmt::Display::fmt)?;
        if self.any.is_empty() {
            return Ok(());
        }
        let (open, close) = match (self.all.is_empty(), self.any.len()) {
            (true, _) => ("", ""),
            (false, 1) => (" and ", ""),
            (false, _) => (" and (", ")"),
        };
        f.write_str(open)?;
        join(f, &self.any, " or ", |clause, f| join(f, clause, " and ", fmt::Display::fmt))?;
        f.write_str(close)
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { name, value, .. } => write!(f, "header {name} {value}"),
            Self::HeaderLine { line, .. } => write!(f, "a header line {line}"),
            Self::Path(PathTest::Pattern(path)) => write!(f, "path {path}"),
            Self::Path(PathTest::Prefix(prefix)) if prefix.is_empty() => f.write_str("any path"),
            Self::Path(PathTest::Prefix(prefix)) => write!(f, "path under {prefix:?}"),
            Self::Method(method) => write!(f, "method is {method}"),
        }
    }
}

fn join<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    between: &str,
    show: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(between)?;
        }
        show(item, f)?;
    }
    Ok(())
}
