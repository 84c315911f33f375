//! Where Previews may be, what they may run, how long and how many.

use std::time::Duration;

use byway_tests::eventually;
use serde_json::json;

use crate::applied::cluster;
use crate::helm::NAMESPACE;

/// The API server compiles policies in its own time.
const SOON: Duration = Duration::from_secs(30);

struct Wish<'a> {
    namespace: &'a str,
    name: &'a str,
    image: &'a str,
    ttl: &'a str,
}

impl Wish<'_> {
    fn make(&self, more: &[&str]) -> Result<(), String> {
        let object = json!({
            "apiVersion": "byway.dev/v1alpha1", "kind": "Preview",
            "metadata": { "name": self.name, "namespace": self.namespace },
            "spec": { "image": self.image, "ttl": self.ttl, "incoming": { "ports": [8080] } },
        });
        let file = byway_tests::Scratch::new("preview").unwrap();
        let path = file.path().join("preview.json");
        std::fs::write(&path, object.to_string()).unwrap();
        let args = ["create", "-f", path.to_str().unwrap()];
        cluster().ask([&args[..], more].concat()).map(drop).map_err(|e| format!("{e:#}"))
    }

    fn may(&self) -> Result<(), String> {
        self.make(&["--dry-run=server"])
    }
}

fn of<'a>(namespace: &'a str, image: &'a str, ttl: &'a str) -> Wish<'a> {
    Wish { namespace, name: "a", image, ttl }
}

fn wait_for_policy() {
    let denies = || {
        of("closed", "registry.example/one", "1h")
            .may()
            .err()
            .filter(|e| e.contains("limits.previews.byway.dev"))
    };
    assert!(eventually(SOON, denies).is_some(), "the policy is not in force after 30 s");
}

#[test]
fn previews_are_only_where_they_may_be() {
    wait_for_policy();
    let may = |namespace| of(namespace, "registry.example/shop/a", "1h").may();
    for namespace in ["closed", "production", NAMESPACE, "kube-system"] {
        let said = may(namespace).unwrap_err();
        assert!(said.contains(&format!("no Previews in the namespace {namespace}")), "{said}");
    }
    of("open", "registry.example/shop/a", "1h").may().unwrap();
}

#[test]
fn previews_run_only_images_that_are_listed() {
    wait_for_policy();
    let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    for image in [
        "registry.example/shop/a/b:v1",
        "registry.example/one",
        "registry.example/one:v2",
        "registry.example:5000/two:v1",
    ] {
        of("open", image, "1h").may().unwrap();
    }
    of("open", &format!("registry.example/one@{digest}"), "1h").may().unwrap();
    of("open", &format!("registry.example:5000/two:v1@{digest}"), "1h").may().unwrap();
    for image in [
        "nginx",
        "registry.example/shop",
        "registry.example/shopping/a",
        "registry.example/one/more",
        "registry.example/oneself",
        "registry.example:5000/two",
        "registry.example:5000/two:v10",
        "registry.example.evil/shop/a",
        "evil/registry.example/shop/a",
    ] {
        let said = of("open", image, "1h").may().expect_err(image);
        assert!(
            said.contains(&format!("the image {image} is not one"))
                && said.contains("registry.example/shop/*"),
            "{said}"
        );
    }
    // A namespace's own list stands instead of the common one.
    of("staging", "registry.example/staging/a", "1h").may().unwrap();
    of("staging", "registry.example/shop/a", "1h").may().unwrap_err();
    of("sandbox", "nginx", "1h").may().unwrap();
}

#[test]
fn previews_live_no_longer_than_they_may() {
    wait_for_policy();
    let staging = |ttl| of("staging", "registry.example/staging/a", ttl).may();
    for ttl in ["60s", "2h", "1h60m", "7200s"] {
        staging(ttl).unwrap();
    }
    for ttl in ["never", "7201s", "3h", "24h"] {
        let said = staging(ttl).expect_err(ttl);
        assert!(said.contains(&format!("ttl is {ttl}, and at most 2h in staging")), "{said}");
    }
    of("sandbox", "a", "never").may().unwrap();
}

#[test]
fn what_was_there_before_a_limit_can_go_but_not_change() {
    wait_for_policy();
    let wish = Wish { name: "before", ..of("changing", "registry.example/one", "1h") };
    wish.make(&[]).unwrap();
    // As if the namespace had been closed meanwhile.
    cluster().ask(["label", "namespace", "changing", "tier=production", "--overwrite"]).unwrap();
    let patch = |patch: &str| {
        cluster().ask(["patch", "preview", "before", "-n", "changing", "--type=merge", "-p", patch])
    };
    let mut replicas = 1;
    let refused = || {
        replicas = 3 - replicas; // what changes nothing is not asked about
        patch(&format!(r#"{{"spec":{{"replicas":{replicas}}}}}"#)).err()
    };
    let refused = eventually(SOON, refused);
    cluster().ask(["label", "namespace", "changing", "tier=changing", "--overwrite"]).unwrap();
    assert!(refused.expect("it is refused").to_string().contains("no Previews in the namespace changing"));
    patch(r#"{"metadata":{"labels":{"a":"b"}}}"#).unwrap();
    cluster().ask(["delete", "preview", "before", "-n", "changing", "--timeout=30s"]).unwrap();
}

#[test]
fn there_are_no_more_previews_than_there_may_be() {
    wait_for_policy();
    let get = ["get", "resourcequota", "byway-previews", "-n", "counted", "-o", "jsonpath={.status.used}"];
    // The controller manager looks for new kinds every half a minute, and then at a quota that changes, or after five minutes.
    let known = || {
        for count in ["3", "2"] {
            let patch = format!(r#"{{"spec":{{"hard":{{"count/previews.byway.dev":"{count}"}}}}}}"#);
            cluster()
                .ask(["patch", "resourcequota", "byway-previews", "-n", "counted", "-p", &patch])
                .ok()?;
        }
        std::thread::sleep(Duration::from_secs(1));
        cluster().ask(get).ok().filter(|used| used.contains("count/previews.byway.dev"))
    };
    assert!(eventually(3 * SOON, known).is_some(), "the quota is taken in");
    let hard = ["get", "resourcequota", "byway-previews", "-n", "counted", "-o", "jsonpath={.status.hard}"];
    let settled = || cluster().ask(hard).ok().filter(|hard| hard.contains(":\"2\""));
    assert!(eventually(SOON, settled).is_some(), "it is as the chart made it");
    let make = |name| Wish { name, ..of("counted", "registry.example/one", "1h") }.make(&[]);
    let made = ["one", "two", "three"].map(make);
    assert!(made[0].is_ok() && made[1].is_ok(), "{made:?}");
    let said = made[2].clone().unwrap_err();
    assert!(said.contains("exceeded quota: byway-previews"), "{said}");
}
