use http::{Method, Request, Uri};
use proptest::prelude::*;

use super::*;
use crate::{
    Decision, PreviewReason,
    decide::tests::{ask, key, table},
};

fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn a_cookie_in_pieces_is_one_cookie() {
    let table = table(&[("pr-1", r#"{"header": {"name": "cookie", "regex": "^a=b; x={{ key }}; c=d$"}}"#)]);
    let whole = parts("GET", "http://app/", &[("cookie", "a=b; x=pr-1; c=d")]);
    let pieces = parts("GET", "http://app/", &[("cookie", "a=b"), ("cookie", "x=pr-1"), ("cookie", "c=d")]);
    for request in [whole, pieces] {
        let verdict = with_http2_head(&request, |head| table.decide(head, None));
        assert_eq!(verdict.decision, Decision::Preview(0, PreviewReason::Match));
    }
}

#[test]
fn the_authority_is_the_host() {
    let table = table(&[("pr-1", r#"{"header": {"name": "host", "regex": "^{{ key }}:80$"}}"#)]);
    let hit = |uri, headers: &[(&str, &str)]| {
        let verdict = with_http2_head(&parts("GET", uri, headers), |head| table.decide(head, None));
        matches!(verdict.decision, Decision::Preview(..))
    };
    assert!(hit("http://pr-1:80/", &[]));
    assert!(hit("/", &[("host", "pr-1:80")]));
    assert!(hit("http://pr-1:80/", &[("host", "other")]));
    assert!(!hit("http://other/", &[("host", "pr-1:80")]), "the app looks at the authority");
}

#[test]
fn what_connect_names_is_no_path() {
    let path = |request: &Parts| with_http2_head(request, |head| head.path().to_vec());
    let mut connect = parts("CONNECT", "app:80", &[]);
    assert_eq!(path(&connect), b"");
    connect.uri = Uri::from_static("http://app/chat?room=1");
    assert_eq!((path(&connect), connect.method), (b"/chat".to_vec(), Method::CONNECT));
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
        let request = parts(method, &format!("http://app{path}"), &headers);
        let two = with_http2_head(&request, |head| table.decide(head, origin.as_ref()));
        prop_assert_eq!(one, two);
    }
}
