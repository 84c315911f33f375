use std::time::{Duration, Instant};

use byway_api::Match;
use proptest::prelude::*;

use super::*;
use crate::{header_space, parse_request};

const HEADER: &str = r#"{"header": {"name": "X-Traffic", "exact": "{{ key }}"}}"#;

pub(crate) fn key(text: &str) -> Key {
    text.parse().unwrap()
}

/// Routes as (key, match or nothing).
pub(crate) fn table(routes: &[(&str, &str)]) -> RouteTable {
    let route = |(k, json): &(&str, &str)| {
        let matcher = (!json.is_empty())
            .then(|| serde_json::from_str::<Match>(json).unwrap().compile(&key(k), true).unwrap());
        Route { key: key(k), matcher }
    };
    RouteTable::new(routes.iter().map(route).collect())
}

pub(crate) fn ask<T>(line: &str, headers: &[&str], ask: impl FnOnce(&RequestHead<'_, '_>) -> T) -> T {
    let headers: String = headers.iter().map(|it| format!("{it}\r\n")).collect();
    let head = format!("{line} HTTP/1.1\r\n{headers}\r\n");
    let mut space = header_space();
    ask(&parse_request(head.as_bytes(), &mut space).unwrap())
}

fn decide(table: &RouteTable, line: &str, headers: &[&str], origin: Option<&str>) -> Verdict {
    ask(line, headers, |head| table.decide(head, origin.map(key).as_ref()))
}

fn get(table: &RouteTable, headers: &[&str], origin: Option<&str>) -> Decision {
    decide(table, "GET /", headers, origin).decision
}

#[test]
fn default_carriers() {
    let table = table(&[("pr-1", ""), ("pr-2", "")]);
    let cases = [
        (&["x-byway-key: pr-1"][..], Decision::Preview(0, PreviewReason::Header)),
        (&["Baggage: a=b, byway-key=pr-2"], Decision::Preview(1, PreviewReason::Baggage)),
        (&["Cookie: byway-key=pr-2"], Decision::Preview(1, PreviewReason::Cookie)),
        (&["x-byway-key: pr-12"], Decision::App(AppReason::UnknownKey)),
        (&["x-byway-key: pr-12", "cookie: byway-key=pr-1"], Decision::App(AppReason::UnknownKey)),
        (&[], Decision::App(AppReason::NoKey)),
        (&["x-traffic: pr-1"], Decision::App(AppReason::NoKey)),
    ];
    for (headers, wanted) in cases {
        assert_eq!(get(&table, headers, None), wanted, "{headers:?}");
    }
}

