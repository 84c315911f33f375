use serde_json::json;

use super::*;
use crate::standing::standings;
use crate::table::Change;
use crate::testing::{NAMESPACE, at, deployment, name, preview, world};
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
        it.template_of = Some((TargetKind::Deployment, "template".into()));
    });
    preview(&mut world, "pr", 0, json!({ "target": { "kind": "Rollout", "name": "app" } }));
    let first = version(&world);
    touch(&mut world, TargetKind::Deployment, "other", |it| it.generation = 2);
    assert_eq!(version(&world), first, "none of its business");
    touch(&mut world, TargetKind::Deployment, "template", |it| it.generation = 2);
    assert_ne!(version(&world), first);
}
