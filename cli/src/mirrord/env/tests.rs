use proptest::prelude::*;

use super::literal;

/// What Kubernetes makes of a value, where it knows no variable: `third_party/forked/golang/expansion`.
fn expanded(value: &str) -> String {
    let mut text = String::new();
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('$', Some('$')) => {
                text.push('$');
                chars.next();
            }
            ('$', Some('(')) => text.push_str("REFERENCE"),
            _ => text.push(c),
        }
    }
    text
}

proptest! {
    #[test]
    fn values_arrive_as_they_are_written(value in "[$()a]{0,12}") {
        prop_assert_eq!(expanded(&literal(&value)), value);
    }
}

#[test]
fn a_dollar_alone_stays() {
    assert_eq!(literal("5$ a$b $"), "5$ a$b $");
    assert_eq!(literal("$(A)"), "$$(A)");
}
