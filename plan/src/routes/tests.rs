use std::collections::BTreeMap;

use byway_api::{Mode, NodeTable, TargetKind, Unkeyed};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rows::ServiceRow;
use crate::standing::standings;
use crate::table::Change;
use crate::testing::{
    NAMESPACE, agent, at, backend, cloned, deployment, name, namespace, node, planned, preview, put, table,
    target, world,
};
use crate::update::Update;

/// A world with one target on node `n1`.
fn one_target() -> World {
    let mut world = world();
    node(&mut world, "n1");
    target(&mut world, 1, "n1", |_| {});
    world
}

fn plan_of(world: &World) -> Plan {
    planned(world, at(500)).1
}

fn table_of(plan: &Plan, node: &str) -> NodeTable {
    table(&plan.nodes[&Name::from(node)])
}

/// Addresses that a Preview's requests go to.
fn backends(plan: &Plan, of: &str) -> Vec<String> {
    let full = format!("{NAMESPACE}/{of}");
    let routes = plan.nodes.values().flat_map(|it| table(it).previews);
    let route = routes.into_iter().find(|it| it.name == full).unwrap();
    route.backends.iter().map(|it| it.ips[0].to_string()).collect()
}

#[test]
fn older_previews_come_first() {
    let mut world = one_target();
    for (of, seconds) in [("z", 0), ("a", 2), ("m", 1)] {
        let preview = preview(&mut world, of, seconds, json!({ "key": of }));
        cloned(&mut world, &preview, "r1");
    }
    let plan = plan_of(&world);
    let names: Vec<String> = table_of(&plan, "n1").previews.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["demo/z", "demo/m", "demo/a"]);
}

#[test]
fn the_newest_revision_wins_only_when_it_has_a_ready_pod() {
    let mut world = one_target();
    let preview = preview(&mut world, "a", 0, json!({}));
    cloned(&mut world, &preview, "r2");
    backend(&mut world, "a", 1, "r1", |_| {});
    backend(&mut world, "a", 2, "r2", |pod| pod.containers_ready = false);
    assert_eq!(backends(&plan_of(&world), "a"), ["10.0.2.1"]);
    backend(&mut world, "a", 2, "r2", |pod| pod.pod.ips.clear());
    assert_eq!(backends(&plan_of(&world), "a"), ["10.0.2.1"], "a pod without an address serves nobody");
    backend(&mut world, "a", 2, "r2", |_| {});
    assert_eq!(backends(&plan_of(&world), "a"), ["10.0.2.2"]);
    backend(&mut world, "a", 2, "r2", |pod| pod.pod.terminating = true);
    assert_eq!(backends(&plan_of(&world), "a"), ["10.0.2.1"], "back to the one before");
}

#[test]
fn without_the_newest_revision_those_that_were_made_last_serve() {
    let mut world = one_target();
    let preview = preview(&mut world, "a", 0, json!({}));
    cloned(&mut world, &preview, "r9");
    backend(&mut world, "a", 1, "r1", |pod| pod.created = at(200));
    backend(&mut world, "a", 2, "r2", |pod| pod.created = at(300));
    backend(&mut world, "a", 3, "r2", |pod| pod.created = at(250));
    assert_eq!(backends(&plan_of(&world), "a"), ["10.0.2.2", "10.0.2.3"]);
}

#[test]
fn pods_with_its_label_that_its_deployment_did_not_make_are_not_its_own() {
    let mut world = one_target();
    let preview = preview(&mut world, "a", 150, json!({}));
    cloned(&mut world, &preview, "r1");
    let of_an_older_one = format!("{}-r1", names::child_name("a", "uid-of-another"));
    backend(&mut world, "a", 1, "r1", |pod| pod.owner = of_an_older_one.as_str().into());
    backend(&mut world, "a", 2, "r1", |pod| pod.owner = "somebody".into());
    assert!(backends(&plan_of(&world), "a").is_empty());
    assert_eq!(table_of(&plan_of(&world), "n1").origins().count(), 0);
}

