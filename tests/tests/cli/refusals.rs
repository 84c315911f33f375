//! What is refused, by whom, and what is said of it.

use std::path::Path;

use byway_tests::{Cluster, Scratch, eventually};
use serde_json::{Value, json};

use crate::command::{Call, Out, call, call_with, command};
use crate::stage::{PATIENCE, shared};

fn with_kubeconfig(kubeconfig: &Path, args: &[&str]) -> Out {
    let mut command = command(kubeconfig);
    command.args(args);
    Call::spawn(command).end()
}

fn file(spec: &str) -> String {
    format!("apiVersion: byway.dev/v1alpha1\nkind: Preview\nmetadata: {{ name: mine }}\nspec: {spec}\n")
}

#[test]
fn what_is_invalid_is_refused_before_anything_is_made() {
    let space = shared().space("invalid");
    let says = |spec: &str, wanted: &str| {
        call_with(&space, &["start", "-f", "-"], &file(spec)).exits(3).says(&["error:", wanted]);
    };
    let target = "target: { kind: Deployment, name: app }";
    says(&format!("{{ imag: a, {target} }}"), "spec.imag: there is no such field: did you mean image?");
    says("{ image: a, targt: { kind: Deployment, name: app } }", "spec.targt: there is no such field");
    says(&format!("{{ image: a, imagePolicy: b, {target} }}"), "spec.imagePolicy: there is no such field");
    says(&format!("{{ image: a, replicas: two, {target} }}"), "spec.replicas");
    says(
        &format!("{{ image: a b, {target} }}"),
        "\"a b\" is not the name of an image: no image has ' ' in its name",
    );
    says(
        &format!("{{ image: a, {target}, incoming: {{ mode: steal, sample: 5 }} }}"),
        "sample is for incoming.mode mirror alone",
    );
    says(
        &format!("{{ image: a, {target}, incoming: {{ match: {{ path: {{ prefix: /api }} }} }} }}"),
        "every way through a match must name {{ key }}",
    );
    let regex = format!(
        "{{ image: a, {target}, incoming: {{ match: {{ header: {{ name: x, regex: '({{{{ key }}}}' }} }} }} }}"
    );
    says(&regex, "spec.incoming.match: header.regex");
    says("{ image: a }", "--port PORT");
    let usage = |args: &[&str], wanted: &str| drop(call(&space, args).exits(2).says(&[wanted]));
    usage(&["start", "-t", "service/app", "-i", "a"], "no kind of workload that can have a preview");
    usage(&["start", "-t", "deployment/app", "-i", "a", "--ttl", "5s"], "between 60s and 720h");
    usage(&["start", "-t", "deployment/app", "-i", "a", "--replicas", "99"], "0..=20");
    usage(&["list", "--glob", "["], "--glob [");
    call(&space, &["start", "-t", "deployment/app", "-i", "a", "-k", "a b"])
        .exits(3)
        .says(&["only letters, digits"]);
    call(&space, &["start", "-f", "/nonexistent"]).exits(3).says(&["cannot read /nonexistent"]);
    assert!(space.list("Preview", "").is_empty(), "nothing was made");
}

#[test]
fn what_cannot_be_changed_is_not_and_what_conflicts_is_told() {
    let space = shared().space("immutable");
    space.preview("mine", json!({ "key": "im-1" }));
    let start = |name: &str, key: &str| {
        call(&space, &["start", name, "-t", "deployment/app", "-i", "a", "-k", key, "--no-wait"])
    };
    start("mine", "im-2")
        .exits(3)
        .says(&["has the key im-1, which cannot be changed to im-2", "what to do:"]);
    start("other", "im-1").exits(3).says(&["mine has the key im-1 and the target deployment/app already"]);
    assert_eq!(space.list("Preview", "").len(), 1);
}

#[test]
fn who_may_not_is_told_so() {
    let space = shared().space("denied");
    let kubeconfig = space.stage.cluster.kubeconfig_for(&space.name, "default", None).unwrap();
    let n = space.name.as_str();
    for args in [
        &["start", "-n", n, "-t", "deployment/app", "-i", "a"][..],
        &["list", "-n", n],
        &["stop", "-n", n, "mine"],
        &["extend", "-n", n, "mine"],
        &["run", "-n", n, "-t", "deployment/app", "-i", "a", "--", "true"],
    ] {
        let out = with_kubeconfig(&kubeconfig, args).exits(4);
        out.says(&["error:", "previews.byway.dev", "what to do: ask for the role `edit`"]);
    }
    let out =
        with_kubeconfig(&kubeconfig, &["start", "-n", n, "-t", "deployment/app", "-i", "a", "-o", "json"])
            .exits(4);
    assert_eq!(out.events().last().unwrap()["reason"], "NotAllowed");
}

