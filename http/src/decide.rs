//! Whose request is it? The routes of one target, and the decision for each request.
//!
//! The rules, in full:
//!
//! 1. A route without a match is hit by its key in a default carrier ([`carried_key`]). A route with a match is
//!    hit by its match alone, which names its own carriers; the key must be in one of them.
//! 2. Without such a key the origin counts: a request from a pod of an environment hits the routes of that
//!    environment's key. Path and method of a match still narrow it, its headers do not. *Another* key in the
//!    request switches the origin off, whether it leads to a route or not: a valid key in a default carrier or in
//!    a header that some match here wants to be exactly `{{ key }}`, even an unknown one, or headers that a match
//!    wants. (An unknown key in the carrier of a regex cannot be told from any other text.)
//! 3. Routes whose match needs no key, as an administrator may allow, are hit by their match.
//! 4. Of all routes that are hit, the first one of the table gets the request; the next one is reported.
//!
//! The cost does not grow with the number of routes: a key must stand in a header as a token of its own, so
//! tokens of the few headers that can hold one are looked up, and only the matches of those routes are asked.

use std::collections::HashMap;

use byway_api::{CompiledMatch, Key, key::tokens};

use crate::{Carrier, RequestHead, carried_key, carriers};

mod sources;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use sources::{Place, Sources};

/// Most routes whose matches are asked for one request. A request with the keys of more is not an honest one,
/// and must not cost more.
const MAX_ASKED: usize = 32;

/// Seeded, since whoever may create previews chooses the keys.
type Hasher = foldhash::quality::RandomState;

/// What leads to a preview. Its place in the table is its priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The key.
    pub key: Key,
    /// `None`: the key in one of the default carriers.
    pub matcher: Option<CompiledMatch>,
}

/// The routes of one target. Immutable; a change makes a new one.
#[derive(Debug, Default)]
pub struct RouteTable {
    pub(crate) routes: Vec<Route>,
    /// The routes of each key, in order.
    pub(crate) by_key: HashMap<Box<[u8]>, Vec<usize>, Hasher>,
    keyless: Vec<usize>,
    pub(crate) sources: Sources,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Who gets it.
    pub decision: Decision,
    /// The next route in rank that this request hit too.
    pub overlapped: Option<usize>,
    /// Where it is [`AppReason::Narrowed`]: a route of its key.
    pub narrowed: Option<usize>,
}

/// Who gets a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The app.
    App(AppReason),
    /// The preview of this index in the table.
    Preview(usize, PreviewReason),
}

/// Why a request goes to the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppReason {
    /// It carries no key.
    NoKey,
    /// It carries a key that no route here has.
    UnknownKey,
    /// It is keyed, but the path, the method or a header does not match.
    Narrowed,
}

/// Why a request goes to a preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviewReason {
    /// The key in `x-byway-key`.
    Header,
    /// The key in `baggage`.
    Baggage,
    /// The key in a cookie.
    Cookie,
    /// The route's match.
    Match,
    /// It comes from a pod of the same environment.
    Origin,
}

impl AppReason {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoKey => "NoKey",
            Self::UnknownKey => "UnknownKey",
            Self::Narrowed => "Narrowed",
        }
    }
}

impl PreviewReason {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Header => "Header",
            Self::Baggage => "Baggage",
            Self::Cookie => "Cookie",
            Self::Match => "Match",
            Self::Origin => "Origin",
        }
    }
}

impl From<Carrier> for PreviewReason {
    fn from(carrier: Carrier) -> Self {
        match carrier {
            Carrier::Header => Self::Header,
            Carrier::Baggage => Self::Baggage,
            Carrier::Cookie => Self::Cookie,
        }
    }
}