#[test]
fn what_is_asked_about_is_known() {
    let narrowed = r#"{"all": [{"header": {"name": "X-Traffic", "exact": "{{ key }}"}}, {"header": {"name": "X-Tenant", "exact": "a"}}]}"#;
    let narrow = table(&[("pr-1", ""), ("pr-2", narrowed)]);
    for name in ["x-byway-key", "Baggage", "cookie", "X-Traffic", "x-tenant"] {
        assert!(narrow.asks_about(name), "{name}");
    }
    assert!(!narrow.asks_about("accept") && !narrow.asks_about(&"x".repeat(300)));
    assert!(table(&[("pr-1", r#"{"headerFilter": "^x-traffic: {{ key }}$"}"#)]).asks_about("accept"));
}

#[test]
fn a_match_names_its_own_carrier() {
    let table = table(&[
        ("pr-1", HEADER),
        ("pr-2", r#"{"headerFilter": "x-any: .*{{key}}", "path": {"prefix": "/api"}}"#),
        ("pr-3", ""),
    ]);
    assert_eq!(get(&table, &["x-traffic: pr-1"], None), Decision::Preview(0, PreviewReason::Match));
    assert_eq!(get(&table, &["x-byway-key: pr-1"], None), Decision::App(AppReason::Narrowed));
    assert_eq!(get(&table, &["X-Any: a=pr-2"], None), Decision::App(AppReason::Narrowed));
    let api = decide(&table, "GET /api/x?y", &["X-Any: a=pr-2"], None);
    assert_eq!(api.decision, Decision::Preview(1, PreviewReason::Match));
    assert_eq!(get(&table, &["x-traffic: pr-3"], None), Decision::App(AppReason::Narrowed));
    assert_eq!(get(&table, &["x-traffic: pr-12"], None), Decision::App(AppReason::UnknownKey));
    assert_eq!(get(&table, &["x-any: pr-12"], None), Decision::App(AppReason::NoKey), "could be any text");
}

#[test]
fn the_first_of_the_table_wins_and_the_next_is_told() {
    let both = ["x-traffic: pr-1", "x-byway-key: pr-2"];
    let verdict = |table: &RouteTable| decide(table, "GET /", &both, None);
    let it = verdict(&table(&[("pr-1", HEADER), ("pr-2", "")]));
    assert_eq!((it.decision, it.overlapped), (Decision::Preview(0, PreviewReason::Match), Some(1)));
    let it = verdict(&table(&[("pr-2", ""), ("pr-1", HEADER)]));
    assert_eq!((it.decision, it.overlapped), (Decision::Preview(0, PreviewReason::Header), Some(1)));
    let it = verdict(&table(&[("pr-9", ""), ("pr-1", HEADER), ("pr-2", ""), ("pr-2", "")]));
    assert_eq!((it.decision, it.overlapped), (Decision::Preview(1, PreviewReason::Match), Some(2)));
    let it = decide(&table(&[("pr-1", HEADER)]), "GET /", &["x-traffic: pr-1", "x-traffic: pr-1"], None);
    assert_eq!(it.overlapped, None, "hit twice is not an overlap");
}

#[test]
fn what_leaves_an_environment_is_keyed_by_its_origin() {
    let narrowed = r#"{"header": {"name": "x-traffic", "exact": "{{key}}"}, "path": {"prefix": "/api"}}"#;
    let table = table(&[("pr-1", ""), ("pr-2", narrowed), ("pr-3", HEADER)]);
    let home = |i| Decision::Preview(i, PreviewReason::Origin);
    assert_eq!(get(&table, &[], Some("pr-1")), home(0));
    assert_eq!(get(&table, &[], Some("pr-3")), home(2), "the header of the match is replaced");
    assert_eq!(get(&table, &[], Some("pr-2")), Decision::App(AppReason::Narrowed), "its path is not");
    assert_eq!(decide(&table, "GET /api", &[], Some("pr-2")).decision, home(1));
    assert_eq!(get(&table, &[], Some("pr-4")), Decision::App(AppReason::NoKey));

    // Its own key changes nothing, another one wins, even where it leads nowhere.
    assert_eq!(
        get(&table, &["x-byway-key: pr-1"], Some("pr-1")),
        Decision::Preview(0, PreviewReason::Header)
    );
    assert_eq!(get(&table, &["x-byway-key: pr-3"], Some("pr-3")), home(2));
    assert_eq!(get(&table, &["x-traffic: pr-3"], Some("pr-1")), Decision::Preview(2, PreviewReason::Match));
    assert_eq!(get(&table, &["x-byway-key: pr-9"], Some("pr-1")), Decision::App(AppReason::UnknownKey));
    assert_eq!(get(&table, &["x-traffic: pr-2"], Some("pr-1")), Decision::App(AppReason::Narrowed));
    assert_eq!(get(&table, &["x-traffic: xx"], Some("pr-1")), Decision::App(AppReason::UnknownKey));
    assert_eq!(get(&table, &["x-traffic: pr-1"], Some("pr-1")), home(0), "its own key in another's carrier");
    assert_eq!(get(&table, &["x-traffic: no key"], Some("pr-1")), home(0));

    assert_eq!(table.home(&key("pr-2")), Some(1), "opaque traffic cannot be narrowed");
    assert_eq!(table.home(&key("pr-4")), None);
}

#[test]
fn a_request_that_a_match_keeps_away_is_of_the_route_whose_key_it_has() {
    let narrowed = r#"{"header": {"name": "x-traffic", "exact": "{{key}}"}, "path": {"prefix": "/api"}}"#;
    let table = table(&[("pr-1", ""), ("pr-2", narrowed), ("pr-3", HEADER)]);
    let of = |headers: &[&str], origin| decide(&table, "GET /", headers, origin).narrowed;
    assert_eq!(of(&["x-traffic: pr-2"], None), Some(1), "another path");
    assert_eq!(of(&["x-byway-key: pr-3"], None), Some(2), "another header");
    assert_eq!(of(&["x-traffic: pr-1"], None), Some(0), "another route's header");
    assert_eq!(of(&[], Some("pr-2")), Some(1), "by its origin");
    assert_eq!(of(&["x-traffic: pr-2", "x-byway-key: pr-1"], None), None, "another preview has it");
    assert_eq!(of(&["x-traffic: pr-9"], None), None, "nobody's key");
    assert_eq!(of(&[], None), None);
}

#[test]
fn routes_without_a_key() {
    let table = table(&[("pr-1", ""), ("pr-2", r#"{"path": {"prefix": "/beta"}}"#)]);
    assert_eq!(decide(&table, "GET /beta", &[], None).decision, Decision::Preview(1, PreviewReason::Match));
    assert_eq!(get(&table, &[], None), Decision::App(AppReason::NoKey));
    let both = decide(&table, "GET /beta", &["x-byway-key: pr-1"], None);
    assert_eq!((both.decision, both.overlapped), (Decision::Preview(0, PreviewReason::Header), Some(1)));
}

#[test]
fn losers_are_known_beforehand() {
    let api = r#"{"header": {"name": "x-traffic", "exact": "{{key}}"}, "path": {"prefix": "/api"}}"#;
    let table =
        table(&[("a", ""), ("b", ""), ("a", HEADER), ("a", ""), ("a", HEADER), ("a", api), ("a", "")]);
    assert_eq!(table.losers(), [(3, 0), (4, 2), (6, 0)]);
}

#[test]
fn a_request_with_very_many_keys_costs_little() {
    let filter = r#"{"headerFilter": "(x|y)+{{key}}$"}"#;
    let names: Vec<_> = (0..1000).map(|i| format!("k{i}")).collect();
    let table = table(&names.iter().map(|name| (name.as_str(), filter)).collect::<Vec<_>>());
    let header = format!("a: {}", names.iter().flat_map(|it| [it, " "]).collect::<String>().repeat(10));
    let start = Instant::now();
    assert_eq!(get(&table, &[&header], None), Decision::App(AppReason::Narrowed));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

/// What the rules say, without an index: every route is asked.
fn by_asking_all(routes: &[Route], head: &RequestHead<'_, '_>) -> Option<usize> {
    let carried = carried_key(head.headers);
    routes.iter().position(|route| match &route.matcher {
        None => carried.as_ref().is_some_and(|it| it.key == route.key.as_str()),
        Some(it) => it.matches(head.method, head.path(), head.headers.iter().map(|h| (h.name, h.value))),
    })
}

proptest! {
    #[test]
    fn the_index_finds_what_asking_every_route_finds(
        routes in proptest::collection::vec(("pr-[123]", 0_usize..6), 0..8),
        headers in proptest::collection::vec(
            "(x-traffic|X-Byway-Key|a|baggage): (pr-[1-4]|byway-key=pr-[1-4]|x pr-[1-4],pr-1)?", 0..4),
        path in "/|/api",
    ) {
        let matches = [
            "",
            HEADER,
            r#"{"headerFilter": "a: .*{{key}}"}"#,
            r#"{"path": {"prefix": "/api"}}"#,
            r#"{"any": [{"header": {"name": "a", "regex": "{{key}}|x"}}, {"headerFilter": "byway.*{{key}}"}]}"#,
            r#"{"header": {"name": "x-traffic", "exact": "{{key}}"}, "method": "GET", "path": {"exact": "/api"}}"#,
        ];
        let routes: Vec<_> = routes.iter().map(|(key, i)| (key.as_str(), matches[*i])).collect();
        let table = table(&routes);
        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
        ask(&format!("GET {path}"), &headers, |head| {
            let found = match table.decide(head, None).decision {
                Decision::Preview(i, _) => Some(i),
                Decision::App(_) => None,
            };
            prop_assert_eq!(found, by_asking_all(&table.routes, head));
            Ok(())
        })?;
    }
}
