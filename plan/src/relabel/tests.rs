use serde_json::json;

use super::*;
use crate::rows::{Ref, ServiceRow};
use crate::standing::standings;
use crate::table::Change;
use crate::testing::{NAMESPACE, at, backend, name, preview, world};
use crate::update::Update;
use crate::wish::Around;
use crate::world::World;

/// A preview `pr` with a pod that runs with these labels, among others.
fn running(labels: &[(&str, &str)]) -> World {
    let mut world = world();
    preview(&mut world, "pr", 0, json!({}));
    backend(&mut world, "pr", 1, "r1", |row| {
        row.labels = [("byway.dev/preview", "pr"), ("pod-template-hash", "5d4f")]
            .iter()
            .chain(labels)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
    });
    world
}

fn service(world: &mut World, of: &str, key: &str, value: &str) {
    let row = ServiceRow {
        name: of.to_owned(),
        selector: [(key.to_owned(), value.to_owned())].into(),
        ports: Vec::new(),
    };
    world.apply(Update::Service(Change::Now(name(of), Some(row))));
}

/// What is to be changed of the only pod.
fn changes(world: &World) -> Option<BTreeMap<String, Option<String>>> {
    let (around, _) = Around::of(world, &NAMESPACE.into());
    let (_, row) = world.preview_pods.iter().next().unwrap();
    relabel(row, &standings(world, at(10))[0], &around.selecting).map(|(changes, after)| {
        assert!(
            after.contains_key("byway.dev/preview") && after.contains_key("pod-template-hash"),
            "{after:?}"
        );
        changes
    })
}

#[test]
fn a_pod_loses_the_label_by_which_a_later_service_selects_it() {
    let mut world = running(&[("tier", "front")]);
    assert_eq!(changes(&world), None);
    service(&mut world, "back", "tier", "back");
    assert_eq!(changes(&world), None);
    service(&mut world, "front", "tier", "front");
    let own = names::child_name("pr", "uid-pr");
    assert_eq!(changes(&world), Some([("tier".to_owned(), Some(own.clone()))].into()));
    // The next time that it is looked at, it has it.
    assert_eq!(changes(&with(world, "tier", &own)), None);
}

fn with(mut world: World, key: &str, value: &str) -> World {
    backend(&mut world, "pr", 1, "r1", |row| row.labels = [(key.to_owned(), value.to_owned())].into());
    world
}

#[test]
fn so_it_is_with_budgets_and_workloads_and_not_with_who_means_previews() {
    let mut world = running(&[("app", "app")]);
    // The Deployment `app` selects by this label.
    assert_eq!(changes(&world).unwrap().len(), 1);
    let mut world2 = running(&[("tier", "front")]);
    service(&mut world2, "mine", "byway.dev/preview", "pr");
    assert_eq!(changes(&world2), None);
    let selector =
        serde_json::from_value(json!({ "matchExpressions": [{ "key": "tier", "operator": "Exists" }] }))
            .unwrap();
    world2.apply(Update::Budget(Change::Now(Ref::new(NAMESPACE, "any"), Some(selector))));
    assert_eq!(changes(&world2), Some([("tier".to_owned(), None)].into()));
    // What is on its way out is let go.
    backend(&mut world, "pr", 1, "r1", |row| {
        row.labels = [("app".to_owned(), "app".to_owned())].into();
        row.pod.terminating = true;
    });
    assert_eq!(changes(&world), None);
}
