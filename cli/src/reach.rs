//! What a request must look like to reach a preview, for people to copy.

use byway_api::{HeaderMatch, Key, Match, PreviewSpec};

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The key in any default carrier: header, baggage or cookie.
    Default,
    /// These headers, each `Name: value`. `more` says what else of a request is asked for, in words.
    Headers {
        /// Of which each is needed.
        headers: Vec<String>,
        /// The whole match in words, if it asks for more than the headers.
        more: Option<String>,
    },
    /// Nothing that can be made up: the match in words.
    Match(String),
    /// Copies of what comes to its target, whatever that carries.
    Copies,
    /// Nothing reaches it: `incoming.mode` is off.
    Nothing,
}

impl Reach {
    /// Of a Preview with this key in force.
    #[must_use]
    pub fn of(spec: &PreviewSpec, key: &Key) -> Self {
        if spec.incoming.mode == byway_api::Mode::Off {
            return Self::Nothing;
        }
        if spec.incoming.mode == byway_api::Mode::Mirror {
            return Self::Copies;
        }
        let Some(match_) = &spec.incoming.match_ else { return Self::Default };
        // Whether a keyless match is allowed is the administrator's word: what it asks for is the same.
        let Ok(compiled) = match_.compile(key, true) else { return Self::Match("its match".to_owned()) };
        let headers = candidates(match_, key);
        let sent: Vec<(&str, &[u8])> = headers
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name, value.as_bytes()))
            .collect();
        if headers.is_empty() || !compiled.matches_headers(sent.iter().copied()) {
            return Self::Match(compiled.to_string());
        }
        let more = asks_for_more(match_).then(|| compiled.to_string());
        Self::Headers { headers, more }
    }

    /// The headers to send.
    #[must_use]
    pub fn headers(&self, key: &Key) -> Vec<String> {
        match self {
            Self::Default => vec![format!("baggage: byway-key={key}")],
            Self::Headers { headers, .. } => headers.clone(),
            Self::Match(_) | Self::Copies | Self::Nothing => Vec::new(),
        }
    }

    /// A line for a shell, if headers can be made up.
    #[must_use]
    pub fn curl(&self, key: &Key, url: &str) -> Option<String> {
        let headers = self.headers(key);
        if headers.is_empty() {
            return None;
        }
        let flags: Vec<String> = headers.iter().map(|it| format!("-H {}", quoted(it))).collect();
        Some(format!("curl {} {url}", flags.join(" ")))
    }

    /// A line for a browser's console: only the default carriers know cookies.
    #[must_use]
    pub fn cookie(&self, key: &Key) -> Option<String> {
        (*self == Self::Default).then(|| format!("document.cookie = \"byway-key={key}; path=/\""))
    }
}

/// Headers that might do: of `any`, the first entry that names some.
fn candidates(match_: &Match, key: &Key) -> Vec<String> {
    let own = header_line(match_.header.as_ref(), match_.header_filter.as_deref(), key);
    let all =
        match_.all.iter().flat_map(|it| header_line(it.header.as_ref(), it.header_filter.as_deref(), key));
    let any = match_
        .any
        .iter()
        .map(|it| header_line(it.header.as_ref(), it.header_filter.as_deref(), key))
        .find(|it| !it.is_empty());
    own.into_iter().chain(all).chain(any.unwrap_or_default()).collect()
}

fn header_line(header: Option<&HeaderMatch>, filter: Option<&str>, key: &Key) -> Vec<String> {
    let of_header = header.and_then(|it| {
        let value = match (&it.exact, &it.regex) {
            (Some(exact), _) => Some(filled(exact, key)),
            (_, Some(regex)) => literal(regex, key),
            _ => None,
        };
        value.map(|value| format!("{}: {value}", it.name))
    });
    let of_filter = filter.and_then(|it| literal(it, key)).filter(|it| it.contains(": "));
    of_header.into_iter().chain(of_filter).collect()
}

/// A text that a simple regex matches: its anchors and what may be anything are left out. Whoever uses it checks.
fn literal(regex: &str, key: &Key) -> Option<String> {
    let text = regex.trim_start_matches('^').trim_end_matches('$');
    let text = text.trim_start_matches(".*").trim_end_matches(".*").replace("\\s*", " ");
    let without_key = filled(&text, &"k".parse().ok()?);
    let is_plain = !without_key.contains(['\\', '[', '(', '*', '+', '?', '|', '{', '^', '$']);
    is_plain.then(|| filled(&text, key))
}

fn filled(text: &str, key: &Key) -> String {
    text.replace("{{ key }}", key.as_str()).replace("{{key}}", key.as_str())
}

fn asks_for_more(match_: &Match) -> bool {
    let beside = |path: bool, method: bool| path || method;
    beside(match_.path.is_some(), match_.method.is_some())
        || match_.all.iter().chain(&match_.any).any(|it| beside(it.path.is_some(), it.method.is_some()))
}

/// For a shell.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
