//! The loop: take in what the watches saw, plan all anew, write what differs.
//!
//! Level-triggered: nothing is remembered of how things came to be, so a controller that starts, or missed something,
//! does the same as one that saw it all. Only the leader runs this.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use byway_api::{Mode, Phase, PreviewStatus, names};
use byway_plan::identity::uid_of;
use byway_plan::outcome::CloneOutcome;
use byway_plan::ports::MOST;
use byway_plan::routes::{self, Plan};
use byway_plan::rows::{Name, PreviewPodRow, Ref, WorkloadKey, fingerprint};
use byway_plan::rules::Rules;
use byway_plan::standing::{Is, Standing, standings};
use byway_plan::status::acks::{Ack, Words};
use byway_plan::status::judge;
use byway_plan::update::{Clones, Update};
use byway_plan::wish::{Around, Wish};
use byway_plan::world::World;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::runtime::events::Recorder;
use tokio::sync::mpsc;

use crate::args::Settings;
use crate::connections::Connections;
use crate::leader::Term;
use crate::metrics::Metrics;
use crate::publish;
use crate::watch::{Scopes, Watch};
use crate::write::{Desired, Echo, WriteError, clone, events, gate, preview};

mod pace;
mod removal;
mod selected;
mod tell;

use pace::Pace;
use selected::Selected;
use tell::Report;

/// A clone that was refused is tried again so much later: what the refusal came from, e.g. a quota, tells nobody when it goes.
const REFUSED: Duration = Duration::from_secs(20);
/// Updates between watches and this loop.
const CHANNEL: usize = 4096;

/// Runs until the term ends. `client` writes, `connections` are for what is watched.
///
/// # Errors
///
/// When there can be no connection.
pub async fn run(
    client: Client,
    connections: Connections,
    settings: Settings,
    metrics: Arc<Metrics>,
    term: Term,
) -> kube::Result<()> {
    let (updates, mut seen) = mpsc::channel(CHANNEL);
    let watch = Watch { client: connections.client()?, updates, metrics: metrics.clone() };
    watch.start(&settings);
    let mut reconciler = Reconciler::new(client, settings, metrics, Scopes::new(watch, connections));
    let mut pace = Pace::default();
    loop {
        reconciler.metrics.turned(Instant::now());
        let wake = reconciler.wake();
        let is_news = tokio::select! {
            update = seen.recv() => match update {
                Some(update) => reconciler.take(update),
                None => return Ok(()),
            },
            is_news = reconciler.write_ended() => is_news,
            () = tokio::time::sleep_until(wake.into()) => true,
        };
        if !is_news {
            reconciler.write(); // what waited for a write that has ended
            continue;
        }
        // What belongs together comes together: a pod's update, then its neighbours'.
        let mut rested = std::pin::pin!(tokio::time::sleep(pace.rest()));
        loop {
            tokio::select! {
                update = seen.recv() => match update {
                    Some(update) => drop(reconciler.take(update)),
                    None => return Ok(()),
                },
                _ = reconciler.write_ended() => reconciler.write(),
                () = &mut rested => break,
            }
        }
        if term.is_over() {
            return Ok(()); // whoever waits for the end of the term says why
        }
        pace.run(|| reconciler.reconcile(Timestamp::now()));
    }
}

struct Reconciler {
    client: Client,
    settings: Settings,
    rules: Rules,
    metrics: Arc<Metrics>,
    world: World,
    scopes: Scopes,
    /// What bears on the clones of a namespace, until it changes.
    around: HashMap<Name, (Arc<Around>, u64)>,
    recorder: Recorder,
    /// Workloads of which it was said that they cannot be armed.
    unarmed: BTreeMap<WorkloadKey, usize>,
    /// Since when acknowledgements are missing, by UID of the Preview.
    late: HashMap<Name, Timestamp>,
    /// When the status of a Preview was written last, by its UID.
    told_at: HashMap<Name, Timestamp>,
    /// When a clone that was refused is tried again, by UID of the Preview.
    again: HashMap<Name, Instant>,
    clones: Desired<Ref, Wish, CloneOutcome>,
    routes: Desired<Name, publish::Wanted, ()>,
    gates: Desired<Ref, (), ()>,
    selected: Selected,
    statuses: Desired<Ref, (Name, Box<PreviewStatus>), ()>,
    removals: Desired<Ref, (Name, String), ()>,
    reports: Desired<Ref, Report, ()>,
    published: Echo<Name, Option<u64>>,
    opened: Echo<Ref, ()>,
    told: Echo<Ref, PreviewStatus>,
    /// Whether all was known once: only then may routes be taken away.
    whole: bool,
    /// When something changes by itself.
    next: Option<Timestamp>,
}

