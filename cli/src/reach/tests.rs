use super::*;

fn reach(incoming: serde_json::Value) -> Reach {
    let spec = serde_json::json!({ "image": "app:2", "incoming": incoming });
    Reach::of(&serde_json::from_value(spec).unwrap(), &key())
}

fn key() -> Key {
    "pr-1".parse().unwrap()
}

#[test]
fn without_a_match_the_key_goes_into_baggage_or_a_cookie() {
    let it = reach(serde_json::json!({}));
    assert_eq!(it.curl(&key(), "http://app/").unwrap(), "curl -H 'baggage: byway-key=pr-1' http://app/");
    assert_eq!(it.cookie(&key()).unwrap(), "document.cookie = \"byway-key=pr-1; path=/\"");
}

#[test]
fn a_match_names_its_own_header_and_knows_no_cookie() {
    let it =
        reach(serde_json::json!({ "match": { "header": { "name": "x-traffic", "exact": "{{ key }}" } } }));
    assert_eq!(it.headers(&key()), ["x-traffic: pr-1"]);
    assert_eq!(it.cookie(&key()), None);
    let more = serde_json::json!({ "match": {
        "path": { "prefix": "/api" },
        "any": [{ "method": "GET", "headerFilter": "^x-user: {{ key }}@.*$" }],
    } });
    let Reach::Headers { headers, more } = reach(more) else { panic!("headers") };
    assert_eq!(headers, ["x-user: pr-1@"]);
    assert!(more.unwrap().contains("path under \"/api\""));
}

#[test]
fn what_cannot_be_made_up_is_told_in_words() {
    let it = reach(serde_json::json!({ "match": { "headerFilter": "x-user: {{ key }}@[a-z]+" } }));
    assert_eq!(it.curl(&key(), "http://app/"), None);
    assert!(matches!(it, Reach::Match(words) if words.contains("x-user")));
    assert_eq!(reach(serde_json::json!({ "mode": "off" })), Reach::Nothing);
}

proptest::proptest! {
    /// Whatever is offered matches.
    #[test]
    fn what_is_offered_matches(regex in "[a-z.*^$ ]{0,6}\\{\\{ key \\}\\}[a-z.*$@ ]{0,6}") {
        let json = serde_json::json!({ "header": { "name": "x-a", "regex": regex } });
        let match_: Match = serde_json::from_value(json.clone()).unwrap();
        if let (Ok(compiled), Reach::Headers { headers, .. }) =
            (match_.compile(&key(), false), reach(serde_json::json!({ "match": json })))
        {
            let (name, value) = headers[0].split_once(": ").unwrap();
            proptest::prop_assert!(compiled.matches("GET", b"/", [(name, value.as_bytes())].into_iter()));
        }
    }
}

#[test]
fn a_shell_reads_what_is_quoted() {
    assert_eq!(quoted("it's"), r"'it'\''s'");
}
