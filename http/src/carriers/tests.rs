use proptest::prelude::*;

use super::*;

fn carried(headers: &[(&str, &str)]) -> Option<(String, Carrier)> {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
    carried_key(&headers).map(|it| (it.key.into_owned(), it.carrier))
}

fn of(name: &str, value: &str) -> Option<String> {
    carried(&[(name, value)]).map(|(key, _)| key)
}

#[test]
fn the_header() {
    assert_eq!(of("X-Byway-Key", "pr-1"), Some("pr-1".into()));
    assert_eq!(of("x-byway-key", " pr-1\t"), Some("pr-1".into()));
    for value in ["", "pr 1", "pr-1,pr-2", "\"pr-1\"", "-a", "\u{e9}", &"x".repeat(64)] {
        assert_eq!(of("x-byway-key", value), None, "{value}");
    }
    assert_eq!(of("x-byway-keys", "pr-1"), None);
    assert_eq!(of("x-other-key", "pr-1"), None);
}

#[test]
fn baggage() {
    let good = [
        "byway-key=pr-1",
        "byway-key = pr-1",
        "\tbyway-key\t=\tpr-1 ",
        "a=b,byway-key=pr-1,c=d",
        "a=b , byway-key=pr-1;ttl=5 ; x",
        "byway-key=pr-1 ; p=1, byway-key=pr-2",
        "byway-key=pr%2D1",
        "byway-key=%70%72-1;x=%zz",
        "=,;;,no value,byway-key,byway-key=,byway-key=%zz,byway-key=a b,byway-key=pr-1",
        "a=\"x,byway-key=pr-1",
    ];
    for value in good {
        assert_eq!(of("baggage", value), Some("pr-1".into()), "{value}");
    }
    for value in [
        "",
        "Byway-Key=pr-1",
        "byway-keys=pr-1",
        "xbyway-key=pr-1",
        "byway-key=pr%2",
        "byway-key=%00",
        "a=byway-key=pr-1",
    ] {
        assert_eq!(of("baggage", value), None, "{value}");
    }
    assert_eq!(
        carried(&[("baggage", "a=b"), ("Baggage", "byway-key=x")]),
        Some(("x".into(), Carrier::Baggage))
    );
    assert_eq!(of("baggage", &format!("byway-key={}", "%41".repeat(63))), Some("A".repeat(63)));
    assert_eq!(of("baggage", &format!("byway-key={}", "%41".repeat(64))), None);
}

#[test]
fn cookies() {
    for value in [
        "byway-key=pr-1",
        "a=b; byway-key=pr-1",
        "a=b;byway-key=\"pr-1\"; c",
        "byway-key = pr-1 ;",
        "byway-key=; byway-key=pr-1",
    ] {
        assert_eq!(of("cookie", value), Some("pr-1".into()), "{value}");
    }
    for value in ["byway-key=\"pr-1", "byway-key=pr%2D1", "BYWAY-KEY=pr-1", "xbyway-key=pr-1", "byway-key"] {
        assert_eq!(of("cookie", value), None, "{value}");
    }
}

#[test]
fn the_first_valid_one_wins_in_order_of_precedence() {
    let all =
        [("cookie", "byway-key=c"), ("baggage", "byway-key=b"), ("x-byway-key", "h"), ("x-byway-key", "h2")];
    assert_eq!(carried(&all), Some(("h".into(), Carrier::Header)));
    assert_eq!(carried(&all[..2]), Some(("b".into(), Carrier::Baggage)));
    assert_eq!(carried(&all[..1]), Some(("c".into(), Carrier::Cookie)));
    let broken = [("x-byway-key", "not one"), ("baggage", "byway-key=;"), ("cookie", "byway-key=c")];
    assert_eq!(carried(&broken), Some(("c".into(), Carrier::Cookie)));
    let two = [("x-byway-key", ""), ("x-byway-key", "h2")];
    assert_eq!(carried(&two), Some(("h2".into(), Carrier::Header)));
}

proptest! {
    #[test]
    fn what_is_found_is_a_key(name in "x-byway-key|baggage|cookie", value in "(byway-key ?=|[a%=;, \"-]|pr-1){0,10}") {
        if let Some(key) = of(&name, &value) {
            prop_assert!(Key::is_valid(key.as_bytes()));
        }
    }

    #[test]
    fn a_malformed_member_hides_no_other(noise in "[a-z%=;\" ]{0,12}", after in "[a-z%=;\" ]{0,12}") {
        let value = format!("{noise},byway-key=pr-1,{after}");
        let wanted = of("baggage", &noise).unwrap_or("pr-1".to_owned());
        prop_assert_eq!(of("baggage", &value), Some(wanted));
    }
}
