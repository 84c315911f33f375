use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::json;

use super::*;
use crate::rows::PodTemplateRow;
use crate::standing::standings;
use crate::table::Change;
use crate::testing::{NAMESPACE, at, deployment, name, preview, target, world};
use crate::update::Update;

fn version(world: &World) -> u64 {
    let (around, hash) = Around::of(world, &NAMESPACE.into());
    Wish::of(world, &standings(world, at(1))[0], &around, hash, &Rules::default()).version
}

/// Changes the spec of a workload.
fn touch(world: &mut World, kind: TargetKind, of: &str, change: impl FnOnce(&mut WorkloadRow)) {
    let mut row = world.workloads[&TargetKind::Deployment].get(&name(of)).unwrap().clone();
    change(&mut row);
    world.apply(Update::Workload(kind, Change::Now(name(of), Some(row))));
}

#[test]
fn a_clone_follows_the_workload_that_its_rollout_takes_the_template_from() {
    let mut world = world();
    deployment(&mut world, "template");
    deployment(&mut world, "other");
    touch(&mut world, TargetKind::Rollout, "app", |it| {
        it.template_of = TemplateOf::named("Deployment", "template");
    });
    preview(&mut world, "pr", 0, json!({ "target": { "kind": "Rollout", "name": "app" } }));
    let first = version(&world);
    touch(&mut world, TargetKind::Deployment, "other", |it| it.generation = 2);
    assert_eq!(version(&world), first, "none of its business");
    touch(&mut world, TargetKind::Deployment, "template", |it| it.generation = 2);
    assert_ne!(version(&world), first);
}

#[test]
fn a_clone_follows_the_pod_template_of_its_rollout() {
    let mut world = world();
    touch(&mut world, TargetKind::Rollout, "app", |it| {
        it.template_of = TemplateOf::named("PodTemplate", "base");
    });
    preview(&mut world, "pr", 0, json!({ "target": { "kind": "Rollout", "name": "app" } }));
    let mut versions = vec![version(&world)];
    for generation in [1, 2] {
        let row = PodTemplateRow { uid: "base".into(), generation, template: Box::default() };
        world.apply(Update::PodTemplate(Change::Now(name("base"), Some(row))));
        versions.push(version(&world));
    }
    versions.dedup();
    assert_eq!(versions.len(), 3);
}

/// An empty selector would be one of all pods, and the Rollout be blamed for selecting the clone.
#[test]
fn a_rollout_selects_as_the_workload_does_that_has_its_template() {
    let mut world = world();
    deployment(&mut world, "template");
    touch(&mut world, TargetKind::Rollout, "app", |it| {
        it.selector = LabelSelector::default();
        it.template_of = TemplateOf::named("Deployment", "template");
    });
    deployment(&mut world, "lost");
    touch(&mut world, TargetKind::Rollout, "lost", |it| {
        it.selector = LabelSelector::default();
        it.template_of = TemplateOf::named("PodTemplate", "base");
    });
    let (around, _) = Around::of(&world, &NAMESPACE.into());
    let rollouts: Vec<_> = around.selectors.iter().filter(|it| it.kind == "Rollout").collect();
    let [rollout] = rollouts[..] else { panic!("{rollouts:?}") };
    assert_eq!(
        (rollout.name.as_str(), &rollout.selector.match_labels.as_ref().unwrap()["app"]),
        ("app", &"template".to_owned())
    );
}

/// Consul may inject by default: then nothing in the template tells.
#[test]
fn a_clone_knows_whether_consul_has_the_targets_pods() {
    let mut world = world();
    preview(&mut world, "pr", 0, json!({}));
    target(&mut world, 1, "n1", |_| {});
    let wish = |world: &World| {
        let (around, hash) = Around::of(world, &NAMESPACE.into());
        Wish::of(world, &standings(world, at(1))[0], &around, hash, &Rules::default())
    };
    let before = wish(&world);
    target(&mut world, 2, "n1", |it| it.in_consul = true);
    let after = wish(&world);
    assert_eq!((before.in_consul, after.in_consul), (false, true));
    assert_ne!(before.version, after.version);
}

#[test]
fn a_clone_follows_the_sleep_of_its_preview() {
    let mut world = world();
    deployment(&mut world, "app");
    preview(&mut world, "pr", 0, json!({ "ttl": "never", "idle": { "sleepAfter": "10m" } }));
    let wish = |seconds: i64| {
        let (around, hash) = Around::of(&world, &NAMESPACE.into());
        Wish::of(&world, &standings(&world, at(seconds))[0], &around, hash, &Rules::default())
    };
    let (awake, still, asleep) = (wish(1), wish(600), wish(700));
    assert!(!awake.is_asleep && asleep.is_asleep && asleep.present);
    assert_eq!(awake.version, still.version);
    assert_ne!(awake.version, asleep.version);
}
