//! From the routes document to what the workers decide by: pure, immutable, swapped as a whole.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use byway_api::{
    Backend, CompiledRoute, Key, Mirrored, NodeTable, OnUnreachable, PreviewRoute, RouteError, Target,
    Unkeyed,
};
use byway_http::{Decision, Doubt, RequestHead, RequestKind, Route, RouteTable};
use http::HeaderValue;
use jiff::Timestamp;

/// What a document wants, judged.
pub(crate) struct Snapshot {
    /// Previews that live, in order of priority.
    pub(crate) previews: Vec<Arc<Preview>>,
    /// Previews that are refused, with their revision.
    pub(crate) refused: Vec<(String, String, RouteError)>,
    /// Targets with at least one preview that lives, or armed ahead of any, and the indices of these in order of priority.
    pub(crate) targets: BTreeMap<String, (Target, Vec<usize>)>,
    /// Whose pods have which address.
    pub(crate) origins: Arc<HashMap<IpAddr, Key>>,
    /// Previews of which a pod is a target itself, and is left out.
    pub(crate) loops: HashSet<String>,
    /// When the next preview ends by itself.
    pub(crate) next_expiry: Option<Timestamp>,
}

/// A preview that can be relied on.
#[derive(Debug)]
pub(crate) struct Preview {
    /// What it was made of.
    entry: PreviewRoute,
    pub(crate) route: CompiledRoute,
    /// `x-byway-preview: NAME` as a header line, or empty.
    pub(crate) header_line: Vec<u8>,
    /// Its value, if it is wanted.
    pub(crate) header_value: Option<HeaderValue>,
    /// Backends take turns.
    pub(crate) turn: AtomicUsize,
    /// When it was told last that somebody waits for it to wake, in milliseconds.
    pub(crate) called: AtomicU64,
}

impl Preview {
    pub(crate) fn new(entry: PreviewRoute, route: CompiledRoute) -> Self {
        let name = &route.name;
        let header_line =
            if route.response_header { format!("x-byway-preview: {name}\r\n") } else { String::new() };
        let header_value = HeaderValue::from_str(name).ok().filter(|_| route.response_header);
        Self {
            header_line: header_line.into_bytes(),
            header_value,
            turn: AtomicUsize::new(0),
            called: AtomicU64::new(0),
            entry,
            route,
        }
    }

    pub(crate) fn falls_back(&self) -> bool {
        self.route.on_unreachable == OnUnreachable::Stable
    }

    /// Whether requests wait for it to have a pod.
    pub(crate) fn sleeps(&self) -> bool {
        self.route.wake_timeout.is_some() && self.route.backends.is_empty()
    }

    /// Whether it is shown copies, and never answers.
    pub(crate) fn is_shown(&self) -> bool {
        self.route.copies_percent.is_some()
    }

    /// Where it listens for what comes to a port.
    pub(crate) fn listens_at(&self, port: u16) -> u16 {
        self.route.preview_ports.get(&port).copied().unwrap_or(port)
    }

    /// Whether a connection to `address` is where what comes to a port would go now.
    pub(crate) fn is_reached_at(&self, address: SocketAddr, port: u16) -> bool {
        let is_backend = self.route.backends.iter().any(|b: &Backend| b.ips.contains(&address.ip()));
        is_backend && address.port() == self.listens_at(port)
    }
}

/// The routes of one target.
#[derive(Default)]
pub(crate) struct Routes {
    pub(crate) table: RouteTable,
    /// In the order of the table.
    pub(crate) legs: Vec<Arc<Leg>>,
    pub(crate) origins: Arc<HashMap<IpAddr, Key>>,
    pub(crate) unkeyed: Unkeyed,
    /// The ports that are steered.
    pub(crate) ports: Vec<u16>,
    /// Previews that are shown copies, and never answer.
    pub(crate) shown: Vec<Shown>,
    /// Of ports that not all of the previews are for.
    narrowed: HashMap<u16, Self>,
}

/// A preview that is shown copies of requests.
pub(crate) struct Shown {
    pub(crate) leg: Arc<Leg>,
    /// Which ones; all, if there is none.
    table: Option<RouteTable>,
}

