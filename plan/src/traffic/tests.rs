use byway_api::{NodeRoutesSpec, PreviewStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;
use crate::standing::standings;
use crate::table::Change;
use crate::testing::{NAMESPACE, acknowledge, at, name, preview, put, world};
use crate::update::Update;
use crate::world::World;

/// The run of an agent that began so many seconds after the start says that so many requests came to `pr` on its node.
fn says(world: &mut World, node: &str, run: i64, requests: u64, last: i64) {
    let spec = NodeRoutesSpec { table: "{}".into(), ..NodeRoutesSpec::default() };
    acknowledge(world, node, &spec, |status| {
        status.instance.as_mut().unwrap().started_at = at(run);
        let counts = RequestCounts { requests, ..RequestCounts::default() };
        let preview = format!("{NAMESPACE}/pr");
        status.requests.extend((requests > 0).then_some(PreviewRequests {
            preview,
            counts,
            last_request_time: Some(at(last)),
        }));
    });
}

fn came(world: &World) -> (u64, Option<Timestamp>) {
    let traffic = standings(world, at(1000)).remove(0).traffic;
    (traffic.counts.requests, traffic.last)
}

/// Writes what came into the status, as the controller does.
fn write(world: &mut World) {
    let mut preview = Preview::clone(world.previews.get(&name("pr")).unwrap());
    let traffic = world.traffic.of(&preview);
    let last_request_time = traffic.last.map(Time);
    preview.status =
        Some(PreviewStatus { traffic: traffic.counts, last_request_time, ..PreviewStatus::default() });
    put(world, preview);
}

#[test]
fn what_an_agent_counts_anew_is_added() {
    let mut world = world();
    preview(&mut world, "pr", 0, json!({}));
    says(&mut world, "a", 0, 1000, 10);
    says(&mut world, "b", 0, 10, 11);
    assert_eq!(came(&world), (1010, Some(at(11))));
    write(&mut world);
    says(&mut world, "a", 50, 0, 0);
    assert_eq!(came(&world), (1010, Some(at(11))));
    says(&mut world, "a", 50, 1, 51);
    says(&mut world, "a", 50, 1000, 60);
    assert_eq!(came(&world), (2010, Some(at(60))));
    write(&mut world);
    // The same run has lost its counters with the route.
    says(&mut world, "a", 50, 0, 0);
    says(&mut world, "a", 50, 1000, 70);
    assert_eq!(came(&world), (3010, Some(at(70))));
    says(&mut world, "a", 50, 3, 80);
    assert_eq!(came(&world), (3013, Some(at(80))));
    // What is heard twice counts once.
    says(&mut world, "a", 50, 3, 80);
    world.apply(Update::NodeRoutes(Change::ListBegins));
    says(&mut world, "b", 0, 10, 11);
    world.apply(Update::NodeRoutes(Change::ListEnds));
    assert_eq!(came(&world), (3013, Some(at(80))));
}

#[test]
fn a_controller_that_has_just_started_goes_on_from_the_status() {
    let mut world = world();
    preview(&mut world, "pr", 0, json!({}));
    says(&mut world, "a", 0, 1000, 10);
    write(&mut world);
    says(&mut world, "a", 50, 7, 60);
    // It knows the object, and what the agent says now: whichever it hears first.
    for previews_first in [true, false] {
        let preview = world.previews.get(&name("pr")).unwrap().clone();
        let status = world.node_routes.get(&"a".into()).unwrap().clone();
        let mut new = World::default();
        let listed = |new: &mut World, previews: bool| {
            if previews {
                new.apply(Update::Preview(Change::ListBegins));
                new.apply(Update::Preview(Change::Listed(name("pr"), Some(preview.clone()))));
                new.apply(Update::Preview(Change::ListEnds));
            } else {
                new.apply(Update::NodeRoutes(Change::ListBegins));
                new.apply(Update::NodeRoutes(Change::Listed("a".into(), Some(status.clone()))));
                new.apply(Update::NodeRoutes(Change::ListEnds));
            }
        };
        listed(&mut new, previews_first);
        listed(&mut new, !previews_first);
        assert_eq!(came(&new), (1000, Some(at(60))), "at least so many");
        says(&mut new, "a", 50, 2007, 70);
        assert_eq!(came(&new).0, 3000, "what comes from then on is added");
        write(&mut new);
        says(&mut new, "a", 90, 5, 91);
        assert_eq!(came(&new), (3005, Some(at(91))));
    }
}

#[test]
fn a_preview_inherits_nothing_of_an_older_one_of_its_name() {
    let mut world = world();
    preview(&mut world, "pr", 0, json!({}));
    says(&mut world, "a", 0, 1000, 10);
    let made_anew = |world: &mut World, seconds: i64| {
        let mut newer = Preview::clone(world.previews.get(&name("pr")).unwrap());
        world.apply(Update::Preview(Change::Now(name("pr"), None)));
        newer.metadata.uid = Some(format!("uid-{seconds}"));
        newer.metadata.creation_timestamp = Some(Time(at(seconds)));
        newer.status = None;
        put(world, newer);
    };
    // In the second of the last request.
    made_anew(&mut world, 10);
    assert_eq!(came(&world), (0, None));
    write(&mut world);
    says(&mut world, "a", 0, 1000, 10);
    assert_eq!(came(&world), (0, None));
    says(&mut world, "a", 0, 0, 0);
    says(&mut world, "a", 0, 2, 25);
    assert_eq!(came(&world), (2, Some(at(25))));
}

#[test]
fn what_does_not_fit_into_a_word_stands_as_it_was() {
    let mut world = world();
    preview(&mut world, "pr", 0, json!({}));
    preview(&mut world, "other", 0, json!({}));
    let mut says = |said: &[(&str, u64)], more: bool| {
        acknowledge(
            &mut world,
            "a",
            &NodeRoutesSpec { table: "{}".into(), ..NodeRoutesSpec::default() },
            |status| {
                let word = said.iter().map(|(preview, requests)| PreviewRequests {
                    preview: format!("{NAMESPACE}/{preview}"),
                    counts: RequestCounts { requests: *requests, ..RequestCounts::default() },
                    last_request_time: None,
                });
                (status.requests, status.more_requests) = (word.collect(), more);
            },
        );
        let of = |it: &str| world.traffic.of(world.previews.get(&name(it)).unwrap()).counts.requests;
        (of("pr"), of("other"))
    };
    assert_eq!(says(&[("pr", 5)], true), (5, 0));
    assert_eq!(says(&[("other", 3)], true), (5, 3));
    assert_eq!(says(&[("pr", 7)], true), (7, 3), "not as if it began anew");
    assert_eq!(says(&[("pr", 7), ("other", 4)], false), (7, 4), "all of it");
    assert_eq!(says(&[("pr", 7)], false), (7, 4), "the agent has forgotten the other");
    assert_eq!(says(&[("pr", 7), ("other", 4)], false), (7, 8), "and counts anew");
}
