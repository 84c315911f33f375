//! From the text of a match to one that can be asked, and every reason to refuse it.

use super::compiled::{CompiledMatch, PathTest, Test};
use super::pattern::{self, Filled, Pattern};
use super::{HeaderMatch, Match, MatchError, Matcher, PathMatch};
use crate::Key;

/// Most entries of `all` and of `any`.
const MAX_ENTRIES: usize = 32;
/// Most bytes of a header name.
const MAX_NAME: usize = 128;

impl Match {
    /// Compiles the match for `key`. `allow_keyless` is the administrator's word, never the user's.
    pub fn compile(&self, key: &Key, allow_keyless: bool) -> Result<CompiledMatch, MatchError> {
        for (field, len) in [("all", self.all.len()), ("any", self.any.len())] {
            if len > MAX_ENTRIES {
                return Err(MatchError::TooMany { field, len, max: MAX_ENTRIES });
            }
        }
        let own = Matcher {
            header: self.header.clone(),
            path: self.path.clone(),
            method: self.method.clone(),
            header_filter: self.header_filter.clone(),
        };
        let mut all = own.tests("", key)?;
        for (i, matcher) in self.all.iter().enumerate() {
            all.extend(matcher.clause(&format!("all[{i}]"), key)?);
        }
        let any = self
            .any
            .iter()
            .enumerate()
            .map(|(i, matcher)| matcher.clause(&format!("any[{i}]"), key))
            .collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() && any.is_empty() {
            return Err(MatchError::Empty { field: "match".to_owned() });
        }
        let keyless_way = keyless_way(&all, &any);
        match keyless_way {
            Some(field) if !allow_keyless => Err(MatchError::Keyless { field }),
            way => Ok(CompiledMatch { key: key.clone(), keyed: way.is_none(), all, any }),
        }
    }
}

/// The first way through that holds no keyed header matcher.
fn keyless_way(all: &[Test], any: &[Vec<Test>]) -> Option<String> {
    let keyed = |tests: &[Test]| {
        tests.iter().any(|test| {
            matches!(test, Test::Header { keyed: true, .. } | Test::HeaderLine { keyed: true, .. })
        })
    };
    if keyed(all) {
        return None;
    }
    if any.is_empty() {
        return Some("it".to_owned());
    }
    any.iter().position(|clause| !keyed(clause)).map(|i| format!("any[{i}]"))
}

impl Matcher {
    fn clause(&self, at: &str, key: &Key) -> Result<Vec<Test>, MatchError> {
        let tests = self.tests(&format!("{at}."), key)?;
        if tests.is_empty() {
            return Err(MatchError::Empty { field: at.to_owned() });
        }
        Ok(tests)
    }

    fn tests(&self, at: &str, key: &Key) -> Result<Vec<Test>, MatchError> {
        // The cheap tests come first.
        let mut tests = Vec::new();
        if let Some(method) = &self.method {
            tests.push(method_test(format!("{at}method"), method)?);
        }
        if let Some(path) = &self.path {
            tests.push(Test::Path(path.test(&format!("{at}path"), key)?));
        }
        if let Some(header) = &self.header {
            tests.push(header.test(&format!("{at}header"), key)?);
        }
        if let Some(filter) = &self.header_filter {
            let (line, keyed) = pattern::regex(&format!("{at}headerFilter"), filter, key, true)?;
            tests.push(Test::HeaderLine { line, keyed });
        }
        Ok(tests)
    }
}