/// A preview as a target's route.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) preview: Arc<Preview>,
    /// Where its counters are.
    pub(crate) index: u32,
    pub(crate) losses: Arc<Losses>,
    pub(crate) copies: Arc<Copies>,
}

/// What became of the requests of which a preview was to get copies.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    pub(crate) sent: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) status_differs: AtomicU64,
}

impl Copies {
    pub(crate) fn counts(&self) -> Mirrored {
        Mirrored {
            sent: self.sent.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            status_differs: self.status_differs.load(Relaxed),
        }
    }
}

/// What was lost to a route by reason, of which its counters have the sum: there are thousands of routes, and few lose
/// anything.
#[derive(Debug, Default)]
pub(crate) struct Losses([AtomicU64; Doubt::ALL.len()]);

impl Losses {
    pub(crate) fn count(&self, why: Doubt) {
        self.0[why as usize].fetch_add(1, Relaxed);
    }

    /// Those that there were.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Doubt, u64)> {
        let counts = Doubt::ALL.into_iter().zip(&self.0);
        counts.map(|(why, count)| (why, count.load(Relaxed))).filter(|(_, count)| *count > 0)
    }
}

impl Shown {
    fn new(leg: Arc<Leg>) -> Self {
        let route = &leg.preview.route;
        let only = route.matcher.clone();
        let table = only.map(|it| RouteTable::new(vec![Route { key: route.key.clone(), matcher: Some(it) }]));
        Self { leg, table }
    }

    /// Whether the preview is shown this request.
    pub(crate) fn takes(&self, head: &RequestHead<'_, '_>) -> bool {
        let is_read = matches!(head.method, "GET" | "HEAD") || self.leg.preview.route.names_method;
        let hits = |table: &RouteTable| matches!(table.decide(head, None).decision, Decision::Preview(..));
        is_read && head.kind != RequestKind::Connect && self.table.as_ref().is_none_or(hits)
    }

    /// Whether it may be shown requests that have a body.
    pub(crate) fn needs_bodies(&self) -> bool {
        self.leg.preview.route.names_method
    }

    /// Of how many connections of a hundred.
    pub(crate) fn percent(&self) -> u32 {
        self.leg.preview.route.copies_percent.unwrap_or_default().into()
    }
}

impl Leg {
    fn is_for(&self, port: u16) -> bool {
        let ports = &self.preview.route.ports;
        ports.is_empty() || ports.contains(&port)
    }
}

impl Routes {
    /// `legs` in order of priority.
    pub(crate) fn new(
        legs: Vec<Arc<Leg>>,
        origins: Arc<HashMap<IpAddr, Key>>,
        unkeyed: Unkeyed,
        ports: Vec<u16>,
    ) -> Self {
        let (shown, legs): (Vec<_>, Vec<_>) = legs.into_iter().partition(|leg| leg.preview.is_shown());
        let shown = shown.into_iter().map(Shown::new).collect();
        let of = |port: u16| legs.iter().filter(move |leg| leg.is_for(port)).cloned();
        let narrow = ports.iter().filter(|port| of(**port).count() < legs.len());
        let narrowed = narrow.map(|port| (*port, Self::all(of(*port).collect(), origins.clone(), unkeyed)));
        let narrowed = narrowed.collect();
        Self { narrowed, ports, shown, ..Self::all(legs, origins, unkeyed) }
    }

    /// Whether nobody but the app answers here, and previews are shown what it gets.
    pub(crate) fn is_only_shown(&self, port: u16) -> bool {
        self.at(port).legs.is_empty() && !self.is_own() && self.shown(port).next().is_some()
    }

    /// The previews that are shown copies of what comes to this port.
    pub(crate) fn shown(&self, port: u16) -> impl Iterator<Item = &Shown> {
        self.shown.iter().filter(move |shown| shown.leg.is_for(port))
    }

    /// The routes of connections to this port.
    pub(crate) fn at(&self, port: u16) -> &Self {
        self.narrowed.get(&port).unwrap_or(self)
    }

