use proptest::prelude::*;

use super::*;
use crate::Key;

type Headers<'a> = &'a [(&'a str, &'a str)];

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn from_json(json: &str) -> Match {
    serde_json::from_str(json).unwrap()
}

fn compile(json: &str) -> Result<CompiledMatch, MatchError> {
    from_json(json).compile(&key("pr-1"), false)
}

fn asks(matcher: &CompiledMatch, method: &str, path: &str, headers: Headers<'_>) -> bool {
    matcher.matches(method, path.as_bytes(), headers.iter().map(|(name, value)| (*name, value.as_bytes())))
}

#[test]
fn header_values() {
    let exact = compile(r#"{"header": {"name": "X-Traffic", "exact": "{{ key }}"}}"#).unwrap();
    assert!(asks(&exact, "GET", "/", &[("x-traffic", "pr-1")]));
    assert!(asks(&exact, "GET", "/", &[("a", "b"), ("X-TRAFFIC", "x"), ("X-Traffic", "pr-1")]));
    for value in ["pr-12", "PR-1", "pr-1,pr-2", "", "xpr-1"] {
        assert!(!asks(&exact, "GET", "/", &[("x-traffic", value)]), "{value}");
    }
    let regex = compile(r#"{"header": {"name": "baggage", "regex": "(^|,)session={{key}}"}}"#).unwrap();
    assert!(asks(&regex, "GET", "/", &[("baggage", "a=b,session=pr-1")]));
    assert!(!asks(&regex, "GET", "/", &[("baggage", "a=b,session=pr-12")]));
    assert!(!asks(&regex, "GET", "/", &[("baggage", "a=pr-1,session=x")]));
}

#[test]
fn header_filter_is_mirrords() {
    let filter = compile(r#"{"headerFilter": "^x-traffic: {{ key }}$"}"#).unwrap();
    assert!(asks(&filter, "GET", "/", &[("X-Traffic", "pr-1")]));
    assert!(!asks(&filter, "GET", "/", &[("X-Traffic", "pr-1 ")]));
    assert!(!asks(&filter, "GET", "/", &[("X-Traffic", "PR-1")]), "the key itself keeps its case");
    let long = "x".repeat(2000);
    let tail = compile(r#"{"headerFilter": ": x+,{{ key }}$"}"#).unwrap();
    assert!(
        asks(&tail, "GET", "/", &[("a", &format!("{long},pr-1"))]),
        "longer than the buffer on the stack"
    );
}

#[test]
fn whatever_the_regex_says_the_key_must_be_there() {
    for regex in ["{{ key }}|.*", ".*|{{key}}", "({{ key }})?", "[{{ key }}]*", "{{ key }}{0}"] {
        let header = Match {
            header: Some(HeaderMatch { name: "h".into(), regex: Some(regex.into()), ..Default::default() }),
            ..Default::default()
        };
        let filter = Match { header_filter: Some(regex.into()), ..Default::default() };
        for it in [header, filter] {
            let it = it.compile(&key("pr-1"), false).unwrap();
            assert!(asks(&it, "GET", "/", &[("h", "pr-1")]), "{it}");
            for value in ["", "pr-12", "anything", "1pr-1", "pr-1_"] {
                assert!(!asks(&it, "GET", "/", &[("h", value)]), "{it} stole {value:?}");
            }
        }
    }
}

#[test]
fn the_key_is_escaped_in_a_regex() {
    let it = Match { header_filter: Some("^h: {{ key }}$".into()), ..Default::default() };
    let it = it.compile(&key("a.b"), false).unwrap();
    assert!(asks(&it, "GET", "/", &[("h", "a.b")]));
    assert!(!asks(&it, "GET", "/", &[("h", "axb")]));
}

#[test]
fn paths() {
    let path = |json: &str| {
        from_json(&format!(r#"{{"path": {json}, "header": {{"name": "k", "exact": "{{{{key}}}}"}}}}"#))
            .compile(&key("pr-1"), false)
            .unwrap()
    };
    let cases: [(&str, &[&str], &[&str]); 5] = [
        (r#"{"exact": "/a"}"#, &["/a"], &["/a/", "/ab", "/A", "/"]),
        (r#"{"prefix": "/a"}"#, &["/a", "/a/", "/a/b"], &["/ab", "/", "/b/a"]),
        (r#"{"prefix": "/a/"}"#, &["/a", "/a/", "/a/b"], &["/ab"]),
        (r#"{"prefix": "/"}"#, &["/", "/x", "/x/y"], &["*"]),
        (r#"{"regex": "^/v[12]/{{ key }}"}"#, &["/v1/pr-1"], &["/v3/pr-1", "/x/v1/pr-1"]),
    ];
    for (json, yes, no) in cases {
        let it = path(json);
        for (wanted, paths) in [(true, yes), (false, no)] {
            for path in paths {
                assert_eq!(asks(&it, "GET", path, &[("k", "pr-1")]), wanted, "{json} {path}");
                assert_eq!(it.matches_narrowing("GET", path.as_bytes()), wanted, "{json} {path}");
            }
        }
    }
}

#[test]
fn all_and_any() {
    let it = compile(
        r#"{"method": "GET",
            "all": [{"header": {"name": "env", "exact": "qa"}}],
            "any": [{"header": {"name": "a", "exact": "{{key}}"}, "path": {"prefix": "/a"}},
                    {"header": {"name": "b", "regex": "^{{key}}$"}}]}"#,
    )
    .unwrap();
    assert!(asks(&it, "GET", "/a", &[("env", "qa"), ("a", "pr-1")]));
    assert!(asks(&it, "GET", "/b", &[("env", "qa"), ("b", "pr-1")]));
    assert!(!asks(&it, "GET", "/b", &[("env", "qa"), ("a", "pr-1")]));
    assert!(!asks(&it, "POST", "/a", &[("env", "qa"), ("a", "pr-1")]));
    assert!(!asks(&it, "GET", "/a", &[("a", "pr-1")]));
    assert_eq!(
        it.to_string(),
        "method is GET and header env is \"qa\" and (path under \"/a\" and header a is \"pr-1\" or header b matches /^pr\\-1$/)"
    );
    let sources: Vec<_> = it.key_sources().collect();
    assert_eq!(sources, [KeySource::WholeHeader("a"), KeySource::Header("b")]);
    assert!(it.matches_narrowing("GET", b"/elsewhere"), "the second entry has no path");
    assert!(it.matches_headers([("env", &b"qa"[..]), ("b", b"pr-1")].into_iter()));
    assert!(!it.matches_headers([("b", &b"pr-1"[..])].into_iter()));
}

#[test]
fn keyless_only_by_the_administrators_word() {
    let keyless = [
        r#"{"path": {"prefix": "/{{ key }}"}}"#,
        r#"{"header": {"name": "a", "exact": "b"}}"#,
        r#"{"headerFilter": ".*"}"#,
        r#"{"any": [{"header": {"name": "a", "exact": "{{key}}"}}, {"method": "GET"}]}"#,
    ];
    for json in keyless {
        let error = compile(json).unwrap_err();
        assert_eq!(error.code(), "Keyless", "{json}");
        assert!(error.to_string().contains("`{{ key }}`"), "{error}");
        assert!(!from_json(json).compile(&key("pr-1"), true).unwrap().is_keyed());
    }
    assert!(compile(keyless[3]).unwrap_err().to_string().starts_with("any[1] "));
    let through_all =
        r#"{"all": [{"header": {"name": "a", "exact": "{{key}}"}}], "any": [{"method": "GET"}]}"#;
    assert!(compile(through_all).unwrap().is_keyed());
}

#[test]
fn refusals_say_where_and_what_to_do() {
    let long = "x".repeat(1025);
    let header = |rest: &str| format!(r#"{{"header": {{"name": "h", {rest}}}}}"#);
    let cases = [
        ("{}".to_owned(), "Empty", "match is empty"),
        (r#"{"any": [{}]}"#.into(), "Empty", "any[0] is empty"),
        (header(r#""exact": "x-{{key}}""#), "KeyNotAlone", "has the key character '-'"),
        (header(r#""exact": "{{ key }}2""#), "KeyNotAlone", "has the key character '2'"),
        (header(r#""exact": "a", "regex": "b""#), "NotOne", "it has 2"),
        (r#"{"header": {"name": "h"}}"#.into(), "NotOne", "exactly one of exact and regex: it has 0"),
        (r#"{"path": {}}"#.into(), "NotOne", "exact, prefix and regex"),
        (r#"{"header": {"name": "a b", "exact": "x"}}"#.into(), "BadHeaderName", "\"a b\""),
        (r#"{"header": {"name": "{{key}}", "exact": "x"}}"#.into(), "BadHeaderName", "header.name"),
        (r#"{"method": "post"}"#.into(), "BadMethod", "e.g. POST"),
        (r#"{"method": "G T"}"#.into(), "BadMethod", "e.g. GET"),
        (r#"{"path": {"prefix": "api"}}"#.into(), "BadPath", "begins with `/`"),
        (r#"{"path": {"exact": "/a?b=c"}}"#.into(), "BadPath", "no `?`"),
        (header(r#""exact": " {{key}}""#), "BadHeaderValue", "no blanks at their ends"),
        (format!(r#"{{"headerFilter": "{long}"}}"#), "TooLong", "1025 bytes, at most 1024"),
        (header(&format!(r#""exact": "{long}""#)), "TooLong", "header.exact"),
        (
            r#"{"headerFilter": "(?:(?:a{1000}){1000}){1000}{{key}}"}"#.into(),
            "RegexTooBig",
            "smaller repetitions",
        ),
    ];
    for (json, code, says) in cases {
        let error = compile(&json).unwrap_err();
        assert_eq!(error.code(), code, "{json}: {error}");
        assert!(error.to_string().contains(says), "{json}: {error}");
    }
    let many = Match {
        any: vec![Matcher { method: Some("GET".into()), ..Default::default() }; 33],
        ..Default::default()
    };
    assert_eq!(many.compile(&key("a"), true).unwrap_err().code(), "TooMany");
}

#[test]
fn a_bad_regex_is_refused_with_position_and_reason() {
    // The position is that in the text as it was written, behind however many keys.
    let cases = [
        ("a(b", 2, "unclosed group"),
        ("é(b", 2, "unclosed group"),
        ("{{ key }} {{key}} (b", 19, "unclosed group"),
        ("{{ key }}(?=x)", 10, "lookahead is not supported"),
        ("{{ key }}(?!x)", 10, "lookahead is not supported"),
        ("(?<=a){{ key }}", 1, "lookbehind is not supported"),
        ("(?<!a){{ key }}", 1, "lookbehind is not supported"),
        (r"({{ key }})\1", 12, "backreferences are not supported"),
        ("(?>a){{ key }}", 3, "atomic groups are not supported"),
        ("a**[", 4, "unclosed character class"),
        (r"\pL", 1, "Unicode"),
    ];
    for (pattern, column, says) in cases {
        let it = Match { header_filter: Some(pattern.into()), ..Default::default() };
        let error = it.compile(&key("pr-1"), false).unwrap_err();
        let MatchError::BadRegex { column: found, reason, offset, .. } = &error else {
            panic!("{pattern}: {error}")
        };
        assert!(reason.contains(says), "{pattern}: {reason}");
        assert_eq!(*found, column, "{pattern}: {error}");
        assert!(pattern.is_char_boundary(*offset));
    }
    let deep = format!("{}{}", "(".repeat(40), ")".repeat(40));
    let it = Match { header_filter: Some(deep), ..Default::default() };
    assert!(it.compile(&key("a"), false).unwrap_err().to_string().contains("nest deeper than 32"));
}

#[test]
fn equality_is_by_what_is_said() {
    let json = r#"{"headerFilter": "a: {{key}}", "path": {"prefix": "/a"}}"#;
    assert_eq!(compile(json).unwrap(), compile(&json.replace("/a", "/a/")).unwrap());
    assert_ne!(compile(json).unwrap(), compile(&json.replace("/a", "/b")).unwrap());
}

fn patterns() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{{ key }}".to_owned()),
        Just("{{key}}".to_owned()),
        "[a-z0-9.*+?|()\\[\\]{}^$ -]{0,6}".prop_map(|it| it),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|it| it.concat())
}

proptest! {
    #[test]
    fn no_match_ever_lets_anything_through_without_the_key(
        regex in patterns(), filter in any::<bool>(), value in "[a-z0-9.=, -]{0,20}", longer in "[a-zA-Z0-9._-]{1,4}",
    ) {
        let key = key("pr-1");
        let it = if filter {
            Match { header_filter: Some(regex), ..Default::default() }
        } else {
            let header = HeaderMatch { name: "h".into(), regex: Some(regex), exact: None };
            Match { header: Some(header), ..Default::default() }
        };
        match it.compile(&key, false) {
            Err(error) => prop_assert!(error.to_string().len() > 20, "{}", error),
            Ok(it) => {
                prop_assert!(key.is_token_of(value.as_bytes()) || !asks(&it, "GET", "/", &[("h", &value)]));
                let glued = [format!("pr-1{longer}"), format!("{longer}pr-1")];
                prop_assert!(!glued.iter().any(|value| asks(&it, "GET", "/", &[("h", value)])));
            }
        }
    }

    #[test]
    fn what_narrows_is_what_matches(path in "/[ab/]{0,4}", value in "pr-1|pr-2|") {
        let it = compile(r#"{"header": {"name": "h", "exact": "{{key}}"}, "path": {"prefix": "/a"}}"#).unwrap();
        let headers = [("h", value.as_bytes())];
        prop_assert_eq!(
            it.matches("GET", path.as_bytes(), headers.into_iter()),
            it.matches_narrowing("GET", path.as_bytes()) && it.matches_headers(headers.into_iter())
        );
    }
}
