use crate::PreviewRoute;

fn code(json: &str) -> &'static str {
    let preview: PreviewRoute = serde_json::from_str(json).unwrap();
    preview.compile().map_or_else(|error| error.code(), |_| "ok")
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
