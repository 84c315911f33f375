//! `start`: makes a Preview, or changes the one that holds key and target.

use byway_sim::{Does, Pods};
use byway_tests::Scratch;
use serde_json::{Value, json};

use crate::command::{call, call_with};
use crate::stage::{Space, shared};

const APP: [&str; 5] = ["start", "-t", "deployment/app", "-i", "app:preview"];

fn space(name: &str) -> Space<'static> {
    let space = shared().space(name);
    space.deployment("app", 2);
    space.wait_pods("app=app", 2);
    space
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    APP.into_iter().chain(more.iter().copied()).collect()
}

fn managers(preview: &Value) -> Vec<&str> {
    let fields = preview["metadata"]["managedFields"].as_array().unwrap();
    fields.iter().filter_map(|it| it["manager"].as_str()).collect()
}

#[test]
fn it_makes_a_preview_waits_and_says_how_to_reach_it() {
    let space = space("start");
    let out =
        call(&space, &with(&["-k", "start-1", "-e", "COLOUR=green", "--ttl", "90m", "--replicas", "2"]))
            .exits(0);
    let out = out.says(&[
        "✓ configuration loaded: flags",
        "✓ connected to ",
        &format!("✓ preview {}/app-start-1 created: key start-1", space.name),
        "✓ the target's pod template is cloned",
        "✓ 2 of 2 pods are ready",
        "✓ routes programmed: 2 of 2\n",
        "✓ ready",
    ]);
    assert!(!out.stderr.contains('\x1b'), "no colours but on a terminal: {}", out.stderr);
    for line in [
        "key        start-1\n",
        "name       app-start-1\n",
        "(in 1h29m)\n",
        "curl -H 'baggage: byway-key=start-1' http://YOUR-APP/\n",
        "document.cookie = \"byway-key=start-1; path=/\"",
    ] {
        assert!(out.stdout.contains(line), "{line:?} is not in {}", out.stdout);
    }
    let preview = space.get("Preview", "app-start-1").unwrap();
    assert_eq!(preview["spec"]["env"], json!([{ "name": "COLOUR", "value": "green" }]));
    assert_eq!(preview["status"]["phase"], "Ready");
    assert!(managers(&preview).contains(&"kubectl-preview"));
    assert_eq!(preview["spec"].get("renewedAt"), None);
}

#[test]
fn started_again_it_changes_the_preview_that_holds_key_and_target() {
    let space = space("again");
    space.preview("mine", json!({ "key": "again-1", "env": [{ "name": "A", "value": "1" }] }));
    space.wait_ready("mine");
    call(&space, &with(&["-k", "again-1", "-e", "B=2", "-o", "name"]))
        .exits(0)
        .says(&["preview", "mine updated"]);
    let first = space.get("Preview", "mine").unwrap();
    assert!(first["spec"]["renewedAt"].is_string(), "a mutable tag is pulled again");
    let out = call(&space, &["start", "-t", "deploy/app", "-i", "app:newer", "-k", "again-1", "-o", "name"])
        .exits(0);
    assert_eq!(out.stdout, "preview.byway.dev/mine\n");
    let preview = space.get("Preview", "mine").unwrap();
    assert_eq!(preview["spec"]["image"], "app:newer");
    assert_eq!(
        preview["spec"]["env"],
        json!([{ "name": "A", "value": "1" }]),
        "another writer's stays, ours is gone"
    );
    assert_eq!(space.list("Preview", "").len(), 1);
    assert_eq!(
        preview["status"]["observedGeneration"], preview["metadata"]["generation"],
        "it waited for the newest"
    );
}

#[test]
fn without_a_key_it_makes_a_readable_one() {
    let space = space("keyless");
    let out = call(&space, &["start", "-t", "deployment/app", "-i", "app:PR_7", "-o", "yaml"]).exits(0);
    let key = out.stdout.lines().find_map(|it| it.trim().strip_prefix("key: ")).unwrap().to_owned();
    assert!(key.starts_with("ann-pr-7-"), "{key}");
    assert!(!out.stdout.contains("managedFields"));
    // By its name it is the same one again, key and all.
    let name = format!("app-{key}");
    call(&space, &["start", &name, "-t", "deployment/app", "-i", "app:PR_8", "-o", "name"]).exits(0);
    let preview = space.get("Preview", &name).unwrap();
    assert_eq!((&preview["spec"]["key"], &preview["spec"]["image"]), (&json!(key), &json!("app:PR_8")));
}