#[test]
fn where_there_is_no_namespace_it_says_so() {
    let kubeconfig = shared().cluster.kubeconfig();
    let out =
        with_kubeconfig(kubeconfig, &["start", "-n", "nowhere", "-t", "deployment/app", "-i", "a"]).exits(7);
    out.says(&["error:", "namespaces \"nowhere\" not found"]);
}

#[test]
fn where_byway_is_not_installed_it_says_how_to() {
    let cluster = Cluster::builder().start().unwrap();
    for args in [
        &["start", "-t", "deployment/app", "-i", "a"][..],
        &["list"],
        &["status", "x"],
        &["stop", "x"],
        &["explain", "x"],
    ] {
        let out = with_kubeconfig(cluster.kubeconfig(), args).exits(9);
        out.says(&["error: Byway is not installed in this cluster", "helm install byway"]);
    }
}

#[test]
fn a_cluster_that_cannot_be_reached_is_not_waited_for() {
    let folder = Scratch::new("kubeconfig").unwrap();
    let kubeconfig = folder.path().join("config");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{ "name": "a", "cluster": { "server": "https://127.0.0.1:1" } }],
        "contexts": [{ "name": "a", "context": { "cluster": "a", "user": "a" } }],
        "users": [{ "name": "a", "user": { "token": "x" } }],
    });
    std::fs::write(&kubeconfig, text.to_string()).unwrap();
    let out = with_kubeconfig(&kubeconfig, &["list"]).exits(8);
    out.says(&["error: the API server cannot be reached", "Connection refused"]);
    with_kubeconfig(&kubeconfig, &["list", "--context", "b"])
        .exits(8)
        .says(&["cannot use the kubeconfig", "b"]);
    for kubeconfig in [kubeconfig.as_path(), Path::new("/nonexistent")] {
        let out = with_kubeconfig(kubeconfig, &["version"]).exits(8);
        assert!(out.stdout.starts_with(&format!("kubectl-preview {}\n", env!("CARGO_PKG_VERSION"))));
        with_kubeconfig(kubeconfig, &["version", "--client"]).exits(0);
    }
    with_kubeconfig(Path::new("/nonexistent"), &["list"])
        .exits(8)
        .says(&["cannot use the kubeconfig", "what to do:"]);
}

#[test]
fn what_is_wrong_with_a_kubeconfig_is_said_by_its_names() {
    let folder = Scratch::new("kubeconfig").unwrap();
    let (path, shared) = (folder.path().join("config"), shared().cluster.kubeconfig());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut text: Value = serde_json::from_slice(&std::fs::read(shared).unwrap()).unwrap();
        change(&mut text);
        std::fs::write(&path, text.to_string()).unwrap();
        with_kubeconfig(&path, &["list"])
    };
    with(&|_| ()).exits(0);
    let address = |it: &Value| it["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned();
    for server in ["127.0.0.1:33247", "notaurl", "/run/x"] {
        let out = with(&|it| it["clusters"][0]["cluster"]["server"] = json!(server)).exits(8);
        assert!(!out.stderr.contains("panicked"), "{}", out.stderr);
        out.says(&[
            "error: cannot use the kubeconfig: the server of the cluster",
            "needs https://",
            server,
            "what to do:",
        ]);
    }
    with(&|it| it["clusters"][0]["cluster"]["server"] = json!("")).exits(8).says(&["has no server"]);
    with(&|it| it["clusters"][0]["cluster"]["server"] = json!(address(it).replace("https://", "http://")))
        .exits(8)
        .says(&["the API server speaks HTTPS only", "what to do: write https://"]);
    with(&|it| it["contexts"][0]["context"]["user"] = json!("nobody")).exits(8).says(&[
        "the user \"nobody\" of the context",
        "is not in it",
        "what to do:",
    ]);

    let user = |user: Value| with(&|it| it["users"][0]["user"] = user.clone()).exits(8);
    let exec = |command: &str, hint: Value| {
        let api = "client.authentication.k8s.io/v1";
        json!({ "exec": { "apiVersion": api, "command": command, "interactiveMode": "Never", "installHint": hint } })
    };
    let head = "error: cannot use the kubeconfig: ";
    user(exec("no-such-plugin", json!("brew install it"))).says(&[
        head,
        "the program no-such-plugin, which is not installed",
        "what to do: install it: brew install it",
    ]);
    user(exec("no-such-plugin", json!(null))).says(&["what to do: install no-such-plugin"]);
    user(json!({ "auth-provider": { "name": "gcp" } })).says(&[
        head,
        "the auth-provider gcp is not supported (nor is it by kubectl",
        "what to do:",
        "exec plugin",
    ]);
    user(json!({ "client-certificate": "/nonexistent/a.crt", "client-key": "/nonexistent/a.key" })).says(&[
        head,
        "/nonexistent/a.crt",
        "No such file",
        "what to do:",
    ]);
    user(json!({ "tokenFile": "/nonexistent/token" })).says(&[head, "/nonexistent/token", "what to do:"]);

    // One that is there and does not log in is the user's matter.
    let fails = exec("false", json!(null));
    with(&|it| it["users"][0]["user"] = fails.clone())
        .exits(4)
        .says(&["cannot log in: false ended with exit status: 1"]);
}

