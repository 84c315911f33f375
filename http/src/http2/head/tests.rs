use proptest::prelude::*;

use super::*;
use crate::{
    Decision, PreviewReason,
    decide::tests::{ask, key, table},
};

fn request(method: &str, authority: Option<&str>, path: &str, headers: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::default();
    fields.push(b":method", method.as_bytes());
    fields.push(b":path", path.as_bytes());
    authority.into_iter().for_each(|it| fields.push(b":authority", it.as_bytes()));
    headers.iter().for_each(|(name, value)| fields.push(name.as_bytes(), value.as_bytes()));
    fields
}

#[test]
fn a_cookie_in_pieces_is_one_cookie() {
    let table = table(&[("pr-1", r#"{"header": {"name": "cookie", "regex": "^a=b; x={{ key }}; c=d$"}}"#)]);
    let whole = request("GET", Some("app"), "/", &[("cookie", "a=b; x=pr-1; c=d")]);
    let pieces = [("cookie", "a=b"), ("cookie", "x=pr-1"), ("cookie", "c=d")];
    let pieces = request("GET", Some("app"), "/", &pieces);
    for request in [whole, pieces] {
        let verdict = with_http2_head(&request, |head| table.decide(head, None));
        assert_eq!(verdict.decision, Decision::Preview(0, PreviewReason::Match));
    }
}

#[test]
fn the_authority_is_the_host() {
    let table = table(&[("pr-1", r#"{"header": {"name": "host", "regex": "^{{ key }}:80$"}}"#)]);
    let hit = |authority, headers: &[(&str, &str)]| {
        let request = request("GET", authority, "/", headers);
        let verdict = with_http2_head(&request, |head| table.decide(head, None));
        matches!(verdict.decision, Decision::Preview(..))
    };
    assert!(hit(Some("pr-1:80"), &[]));
    assert!(hit(None, &[("host", "pr-1:80")]));
    assert!(hit(Some("pr-1:80"), &[("host", "other")]));
    assert!(!hit(Some("other"), &[("host", "pr-1:80")]), "the app looks at the authority");
}

#[test]
fn what_cannot_be_read_hides_nothing_else() {
    let mut odd = request("GET", Some("extension/auth/authz"), "/a\"b` c#d?e", &[]);
    odd.push(b"\xff\xfe", b"x");
    odd.push(b"x-byway-key", b"pr-1");
    with_http2_head(&odd, |head| {
        assert_eq!((head.method, head.path()), ("GET", &b"/a\"b` c"[..]));
        assert!(head.headers.iter().any(|it| it.name == "x-byway-key" && it.value == b"pr-1"));
    });
}

proptest! {
    /// The same request in both versions has the same verdict.
    #[test]
    fn both_versions_are_decided_alike(
        method in prop::sample::select(vec!["GET", "POST", "OPTIONS"]),
        path in prop::sample::select(vec!["/", "/api", "/api/x?y=z", "/apis"]),
        headers in prop::collection::vec((
            prop::sample::select(vec!["x-byway-key", "baggage", "cookie", "x-traffic", "x-other"]),
            prop::sample::select(vec!["pr-1", "pr-12", "byway-key=pr-1", "a=b; byway-key=pr-2", "a, byway-key=pr-1;p", "-"]),
        ), 0..6),
        origin in prop::sample::select(vec![None, Some("pr-1"), Some("pr-3")]),
    ) {
        let table = table(&[
            ("pr-1", ""),
            ("pr-2", r#"{"all": [{"header": {"name": "x-traffic", "exact": "{{ key }}"}}, {"path": {"prefix": "/api"}}]}"#),
            ("pr-2", r#"{"headerFilter": "x-other: {{ key }}"}"#),
            ("pr-1", r#"{"all": [{"header": {"name": "x-traffic", "regex": "{{ key }}"}}, {"method": "GET"}]}"#),
            ("pr-2", ""),
        ]);
        let origin = origin.map(key);
        let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        lines.insert(0, "host: app");
        let one = ask(&format!("{method} {path}"), &lines, |head| table.decide(head, origin.as_ref()));
        let request = request(method, Some("app"), path, &headers);
        let two = with_http2_head(&request, |head| table.decide(head, origin.as_ref()));
        prop_assert_eq!(one, two);
    }
}
