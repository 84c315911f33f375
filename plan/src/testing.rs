//! A world of a few words, for tests of what is a function of it.
#![allow(clippy::needless_pass_by_value, reason = "json! makes values")]

use std::sync::Arc;

use byway_api::{
    Instance, NodeRoutesSpec, NodeRoutesStatus, NodeTable, Preview, RouteStatus, TargetKind,
    conditions::reason, names,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use crate::outcome::{Applied, CloneOutcome};
use crate::routes::{Plan, by_preview, plan};
use crate::rows::{
    AgentRow, Name, NamespaceRow, PodRow, PreviewPodRow, PublishedRow, Ref, TemplateRow, WorkloadRow,
    fingerprint,
};
use crate::rules::Rules;
use crate::standing::{Standing, standings};
use crate::status::acks::{Ack, Words};
use crate::status::{Judged, judge};
use crate::table::{Change, Table};
use crate::update::Update;
use crate::world::World;

/// When everything in these tests was made, unless said otherwise.
pub(crate) fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// So many seconds later.
pub(crate) fn at(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

/// The namespace of it all.
pub(crate) const NAMESPACE: &str = "demo";

pub(crate) fn name(name: &str) -> Ref {
    Ref::new(NAMESPACE, name)
}

fn sync<K: Ord + std::hash::Hash + Clone, V: PartialEq>(table: &mut Table<K, V>) {
    table.apply(Change::ListBegins);
    table.apply(Change::ListEnds);
}

/// A world in which everything has been listed, with a Deployment `app`.
pub(crate) fn world() -> World {
    let mut world = World::default();
    sync(&mut world.previews);
    sync(&mut world.children);
    sync(&mut world.preview_pods);
    sync(&mut world.agents);
    sync(&mut world.nodes);
    sync(&mut world.namespaces);
    sync(&mut world.node_routes);
    sync(&mut world.pod_templates);
    sync(&mut world.services);
    sync(&mut world.budgets);
    sync(&mut world.policies);
    sync(&mut world.own_policies);
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Rollout"] {
        let kind: TargetKind = serde_json::from_value(json!(kind)).unwrap();
        sync(world.workloads.entry(kind).or_default());
    }
    namespace(&mut world, NAMESPACE, |_| {});
    deployment(&mut world, "app");
    world
}

/// A namespace in which there may be previews.
pub(crate) fn namespace(world: &mut World, of: &str, change: impl FnOnce(&mut NamespaceRow)) {
    let mut row = NamespaceRow { armed: false, open: true };
    change(&mut row);
    world.apply(Update::Namespace(Change::Now(of.into(), Some(row))));
}

/// A Deployment whose pods have been listed.
pub(crate) fn deployment(world: &mut World, app: &str) {
    let labels: std::collections::BTreeMap<_, _> = [("app".to_owned(), app.to_owned())].into();
    let template = TemplateRow { labels: labels.clone(), ..TemplateRow::default() };
    let selector = LabelSelector { match_labels: Some(labels), ..LabelSelector::default() };
    let row = WorkloadRow {
        uid: app.into(),
        generation: 1,
        template_of: None,
        selector,
        template: Box::new(template),
    };
    world.apply(Update::Workload(TargetKind::Deployment, Change::Now(name(app), Some(row))));
    let target = serde_json::from_value(json!({ "kind": "Deployment", "name": app })).unwrap();
    let scope = world.scope_of(&NAMESPACE.into(), &target).unwrap();
    sync(world.targets.entry(scope).or_default());
}

/// A Preview of `app`, made so many seconds after the start, with more fields of the spec; null leaves one out.
pub(crate) fn preview(world: &mut World, of: &str, seconds: i64, more: Value) -> Arc<Preview> {
    let mut spec = json!({
        "key": "k", "image": "app:1", "ttl": "never", "target": { "kind": "Deployment", "name": "app" },
    });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    spec.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let preview: Preview = serde_json::from_value(json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "spec": spec,
        "metadata": {
            "name": of, "namespace": NAMESPACE, "uid": format!("uid-{of}"), "generation": 1,
            "creationTimestamp": at(seconds).to_string(),
        },
    }))
    .unwrap();
    put(world, preview)
}

/// Puts a Preview into the world.
pub(crate) fn put(world: &mut World, preview: Preview) -> Arc<Preview> {
    let preview = Arc::new(preview);
    world.apply(Update::Preview(Change::Now(crate::identity::ref_of(&preview), Some(preview.clone()))));
    preview
}

/// Says that the clone of a Preview is as wanted, in this revision.
pub(crate) fn cloned(world: &mut World, preview: &Preview, revision: &str) {
    let applied = Applied {
        version: 1,
        generation: preview.metadata.generation,
        deployment: names::child_name("x", "y"),
        service: None,
        settled: Some(1),
        revision: revision.into(),
        ports: vec![8080],
        warnings: Vec::new(),
    };
    world.clones.insert(crate::identity::uid_of(preview), CloneOutcome::Applied(applied));
}

/// A pod `app-N` of the target `app`, ready, with an address that tells its number.
pub(crate) fn target(world: &mut World, number: u8, node: &str, change: impl FnOnce(&mut PodRow)) {
    let mut row = pod(&format!("app-{number}"), [10, 0, 1, number], Some(node));
    change(&mut row);
    let target = serde_json::from_value(json!({ "kind": "Deployment", "name": "app" })).unwrap();
    let scope = world.scope_of(&NAMESPACE.into(), &target).unwrap();
    let change: Change<_, _> = Change::Now(row.uid.clone(), Some(row));
    world.apply(Update::TargetPod(scope, change));
}