#[test]
fn a_byte_order_mark_is_read_over_and_a_comment_named() {
    let space = shared().space("marked");
    let text = "{ \"target\": \"deployment/app\" }";
    let args = ["start", "marked", "-f", "-", "-i", "app:2", "-k", "bom-1", "--no-wait"];
    call_with(&space, &args, &format!("\u{FEFF}{text}")).exits(0);
    let spec = &space.get("Preview", "marked").unwrap()["spec"];
    assert_eq!((&spec["target"]["name"], &spec["image"]), (&json!("app"), &json!("app:2")));
    call_with(&space, &args, "{ \"target\": \"deployment/app\", // why\n}")
        .exits(3)
        .says(&["this is not JSON", "JSON has no comments, as in line 1"]);
}

#[test]
fn all_namespaces_go_before_one_where_it_is_only_looked() {
    let space = shared().space("both");
    space.preview("mine", json!({ "key": "both-1" }));
    for command in ["list", "status"] {
        let args = [command, "-n", "default", "-A", "-k", "both-1"];
        let out = with_kubeconfig(shared().cluster.kubeconfig(), &args).exits(0);
        assert!(out.stdout.contains(&space.name), "{}", out.stdout);
    }
    for command in ["stop", "extend"] {
        call(&space, &[command, "-A", "-k", "both-1"]).exits(2).says(&["cannot be used with"]);
    }
    assert_eq!(space.list("Preview", "").len(), 1);
}

#[test]
fn a_preview_without_a_target_is_told_what_a_policy_can_do_for_it() {
    let space = shared().labelled_space("team", &json!({ "demands-team": "yes" }));
    let rule =
        json!({ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] });
    let demands = "has(object.metadata.labels) && 'team' in object.metadata.labels";
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": "team.test" },
        "spec": {
            "failurePolicy": "Fail", "matchConstraints": { "resourceRules": [rule] },
            "validations": [{ "expression": demands, "message": "whose is it?" }],
        },
    });
    let here = json!({ "namespaceSelector": { "matchLabels": { "demands-team": "yes" } } });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": "team.test" },
        "spec": { "policyName": "team.test", "validationActions": ["Deny"], "matchResources": here },
    });
    space.kube().apply(&policy).unwrap();
    space.kube().apply(&binding).unwrap();
    // It takes the API server a moment to know it.
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "generateName": "probe-", "namespace": space.name },
        "spec": { "containers": [{ "name": "a", "image": "a:1" }] },
    });
    assert!(eventually(PATIENCE, || space.kube().create(&pod).is_err().then_some(())).is_some());
    let out = call(&space, &["start", "-i", "app:2", "-k", "team-1", "--port", "8080"]).exits(6);
    let out =
        out.says(&["whose is it?", "what to do: set the labels that the policy demands in spec.labels.set"]);
    for target in ["the clone has to", "policy as the target"] {
        assert!(!out.stderr.contains(target), "{}", out.stderr);
    }
}
