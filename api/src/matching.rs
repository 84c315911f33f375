//! The match language: how a preview narrows what it gets, or names another carrier of its key.
//!
//! A [`Match`] is the text of a document; [`Match::compile`] makes of it a [`CompiledMatch`] for one key.
//! Its rules:
//!
//! - What a match names must hold together: `header`, `headerFilter`, `path`, `method`, each of `all`, and at
//!   least one of `any`. `all` and `any` do not nest (a CRD schema cannot recurse).
//! - `{{ key }}` stands for the key: escaped in a regex, as it is elsewhere.
//! - **The key is always required.** Every way through must hold a header matcher with `{{ key }}`, and the
//!   value of that header must contain the key as a token of its own (no key character on either side, case
//!   counts), whatever the regex says. So `{{ key }}|.*` steals nothing, and `pr-1` is never `pr-12`. Only where
//!   an administrator allows it may a match be without a key.
//! - Regexes are those of the `regex` crate: linear in time, bounded in size, found anywhere in the text unless
//!   anchored with `^` and `$`. They work on bytes, so `\d` and `(?i)` know ASCII only.
//! - A header that is sent several times is looked at line by line; names are compared without their case.
//! - A path is what precedes `?` in the request target, as it was sent: not decoded, not normalised.
#![allow(unreachable_pub, reason = "KubeSchema derives copies of its structs inside functions")]

use serde::{Deserialize, Serialize};

use crate::derives::KubeSchema;

mod compile;
mod compiled;
mod error;
mod pattern;
#[cfg(test)]
mod tests;

pub use compile::is_token_char;
pub use compiled::{CompiledMatch, KeySource};
pub use error::MatchError;

/// What a request must look like, beside carrying the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(!deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.header) || has(self.headerFilter) || has(self.path) || has(self.method) || has(self.all) || has(self.any)")
    .message("a match must name a header, headerFilter, path, method, all or any"))]
pub struct Match {
    /// One header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderMatch>,
    /// The path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// The method, in capitals as it is sent.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new("self.matches(r\"^[!#$%&'*+.^_`|~0-9A-Z-]+$\")").message("a method is written as it is sent, in capitals, e.g. GET"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A regex on `Name: value` of each header, whatever its case; as in mirrord's `header_filter`.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_filter: Option<String>,
    /// All of these must match too.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<Matcher>,
    /// At least one of these must match too.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<Matcher>,
}

impl Match {
    /// Whether it says anything of the method.
    #[must_use]
    pub fn names_method(&self) -> bool {
        let mut entries = self.all.iter().chain(&self.any);
        self.method.is_some() || entries.any(|entry| entry.method.is_some())
    }
}

/// One entry of `all` or `any`; what it names must hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(!deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.header) || has(self.headerFilter) || has(self.path) || has(self.method)")
    .message("an entry of all or any must name a header, headerFilter, path or method"))]
pub struct Matcher {
    /// One header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderMatch>,
    /// The path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// The method, in capitals as it is sent.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new("self.matches(r\"^[!#$%&'*+.^_`|~0-9A-Z-]+$\")").message("a method is written as it is sent, in capitals, e.g. GET"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A regex on `Name: value` of each header, whatever its case.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_filter: Option<String>,
}

/// A header and its value: exactly one of `exact` and `regex`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(!deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.exact) != has(self.regex)").message("a header matcher must have exactly one of exact and regex"))]
pub struct HeaderMatch {
    /// Name, in any case.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches(r\"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$\")").message("the name of a header is made of letters, digits and any of !#$%&'*+-.^_`|~"))]
    pub name: String,
    /// The whole value.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// A regex that is found in the value.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
}

/// A path, without the query: exactly one of `exact`, `prefix` and `regex`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(!deny_unknown_fields)]
#[x_kube(validation = Rule::new("[has(self.exact), has(self.prefix), has(self.regex)].filter(it, it).size() == 1")
    .message("a path matcher must have exactly one of exact, prefix and regex"))]
pub struct PathMatch {
    /// The whole path.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// Whole leading segments, as in the Kubernetes Gateway API's `PathPrefix`: `/api` and `/api/` match `/api`,
    /// `/api/` and `/api/x`, but not `/apix`.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A regex that is found in the path.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
}
