use proptest::prelude::*;

use super::*;

#[test]
fn the_grammar() {
    for good in ["a", "7", "pr-1", "A.b_c-9", &"x".repeat(63)] {
        assert_eq!(good.parse::<Key>().map(|k| k.to_string()), Ok(good.to_owned()));
    }
    let bad = [
        ("", KeyError::Empty),
        ("-a", KeyError::BadEnd('-')),
        ("a.", KeyError::BadEnd('.')),
        ("_", KeyError::BadEnd('_')),
        ("a b", KeyError::BadCharacter { found: ' ', at: 1 }),
        ("aé", KeyError::BadCharacter { found: 'é', at: 1 }),
        ("a\0", KeyError::BadCharacter { found: '\0', at: 1 }),
    ];
    for (text, why) in bad {
        assert_eq!(text.parse::<Key>(), Err(why), "{text:?}");
    }
    assert_eq!("x".repeat(64).parse::<Key>(), Err(KeyError::TooLong(64)));
}

#[test]
fn a_token_has_no_key_character_beside_it() {
    let key: Key = "pr-1".parse().unwrap();
    for yes in ["pr-1", "a=pr-1;b", "\"pr-1\"", "x,pr-1", "pr-12 pr-1", "\u{e9}pr-1"] {
        assert!(key.is_token_of(yes.as_bytes()), "{yes}");
    }
    for no in ["", "pr-12", "xpr-1", "pr-1.", "pr-1-pr-1", "PR-1", "pr -1"] {
        assert!(!key.is_token_of(no.as_bytes()), "{no}");
    }
}

proptest! {
    #[test]
    fn parsing_and_is_valid_agree(text in "[-A-Za-z0-9._ é]{0,70}") {
        prop_assert_eq!(text.parse::<Key>().is_ok(), Key::is_valid(text.as_bytes()));
    }
}
