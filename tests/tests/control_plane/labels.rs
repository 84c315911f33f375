//! What selects a preview's pods: nobody, whoever comes and whenever; and what a policy demands of them is there.

use byway_tests::eventually;
use serde_json::{Value, json};

use crate::stage::{PATIENCE, Space, shared, workload};

/// The Deployment `app`, whose pods have labels that nothing selects by yet.
fn app(space: &Space<'_>) {
    let mut app = workload("Deployment", "app", 1);
    let labels = json!({ "app": "app", "tier": "front", "team": "shop" });
    app["metadata"]["labels"] = json!({ "app": "app", "owner": "shop" });
    app["spec"]["template"]["metadata"]["labels"] = labels;
    space.apply(app);
    space.wait_pods("app=app", 1);
}

/// The only pod of a preview, once `is` holds of it.
fn pod_once(space: &Space<'_>, preview: &str, is: impl Fn(&Value) -> bool) -> Value {
    let mut last = Vec::new();
    let found = eventually(PATIENCE, || {
        last = space.list("Pod", &format!("byway.dev/preview={preview}"));
        last.iter().find(|pod| is(pod)).cloned()
    });
    found.unwrap_or_else(|| panic!("{last:#?}"))
}

/// Has the namespace take no pod more than there are, so that no rollout gets on.
fn no_room(space: &Space<'_>, pods: u32) {
    let pods = pods.to_string();
    space.apply(json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few" },
        "spec": { "hard": { "pods": pods } },
    }));
    let used = |it: &Value| it["status"]["used"]["pods"] == *pods;
    let counted = || space.get("ResourceQuota", "few").filter(used).map(drop);
    assert!(eventually(PATIENCE, counted).is_some());
}

fn service(name: &str, selector: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": { "selector": selector, "ports": [{ "port": 80, "targetPort": 8080 }] },
    })
}

fn label<'a>(pod: &'a Value, label: &str) -> &'a Value {
    &pod["metadata"]["labels"][label]
}

#[test]
fn who_comes_later_does_not_keep_the_pod_that_runs() {
    let space = shared().space("later");
    app(&space);
    space.preview("pr-1", json!({}));
    let child = space.wait_ready("pr-1")["status"]["deployment"].as_str().unwrap().to_owned();
    let before = pod_once(&space, "pr-1", |_| true);
    assert_eq!((label(&before, "tier"), label(&before, "app")), (&json!("front"), &json!(child)));
    no_room(&space, 2);

    space.apply(service("front", json!({ "tier": "front" })));
    let escaped = pod_once(&space, "pr-1", |pod| label(pod, "tier") != "front");
    assert_eq!(escaped["metadata"]["uid"], before["metadata"]["uid"], "the same pod");
    assert_eq!(label(&escaped, "tier"), &json!(child));
    let untouched = |pod: &Value| {
        let mut labels = pod["metadata"]["labels"].clone();
        labels.as_object_mut().unwrap().remove("tier");
        labels
    };
    assert_eq!(untouched(&escaped), untouched(&before));

    // A budget that any value is good enough for.
    let any = json!({ "matchExpressions": [{ "key": "team", "operator": "Exists" }] });
    space.apply(json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "any" },
        "spec": { "minAvailable": 1, "selector": any },
    }));
    let escaped = pod_once(&space, "pr-1", |pod| label(pod, "team").is_null());
    assert_eq!(escaped["metadata"]["uid"], before["metadata"]["uid"], "no rollout got on");

    // The target's own pod is nobody's business, and neither is a Service for previews.
    assert_eq!(label(&space.wait_pods("app=app", 1)[0], "tier"), "front");
    space.apply(service("mine", json!({ "byway.dev/preview": "pr-1" })));

    // The template has changed, too: once there is room, the clone's new pods take over.
    space.delete("ResourceQuota", "few");
    pod_once(&space, "pr-1", |pod| {
        let is_new = pod["metadata"]["uid"] != before["metadata"]["uid"];
        is_new && label(pod, "tier") == &json!(child) && label(pod, "team").is_null()
    });
    space.wait_ready("pr-1");
    assert_eq!(label(&pod_once(&space, "pr-1", |_| true), "byway.dev/preview"), "pr-1");
}

