//! Why a request went to the app although someone meant it for a preview: the closest thing to a route in it.
//!
//! For logs and `explain`. Never part of a decision, and not for the hot path.

use std::fmt;

use byway_api::{Key, key::tokens};

use crate::carriers::HEADER;
use crate::decide::Place;
use crate::{Carried, RequestHead, RouteTable, carried_key};

#[cfg(test)]
mod tests;

/// Most routes and tokens that are compared: the answer is a hint, and must not cost more than it is worth.
const MAX_COMPARED: usize = 1000;
/// Most characters of a request that are shown.
const MAX_SHOWN: usize = 64;

/// What came closest to a route. Its `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NearMiss {
    /// The key is there, but the match does not hold.
    Narrowed {
        /// Index of the route.
        route: usize,
        /// Its key.
        key: String,
        /// Its match in words.
        wanted: String,
        /// Method and path of the request.
        request: String,
    },
    /// A key that no route has, but one is alike.
    Similar {
        /// The key of the request.
        found: String,
        /// The header that it is in.
        header: String,
        /// Index of the route.
        route: usize,
        /// The key of the route.
        key: String,
    },
    /// A key that no route has.
    Unknown {
        /// The key of the request.
        found: String,
        /// The header that it is in.
        header: String,
    },
    /// The key of a route in a header where nobody looks for it.
    Misplaced {
        /// The header that it is in.
        header: String,
        /// Index of the route.
        route: usize,
        /// Its key.
        key: String,
    },
    /// `x-byway-key` with something that is no key.
    Invalid {
        /// Its value, escaped.
        value: String,
    },
}

impl NearMiss {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Narrowed { .. } => "Narrowed",
            Self::Similar { .. } => "SimilarKey",
            Self::Unknown { .. } => "UnknownKey",
            Self::Misplaced { .. } => "MisplacedKey",
            Self::Invalid { .. } => "InvalidKey",
        }
    }
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Narrowed { key, wanted, request, .. } => {
                write!(f, "the request has the key {key}, but {request} does not match its route: {wanted}")
            }
            Self::Similar { found, header, key, .. } => write!(
                f,
                "the request has the key {found} in {header}, and no route here has it; there is one for {key} \
                 (keys are compared whole)"
            ),
            Self::Unknown { found, header } => {
                write!(f, "the request has the key {found} in {header}, and no route here has it")
            }
            Self::Misplaced { header, key, .. } => {
                write!(f, "the request has the key {key} in {header}, where no route here looks for it")
            }
            Self::Invalid { value } => {
                write!(
                    f,
                    "{HEADER} has \"{value}\", which is no key (1 to 63 letters, digits, `.`, `_` or `-`)"
                )
            }
        }
    }
}

impl RouteTable {
    /// For a request that went to the app: what came closest to a route, in one line. Not for the hot path.
    #[must_use]
    pub fn near_miss(&self, head: &RequestHead<'_, '_>) -> Option<NearMiss> {
        find(self, head)
    }
}

fn find(table: &RouteTable, head: &RequestHead<'_, '_>) -> Option<NearMiss> {
    let carried = carried_key(head.headers);
    if let Some(carried) = &carried
        && let Some(route) = table.of_key(carried.key.as_bytes()).first()
    {
        return Some(narrowed(table, head, *route));
    }
    let looked_at = || head.headers.iter().filter(|header| table.sources.include(header.name));
    for token in looked_at().flat_map(|header| tokens(header.value)) {
        if let Some(route) = table.of_key(token).iter().find(|route| table.routes[**route].matcher.is_some())
        {
            return Some(narrowed(table, head, *route));
        }
    }
    if let Some((found, header)) = named_key(&carried, table, head) {
        let (found, header) = (found.to_owned(), header.to_owned());
        return Some(match most_alike(table, found.as_bytes()) {
            Some((_, route)) => {
                NearMiss::Similar { found, header, route, key: table.routes[route].key.to_string() }
            }
            None => NearMiss::Unknown { found, header },
        });
    }
    misplaced(table, head).or_else(|| similar(table, head)).or_else(|| invalid(head))
}

/// The key in a header that is there for keys, and that header.
fn named_key<'a>(
    carried: &'a Option<Carried<'_>>,
    table: &RouteTable,
    head: &'a RequestHead<'_, '_>,
) -> Option<(&'a str, &'a str)> {
    if let Some(carried) = carried {
        return Some((&carried.key, carried.carrier.header()));
    }
    let whole = |name| table.sources.named(name) == Some(Place::Whole);
    let header = head.headers.iter().find(|header| whole(header.name) && Key::is_valid(header.value))?;
    Some((std::str::from_utf8(header.value).ok()?, header.name))
}

fn narrowed(table: &RouteTable, head: &RequestHead<'_, '_>, route: usize) -> NearMiss {
    let it = &table.routes[route];
    NearMiss::Narrowed {
        route,
        key: it.key.to_string(),
        wanted: it.matcher.as_ref().map_or_else(|| "default carriers".to_owned(), ToString::to_string),
        request: format!("{} {}", shown(head.method.as_bytes()), shown(head.path())),
    }
}

fn misplaced(table: &RouteTable, head: &RequestHead<'_, '_>) -> Option<NearMiss> {
    head.headers.iter().find_map(|header| {
        let route = tokens(header.value).find_map(|token| table.of_key(token).first().copied())?;
        Some(NearMiss::Misplaced {
            header: shown(header.name.as_bytes()),
            route,
            key: table.routes[route].key.to_string(),
        })
    })
}

/// Among the headers that matches look at, the token most like a key.
fn similar(table: &RouteTable, head: &RequestHead<'_, '_>) -> Option<NearMiss> {
    let looked_at = head.headers.iter().filter(|header| table.sources.named(header.name).is_some());
    let found = looked_at.flat_map(|header| tokens(header.value).map(move |token| (header.name, token)));
    let (_, route, name, token) = found
        .filter(|(_, token)| Key::is_valid(token))
        .take(16)
        .filter_map(|(name, token)| {
            most_alike(table, token).map(|(distance, route)| (distance, route, name, token))
        })
        .min_by_key(|(distance, ..)| *distance)?;
    Some(NearMiss::Similar {
        found: shown(token),
        header: shown(name.as_bytes()),
        route,
        key: table.routes[route].key.to_string(),
    })
}

fn invalid(head: &RequestHead<'_, '_>) -> Option<NearMiss> {
    let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(HEADER))?;
    Some(NearMiss::Invalid { value: shown(header.value) })
}

/// The route whose key is most like `found`, if any is alike: another case, one the beginning of the other, or
/// two edits away.
fn most_alike(table: &RouteTable, found: &[u8]) -> Option<(usize, usize)> {
    let alike = |(i, key): (usize, &[u8])| {
        let distance = distance(&found.to_ascii_lowercase(), &key.to_ascii_lowercase());
        let begins = found.starts_with(key) || key.starts_with(found);
        (begins || distance <= 2 && distance * 2 < key.len()).then_some((distance, i))
    };
    let keys = table.routes.iter().map(|route| route.key.as_str().as_bytes());
    keys.enumerate().take(MAX_COMPARED).filter_map(alike).min()
}

/// Levenshtein's.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

/// What comes from a request goes into logs escaped and cut.
fn shown(text: &[u8]) -> String {
    let mut shown = text[..text.len().min(MAX_SHOWN)].escape_ascii().to_string();
    if text.len() > MAX_SHOWN {
        shown.push_str("...");
    }
    shown
}