impl RouteTable {
    /// The earlier a route, the higher its rank.
    #[must_use]
    pub fn new(routes: Vec<Route>) -> Self {
        let mut table = Self::default();
        for (i, route) in routes.iter().enumerate() {
            table.by_key.entry(route.key.as_str().as_bytes().into()).or_default().push(i);
            let Some(matcher) = &route.matcher else { continue };
            table.sources.add_names(matcher);
            if matcher.is_keyed() {
                table.sources.add(matcher);
            } else {
                table.keyless.push(i);
            }
        }
        table.routes = routes;
        table
    }

    /// Whose request this is. `origin` is the key of the environment that the connection comes from.
    #[must_use]
    pub fn decide(&self, head: &RequestHead<'_, '_>, origin: Option<&Key>) -> Verdict {
        let (hits, other_key) = (Hits::default(), false);
        let mut search = Search { table: self, head, hits, other_key, why_not: None, narrowed: None };
        search.default_carriers(origin);
        if !self.sources.is_empty() {
            search.matches(origin);
        }
        if !self.keyless.is_empty() {
            search.keyless();
        }
        if let Some(origin) = origin.filter(|_| !search.other_key) {
            search.origin(origin);
        }
        let decision = match search.hits.first {
            Some((route, reason)) => Decision::Preview(route, reason),
            None => Decision::App(search.why_not.unwrap_or(AppReason::NoKey)),
        };
        let is_narrowed = decision == Decision::App(AppReason::Narrowed);
        Verdict {
            decision,
            overlapped: search.hits.second,
            narrowed: search.narrowed.filter(|_| is_narrowed),
        }
    }

    /// Whether a header of this name can change a decision.
    #[must_use]
    pub fn asks_about(&self, name: &str) -> bool {
        carriers::can_carry(name) || self.sources.ask_about(name)
    }

    /// Where opaque traffic of an environment goes: to its first route here, since no match can be asked.
    #[must_use]
    pub fn home(&self, origin: &Key) -> Option<usize> {
        self.of_key(origin.as_str().as_bytes()).first().copied()
    }

    /// Routes that can never be hit, because an earlier one has the same key and match: (loser, winner).
    #[must_use]
    pub fn losers(&self) -> Vec<(usize, usize)> {
        let mut first = HashMap::new();
        let mut losers = Vec::new();
        for (i, route) in self.routes.iter().enumerate() {
            let words = route.matcher.as_ref().map(ToString::to_string);
            let winner = *first.entry((route.key.as_str(), words)).or_insert(i);
            if winner != i {
                losers.push((i, winner));
            }
        }
        losers
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.by_key.keys().map(|key| &**key)
    }

    /// The headers, beside the default carriers, that some match looks for its key in; in lower case.
    pub fn key_headers(&self) -> impl Iterator<Item = &[u8]> {
        self.sources.names()
    }

    /// Whether some match looks for its key in any header.
    #[must_use]
    pub fn looks_at_any_header(&self) -> bool {
        self.sources.is_any()
    }

    /// Whether some route is hit without a key.
    #[must_use]
    pub fn has_keyless(&self) -> bool {
        !self.keyless.is_empty()
    }

    pub(crate) fn of_key(&self, key: &[u8]) -> &[usize] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }
}

/// One request's way through the rules.
struct Search<'a, 'b, 'h> {
    table: &'a RouteTable,
    head: &'a RequestHead<'b, 'h>,
    hits: Hits,
    /// The request carries a key that is not its origin's.
    other_key: bool,
    why_not: Option<AppReason>,
    /// Of the routes that have a key of the request and ask for more, the first in rank.
    narrowed: Option<usize>,
}

