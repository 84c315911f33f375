//! The labels of a preview's pods, as far as its user decides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::schema;
use crate::derives::JsonSchema;

/// What of the target's labels the preview's pods have. Whatever is said here, a label by which somebody selects the target
/// has a value of the preview's own: else unkeyed requests would reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Labels {
    /// Keeps labels of the target that are left out by default, by their names; `*` stands for any characters, `?` for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 317)))]
    pub keep: Vec<String>,
    /// Leaves out labels of the target, in the same way. It goes before keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 317)))]
    pub drop: Vec<String>,
    /// Labels that the pods have, whatever those of the target are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub set: BTreeMap<String, String>,
}

impl Labels {
    /// The first one of `set` that cannot be, and why.
    pub(super) fn wrong(&self) -> Option<(&str, &'static str)> {
        let wrong = |name: &str, value: &str| {
            if name.starts_with("byway.dev/") {
                return Some("labels of byway.dev are set by Byway: leave it out");
            }
            let (prefix, rest) = name.rsplit_once('/').unwrap_or(("a", name));
            if prefix.is_empty() || prefix.len() > 253 || !is_word(rest) || !prefix.split('.').all(is_part) {
                return Some(
                    "a label's name has 1 to 63 letters, digits, '-', '_' or '.' in between, perhaps behind a domain and '/'",
                );
            }
            let is_value = value.is_empty() || is_word(value);
            (!is_value)
                .then_some("a label's value has at most 63 letters, digits, '-', '_' or '.' in between")
        };
        self.set.iter().find_map(|(name, value)| Some((name.as_str(), wrong(name, value)?)))
    }
}

fn is_word(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && ends(text.chars().next())
        && ends(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn is_part(text: &str) -> bool {
    is_word(text) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}
