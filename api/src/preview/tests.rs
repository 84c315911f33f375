use super::PreviewSpec;
use crate::{Key, crds};

fn spec(json: serde_json::Value) -> PreviewSpec {
    serde_json::from_value(json).unwrap()
}

#[test]
fn what_is_left_out_has_a_default() {
    let spec =
        spec(serde_json::json!({ "image": "app:2", "target": { "kind": "Deployment", "name": "app" } }));
    assert_eq!(spec.replicas, 1);
    assert_eq!(spec.ttl.to_string(), "1h");
    assert!(spec.incoming.response_header);
}

#[test]
fn a_match_is_judged_as_the_agent_would() {
    let key: Key = "pr-1".parse().unwrap();
    let problem = |match_: serde_json::Value, allow_keyless| {
        let spec =
            spec(serde_json::json!({ "image": "app:2", "incoming": { "ports": [80], "match": match_ } }));
        spec.check(&key, allow_keyless).err().map(|e| (e.code(), e.to_string()))
    };
    let keyed = serde_json::json!({ "header": { "name": "x-traffic", "exact": "{{ key }}" } });
    assert_eq!(problem(keyed, false), None);
    let beside = serde_json::json!({ "header": { "name": "x-traffic", "exact": "x{{ key }}" } });
    let (code, message) = problem(beside, false).unwrap();
    assert_eq!(code, "BadMatch");
    assert!(message.starts_with("incoming.match: header.exact"), "{message}");
    let regex = serde_json::json!({ "header": { "name": "x-traffic", "regex": "(?={{ key }})" } });
    assert!(problem(regex, false).unwrap().1.contains("look"), "RE2 refuses it as well, but says less");
    let keyless = serde_json::json!({ "path": { "prefix": "/api" } });
    assert_eq!(problem(keyless.clone(), false).unwrap().0, "Keyless");
    assert_eq!(problem(keyless, true), None);
}

#[test]
fn what_a_rule_of_the_schema_cannot_tell_is_said() {
    let key: Key = "pr-1".parse().unwrap();
    let problem = |field: &str, value: serde_json::Value| {
        let spec = spec(serde_json::json!({ "image": "app:2", field: value }));
        spec.check(&key, false).err().map(|e| (e.code(), e.to_string()))
    };
    let file =
        |text: &str| serde_json::json!([{ "path": "/a", "text": text }, { "path": "/b", "binary": "aGk=" }]);
    assert_eq!(problem("files", file("b")), None);
    assert_eq!(problem("files", file(&"b".repeat(512 << 10))).unwrap().0, "FilesTooLarge");
    let files =
        |paths: [&str; 3]| serde_json::json!(paths.map(|it| serde_json::json!({ "path": it, "text": "" })));
    assert_eq!(problem("files", files(["/a/b", "/a/bc", "/a/b.c"])), None);
    for paths in [["/a", "/c", "/a/b"], ["/a/b/c", "/a/bc", "/a/b"]] {
        let (code, message) = problem("files", files(paths)).unwrap();
        assert_eq!(code, "FileBelowFile");
        assert!(
            message.contains(&format!("no {} below", paths.iter().max_by_key(|it| it.len()).unwrap())),
            "{message}"
        );
    }
    let mapping = |names: &str| serde_json::json!([{ "names": names, "value": "" }]);
    assert_eq!(problem("envMapping", mapping(".+_TIMEOUT$")), None);
    let (code, message) = problem("envMapping", mapping("(a")).unwrap();
    assert_eq!(
        (code, message.as_str()),
        ("BadEnvMapping", "envMapping: \"(a\" is no regular expression: unclosed group")
    );
    let labels = |name: &str, value: &str| serde_json::json!({ "set": { name: value } });
    for (name, value) in [("tier", "web"), ("example.com/tier", ""), ("A_b.c", "x-y")] {
        assert_eq!(problem("labels", labels(name, value)), None, "{name}");
    }
    for (name, value) in
        [("byway.dev/key", "a"), ("", "a"), ("-a", "a"), ("a/b/c", "a"), ("a", "b c"), ("A.B/c", "a")]
    {
        assert_eq!(problem("labels", labels(name, value)).unwrap().0, "BadLabel", "{name}: {value}");
    }
}

#[test]
fn the_schema_is_one_that_a_cluster_takes() {
    for (name, crd) in crds() {
        let schema = serde_json::to_string(&crd).unwrap();
        for never in ["\"additionalProperties\":false", "$ref", "uint", "anyOf", "\"nullable"] {
            assert!(!schema.contains(never), "{name}: {never}: {schema}");
        }
    }
}