    /// Previews that can never get a request, and which one takes it: on every port that they are for.
    pub(crate) fn losers(&self) -> Vec<(String, String)> {
        let name = |leg: &Leg| leg.preview.route.name.clone();
        let mut wins: HashSet<String> = HashSet::new();
        let mut lost = BTreeMap::new();
        for routes in self.ports.iter().map(|port| self.at(*port)) {
            let losers = routes.table.losers();
            let is_loser = |i: usize| losers.iter().any(|(loser, _)| *loser == i);
            wins.extend((0..routes.legs.len()).filter(|i| !is_loser(*i)).map(|i| name(&routes.legs[i])));
            lost.extend(losers.iter().map(|(l, w)| (name(&routes.legs[*l]), name(&routes.legs[*w]))));
        }
        lost.into_iter().filter(|(loser, _)| !wins.contains(loser)).collect()
    }

    fn all(legs: Vec<Arc<Leg>>, origins: Arc<HashMap<IpAddr, Key>>, unkeyed: Unkeyed) -> Self {
        let routes = legs.iter().map(|leg| {
            let route = &leg.preview.route;
            Route { key: route.key.clone(), matcher: route.matcher.clone() }
        });
        let table = RouteTable::new(routes.collect());
        Self { table, legs, origins, unkeyed, ports: Vec::new(), shown: Vec::new(), narrowed: HashMap::new() }
    }

    /// Whether the pod is itself what its previews' requests are for: a preview without a target.
    pub(crate) fn is_own(&self) -> bool {
        self.unkeyed == Unkeyed::NotFound
    }
}

impl Snapshot {
    /// Judges `spec` as of `now`. What is as it was in `before` is the same value, so that only what has changed
    /// needs to be programmed.
    pub(crate) fn new(spec: &NodeTable, now: Timestamp, before: Option<&Self>) -> Self {
        let old: HashMap<&str, &Arc<Preview>> =
            before.iter().flat_map(|b| &b.previews).map(|p| (p.entry.name.as_str(), p)).collect();
        // From a pod that is its own preview no call goes on to another.
        let dials_on = spec.targets.iter().filter(|t| t.unkeyed == Unkeyed::App);
        let steered: HashSet<IpAddr> = dials_on.flat_map(|t| t.ips.iter().copied()).collect();
        let mut loops = HashSet::new();
        let mut previews = Vec::with_capacity(spec.previews.len());
        let mut by_name = HashMap::with_capacity(spec.previews.len());
        let mut refused = Vec::new();
        for entry in &spec.previews {
            let old = old.get(entry.name.as_str()).filter(|old| old.entry == *entry);
            let judged = old.map_or_else(|| entry.compile(), |old| Ok(old.route.clone()));
            match judged {
                Ok(route) if route.expires_at.is_some_and(|at| at <= now) => {}
                Ok(mut route) => {
                    // The agent would steer its own connection to such a pod, again and again.
                    let reachable = |b: &&Backend| !b.ips.iter().any(|ip| steered.contains(ip));
                    route.backends = entry.backends.iter().filter(reachable).cloned().collect();
                    if route.backends.len() < entry.backends.len() {
                        loops.insert(route.name.clone());
                    }
                    by_name.insert(route.name.clone(), previews.len());
                    previews.push(match old.filter(|old| old.route.backends == route.backends) {
                        Some(old) => Arc::clone(old),
                        None => Arc::new(Preview::new(entry.clone(), route)),
                    });
                }
                Err(error) => refused.push((entry.name.clone(), entry.revision.clone(), error)),
            }
        }
        let mut targets = BTreeMap::new();
        for target in &spec.targets {
            let mut live: Vec<usize> =
                target.previews.iter().filter_map(|n| by_name.get(n).copied()).collect();
            live.sort_unstable();
            live.dedup();
            if !live.is_empty() || target.armed {
                let mut target = target.clone();
                target.ports.sort_unstable();
                target.ports.dedup();
                targets.insert(target.name.clone(), (target, live));
            }
        }
        let origins: HashMap<IpAddr, Key> = spec.origins().collect();
        let same = before.map(|b| &b.origins).filter(|before| ***before == origins).cloned();
        Self {
            next_expiry: previews.iter().filter_map(|p| p.route.expires_at).min(),
            origins: same.unwrap_or_else(|| Arc::new(origins)),
            previews,
            refused,
            targets,
            loops,
        }
    }
}
