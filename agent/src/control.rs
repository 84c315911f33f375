//! Brings the node to what a document wants: attaches, detaches, swaps routes, and says what is live.

mod bounds;
mod old;
mod patience;
mod requests;
mod routes;
mod status;
mod traffic;
mod word;

use std::{
    cell::LazyCell,
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use byway_api::{ExistingConnections, Failure, NodeTable, Target as Wanted, TargetTraffic, Unkeyed};
use byway_http::Doubt;
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::mirror::Mirrored;
use crate::{
    attach::{AttachError, Attacher, Attachment},
    observer::Observer,
    snapshot::{Leg, Preview, Snapshot},
    source::{BadDocument, Document, UnreadableTarget},
    target::{Counter, Processes, Target},
};
pub(crate) use bounds::bounded;
use old::Old;
use patience::Looks;
use requests::{Counted, Requests};
use traffic::Traffic;

/// How long a target that could not be attached is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// What is programmed on this node.
pub(crate) struct Control {
    attacher: Attacher,
    observer: Arc<Observer>,
    spec: NodeTable,
    /// Targets of the document that this version cannot read.
    unreadable: Vec<UnreadableTarget>,
    /// Why the newest document is not the one in force.
    failure: Option<Failure>,
    attached: BTreeMap<String, Attached>,
    /// Targets that could not be attached, and why.
    failed: BTreeMap<String, AttachError>,
    snapshot: Snapshot,
    /// When the targets that failed are tried again.
    retry_at: Instant,
    /// Nothing is attached any more.
    stops: bool,
    /// Detaches under way.
    detaching: JoinSet<()>,
    /// Targets whose last connections may still be open.
    departing: Vec<Weak<Target>>,
    traffic: Traffic,
    requests: Requests,
}

struct Attached {
    attachment: Attachment,
    wanted: Wanted,
    old: Old,
    looks: Looks,
    mirrored: Mirrored,
    /// Why previews are not shown the copies that they are to get.
    uncopied: Option<String>,
    /// Each preview's route, with its rank.
    routes: HashMap<String, (usize, Arc<Leg>)>,
    /// Previews that can never get a request here, and which one takes it.
    losers: Vec<(String, String)>,
    /// Previews for which there was no room.
    refused: Vec<String>,
}

impl Control {
    pub(crate) fn new(attacher: Attacher, observer: Arc<Observer>) -> Self {
        let spec = NodeTable::default();
        Self {
            attacher,
            observer,
            snapshot: Snapshot::new(&spec, Timestamp::now(), None),
            spec,
            unreadable: Vec::new(),
            failure: None,
            attached: BTreeMap::new(),
            failed: BTreeMap::new(),
            retry_at: Instant::now(),
            stops: false,
            detaching: JoinSet::new(),
            departing: Vec::new(),
            traffic: Traffic::default(),
            requests: Requests::default(),
        }
    }

    /// Takes over a new document.
    pub(crate) fn apply(&mut self, document: Document) {
        for target in &document.unreadable {
            tracing::warn!(
                target = target.name,
                error = target.error,
                "target is not steered: it cannot be read"
            );
        }
        self.unreadable = document.unreadable;
        self.failure = None;
        self.spec = document.spec;
        self.program();
    }

    /// The newest document cannot be used: the one before stays in force.
    pub(crate) fn refuse(&mut self, error: &BadDocument) {
        self.failure = Some(Failure { reason: BadDocument::CODE.to_owned(), message: error.to_string() });
    }

    /// Looks for what changes by itself: pods that went, previews that ended, targets that failed before.
    /// Whether anything did.
    pub(crate) fn tick(&mut self) -> bool {
        let gone = self.let_go();
        if !self.stops {
            self.look_at_old();
            self.look_at_apps();
            self.choose_modes();
        }
        let expired = self.snapshot.next_expiry.is_some_and(|at| at <= Timestamp::now());
        if gone || expired {
            self.program();
        } else if self.attached.values().any(|it| it.uncopied.is_some()) && self.retry_at <= Instant::now() {
            self.retry_at = Instant::now() + RETRY;
            self.attached
                .values_mut()
                .filter(|it| it.uncopied.is_some())
                .for_each(|it| it.copy(&self.attacher));
        } else if !self.failed.is_empty() && self.retry_at <= Instant::now() {
            let failed: HashSet<String> = self.failed.keys().cloned().collect();
            self.program_targets(|name| failed.contains(name));
        } else {
            return false;
        }
        true
    }

    /// What is spoken on a port may have been heard by now.
    fn choose_modes(&mut self) {
        for attached in self.attached.values_mut() {
            if let Err(error) = attached.attachment.choose_modes() {
                tracing::warn!(%error, target = attached.wanted.name, "cannot change how connections reach the app");
            }
        }
    }

    /// Looks at connections that were open before the routes of their targets.
    fn look_at_old(&mut self) {
        for attached in self.attached.values_mut() {
            let Attached { attachment, wanted, old, routes, .. } = attached;
            // A preview without a target is served by the pod itself, whatever connection a request comes on.
            if routes.is_empty() || wanted.unkeyed == Unkeyed::NotFound {
                old.end(&self.attacher.tables, &self.observer, &attachment.target);
                continue;
            }
            let drains = |(_, leg): &(usize, Arc<Leg>)| {
                leg.preview.route.existing_connections == ExistingConnections::DrainIdle
            };
            let drain = routes.values().any(drains);
            old.look(&self.attacher, &self.observer, &attachment.target, &attachment.ports, drain);
        }
    }

    /// Looks at how long apps bear clients that are silent.
    fn look_at_apps(&mut self) {
        for Attached { attachment, looks, .. } in self.attached.values_mut() {
            looks.look(&attachment.target, &attachment.ports);
        }
    }

    /// Looks at what comes to previews, and at what no header can match. Whether there is something new to tell.
    pub(crate) fn observe(&mut self) -> bool {
        let tables = &self.attacher.tables;
        let seen = self.attached.iter().map(|(name, attached)| {
            let target = &attached.attachment.target;
            let count = |doubt| target.counter(Counter::Opaque(doubt)).load(Relaxed);
            let ports = attached.attachment.ports.iter().copied();
            TargetTraffic {
                target: name.clone(),
                tls: count(Doubt::Tls),
                http2: count(Doubt::Http2),
                old_connections: target.counter(Counter::OldOpen).load(Relaxed),
                passed_on: traffic::passed_on(tables, target),
                ways: attached.attachment.ways(),
                not_listening: ports
                    .filter(|p| !tables.is_listening(target.ns, &attached.wanted.ips, *p))
                    .collect(),
            }
        });
        let now = Instant::now();
        let unmatched = self.traffic.observe(now, seen);
        let previews =
            self.snapshot.previews.iter().map(|preview| (preview.route.name.as_str(), preview.sleeps()));
        let routes = self.attached.values().flat_map(|attached| &attached.routes);
        let routes = routes.map(|(name, (_, leg))| (name.as_str(), Counted::of(tables, leg)));
        self.requests.observe(now, previews, routes) || unmatched
    }

    /// Drops everything of pods that went, also of targets that are detached already: their last connections would
    /// keep the namespace alive. Whether one of them was attached.
    fn let_go(&mut self) -> bool {
        while self.detaching.try_join_next().is_some() {}
        self.departing.retain(|target| match target.upgrade() {
            Some(target) if target.netns.is_current() => true,
            Some(target) => {
                target.let_go();
                false
            }
            None => false,
        });
        let gone: Vec<String> = self
            .attached
            .iter()
            .filter(|(_, a)| !a.attachment.target.netns.is_current())
            .map(|(n, _)| n.clone())
            .collect();
        for name in &gone {
            if let Some(mut attached) = self.attached.remove(name) {
                tracing::info!(target = name, "the pod has gone");
                self.end_old(&mut attached);
                if let Err(error) = attached.mirrored.end(&self.attacher.mirror, &attached.attachment.target)
                {
                    tracing::debug!(%error, target = name, "what was copied of the pod is not forgotten");
                }
                self.forget_routes(&attached);
                attached.attachment.abandon();
            }
        }
        !gone.is_empty()
    }

    /// Begins to detach everything; [`Control::is_detached`] says when it is done. Routes are followed on for the
    /// connections that are open: their requests are decided as those of the successor.
    pub(crate) fn detach_all(&mut self) {
        self.stops = true;
        let mut attached = std::mem::take(&mut self.attached);
        attached.values_mut().for_each(|attached| self.detach(attached));
        self.attached = attached;
    }

    /// Whether the last listener is closed. To be asked until it is, with [`Control::tick`]: pods that go meanwhile are
    /// let go.
    pub(crate) fn is_detached(&self) -> bool {
        self.detaching.is_empty()
    }

    /// Whether the kernel has something to send still of connections that were taken over.
    pub(crate) fn has_clones(&self) -> bool {
        self.attacher.direct.as_ref().is_ok_and(|direct| direct.has_clones())
    }

    fn program(&mut self) {
        let snapshot = Snapshot::new(&self.spec, Timestamp::now(), Some(&self.snapshot));
        let before: HashMap<&str, &Arc<Preview>> =
            self.snapshot.previews.iter().map(|p| (p.route.name.as_str(), p)).collect();
        for preview in &snapshot.previews {
            if before
                .get(preview.route.name.as_str())
                .is_none_or(|b| b.route.revision != preview.route.revision)
            {
                tracing::info!(preview = preview.route.name, key = %preview.route.key, "preview is live");
            }
        }
        for (name, _, error) in &snapshot.refused {
            tracing::warn!(preview = name, reason = error.code(), "preview is refused: {error}");
        }
        self.snapshot = snapshot;

        let stale: Vec<String> = self
            .attached
            .iter()
            .filter(|(name, a)| self.snapshot.targets.get(*name).is_none_or(|(w, _)| !same_pod(w, &a.wanted)))
            .map(|(name, _)| name.clone())
            .collect();
        for name in stale {
            if let Some(mut attached) = self.attached.remove(&name) {
                attached.attachment.target.set_routes(Arc::default());
                self.forget_routes(&attached);
                if !self.stops {
                    tracing::info!(target = name, "detaching");
                    self.detach(&mut attached);
                }
            }
        }
        self.failed.retain(|name, _| self.snapshot.targets.contains_key(name));
        self.program_targets(|_| true);
    }

    /// Programs those that `which` picks by name. Failures are said once, and tried again later.
    fn program_targets(&mut self, which: impl Fn(&str) -> bool) {
        self.retry_at = Instant::now() + RETRY;
        let wanted: Vec<(Wanted, Vec<usize>)> =
            self.snapshot.targets.values().filter(|(wanted, _)| which(&wanted.name)).cloned().collect();
        let processes = LazyCell::new(Processes::scan); // once for all of them
        for (wanted, previews) in wanted {
            let name = wanted.name.clone();
            match self.program_target(&wanted, &previews, || &processes) {
                Ok(()) => drop(self.failed.remove(&name)),
                Err(error) => {
                    if self.failed.get(&name).is_none_or(|before| before.code() != error.code()) {
                        tracing::warn!(
                            target = name,
                            reason = error.code(),
                            "target is not steered as wanted: {error}"
                        );
                    }
                    self.failed.insert(name, error);
                }
            }
        }
    }

    fn detach(&mut self, attached: &mut Attached) {
        self.end_old(attached);
        if let Err(error) = attached.mirrored.end(&self.attacher.mirror, &attached.attachment.target) {
            tracing::warn!(%error, target = attached.wanted.name, "cannot stop to copy requests");
        }
        self.departing.push(Arc::downgrade(&attached.attachment.target));
        self.detaching.spawn(attached.attachment.detach());
    }

    fn program_target<'a>(
        &mut self,
        wanted: &Wanted,
        previews: &[usize],
        processes: impl FnOnce() -> &'a Processes,
    ) -> Result<(), AttachError> {
        if let Some(attached) = self.attached.get_mut(&wanted.name) {
            self.attacher.change_ports(&mut attached.attachment, &wanted.ports)?;
            attached.attachment.target.take_for_http2(&wanted.http2);
            attached.attachment.is_armed = wanted.armed;
            attached.wanted = wanted.clone();
        } else if self.stops {
            return Ok(());
        } else {
            let holder = |netns| {
                let mut all = self.attached.iter();
                all.find(|(_, a)| a.attachment.target.netns.id == netns).map(|(name, _)| name.clone())
            };
            let attachment = self.attacher.prepare(wanted, processes, holder)?;
            let attached = Attached {
                attachment,
                wanted: wanted.clone(),
                old: Old::default(),
                looks: Looks::default(),
                mirrored: Mirrored::default(),
                uncopied: None,
                routes: HashMap::new(),
                losers: Vec::new(),
                refused: Vec::new(),
            };
            self.attached.insert(wanted.name.clone(), attached);
        }
        let Some(attached) = self.attached.get_mut(&wanted.name) else { return Ok(()) };
        let previews: Vec<Arc<Preview>> =
            previews.iter().map(|i| self.snapshot.previews[*i].clone()).collect();
        let (tables, requests) = (&self.attacher.tables, &mut self.requests);
        if self.attacher.direct.is_ok() {
            tables.set_origins(&self.snapshot.origins)?;
        }
        attached.set_routes(tables, requests, &previews, &self.snapshot.origins)?;
        if attached.attachment.begin()? {
            let netns = attached.attachment.target.netns.id.ino;
            tracing::info!(target = wanted.name, ports = ?wanted.ports, netns, "attached");
        }
        attached.copy(&self.attacher);
        Ok(())
    }

    fn end_old(&self, attached: &mut Attached) {
        attached.old.end(&self.attacher.tables, &self.observer, &attached.attachment.target);
    }

    fn forget_routes(&mut self, attached: &Attached) {
        for (preview, (_, leg)) in &attached.routes {
            self.requests.retire(preview, &Counted::of(&self.attacher.tables, leg));
            if let Err(error) = self.attacher.tables.remove_route(leg.index) {
                tracing::warn!(%error, "cannot remove a route from its map");
            }
        }
    }

    /// Forgets ports that nobody listens on any more: an app may have had thousands.
    pub(crate) fn tidy(&self) {
        if let Err(error) = self.attacher.tables.sweep_conns() {
            tracing::debug!(%error, "cannot look for handshakes that never ended");
        }
        for attached in self.attached.values() {
            if let Err(error) = self.attacher.recount(&attached.attachment) {
                tracing::debug!(%error, target = attached.wanted.name, "cannot count the listeners anew");
            }
        }
    }

    /// How many targets are attached.
    pub(crate) fn attached(&self) -> usize {
        self.attached.len()
    }
}

impl Attached {
    /// Has copies be made as the routes say.
    fn copy(&mut self, attacher: &Attacher) {
        let copied = self.mirrored.follow(&attacher.mirror, &self.attachment.target, &self.wanted.ports);
        let error = copied.err().map(|error| error.to_string());
        if let Some(error) = error.as_ref().filter(|_| self.uncopied.is_none()) {
            tracing::warn!(error, target = self.wanted.name, "requests cannot be copied");
        }
        self.uncopied = error;
    }
}

fn same_pod(a: &Wanted, b: &Wanted) -> bool {
    a.pod_uid == b.pod_uid && a.netns == b.netns
}
