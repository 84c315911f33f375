//! However the bytes arrive.

use std::time::Duration;

use crate::{GET, GET_KEYED, KEYED, Stage, until};

#[test]
fn keyed_and_unkeyed_take_turns_on_one_connection() {
    let Some(stage) = Stage::named() else { return };
    let agent = stage.agent();
    let mut http = stage.http();
    for n in 0..20 {
        let stable = http.get("/", &[]).unwrap();
        assert_eq!((stable.text(), stable.header("x-byway-preview")), (format!("APP GET / 0 #0.{n}"), None));
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
