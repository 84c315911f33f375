use crate::PreviewRoute;

fn code(json: &str) -> &'static str {
    let preview: PreviewRoute = serde_json::from_str(json).unwrap();
    preview.compile().map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn a_field_that_cannot_be_read_is_named() {
    let why = |json: &str| {
        let preview: PreviewRoute = serde_json::from_str(json).unwrap();
        preview.compile().unwrap_err().to_string()
    };
    assert_eq!(
        why(r#"{"name": "a/b", "key": 12}"#),
        "the preview cannot be read: invalid type: integer `12`, expected a string, in `key`"
    );
    assert_eq!(
        why(r#"{"name": "a/b", "key": "k", "backends": [{"ips": ["10.0.0.300"]}]}"#),
        "the preview cannot be read: invalid IP address syntax, in `backends[0].ips[0]`"
    );
}

#[test]
fn each_reason_has_its_code() {
    assert_eq!(code(r#"{"name": "a/b", "key": "pr-1"}"#), "ok");
    assert_eq!(code(r#"{"name": "a/b", "key": "pr 1"}"#), "BadKey");
    assert_eq!(code(r#"{"name": "a/b"}"#), "BadField");
    assert_eq!(code(r#"{"name": "a/b", "key": 12}"#), "BadField");
    assert_eq!(code(r#"{"name": "a/b", "key": "pr-1", "later": 1}"#), "TooNew");
    assert_eq!(code(r#"{"name": "a/b", "key": "pr-1", "match": {}}"#), "BadMatch");
    for name in ["", "b", "a/", "/b", "a/b\\r\\nx: y", "a/B"] {
        assert_eq!(code(&format!(r#"{{"name": "{name}", "key": "pr-1"}}"#)), "BadName", "{name}");
    }
}
