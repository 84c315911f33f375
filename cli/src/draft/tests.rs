use byway_api::{ExistingConnections, OnUnreachable, PullPolicy};

use super::*;
use crate::args::{EnvVarArg, FileArg, target};
use crate::exit::Exit;

const FILE: &str = r#"
apiVersion: byway.dev/v1alpha1
kind: Preview
metadata: { name: checkout, namespace: staging, labels: { team: a }, uid: "1" }
spec:
  key: pr-1
  target: { kind: Deployment, name: checkout }
  image: "checkout:1"
  env: [{ name: A, value: file }, { name: B, value: file }]
  incoming: { mode: off, ports: [8080] }
status: {}
"#;

fn of(text: &str, what: &What) -> Result<Draft, Failure> {
    draft(Some(&File { path: Path::new("preview.yaml"), text }), what, &Global::default())
}

fn flags(what: &What) -> Result<Draft, Failure> {
    draft(None, what, &Global::default())
}

fn image(image: &str) -> What {
    What { image: Some(image.to_owned()), ..What::default() }
}

#[test]
fn flags_alone_make_a_preview() {
    let what = What {
        target: Some(target("deployment/app").unwrap()),
        header: Some("x-traffic".into()),
        ports: vec![80, 81],
        ttl: Some("90m".parse().unwrap()),
        idle_ttl: Some("30m".parse().unwrap()),
        replicas: Some(2),
        image_pull_policy: Some(PullPolicy::IfNotPresent),
        on_unreachable: Some(OnUnreachable::Stable),
        existing_connections: Some(ExistingConnections::DrainIdle),
        ..image("app:2")
    };
    let draft = flags(&what).unwrap();
    assert_eq!(
        draft.object("demo", "a"),
        json!({
            "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "metadata": { "name": "a", "namespace": "demo" },
            "spec": {
                "target": { "kind": "Deployment", "name": "app" }, "image": "app:2", "imagePullPolicy": "IfNotPresent",
                "ttl": "1h30m", "idleTtl": "30m", "replicas": 2,
                "incoming": {
                    "ports": [80, 81], "match": { "header": { "name": "x-traffic", "exact": "{{ key }}" } },
                    "onUnreachable": "stable", "existingConnections": "drainIdle",
                },
            },
        })
    );
}

#[test]
fn flags_go_before_the_file() {
    let what = What {
        key: Some("pr-2".into()),
        env: vec![EnvVarArg { name: "A".into(), value: "flag".into() }],
        unset_env: vec!["C*".into(), "D".into()],
        ports: vec![9090],
        ignore_ports: vec![9091],
        ..image("checkout:2")
    };
    let draft = of(FILE, &what).unwrap();
    assert_eq!(draft.spec["unsetEnv"], json!(["C*", "D"]));
    assert_eq!((draft.name.as_deref(), draft.namespace.as_deref()), (Some("checkout"), Some("staging")));
    assert_eq!(draft.key().unwrap().unwrap().as_str(), "pr-2");
    assert_eq!(draft.image(), "checkout:2");
    assert_eq!(
        draft.spec["env"],
        json!([{ "name": "B", "value": "file" }, { "name": "A", "value": "flag" }])
    );
    assert_eq!(draft.spec["incoming"], json!({ "mode": "off", "ports": [9090], "ignorePorts": [9091] }));
    let metadata = json!({ "name": "n", "namespace": "s", "labels": { "team": "a" } });
    assert_eq!(draft.object("s", "n")["metadata"], metadata, "labels are kept, what the server sets is not");
}

