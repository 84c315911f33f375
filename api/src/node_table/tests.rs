use super::*;

const DOCUMENT: &str = r#"{
  "apiVersion": "byway.dev/v1alpha1", "kind": "NodeTable", "metadata": {"name": "node-1"},
  "spec": {
    "previews": [
      {"name": "staging/good", "revision": "a1", "key": "pr-1", "expiresAt": "2030-01-01T00:00:00Z",
       "match": {"header": {"name": "x-traffic", "exact": "{{ key }}"}},
       "backends": [{"name": "staging/p-0", "ips": ["10.0.0.7", "fd00::7"]}]},
      {"name": "staging/newer", "revision": "b2", "key": "pr-2", "weight": 50},
      {"name": "staging/newer-match", "revision": "b3", "key": "pr-3", "match": {"grpc": {"service": "x"}}},
      {"name": "staging/newer-value", "key": "pr-4", "onUnreachable": "retry"}
    ],
    "environments": [{"key": "pr-1", "ips": ["10.0.0.7"]}],
    "targets": [{"podUid": "u", "name": "staging/app-0", "ips": ["10.0.0.3"], "ports": [8080], "previews": ["staging/good"]}]
  }
}"#;

#[test]
fn one_preview_that_cannot_be_read_takes_no_other_down() {
    let document: NodeTableFile = serde_json::from_str(DOCUMENT).unwrap();
    let compiled: Vec<_> = document.spec.previews.iter().map(PreviewRoute::compile).collect();
    let good = compiled[0].as_ref().unwrap();
    assert_eq!(
        (good.key.as_str(), good.response_header, good.on_unreachable),
        ("pr-1", true, OnUnreachable::Error)
    );
    for (i, says) in [(1, "weight"), (2, "grpc"), (3, "retry")] {
        let error = compiled[i].as_ref().unwrap_err();
        assert_eq!(error.code(), "TooNew");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(document.spec.previews[1].revision, "b2", "it can still be named in the status");
}

#[test]
fn what_is_written_is_read_again() {
    let mut document: NodeTableFile = serde_json::from_str(DOCUMENT).unwrap();
    document.spec.previews.truncate(1);
    let text = serde_json::to_string(&document).unwrap();
    assert!(text.contains(r#""match":{"header":"#), "{text}");
    assert_eq!(serde_json::from_str::<NodeTableFile>(&text).unwrap(), document);
}