#[test]
fn a_target_on_its_way_in_or_out_is_steered_but_not_waited_for() {
    let mut world = one_target();
    node(&mut world, "n2");
    target(&mut world, 2, "n1", |pod| pod.terminating = true);
    target(&mut world, 3, "n2", |pod| pod.ready = false);
    target(&mut world, 4, "n2", |pod| pod.ips.clear());
    target(&mut world, 5, "n2", |pod| pod.node = None);
    let preview = preview(&mut world, "a", 0, json!({}));
    cloned(&mut world, &preview, "r1");
    let plan = plan_of(&world);
    let names = |node| table_of(&plan, node).targets.into_iter().map(|it| it.name).collect::<Vec<_>>();
    assert_eq!(names("n1"), ["demo/app-1", "demo/app-2"]);
    assert_eq!(names("n2"), ["demo/app-3"], "what has no address or node cannot be steered");
    let wanted: Vec<&str> = plan.routes["uid-a"].wanted.iter().map(|it| it.target.as_str()).collect();
    assert_eq!(wanted, ["demo/app-1"]);
}

#[test]
fn pods_of_a_target_that_was_deleted_are_steered_to_their_end() {
    let mut world = one_target();
    let mut known = (*preview(&mut world, "a", 0, json!({}))).clone();
    known.status = Some(serde_json::from_value(json!({ "ports": [8080] })).unwrap());
    let known = put(&mut world, known);
    cloned(&mut world, &known, "r1");
    backend(&mut world, "a", 1, "r1", |_| {});
    let look = |world: &mut World| {
        world.remember_scopes();
        plan_of(world)
    };
    let before = look(&mut world);
    world.apply(Update::Workload(TargetKind::Deployment, Change::Now(name("app"), None)));
    let not_found = CloneOutcome::Refused {
        version: 1,
        generation: Some(1),
        reason: reason::TARGET_NOT_FOUND.to_owned(),
        message: String::new(),
    };
    world.clones.insert("uid-a".into(), not_found);
    let after = look(&mut world);
    assert_eq!((&after.nodes, &after.scopes), (&before.nodes, &before.scopes));
    let pods = world.targets.values_mut().next().unwrap();
    pods.apply(Change::Now("uid-app-1".into(), None));
    let end = look(&mut world);
    assert!(end.nodes.is_empty() && end.scopes.is_empty());
}

#[test]
fn where_a_preview_listens_and_how_long_requests_wait_for_it_is_told() {
    let mut world = one_target();
    let incoming = serde_json::json!({ "portMapping": [
        { "port": 8080, "previewPort": 9090 }, { "port": 81, "previewPort": 81 },
    ] });
    let spec = serde_json::json!({ "incoming": incoming, "idle": { "wakeTimeout": "2m" } });
    let preview = preview(&mut world, "a", 0, spec);
    cloned(&mut world, &preview, "r1");
    let route = table_of(&plan_of(&world), "n1").previews.remove(0);
    assert_eq!(route.preview_ports, [(8080, 9090)].into());
    assert_eq!(route.wake_timeout_seconds, Some(120));
}

#[test]
fn an_environment_has_all_pods_of_its_key() {
    let mut world = one_target();
    deployment(&mut world, "other");
    let a = preview(&mut world, "a", 0, json!({}));
    let other = json!({ "kind": "Deployment", "name": "other" });
    let b = preview(&mut world, "b", 1, json!({ "target": other }));
    let c = preview(&mut world, "c", 2, json!({ "key": "k2" }));
    let d = preview(&mut world, "d", 0, json!({ "target": other, "ttl": "60s" }));
    for of in [&a, &b, &c, &d] {
        cloned(&mut world, of, "r1");
    }
    backend(&mut world, "a", 3, "r1", |_| {});
    backend(&mut world, "b", 1, "r1", |pod| pod.containers_ready = false);
    backend(&mut world, "c", 2, "r1", |_| {});
    backend(&mut world, "d", 4, "r1", |_| {});
    let plan = plan_of(&world);
    let table = table_of(&plan, "n1");
    let mut origins: Vec<_> = table.origins().map(|(ip, key)| format!("{key} {ip}")).collect();
    origins.sort();
    // A pod may call before it is ready; one of a preview that has ended belongs to nothing.
    assert_eq!(origins, ["k 10.0.2.1", "k 10.0.2.3", "k2 10.0.2.2"]);
    let others: Vec<_> = table.environments.iter().flat_map(|it| &it.ips).map(ToString::to_string).collect();
    assert_eq!(others, ["10.0.2.1"], "what answers on this node is named there");
}