impl Reconciler {
    fn new(client: Client, settings: Settings, metrics: Arc<Metrics>, scopes: Scopes) -> Self {
        let desired = &metrics;
        Self {
            recorder: events::recorder(client.clone()),
            clones: Desired::new("clone", 16, desired.clone()),
            routes: Desired::new("noderoutes", 64, desired.clone()),
            gates: Desired::new("gate", 32, desired.clone()),
            selected: Selected::new(desired.clone()),
            statuses: Desired::new("status", 32, desired.clone()),
            removals: Desired::new("removal", 4, desired.clone()),
            reports: Desired::new("event", 4, desired.clone()),
            client,
            rules: settings.rules(),
            settings,
            scopes,
            world: World::default(),
            around: HashMap::new(),
            unarmed: BTreeMap::new(),
            late: HashMap::new(),
            told_at: HashMap::new(),
            again: HashMap::new(),
            published: Echo::default(),
            opened: Echo::default(),
            told: Echo::default(),
            whole: false,
            next: None,
            metrics,
        }
    }

    /// Whether anything is different now.
    fn take(&mut self, update: Update) -> bool {
        let clones = update.bears_on();
        if !self.world.apply(update) {
            return false;
        }
        match clones {
            Clones::None => {}
            Clones::Of(namespace) => drop(self.around.remove(&namespace)),
            Clones::All => self.around.clear(),
        }
        self.world.is_synced()
    }

    /// When something has to be done even if nothing is heard.
    fn wake(&self) -> Instant {
        let now = Instant::now();
        let by_itself = self.next.map(|at| {
            let wait = at.duration_since(Timestamp::now()).max(SignedDuration::from_millis(10));
            now + wait.unsigned_abs()
        });
        let tries = [
            self.clones.next_try(),
            self.routes.next_try(),
            self.gates.next_try(),
            self.selected.next_try(),
            self.statuses.next_try(),
            self.removals.next_try(),
            self.reports.next_try(),
        ];
        // An idle controller still looks round now and then: what was lost on its way is found again.
        let idle = now + Duration::from_secs(60);
        let again = self.again.values().copied();
        tries.into_iter().flatten().chain(by_itself).chain(again).fold(idle, Instant::min)
    }

    /// Waits for the next write to end. Whether anything is different now: most of what was written is as it was wanted.
    async fn write_ended(&mut self) -> bool {
        tokio::select! {
            (name, done) = self.clones.ended() => {
                self.cloned(&name, done);
                return true;
            }
            (node, done) = self.routes.ended() => if done.is_err() { self.published.forget(&node) },
            (pod, done) = self.gates.ended() => if done.is_err() { self.opened.forget(&pod) },
            () = self.selected.ended() => {}
            (name, done) = self.statuses.ended() => if done.is_err() { self.told.forget(&name) },
            _ = self.removals.ended() => {}
            _ = self.reports.ended() => {}
        }
        false
    }

    fn cloned(&mut self, name: &Ref, done: Result<CloneOutcome, WriteError>) {
        let Some(preview) = self.world.previews.get(name) else { return };
        let uid = uid_of(preview);
        match done {
            Ok(outcome) => {
                if outcome.refusal().is_some() {
                    self.again.insert(uid.clone(), Instant::now() + REFUSED);
                }
                self.world.clones.insert(uid, outcome);
            }
            // What was applied before is still there; only one that was never applied has nothing else to say.
            Err(error) => {
                if !matches!(self.world.clones.get(&uid), Some(CloneOutcome::Applied(_))) {
                    self.world.clones.insert(uid, CloneOutcome::failed(preview, &error));
                }
            }
        }
    }