impl HeaderMatch {
    fn test(&self, at: &str, key: &Key) -> Result<Test, MatchError> {
        if self.name.is_empty() || self.name.len() > MAX_NAME || !self.name.bytes().all(is_token_char) {
            return Err(MatchError::BadName { field: format!("{at}.name"), name: self.name.clone() });
        }
        let (value, keyed) = match (&self.exact, &self.regex) {
            (Some(exact), None) => exact_value(format!("{at}.exact"), exact, key)?,
            (None, Some(regex)) => pattern::regex(&format!("{at}.regex"), regex, key, false)?,
            (exact, regex) => {
                let found = usize::from(exact.is_some()) + usize::from(regex.is_some());
                return Err(MatchError::NotOne { field: at.to_owned(), choices: "exact and regex", found });
            }
        };
        Ok(Test::Header { name: self.name.to_ascii_lowercase().into(), value, keyed })
    }
}

impl PathMatch {
    fn test(&self, at: &str, key: &Key) -> Result<PathTest, MatchError> {
        match (&self.exact, &self.prefix, &self.regex) {
            (Some(exact), None, None) => {
                Ok(PathTest::Pattern(Pattern::Exact(literal_path(format!("{at}.exact"), exact, key)?.into())))
            }
            (None, Some(prefix), None) => {
                let path = literal_path(format!("{at}.prefix"), prefix, key)?;
                Ok(PathTest::Prefix(path.strip_suffix('/').unwrap_or(&path).into()))
            }
            (None, None, Some(regex)) => {
                Ok(PathTest::Pattern(pattern::regex(&format!("{at}.regex"), regex, key, false)?.0))
            }
            (exact, prefix, regex) => {
                let found = [exact, prefix, regex].iter().filter(|it| it.is_some()).count();
                Err(MatchError::NotOne { field: at.to_owned(), choices: "exact, prefix and regex", found })
            }
        }
    }
}

fn exact_value(field: String, exact: &str, key: &Key) -> Result<(Pattern, bool), MatchError> {
    let field = bounded(field, exact)?;
    let Filled { text, keys } = Filled::new(exact, key.as_str());
    let bare = |c: char| c == ' ' || c == '\t';
    if text.starts_with(bare) || text.ends_with(bare) || text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(MatchError::BadValue { field, value: exact.to_owned() });
    }
    // One occurrence that stands alone is enough: the whole value is given, so nothing else can.
    if !keys.is_empty() && !key.is_token_of(text.as_bytes()) {
        let (_, at) = &keys[0];
        let is_key_char = |c: &char| c.is_ascii() && Key::is_char(*c as u8);
        let before = text[..at.start].chars().next_back().filter(is_key_char);
        let beside = before.or_else(|| text[at.end..].chars().next()).unwrap_or_default();
        return Err(MatchError::KeyNotAlone { field, beside });
    }
    Ok((Pattern::Exact(text.into()), !keys.is_empty()))
}

fn literal_path(field: String, path: &str, key: &Key) -> Result<String, MatchError> {
    let field = bounded(field, path)?;
    let text = Filled::new(path, key.as_str()).text;
    let odd = |b: u8| b <= b' ' || b == b'?' || b == b'#' || b >= 0x7f;
    if !text.starts_with('/') || text.bytes().any(odd) {
        return Err(MatchError::BadPath { field, path: path.to_owned() });
    }
    Ok(text)
}

fn method_test(field: String, method: &str) -> Result<Test, MatchError> {
    if method.is_empty()
        || method.len() > 32
        || !method.bytes().all(|b| is_token_char(b) && !b.is_ascii_lowercase())
    {
        let capitals = method.to_ascii_uppercase();
        let usable = !capitals.is_empty() && capitals.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        let suggestion = if usable { capitals } else { "GET".to_owned() };
        return Err(MatchError::BadMethod { field, method: method.to_owned(), suggestion });
    }
    Ok(Test::Method(method.into()))
}

fn bounded(field: String, text: &str) -> Result<String, MatchError> {
    if text.len() > pattern::MAX_LEN {
        return Err(MatchError::TooLong { field, len: text.len(), max: pattern::MAX_LEN });
    }
    Ok(field)
}

/// `tchar` of RFC 9110, 5.6.2: what names of headers and methods are made of.
#[must_use]
pub const fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}