#[test]
fn a_target_serves_the_ports_of_all_its_previews() {
    let mut world = one_target();
    for (of, ports) in [("a", vec![8080, 9090]), ("b", vec![80, 8080])] {
        let preview = preview(&mut world, of, 0, json!({ "key": of }));
        cloned(&mut world, &preview, "r1");
        let Some(CloneOutcome::Applied(applied)) = world.clones.get_mut(&Name::from(format!("uid-{of}")))
        else {
            panic!("it is cloned")
        };
        applied.ports = ports;
    }
    let plan = plan_of(&world);
    assert_eq!(table_of(&plan, "n1").targets[0].ports, [80, 8080, 9090]);
    assert_eq!(table_of(&plan, "n1").targets[0].previews, ["demo/a", "demo/b"]);
}

#[test]
fn a_controller_that_has_just_started_knows_the_ports_from_the_status() {
    let mut world = one_target();
    let mut before = (*preview(&mut world, "a", 0, json!({}))).clone();
    assert!(plan_of(&world).routes.is_empty(), "nothing is known of its ports");
    before.status = Some(serde_json::from_value(json!({ "ports": [8080] })).unwrap());
    put(&mut world, before);
    assert_eq!(table_of(&plan_of(&world), "n1").targets[0].ports, [8080]);
}

#[test]
fn only_the_living_that_steal_are_routed() {
    let mut world = one_target();
    for (of, more) in [
        ("live", json!({ "key": "a" })),
        ("off", json!({ "key": "b", "incoming": { "mode": "off" } })),
        ("ended", json!({ "key": "c", "ttl": "60s" })),
        ("newer", json!({ "key": "a" })),
    ] {
        let preview = preview(&mut world, of, i64::from(of == "newer"), more);
        cloned(&mut world, &preview, "r1");
    }
    let off = world.previews.get(&name("off")).unwrap();
    assert_eq!(off.spec.incoming.mode, Mode::Off);
    let plan = plan_of(&world);
    assert_eq!(plan.routes.keys().map(|it| &**it).collect::<Vec<_>>(), ["uid-live"]);
}

#[test]
fn nothing_is_whole_before_the_pods_of_each_target_are_known() {
    let mut world = world();
    world.targets.clear();
    let preview = preview(&mut world, "a", 0, json!({}));
    cloned(&mut world, &preview, "r1");
    let plan = plan_of(&world);
    assert!(!plan.is_whole && plan.routes.is_empty());
    assert_eq!(plan.scopes.len(), 1, "its pods have to be watched");
}

#[test]
fn a_preview_without_a_target_is_steered_at_its_own_pods() {
    let mut world = one_target();
    let preview = preview(&mut world, "a", 0, json!({ "target": null, "incoming": { "ports": [8080] } }));
    cloned(&mut world, &preview, "r1");
    backend(&mut world, "a", 1, "r1", |pod| pod.pod.ready = false);
    backend(&mut world, "a", 2, "r1", |pod| pod.containers_ready = false);
    let plan = plan_of(&world);
    let targets = &table_of(&plan, "n1").targets;
    assert_eq!(targets.len(), 2);
    assert!(targets.iter().all(|it| it.unkeyed == Unkeyed::NotFound));
    let wanted = &plan.routes["uid-a"].wanted;
    assert_eq!(wanted.len(), 1, "its pods are not Ready before they are routed, but their containers are");
    assert_eq!(wanted[0].target, "demo/a-1");
}

/// Has the pods of `app` steered ahead: by its own annotation, or by its namespace's.
fn arm(world: &mut World, by_namespace: bool, ports: &[u16]) {
    let mut row = world.workloads[&TargetKind::Deployment].get(&name("app")).unwrap().clone();
    (row.template.armed, row.template.ports) = (!by_namespace, ports.to_vec());
    world.apply(Update::Workload(TargetKind::Deployment, Change::Now(name("app"), Some(row))));
    namespace(world, NAMESPACE, |it| it.armed = by_namespace);
}

