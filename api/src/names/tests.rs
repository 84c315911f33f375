use super::{child_name, generated_key, hash};

#[test]
fn a_childs_name_is_a_dns_label_and_its_own() {
    let long = "a.very-long.name-of-a-preview-that-goes-on-and-on-beyond-all-me";
    assert_eq!(long.len(), 63);
    for name in ["x", "checkout-redesign", "v1.2", long] {
        let child = child_name(name, "u-1");
        assert!(child.len() <= 63, "{child}");
        assert!(child.starts_with("byway-") && !child.contains('.') && !child.contains("--"), "{child}");
        assert_ne!(child, child_name(name, "u-2"));
        assert_eq!(child, child_name(name, "u-1"));
    }
}

#[test]
fn a_generated_key_is_a_key_and_stays_the_same() {
    for name in ["x", "checkout-redesign", &"n".repeat(63), "a.b-"] {
        let key = generated_key(name, "u-1");
        assert_eq!(key, generated_key(name, "u-1"));
        assert_ne!(key, generated_key(name, "u-2"));
        assert!(key.as_str().starts_with(&name[..1]));
    }
}

#[test]
fn a_hash_tells_parts_apart() {
    assert_ne!(hash(&["ab", "c"], 16), hash(&["a", "bc"], 16));
    assert_eq!(hash(&["ab"], 6).len(), 6);
}