impl Search<'_, '_, '_> {
    fn default_carriers(&mut self, origin: Option<&Key>) {
        let Some(carried) = carried_key(self.head.headers) else {
            return;
        };
        self.other_key = origin.is_some_and(|origin| *origin.as_str() != *carried.key);
        let routes = self.table.of_key(carried.key.as_bytes());
        self.why_not = Some(if routes.is_empty() { AppReason::UnknownKey } else { AppReason::Narrowed });
        for route in routes {
            if self.table.routes[*route].matcher.is_none() {
                self.hits.add(*route, carried.carrier.into());
            } else {
                self.keep_away(*route);
            }
        }
    }

    fn matches(&mut self, origin: Option<&Key>) {
        let mut asked = Asked::default();
        for header in self.head.headers {
            match self.table.sources.place(header.name) {
                None => continue,
                Some(Place::Whole) if Key::is_valid(header.value) => self.named(header.value, origin),
                Some(_) => {}
            }
            for token in tokens(header.value) {
                for route in self.table.of_key(token) {
                    if asked.is_new(*route) {
                        self.ask(*route, origin);
                    }
                }
            }
        }
    }

    /// A header that is nothing but a key names one, be it known here or not.
    fn named(&mut self, key: &[u8], origin: Option<&Key>) {
        let route = self.table.of_key(key).first().copied();
        self.why_not.get_or_insert(route.map_or(AppReason::UnknownKey, |_| AppReason::Narrowed));
        route.into_iter().for_each(|route| self.keep_away(route));
        self.other_key |= origin.is_some_and(|origin| origin.as_str().as_bytes() != key);
    }

    fn ask(&mut self, index: usize, origin: Option<&Key>) {
        let route = &self.table.routes[index];
        let Some(matcher) = route.matcher.as_ref().filter(|it| it.is_keyed()) else {
            return;
        };
        let hit = matcher.matches(self.head.method, self.head.path(), self.headers());
        if hit {
            self.hits.add(index, PreviewReason::Match);
        } else {
            self.narrow(index);
        }
        let other = origin.is_some_and(|origin| *origin != route.key);
        self.other_key |= other && (hit || matcher.matches_headers(self.headers()));
    }

    fn keyless(&mut self) {
        for index in &self.table.keyless {
            let matcher = self.table.routes[*index].matcher.as_ref();
            if matcher.is_some_and(|it| it.matches(self.head.method, self.head.path(), self.headers())) {
                self.hits.add(*index, PreviewReason::Match);
            }
        }
    }

    fn origin(&mut self, origin: &Key) {
        for index in self.table.of_key(origin.as_str().as_bytes()) {
            let matcher = self.table.routes[*index].matcher.as_ref();
            if matcher.is_none_or(|it| it.matches_narrowing(self.head.method, self.head.path())) {
                self.hits.add(*index, PreviewReason::Origin);
            } else {
                self.narrow(*index);
            }
        }
    }

    fn narrow(&mut self, route: usize) {
        self.why_not = Some(AppReason::Narrowed);
        self.keep_away(route);
    }

    fn keep_away(&mut self, route: usize) {
        self.narrowed = Some(self.narrowed.map_or(route, |first| first.min(route)));
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        self.head.headers.iter().map(|header| (header.name, header.value))
    }
}

/// The two routes of highest rank that were hit.
#[derive(Default)]
struct Hits {
    first: Option<(usize, PreviewReason)>,
    second: Option<usize>,
}

impl Hits {
    fn add(&mut self, route: usize, reason: PreviewReason) {
        match self.first {
            None => self.first = Some((route, reason)),
            Some((first, _)) if route < first => {
                self.first = Some((route, reason));
                self.second = Some(first);
            }
            Some((first, _)) if route > first && self.second.is_none_or(|second| route < second) => {
                self.second = Some(route);
            }
            Some(_) => {}
        }
    }
}

/// The routes whose matches were asked for this request: each is asked once, however often its key occurs.
#[derive(Default)]
struct Asked {
    routes: [usize; MAX_ASKED],
    len: usize,
}

impl Asked {
    fn is_new(&mut self, route: usize) -> bool {
        if self.len == MAX_ASKED || self.routes[..self.len].contains(&route) {
            return false;
        }
        self.routes[self.len] = route;
        self.len += 1;
        true
    }
}
