//! However the bytes arrive.

use std::time::Duration;

use byway_tests::{Agent, Preview, Routes};

use crate::server::{self, PORT};
use crate::{GET, GET_KEYED, KEYED, Stage, until};

#[test]
fn keyed_and_unkeyed_take_turns_on_one_connection() {
    let Some(stage) = Stage::named() else { return };
    let agent = stage.agent();
    let mut http = stage.http();
    for n in 0..20 {
        let stable = http.get("/", &[]).unwrap();
        // The first one goes straight, where it may, and the first keyed one comes behind it.
        let (app, of) = if n > 0 && Agent::goes_straight() { (1, n - 1) } else { (0, n) };
        let said = format!("APP GET / 0 #{app}.{of}");
        assert_eq!((stable.text(), stable.header("x-byway-preview")), (said, None));
        let keyed = http.get("/", KEYED).unwrap();
        assert_eq!(keyed.text(), format!("PREVIEW GET / 0 #0.{n}"), "one connection is kept for this client");
        assert_eq!(keyed.header("x-byway-preview"), Some("staging/redesign"));
    }
    assert_eq!(agent.metric("byway_agent_requests_total", r#"to="app""#).unwrap(), 20.0);
    assert_eq!(agent.metric("byway_agent_requests_total", r#"to="preview""#).unwrap(), 20.0);
}

#[test]
fn a_keyed_head_may_be_cut_anywhere() {
    let Some(stage) = Stage::named() else { return };
    let _agent = stage.agent();
    let mut raw = stage.raw();
    for cut in 1..GET_KEYED.len() {
        let (a, b) = GET_KEYED.split_at(cut);
        raw.send_pieces([a, b], Duration::from_millis(1)).unwrap();
        let answer = until(&mut raw, &format!("#0.{}", cut - 1));
        assert!(answer.contains("PREVIEW GET /keyed 0"), "{cut}: {answer}");
    }
    raw.send_pieces(GET_KEYED.as_bytes().chunks(1), Duration::from_millis(1)).unwrap();
    until(&mut raw, &format!("#0.{}", GET_KEYED.len() - 1));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let Some(stage) = Stage::named() else { return };
    let _agent = stage.agent();
    let mut http = stage.http();
    let pattern = [true, false, false, true, true, false, true, false, false, false];
    let all: String = pattern.iter().map(|keyed| if *keyed { GET_KEYED } else { GET }).collect();
    for _ in 0..10 {
        http.send(all.as_bytes()).unwrap();
        for keyed in pattern {
            let text = http.response("GET").unwrap().text();
            assert!(
                text.starts_with(if keyed { "PREVIEW GET /keyed 0" } else { "APP GET /app 0" }),
                "{text}"
            );
        }
    }
}

#[test]
fn a_body_is_never_a_request() {
    let Some(stage) = Stage::named() else { return };
    let _agent = stage.agent();
    let mut http = stage.http();
    let body = GET_KEYED.repeat((1 << 20) / GET_KEYED.len()).into_bytes();
    for _ in 0..3 {
        for (headers, who) in [(&[][..], "APP"), (KEYED, "PREVIEW")] {
            let text = http.request("POST", "/", headers, &body).unwrap().text();
            assert!(text.starts_with(&format!("{who} POST / {} ", body.len())), "{text}");
        }
    }
}

/// Each read ends in the middle of a head, and no head takes long.
#[test]
fn pipelining_for_long_is_no_slow_head() {
    let Some(stage) = Stage::named() else { return };
    let _agent = stage.agent();
    let mut raw = stage.raw();
    let (begin, rest) = GET.split_at(10);
    let app = server::first_served();
    raw.send(begin).unwrap();
    for n in 0..60 {
        std::thread::sleep(Duration::from_millis(100));
        raw.send([rest, begin].concat()).unwrap();
        until(&mut raw, &format!("#{app}.{n}"));
    }
    raw.send([rest, GET_KEYED].concat()).unwrap();
    let answers = until(&mut raw, "#0.0");
    assert!(answers.contains("PREVIEW GET /keyed"), "{answers}");
}

#[test]
fn a_connection_is_kept_to_each_of_many_previews() {
    let Some(stage) = Stage::named() else { return };
    let previews: Vec<(String, String)> =
        (0..12).map(|n| (format!("staging/p{n}"), format!("pr-{n}"))).collect();
    let routes = previews.iter().fold(Routes::new(), |routes, (name, key)| {
        routes.preview(Preview::new(name, key).backend(&stage.preview))
    });
    let names: Vec<&str> = previews.iter().map(|(name, _)| name.as_str()).collect();
    let _agent = Agent::start(&stage.net, &routes.target(&stage.app, &[PORT], &names)).unwrap();
    let mut http = stage.http();
    let mut ask = |n: usize| http.get("/", &[("x-byway-key", &previews[n].1)]).unwrap().text();
    for round in 0..3 {
        for n in 0..8 {
            assert_eq!(ask(n), format!("PREVIEW GET / 0 #{n}.{round}"));
        }
    }
    // With more of them, who has not been asked for longest goes.
    for (n, times) in (8..12).zip(3..) {
        assert_eq!(ask(0), format!("PREVIEW GET / 0 #0.{times}"));
        assert_eq!(ask(n), format!("PREVIEW GET / 0 #{n}.0"));
    }
}