#[test]
fn a_pod_that_an_old_replica_set_makes_again_is_not_selected_either() {
    let space = shared().space("again");
    app(&space);
    space.preview("pr-1", json!({}));
    space.wait_ready("pr-1");
    // Its owner would put the label on each pod that it makes, and no newer one gets on: there is no room for two.
    no_room(&space, 2);
    space.apply(service("front", json!({ "tier": "front" })));
    let before = pod_once(&space, "pr-1", |pod| label(pod, "tier") != "front");
    space.delete("Pod", before["metadata"]["name"].as_str().unwrap());
    let again = pod_once(&space, "pr-1", |pod| pod["metadata"]["uid"] != before["metadata"]["uid"]);
    pod_once(&space, "pr-1", |pod| {
        pod["metadata"]["uid"] == again["metadata"]["uid"] && label(pod, "tier") != "front"
    });
}

/// A policy for a namespace, on objects of a resource; it refuses one that has no more labels than these.
fn demand(space: &Space<'_>, name: &str, (group, resource): (&str, &str), expression: &str, lacking: Value) {
    let rule = json!({ "apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [resource] });
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": { "name": name },
        "spec": {
            "failurePolicy": "Fail", "matchConstraints": { "resourceRules": [rule] },
            "validations": [{ "expression": expression, "message": format!("{name} demands it") }],
        },
    });
    let here =
        json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": space.name } } });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": { "name": name },
        "spec": { "policyName": name, "validationActions": ["Deny"], "matchResources": here },
    });
    space.kube().apply(&policy).unwrap();
    space.kube().apply(&binding).unwrap();
    // It takes the API server a moment to know it.
    let mut probe = match resource {
        "pods" => {
            json!({ "apiVersion": "v1", "kind": "Pod", "spec": { "containers": [{ "name": "a", "image": "a:1" }] } })
        }
        _ => workload("Deployment", "probe", 0),
    };
    probe["metadata"] = json!({ "generateName": "probe-", "namespace": space.name, "labels": lacking });
    let refuses = || {
        let made = space.kube().create(&probe);
        if let Ok(made) = &made {
            space.delete(made["kind"].as_str().unwrap(), made["metadata"]["name"].as_str().unwrap());
        }
        made.is_err().then_some(())
    };
    assert!(eventually(PATIENCE, refuses).is_some(), "{name} is not in force");
}

#[test]
fn a_policy_that_demands_labels_finds_them() {
    let space = shared().space("demanded");
    app(&space);
    space.apply(service("app", json!({ "app": "app", "tier": "front" })));
    let has = |labels: &[&str]| {
        let all: Vec<String> = labels.iter().map(|it| format!("has(object.metadata.labels.{it})")).collect();
        format!("has(object.metadata.labels) && {}", all.join(" && "))
    };
    let (pods, deployments) = (("", "pods"), ("apps", "deployments"));
    demand(&space, "pod-labels.test", pods, &has(&["app", "tier", "team"]), json!({ "app": "a" }));
    demand(&space, "deployment-labels.test", deployments, &has(&["app", "owner"]), json!({ "app": "a" }));
    space.preview("pr-1", json!({}));
    let child = space.wait_ready("pr-1")["status"]["deployment"].as_str().unwrap().to_owned();
    let pod = pod_once(&space, "pr-1", |_| true);
    assert_eq!((label(&pod, "app"), label(&pod, "tier")), (&json!(child), &json!(child)));
    assert_eq!(label(&pod, "team"), "shop");
    let clone = space.get("Deployment", &child).unwrap();
    assert_eq!((label(&clone, "app"), label(&clone, "owner")), (&json!(child), &json!("shop")));
    // And the Service has not found it.
    let slices = || {
        let endpoints = space.get("Endpoints", "app")?;
        let addresses = endpoints["subsets"][0]["addresses"].as_array()?.len();
        (addresses == 1).then_some(())
    };
    assert!(eventually(PATIENCE, slices).is_some(), "{:?}", space.get("Endpoints", "app"));

    // One that demands just the value that the Service selects by cannot be met, and says so.
    let front = "has(object.metadata.labels.tier) && object.metadata.labels.tier == 'front'";
    demand(&space, "value.test", pods, front, json!({ "app": "a", "tier": "b", "team": "c" }));
    space.preview("pr-2", json!({}));
    let said = space.wait_not_ready("pr-2", "PodsReady", "AdmissionRefused");
    assert!(said.contains("value.test demands it"), "{said}");
}
