//! Which headers have to be looked at at all, beside the default carriers.

use std::collections::{HashMap, HashSet};

use byway_api::CompiledMatch;
use byway_api::matching::KeySource;

use super::Hasher;

/// Longest header name in a match; the limit of the match language.
const MAX_NAME: usize = 128;

/// The headers in which the key of a route with a match may stand.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    any: bool,
    /// In lower case.
    names: HashMap<Box<[u8]>, Place, Hasher>,
    /// Asked about by some match, in lower case.
    asked: HashSet<Box<[u8]>, Hasher>,
    asks_all: bool,
}

/// Where in a header's value the key may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Somewhere.
    Within,
    /// The value is the key, for one match at least.
    Whole,
}

impl Sources {
    /// Adds what a match asks about, be it for a key or not.
    pub(super) fn add_names(&mut self, matcher: &CompiledMatch) {
        match matcher.header_names() {
            Some(names) => self.asked.extend(names.into_iter().map(|name| name.as_bytes().into())),
            None => self.asks_all = true,
        }
    }

    pub(super) fn add(&mut self, matcher: &CompiledMatch) {
        for source in matcher.key_sources() {
            let (name, place) = match source {
                KeySource::AnyHeader => {
                    self.any = true;
                    continue;
                }
                KeySource::Header(name) => (name, Place::Within),
                KeySource::WholeHeader(name) => (name, Place::Whole),
            };
            let known = self.names.entry(name.as_bytes().into()).or_insert(place);
            *known = place.max(*known);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.any && self.names.is_empty()
    }

    pub(super) fn is_any(&self) -> bool {
        self.any
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.keys().map(|name| &**name)
    }

    pub(super) fn place(&self, name: &str) -> Option<Place> {
        self.named(name).or(self.any.then_some(Place::Within))
    }

    /// Where the key stands in a header that a match names, in whatever case.
    pub(crate) fn named(&self, name: &str) -> Option<Place> {
        with_lower(name, |name| self.names.get(name).copied())
    }

    /// Whether a match asks about a header of this name.
    pub(super) fn ask_about(&self, name: &str) -> bool {
        self.asks_all || with_lower(name, |name| self.asked.get(name)).is_some()
    }

    /// Whether a key is looked for in this header.
    pub(crate) fn include(&self, name: &str) -> bool {
        self.place(name).is_some()
    }
}

/// `None` for a name that is too long to be in a match.
fn with_lower<T>(name: &str, find: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
    let mut lower = [0; MAX_NAME];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    find(lower)
}