#[test]
fn a_file_is_taken_and_flags_go_before_it() {
    let space = space("file");
    let file = r#"
apiVersion: byway.dev/v1alpha1
kind: Preview
metadata: { name: from-file, namespace: elsewhere, labels: { team: a } }
spec:
  key: file-1
  target: { kind: Deployment, name: app }
  image: "app:file"
  incoming: { match: { header: { name: x-traffic, exact: "{{ key }}" } } }
"#;
    let out = call_with(&space, &["start", "-f", "-", "-i", "app:flag"], file).exits(0);
    assert!(out.stdout.contains("curl -H 'x-traffic: file-1' http://YOUR-APP/\n"), "{}", out.stdout);
    assert!(!out.stdout.contains("cookie"), "only the default carriers know cookies: {}", out.stdout);
    let preview = space.get("Preview", "from-file").unwrap();
    assert_eq!(
        (&preview["spec"]["image"], &preview["metadata"]["labels"]["team"]),
        (&json!("app:flag"), &json!("a"))
    );
}

#[test]
fn without_a_target_it_is_a_fresh_pod_with_a_service() {
    let space = shared().space("fresh");
    let out =
        call(&space, &["start", "-i", "team/new-service:3", "--port", "8080", "-k", "fresh-1"]).exits(0);
    let preview = space.get("Preview", "new-service-fresh-1").unwrap();
    let service = preview["status"]["service"].as_str().unwrap();
    let line = format!("curl -H 'baggage: byway-key=fresh-1' http://{service}.{}:8080/\n", space.name);
    assert!(out.stdout.contains(&line), "{line:?} is not in {}", out.stdout);
    call(&space, &["start", "-i", "team/new-service:4", "--port", "8080", "-k", "fresh-1", "--no-wait"])
        .exits(0);
    assert_eq!(space.list("Preview", "").len(), 1, "the same one");
}

#[test]
fn a_dry_run_prints_what_can_be_started() {
    let space = space("dry");
    let mirrord = r#"{ "key": "dry-1", "target": "deployment/app", "feature": { "preview": { "image": "app:preview" } } }"#;
    let out = call_with(&space, &["start", "-f", "-", "--dry-run"], mirrord).exits(0);
    assert_eq!(space.list("Preview", "").len(), 0);
    call_with(&space, &["start", "-f", "-", "-o", "name"], &out.stdout).exits(0);
    assert_eq!(space.get("Preview", "app-dry-1").unwrap()["spec"]["key"], "dry-1");
    let wrong = out.stdout.replace("spec:\n", "spec:\n  novel: 1\n");
    assert!(call_with(&space, &["start", "-f", "-", "--dry-run"], &wrong).exits(3).stderr.contains("novel"));
}

/// The Secrets of a Preview are those that were made for it, and of these only what it names stays.
#[test]
fn of_the_secrets_that_it_makes_the_last_one_stays() {
    let space = space("secrets");
    let folder = Scratch::new("secrets").unwrap();
    let start = |key: &str, contents: &str| {
        let file = folder.path().join("file");
        std::fs::write(&file, contents).unwrap();
        let file = format!("/etc/pem={}", file.display());
        call(&space, &with(&["-k", key, "--mount-secret", &file, "-o", "name"])).exits(0)
    };
    let secrets = || {
        let all = space.list("Secret", "");
        all.iter().map(|it| it["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    start("secrets-1", "one");
    let [one] = &secrets()[..] else { panic!("{:?}", secrets()) };
    assert!(one.starts_with("app-secrets-1-files-"), "{one}");
    // What is named again stays.
    start("secrets-1", "one");
    assert_eq!(&secrets(), std::slice::from_ref(one));
    start("secrets-1", "two");
    let [two] = &secrets()[..] else { panic!("{:?}", secrets()) };
    assert_ne!(one, two);
    // Somebody else's stays, whatever its name is.
    let other = "app-secrets-1-files-mine";
    space.apply(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": other }, "stringData": { "a": "b" },
    }));
    let named = json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "metadata": { "name": "app-secrets-1" },
        "spec": {
            "key": "secrets-1", "target": { "kind": "Deployment", "name": "app" }, "image": "app:preview",
            "files": [{ "path": "/a", "secretKeyRef": { "name": other, "key": "a" } }],
        },
    });
    call_with(&space, &["start", "-f", "-", "-o", "name"], &named.to_string()).exits(0);
    assert_eq!(secrets(), [other]);
    start("secrets-1", "three");
    assert!(secrets().len() == 2 && secrets().contains(&other.to_owned()), "{:?}", secrets());
}

#[test]
fn it_need_not_wait() {
    let space = shared().space("no-wait");
    space.deployment("app", 1);
    let slow = Pods::of_image("slow:1").of_namespace(&space.name);
    space.stage.sim.pods(slow, Does::IsNotReady);
    let out =
        call(&space, &["start", "mine", "-t", "deployment/app", "-i", "slow:1", "-k", "nw-1", "--no-wait"])
            .exits(0);
    assert!(out.stdout.contains("baggage: byway-key=nw-1"), "{}", out.stdout);
    assert!(space.get("Preview", "mine").is_some());
}