#[test]
fn an_armed_target_is_steered_without_a_preview() {
    for by_namespace in [false, true] {
        let mut world = one_target();
        assert!(plan_of(&world).nodes.is_empty() && plan_of(&world).scopes.is_empty());
        target(&mut world, 2, "n1", |pod| pod.ready = false);
        target(&mut world, 3, "n1", |pod| pod.ips.clear());
        arm(&mut world, by_namespace, &[8080, 9000]);
        let plan = plan_of(&world);
        assert_eq!((plan.scopes.len(), plan.is_whole), (1, true));
        let table = table_of(&plan, "n1");
        let names: Vec<&str> = table.targets.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["demo/app-1", "demo/app-2"], "clients may connect the moment it is ready");
        assert!(
            table.targets.iter().all(|it| it.armed && it.previews.is_empty() && it.ports == [8080, 9000])
        );
        assert_eq!(plan.nodes[&Name::from("n1")].agent_pod_uid.as_deref(), Some("agent-n1"));

        // A preview of it finds it steered, and leaves it so.
        let preview = preview(&mut world, "a", 0, json!({}));
        cloned(&mut world, &preview, "r1");
        let both = plan_of(&world);
        let first = &table_of(&both, "n1").targets[0];
        assert_eq!((first.armed, &first.ports), (true, &vec![8080, 9000]));
        assert_eq!(first.previews, ["demo/a"]);
    }
}

#[test]
fn nothing_is_armed_where_there_may_be_no_previews() {
    for by_namespace in [false, true] {
        let mut world = one_target();
        arm(&mut world, by_namespace, &[8080]);
        assert_eq!(plan_of(&world).nodes.len(), 1);
        namespace(&mut world, NAMESPACE, |it| (it.armed, it.open) = (by_namespace, false));
        let plan = plan_of(&world);
        assert!(plan.nodes.is_empty() && plan.scopes.is_empty());
        // One that is not known yet could be such.
        world.apply(Update::Namespace(Change::Now(NAMESPACE.into(), None)));
        assert!(plan_of(&world).nodes.is_empty());
    }
}

fn service(world: &mut World, of: &str, app: &str, ports: serde_json::Value) {
    let row = ServiceRow {
        name: of.to_owned(),
        selector: [("app".to_owned(), app.to_owned())].into(),
        ports: serde_json::from_value(ports).unwrap(),
    };
    world.apply(Update::Service(Change::Now(name(of), Some(row))));
}

#[test]
fn ports_that_are_said_to_speak_http2_are_told() {
    let mut world = one_target();
    let mut row = world.workloads[&TargetKind::Deployment].get(&name("app")).unwrap().clone();
    let named = [("grpc", 8080), ("web", 8081), ("api", 8082), ("grpc-web", 8083), ("h2c-admin", 9999)];
    row.template.named = named.map(|(name, port)| (name.into(), port)).into();
    world.apply(Update::Workload(TargetKind::Deployment, Change::Now(name("app"), Some(row))));
    let ports = json!([
        { "port": 80, "targetPort": "api", "appProtocol": "kubernetes.io/h2c" },
        { "port": 81, "targetPort": 8084, "name": "http2-b" },
        { "port": 82, "targetPort": 8085, "name": "grpc", "appProtocol": "http" },
        { "port": 83, "targetPort": "nowhere", "name": "grpc" },
    ]);
    service(&mut world, "app", "app", ports);
    service(&mut world, "other", "other", json!([{ "port": 8081, "name": "grpc" }]));
    let preview = preview(&mut world, "a", 0, json!({}));
    cloned(&mut world, &preview, "r1");
    let Some(CloneOutcome::Applied(applied)) = world.clones.get_mut(&Name::from("uid-a")) else {
        panic!("it is cloned")
    };
    applied.ports = (8080..8086).collect();
    let first = &table_of(&plan_of(&world), "n1").targets[0];
    assert_eq!(first.http2, [8080, 8082, 8084], "of the ports that are steered");
    arm(&mut world, false, &[8082]);
    assert_eq!(table_of(&plan_of(&world), "n1").targets[0].http2, [8080, 8082, 8084]);
}

#[test]
fn an_armed_target_serves_what_services_send_to_it() {
    let mut world = one_target();
    service(&mut world, "other", "other", json!([{ "port": 1 }]));
    arm(&mut world, false, &[]);
    let plan = plan_of(&world);
    assert!(plan.nodes.is_empty(), "nobody knows its ports");
    assert_eq!(plan.unarmed.into_iter().collect::<Vec<_>>(), [((TargetKind::Deployment, name("app")), 0)]);
    let ports = json!([{ "port": 80, "targetPort": 3000 }, { "port": 81 }, { "port": 53, "protocol": "UDP" },
            { "port": 80, "targetPort": 3500, "name": "dapr-http" }]);
    service(&mut world, "app", "app", ports);
    let plan = plan_of(&world);
    assert_eq!(table_of(&plan, "n1").targets[0].ports, [81, 3000]);
    assert!(plan.unarmed.is_empty());
    arm(&mut world, false, &(1000..1040).collect::<Vec<u16>>());
    assert!(plan_of(&world).nodes.is_empty(), "too many");
}