    fn reconcile(&mut self, now: Timestamp) {
        if !self.world.is_synced() {
            return;
        }
        let begun = Instant::now();
        self.next = None;
        let standings = standings(&self.world, now);
        self.forget_gone(&standings);
        self.want_clones(&standings);
        self.selected.want(&self.world, &standings, &self.around);
        self.world.remember_scopes();
        let mut plan = routes::plan(&self.world, &standings, &self.rules);
        self.say_unarmed(std::mem::take(&mut plan.unarmed));
        self.scopes.want(&plan.scopes);
        self.world.targets.retain(|scope, _| plan.scopes.contains(scope));
        self.whole |= plan.is_whole;
        if self.whole {
            self.want_routes(&plan);
            self.want_statuses(&plan, &standings, now);
        }
        self.write();
        self.metrics.reconciled(begun.elapsed());
    }

    fn say_unarmed(&mut self, unarmed: BTreeMap<WorkloadKey, usize>) {
        for ((kind, name), ports) in
            unarmed.iter().filter(|(key, ports)| self.unarmed.get(*key) != Some(*ports))
        {
            let annotation = names::ARMED_ANNOTATION;
            tracing::warn!(%kind, workload = %name, ports, "{annotation} has no effect: it takes between 1 and {MOST} TCP ports of containers and Services");
        }
        self.unarmed = unarmed;
    }

    fn forget_gone(&mut self, standings: &[Standing]) {
        let here: HashSet<&Name> = standings.iter().map(|it| &it.uid).collect();
        self.world.clones.retain(|uid, _| here.contains(uid));
        self.world.traffic.retain(|uid| here.contains(uid));
        self.late.retain(|uid, _| here.contains(uid));
        self.told_at.retain(|uid, _| here.contains(uid));
        self.again.retain(|uid, _| here.contains(uid));
        let previews = &self.world.previews;
        self.clones.retain(|name| previews.get(name).is_some());
        self.statuses.retain(|name| previews.get(name).is_some());
        self.reports.retain(|name| previews.get(name).is_some());
        self.told.retain(|name| previews.get(name).is_some());
        let (nodes, routes) = (&self.world.nodes, &self.world.node_routes);
        self.published.retain(|node| nodes.get(node).is_some() || routes.get(node).is_some());
        let pods: HashSet<&Ref> = self.world.preview_pods.iter().map(|(_, row)| &row.pod.name).collect();
        self.opened.retain(|pod| pods.contains(pod));
    }

    fn want_clones(&mut self, standings: &[Standing]) {
        let now = Instant::now();
        let due: Vec<Name> = self.again.extract_if(|_, at| *at <= now).map(|(uid, _)| uid).collect();
        for standing in standings {
            if standing.is == Is::Leaving {
                continue; // its children go with it
            }
            let namespace = &standing.name.namespace;
            let world = &self.world;
            let (around, hash) =
                self.around.entry(namespace.clone()).or_insert_with(|| Around::of(world, namespace));
            let wish = Wish::of(world, standing, around, *hash, &self.rules);
            let is_done = self.world.clones.get(&standing.uid).is_some_and(|it| it.version() == wish.version);
            let is_due = due.contains(&standing.uid);
            // What failed waits: it is tried again as it should be by now.
            if (!is_done || is_due) && !self.clones.is_writing(&standing.name) {
                self.clones.want(standing.name.clone(), wish);
            }
        }
    }

    fn want_routes(&mut self, plan: &Plan) {
        for (node, spec) in &plan.nodes {
            let Some(node_uid) = self.world.nodes.get(node) else { continue };
            let wanted = Some(fingerprint(spec));
            let seen = self.world.node_routes.get(node).map(|row| Some(row.fingerprint));
            if self.published.must_write(node, &wanted, seen.as_ref()) {
                let exists = seen.is_some();
                self.published.sent(node.clone(), wanted, seen);
                let wish = publish::Wanted { node_uid: node_uid.clone(), exists, routes: Some(spec.clone()) };
                self.routes.want(node.clone(), wish);
            }
        }
        let stale = self.world.node_routes.iter().filter(|(node, _)| !plan.nodes.contains_key(*node));
        for (node, row) in stale {
            let seen = Some(Some(row.fingerprint));
            if self.published.must_write(node, &None, seen.as_ref()) {
                self.published.sent(node.clone(), None, seen);
                let wish = publish::Wanted { node_uid: "".into(), exists: true, routes: None };
                self.routes.want(node.clone(), wish);
            }
        }
    }