/// A pod of a Preview whose containers are ready, with an address that tells its number.
pub(crate) fn backend(
    world: &mut World,
    of: &str,
    number: u8,
    revision: &str,
    change: impl FnOnce(&mut PreviewPodRow),
) {
    let mut row = PreviewPodRow {
        pod: pod(&format!("{of}-{number}"), [10, 0, 2, number], Some("n1")),
        preview: name(of),
        owner: format!("{}-{revision}", names::child_name(of, &format!("uid-{of}"))).as_str().into(),
        revision: revision.into(),
        labels: std::collections::BTreeMap::new(),
        containers_ready: true,
        gate: false,
        created: at(100),
        problem: None,
    };
    change(&mut row);
    world.apply(Update::PreviewPod(Change::Now(row.pod.uid.clone(), Some(row))));
}

fn pod(of: &str, ip: [u8; 4], node: Option<&str>) -> PodRow {
    PodRow {
        uid: format!("uid-{of}").as_str().into(),
        name: name(of),
        node: node.map(Name::from),
        ips: vec![ip.into()],
        ready: true,
        terminating: false,
        in_consul: false,
    }
}

/// A node with an agent that is ready.
pub(crate) fn node(world: &mut World, node: &str) {
    world.apply(Update::Node(Change::Now(node.into(), Some(format!("uid-{node}").as_str().into()))));
    agent(world, &format!("agent-{node}"), node, |_| {});
}

/// An agent on a node.
pub(crate) fn agent(world: &mut World, uid: &str, node: &str, change: impl FnOnce(&mut AgentRow)) {
    let mut row = AgentRow {
        uid: uid.into(),
        node: node.into(),
        ready: true,
        terminating: false,
        created: start(),
        started: Some(start()),
    };
    change(&mut row);
    world.apply(Update::Agent(Change::Now(uid.into(), Some(row))));
}

/// The agent of a node says that it has programmed all of a spec, or what `change` makes of that.
pub(crate) fn acknowledge(
    world: &mut World,
    node: &str,
    spec: &NodeRoutesSpec,
    change: impl FnOnce(&mut NodeRoutesStatus),
) {
    let live = |it: &byway_api::PreviewRoute| RouteStatus {
        name: it.name.clone(),
        revision: Some(it.revision.clone()),
        refused: None,
        failures: Vec::new(),
    };
    let mut status = NodeRoutesStatus {
        instance: Some(Instance { pod_uid: format!("agent-{node}"), started_at: start() }),
        observed_generation: Some(1),
        previews: table(spec).previews.iter().map(live).collect(),
        ..NodeRoutesStatus::default()
    };
    change(&mut status);
    let row = PublishedRow { fingerprint: fingerprint(spec), status };
    world.apply(Update::NodeRoutes(Change::Now(node.into(), Some(row))));
}

/// What an agent reads in it.
pub(crate) fn table(spec: &NodeRoutesSpec) -> NodeTable {
    spec.read().unwrap()
}

/// The agents of all nodes have programmed what is planned.
pub(crate) fn acknowledge_all(world: &mut World, now: Timestamp) {
    let (_, plan) = planned(world, now);
    for (node, spec) in &plan.nodes {
        acknowledge(world, node, spec, |_| {});
    }
}

/// What is planned.
pub(crate) fn planned(world: &World, now: Timestamp) -> (Vec<Standing>, Plan) {
    let standings = standings(world, now);
    let plan = plan(world, &standings, &Rules::default());
    (standings, plan)
}

/// What is said of a Preview.
pub(crate) fn judged(world: &World, of: &str, late: Option<Timestamp>, now: Timestamp) -> Judged {
    let (standings, plan) = planned(world, now);
    let standing = standings.iter().find(|it| &*it.name.name == of).unwrap();
    let pods = by_preview(world, &standings);
    let own = pods.get(&standing.uid).map_or(&[][..], Vec::as_slice);
    let words = Words::new(world);
    let acks: Vec<Ack> =
        plan.routes.get(&standing.uid).map(|it| words.of(&standing.name.to_string(), it)).unwrap_or_default();
    judge(world, &plan, standing, own, &acks, late, now)
}

/// Status and reason of a condition, e.g. `True Ready`.
pub(crate) fn says(judged: &Judged, type_: &str) -> String {
    let found = judged.status.conditions.iter().find(|it| it.type_ == type_);
    found.map_or_else(|| "none".to_owned(), |it| format!("{} {}", it.status, it.reason))
}

/// Everything is there and Ready: two targets on two nodes, one Preview `a` with one pod.
pub(crate) fn ready_world() -> (World, Arc<Preview>) {
    let mut world = world();
    for (number, on) in [(1, "n1"), (2, "n2")] {
        node(&mut world, on);
        target(&mut world, number, on, |_| {});
    }
    let preview = preview(&mut world, "a", 0, json!({}));
    cloned(&mut world, &preview, "r1");
    backend(&mut world, "a", 1, "r1", |_| {});
    acknowledge_all(&mut world, at(200));
    let judged = judged(&world, "a", None, at(200));
    assert_eq!(says(&judged, "Ready"), format!("True {}", reason::READY));
    let mut ready = (*preview).clone();
    ready.status = Some(judged.status);
    let preview = put(&mut world, ready);
    (world, preview)
}