#[test]
fn in_an_upgrade_the_predecessor_speaks_until_the_successor_is_ready() {
    let mut world = one_target();
    let preview = preview(&mut world, "a", 0, json!({}));
    cloned(&mut world, &preview, "r1");
    let who = |world: &World| plan_of(world).nodes[&Name::from("n1")].agent_pod_uid.clone().unwrap();
    assert_eq!(who(&world), "agent-n1");
    agent(&mut world, "successor", "n1", |it| (it.created, it.ready) = (at(9), false));
    assert_eq!(who(&world), "agent-n1");
    agent(&mut world, "successor", "n1", |it| it.created = at(9));
    assert_eq!(who(&world), "successor");
    agent(&mut world, "agent-n1", "n1", |it| it.ready = false);
    agent(&mut world, "successor", "n1", |it| (it.created, it.ready) = (at(9), false));
    assert_eq!(who(&world), "successor", "of none that is ready the newest");
}

#[test]
fn a_full_node_leaves_out_the_newest() {
    let mut world = one_target();
    let text = "x".repeat(1000);
    let all: Vec<_> = (0..32)
        .map(|_| json!({ "header": { "name": "x", "exact": format!("{text}{{{{ key }}}}") } }))
        .collect();
    for n in 0..40 {
        let more = json!({ "key": format!("k{n}"), "incoming": { "match": { "all": all } } });
        let preview = preview(&mut world, &format!("p{n:02}"), n, more);
        cloned(&mut world, &preview, "r1");
    }
    let plan = plan_of(&world);
    let table = table_of(&plan, "n1");
    let bytes = plan.nodes[&Name::from("n1")].table.len();
    assert!(bytes <= 768 << 10 && bytes > 700 << 10, "{bytes}");
    let kept = table.previews.len();
    assert!((20..40).contains(&kept), "{kept}");
    assert_eq!(table.targets[0].previews.len(), kept);
    for n in 0..40 {
        let is_out = !plan.routes[&Name::from(format!("uid-p{n:02}"))].overflow.is_empty();
        assert_eq!(is_out, n >= kept, "the newest go first");
    }
}

/// What a node's agent has to acknowledge for the Preview `a`.
fn revision(world: &World, node: &str) -> String {
    plan_of(world).routes["uid-a"].revisions[&Name::from(node)].clone()
}

#[test]
fn what_agents_acknowledge_covers_the_targets_of_their_node_and_nothing_else() {
    let mut world = one_target();
    node(&mut world, "n2");
    target(&mut world, 2, "n2", |_| {});
    let a = preview(&mut world, "a", 0, json!({}));
    cloned(&mut world, &a, "r1");
    let (n1, n2) = (revision(&world, "n1"), revision(&world, "n2"));
    assert_eq!(table_of(&plan_of(&world), "n1").previews[0].revision, n1);

    // Another preview is none of its business, not even where it adds a port to the target.
    let b = preview(&mut world, "b", 1, json!({ "key": "b" }));
    cloned(&mut world, &b, "r1");
    assert_eq!(revision(&world, "n1"), n1);
    // A pod that gets ready, too: it was steered before.
    target(&mut world, 1, "n1", |pod| pod.ready = false);
    assert_eq!(revision(&world, "n1"), n1);
    // A new target on its node is, and one on another node is not.
    target(&mut world, 3, "n1", |_| {});
    assert_ne!(revision(&world, "n1"), n1);
    assert_eq!(revision(&world, "n2"), n2);
    // As are a new address, a port and a backend.
    target(&mut world, 2, "n2", |pod| pod.ips = vec![[10, 9, 9, 9].into()]);
    assert_ne!(revision(&world, "n2"), n2);
    let n2 = revision(&world, "n2");
    backend(&mut world, "a", 1, "r1", |_| {});
    assert_ne!(revision(&world, "n2"), n2);
}