#[test]
fn json_is_read_too() {
    let text = r#"{"apiVersion":"byway.dev/v1alpha1","kind":"Preview","metadata":{"name":"a"},"spec":{"image":"x","target":{"kind":"Pod","name":"p"}}}"#;
    assert_eq!(of(text, &What::default()).unwrap().target().unwrap().unwrap().name, "p");
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let said = |done: Result<Draft, Failure>| {
        let failure = done.unwrap_err();
        assert_eq!(failure.exit, Exit::Invalid, "{failure}");
        failure.message
    };
    assert!(said(flags(&What::default())).contains("--image"));
    assert!(said(flags(&image("app:2"))).contains("--port PORT"));
    let key = What { key: Some("a b".into()), ports: vec![80], ..image("app:2") };
    assert!(said(flags(&key)).contains("only letters, digits"));
    assert!(
        said(of(&FILE.replace("Preview", "Deployment"), &What::default()))
            .contains("it is byway.dev/v1alpha1 Deployment")
    );
    assert!(said(of(&format!("{FILE}\n---\n{FILE}"), &What::default())).contains("one Preview"));
    assert!(said(of(&FILE.replace("spec:", "spek:"), &What::default())).contains("unknown field \"spek\""));
    let deep = format!("{FILE}labels: {}", "[".repeat(300_000));
    assert!(said(of(&deep, &What::default())).contains("more than 1000 brackets"));
    assert!(said(of("apiVersion: [", &What::default())).starts_with("preview.yaml: "));
    assert!(
        said(of(&FILE.replace("Deployment", "Service"), &What::default()))
            .contains("target: unknown variant")
    );
    // What is lacking is there, but for a slip.
    let slip = FILE.replace("target:", "targt:").replace("ports:", "port:");
    let words = "spec.incoming.port: there is no such field: did you mean ports?\nspec.targt: there is no such field: did you mean target?";
    assert_eq!(said(of(&slip, &What::default())), format!("preview.yaml: {words}"));
    let novel = FILE.replace("key: pr-1", "novel: 1");
    assert!(of(&novel, &What::default()).is_ok(), "a newer server may know it");
    let twice = FILE.replace("key: pr-1", "key: pr-1\n  key: pr-2");
    assert!(said(of(&twice, &What::default())).contains("\"key\" is there twice"));
    for field in ["ttl", "idleTtl"] {
        let bare = FILE.replace("key: pr-1", &format!("{field}: 90"));
        let words = format!("spec.{field} is 90, without a unit: write it as a text, e.g. \"90m\"");
        assert_eq!(said(of(&bare, &What::default())), words);
    }
    for (field, text) in [("name", "{ name: checkout"), ("namespace", ", namespace: staging")] {
        let number = FILE.replace(text, &format!("{} 7", text.rsplit_once(' ').unwrap().0));
        let words = format!("preview.yaml: metadata.{field}: write it in quotes");
        assert_eq!(said(of(&number, &What::default())), words);
    }
    let ttl = FILE.replace("key: pr-1", "ttl: 5s");
    assert!(said(of(&ttl, &What::default())).contains("between 60s and 720h"));
}

#[test]
fn of_a_file_that_a_flag_replaces_nothing_is_sent() {
    let file = |path: &str, local: &str| FileArg { path: path.to_owned(), local: local.into() };
    let text = r#"{ "target": "deployment/app", "feature": { "preview": { "image": "x", "secret_mounts": [
        { "mount_at": "/a", "type": "text", "payload": "old" },
        { "mount_at": "/b", "type": "text", "payload": "kept" }] } } }"#;
    for (what, keys) in [
        (What { files: vec![file("/a", "Cargo.toml")], ..What::default() }, ["1-b"].as_slice()),
        (What { secret_files: vec![file("/a", "Cargo.toml")], ..What::default() }, &["1-b", "2-a"]),
    ] {
        let draft = of(text, &what).unwrap();
        assert_eq!(draft.secrets.0.keys().collect::<Vec<_>>(), keys, "{draft:?}");
        assert!(!format!("{draft:?}").contains("old"));
    }
    let long = What { secret_files: vec![file("/a", "/dev/zero")], ..image("x") };
    assert!(flags(&long).unwrap_err().message.contains("more than 1 MiB"));
}

#[test]
fn what_is_no_object_of_kubernetes_is_a_configuration_of_mirrord() {
    assert!(!is_preview(
        r#"{ "target": { "path": "deployment/app" }, "feature": { "preview": { "image": "x" } } }"#
    ));
    assert!(!is_preview("target = \"deployment/app\""));
    let member =
        "target: deployment/app\nfeature:\n  env:\n    override:\n      kind: blue\n      apiVersion: 2\n";
    assert!(
        !is_preview(member) && !is_preview(r#"{ "feature": { "env": { "override": { "kind": "blue" } } } }"#)
    );
    assert!(
        is_preview("kind: Preview") && is_preview("{ \"apiVersion\": 1 }") && is_preview("---\n\"kind\" : x")
    );
}

proptest::proptest! {
    /// Whatever is in a file, it is read or refused.
    #[test]
    fn no_file_breaks_it(text in "(apiVersion: byway.dev/v1alpha1\nkind: Preview\n)?[a-z:{}\\[\\] \n\"0-9-]{0,60}") {
        let _ = of(&text, &What { ports: vec![80], ..image("app:2") });
    }
}
