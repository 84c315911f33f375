use crate::decide::tests::{ask, table};

fn miss(routes: &[(&str, &str)], line: &str, headers: &[&str]) -> Option<(&'static str, String)> {
    let table = table(routes);
    ask(line, headers, |head| table.near_miss(head).map(|it| (it.code(), it.to_string())))
}

#[test]
fn what_came_closest() {
    let api = r#"{"header": {"name": "x-traffic", "exact": "{{key}}"}, "path": {"prefix": "/api"}}"#;
    let routes = [("pr-1", ""), ("shop", api)];
    let long = format!("x-byway-key: {}", "\u{1f600}".repeat(50));
    let cases = [
        (
            &["x-byway-key: pr-12"][..],
            "SimilarKey",
            "pr-12 in x-byway-key, and no route here has it; there is one for pr-1",
        ),
        (&["baggage: byway-key=PR-1"], "SimilarKey", "the key PR-1 in baggage"),
        (&["x-byway-key: elsewhere"], "UnknownKey", "the key elsewhere in x-byway-key"),
        (&["x-traffic: shop"], "Narrowed", "GET /x does not match its route: path under \"/api\""),
        (&["x-byway-key: shop"], "Narrowed", "header x-traffic is \"shop\""),
        (&["x-traffic: elsewhere"], "UnknownKey", "the key elsewhere in x-traffic"),
        (&["x-traffic: shopp"], "SimilarKey", "the key shopp in x-traffic"),
        (&["x-preview: pr-1"], "MisplacedKey", "the key pr-1 in x-preview, where no route here looks"),
        (&["x-byway-key: pr 7"], "InvalidKey", "\"pr 7\", which is no key"),
        (&[&long], "InvalidKey", "..."),
    ];
    for (headers, code, says) in cases {
        let (found, text) = miss(&routes, "GET /x", headers).unwrap();
        assert_eq!(found, code, "{text}");
        assert!(text.contains(says), "{text}");
        assert!(!text.contains(['\r', '\n']) && text.len() < 400, "one line: {text}");
    }
    assert_eq!(miss(&routes, "GET /x", &["Host: a"]), None);
}