/// Plain data that tells plans apart.
fn essence(plan: &Plan) -> impl PartialEq + std::fmt::Debug + use<> {
    let routes: BTreeMap<Name, _> = plan
        .routes
        .iter()
        .map(|(uid, it)| {
            let revisions: BTreeMap<_, _> = it.revisions.clone().into_iter().collect();
            (uid.clone(), (revisions, it.backends.clone(), it.wanted.clone(), it.overflow.clone()))
        })
        .collect();
    (plan.nodes.clone(), routes, plan.scopes.clone(), plan.is_whole)
}

#[derive(Clone, Debug)]
enum Thing {
    Preview(u8, i64, u8, bool),
    Target(u8, u8, bool, bool),
    Backend(u8, u8, u8, bool, bool),
    Agent(u8, u8, bool),
}

fn put_in(world: &mut World, thing: &Thing) {
    match *thing {
        Thing::Preview(n, age, key, off) => {
            let mode = if off { "off" } else { "steal" };
            let more = json!({ "key": format!("k{key}"), "incoming": { "mode": mode } });
            let preview = preview(world, &format!("p{n}"), age, more);
            cloned(world, &preview, "r1");
        }
        Thing::Target(n, on, ready, terminating) => {
            target(world, n, &format!("n{on}"), |pod| (pod.ready, pod.terminating) = (ready, terminating));
        }
        Thing::Backend(of, n, revision, ready, terminating) => {
            backend(world, &format!("p{of}"), n, &format!("r{revision}"), |pod| {
                (pod.containers_ready, pod.pod.terminating) = (ready, terminating);
            });
        }
        Thing::Agent(n, on, ready) => {
            agent(world, &format!("agent-{n}"), &format!("n{on}"), |it| it.ready = ready);
        }
    }
}

fn things() -> impl Strategy<Value = Vec<Thing>> {
    let one = prop_oneof![
        (0..6_u8, 0..3_i64, 0..3_u8, any::<bool>())
            .prop_map(|(n, age, key, off)| Thing::Preview(n, age, key, off)),
        (0..9_u8, 0..4_u8, any::<bool>(), any::<bool>()).prop_map(|(n, on, a, b)| Thing::Target(n, on, a, b)),
        (0..6_u8, 0..9_u8, 0..3_u8, any::<bool>(), any::<bool>())
            .prop_map(|(of, n, r, a, b)| Thing::Backend(of, n, r, a, b)),
        (0..6_u8, 0..4_u8, any::<bool>()).prop_map(|(n, on, ready)| Thing::Agent(n, on, ready)),
    ];
    proptest::collection::vec(one, 0..40)
}

/// Of several things with one name the first counts, so that their order says nothing.
fn each_once(things: Vec<Thing>) -> Vec<Thing> {
    let mut names = std::collections::HashSet::new();
    let name = |thing: &Thing| match *thing {
        Thing::Preview(n, ..) => (0, n, 0),
        Thing::Target(n, ..) => (1, n, 0),
        Thing::Backend(of, n, ..) => (2, of, n),
        Thing::Agent(n, ..) => (3, n, 0),
    };
    things.into_iter().filter(|it| names.insert(name(it))).collect()
}

proptest! {
    #[test]
    fn a_plan_does_not_depend_on_the_order_in_which_things_were_seen(
        (things, shuffled) in things().prop_map(each_once).prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle()))
    ) {
        let (mut one, mut other) = (world(), world());
        things.iter().for_each(|it| put_in(&mut one, it));
        shuffled.iter().for_each(|it| put_in(&mut other, it));
        let (plan, again) = (plan_of(&one), plan_of(&one));
        prop_assert_eq!(essence(&plan), essence(&again));
        prop_assert_eq!(essence(&plan), essence(&plan_of(&other)));

        // And what any plan promises.
        for (node, spec) in &plan.nodes {
            let table = table(spec);
            let names: Vec<&String> = table.previews.iter().map(|it| &it.name).collect();
            for target in &table.targets {
                prop_assert!(!target.previews.is_empty() && target.previews.iter().all(|it| names.contains(&it)));
                prop_assert!(!target.ports.is_empty());
            }
            let ages: Vec<_> = standings(&one, at(500)).iter().map(|it| it.name.to_string()).collect();
            let places: Vec<_> = names.iter().map(|it| ages.iter().position(|age| age == *it)).collect();
            prop_assert!(places.is_sorted(), "in order of priority on {}", node);
        }
    }
}