    fn want_statuses(&mut self, plan: &Plan, standings: &[Standing], now: Timestamp) {
        let pods = routes::by_preview(&self.world, standings);
        let words = Words::new(&self.world);
        let mut phases: HashMap<Phase, usize> = HashMap::new();
        let mut soonest: Vec<Timestamp> = Vec::new();
        for standing in standings {
            let own = pods.get(&standing.uid).map_or(&[][..], Vec::as_slice);
            let planned = plan.routes.get(&standing.uid);
            let acks = planned.map(|it| words.of(&standing.name.to_string(), it)).unwrap_or_default();
            if acks.iter().any(Ack::is_awaited) {
                self.late.entry(standing.uid.clone()).or_insert(now);
            } else {
                self.late.remove(&standing.uid);
                // Where nothing is steered, nothing has to be waited for.
                let is_off = standing.preview.spec.incoming.mode == Mode::Off;
                let routed = |it: &PreviewPodRow| {
                    is_off || planned.is_some_and(|planned| planned.backends.contains(&it.pod.uid))
                };
                let routed = own.iter().filter(|it| it.containers_ready && routed(it));
                want_gates(&mut self.gates, &mut self.opened, routed);
            }
            if standing.is_live() && !self.world.clones.contains_key(&standing.uid) {
                continue; // nothing is known yet that a status could say
            }
            let late = self.late.get(&standing.uid).copied();
            let judged = judge(&self.world, plan, standing, own, &acks, late, now);
            soonest.extend(judged.until);
            soonest.extend(standing.end().into_iter().chain(standing.sleeps_at).filter(|at| *at > now));
            if let Is::Expired(at) | Is::Idle(at) = standing.is {
                soonest.extend(removal::want(&mut self.removals, standing, at, &self.settings, now));
            }
            *phases.entry(judged.status.phase.unwrap_or(Phase::Pending)).or_default() += 1;
            let before = standing.preview.status.as_ref();
            if self.told.must_write(&standing.name, &judged.status, before) {
                // Nobody waits for progress, and where a target has many pods there is much of it.
                let pause = before.map_or(SignedDuration::ZERO, |before| tell::pause(before, &judged.status));
                let later = self.told_at.get(&standing.uid).map(|at| *at + pause);
                if let Some(later) = later.filter(|at| *at > now) {
                    soonest.push(later);
                    continue;
                }
                self.told_at.insert(standing.uid.clone(), now);
                tell::report(&mut self.reports, standing, &judged.status);
                self.told.sent(standing.name.clone(), judged.status.clone(), before.cloned());
                self.statuses.want(standing.name.clone(), (standing.uid.clone(), Box::new(judged.status)));
            }
        }
        self.next = soonest.into_iter().min();
        const ALL: [Phase; 6] =
            [Phase::Pending, Phase::Ready, Phase::Asleep, Phase::Degraded, Phase::Expired, Phase::Failed];
        for phase in ALL {
            self.metrics.set_previews(phase, phases.get(&phase).copied().unwrap_or_default());
        }
    }

    fn write(&mut self) {
        let client = || self.client.clone();
        self.clones.write(|_, wish| clone::bring(client(), wish));
        self.routes.write(|node, wanted| publish::publish(client(), node, wanted));
        self.gates.write(|pod, ()| gate::open(client(), pod));
        self.selected.write(client);
        self.statuses.write(|name, (uid, status)| preview::set_status(client(), name, uid, *status));
        self.removals.write(|name, (uid, version)| preview::remove(client(), name, uid, version));
        let recorder = &self.recorder;
        self.reports
            .write(|_, it| events::report(recorder.clone(), it.preview, it.phase, it.reason, it.message));
    }
}

/// Opens the gates of pods that every agent routes to. A gate that is open stays so: whether its containers are ready
/// is the kubelet's word.
fn want_gates<'a>(
    gates: &mut Desired<Ref, (), ()>,
    opened: &mut Echo<Ref, ()>,
    routed: impl Iterator<Item = &'a &'a PreviewPodRow>,
) {
    for row in routed {
        let name = &row.pod.name;
        if opened.must_write(name, &(), row.gate.then_some(&())) {
            opened.sent(name.clone(), (), None);
            gates.want(name.clone(), ());
        }
    }
}
