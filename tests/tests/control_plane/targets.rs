//! Targets of each kind.

use byway_sim::{ApiProxy, Controller};
use byway_tests::eventually;
use serde_json::{Value, json};

use crate::leaders::{picture, settled};
use crate::stage::{PATIENCE, Space, Stage, condition, container, is_true, shared, workload};

/// A Preview of this target gets ready, and so many of its pods are steered.
fn becomes_ready(space: &Space<'_>, kind: &str, name: &str, pods: u64) -> Value {
    let preview = format!("of-{}", kind.to_lowercase());
    space.preview(&preview, json!({ "target": { "kind": kind, "name": name } }));
    let ready = space.wait_ready(&preview);
    let all = json!({ "programmed": pods, "wanted": pods });
    space.wait(&preview, "on all pods", |it| it["status"]["routes"] == all);
    let child = ready["status"]["deployment"].as_str().unwrap();
    let clone = space.get("Deployment", child).unwrap();
    assert_eq!(clone["spec"]["template"]["spec"]["containers"][0]["image"], "app:preview");
    assert_eq!(clone["spec"]["replicas"], 1);
    clone
}

#[test]
fn workloads_of_all_kinds_are_cloned_as_deployments() {
    let space = shared().space("kinds");
    space.apply(workload("StatefulSet", "db", 2));
    let mut daemons = workload("DaemonSet", "daemon", 0);
    let one_node = json!({ "kubernetes.io/hostname": shared().sim.node(0) });
    daemons["spec"]["template"]["spec"]["nodeSelector"] = one_node;
    space.apply(daemons);
    space.apply(workload("ReplicaSet", "set", 2));
    let labels = json!({ "app": "alone" });
    space.apply(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "alone", "labels": labels },
        "spec": { "containers": [container()] },
    }));
    becomes_ready(&space, "StatefulSet", "db", 2);
    becomes_ready(&space, "DaemonSet", "daemon", 1);
    becomes_ready(&space, "ReplicaSet", "set", 2);
    becomes_ready(&space, "Pod", "alone", 1);

    let warned = space.wait_condition("of-statefulset", "Warnings", "True", "NoStableIdentity");
    assert!(warned.starts_with("the preview's pods have no stable names or ordinals"), "{warned}");
}

#[test]
fn a_replica_set_of_a_deployment_is_no_target() {
    let space = shared().space("owned");
    space.deployment("app", 1);
    space.wait_pods("app=app", 1);
    let set = space.list("ReplicaSet", "")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    space.preview("pr-1", json!({ "target": { "kind": "ReplicaSet", "name": set } }));
    let message = space.wait_not_ready("pr-1", "TargetResolved", "TargetNotFound");
    let hint = "or it belongs to a Deployment: name that one";
    assert_eq!(message, format!("there is no ReplicaSet {set} in namespace {}, {hint}", space.name));
}

#[test]
fn a_pod_may_come_and_be_replaced() {
    let space = shared().space("pod");
    space.preview("pr-1", json!({ "target": { "kind": "Pod", "name": "alone" } }));
    let message = space.wait_not_ready("pr-1", "TargetResolved", "TargetNotFound");
    assert_eq!(message, format!("there is no Pod alone in namespace {}", space.name));
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "alone", "labels": { "app": "alone" } },
        "spec": { "containers": [container()] },
    });
    let first = space.apply(pod.clone())["metadata"]["uid"].clone();
    space.wait_ready("pr-1");
    space.delete("Pod", "alone");
    let apply = || space.try_apply(pod.clone()).ok().filter(|it| it["metadata"]["uid"] != first);
    let second = eventually(PATIENCE, apply).unwrap()["metadata"]["uid"].clone();
    let steers_it = || {
        let routes = space.routes("pr-1");
        routes.iter().any(|it| it.targets.iter().any(|target| target["podUid"] == second)).then_some(())
    };
    assert!(eventually(PATIENCE, steers_it).is_some());
    space.wait_ready("pr-1");
}

const ROLLOUTS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: rollouts.argoproj.io }
spec:
  group: argoproj.io
  names: { kind: Rollout, plural: rollouts, singular: rollout }
  scope: Namespaced
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
";

/// A Rollout and its pods, as its controller would make them.
fn rollout(space: &Space<'_>) {
    let mut rollout = workload("Rollout", "app", 1);
    rollout["apiVersion"] = json!("argoproj.io/v1alpha1");
    space.apply(rollout);
    space.apply(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "app-1", "labels": { "app": "app" } },
        "spec": { "containers": [container()] },
    }));
}

/// The controller looks every half minute whether Rollouts have been installed.
#[test]
fn rollouts_are_targets_once_they_are_installed() {
    let space = shared().space("rollouts");
    space.preview("pr-1", json!({ "target": { "kind": "Rollout", "name": "app" } }));
    let message = space.wait_not_ready("pr-1", "TargetResolved", "TargetNotFound");
    let wanted = format!("there is no Rollout app in namespace {}; are Argo Rollouts installed?", space.name);
    assert_eq!(message, wanted);
    space.kube().install_crd(ROLLOUTS).unwrap();
    rollout(&space);
    let resolved = || {
        let preview = space.get("Preview", "pr-1")?;
        is_true(&preview, "TargetResolved").then_some(())
    };
    assert!(eventually(2 * PATIENCE, resolved).is_some(), "{:?}", space.get("Preview", "pr-1"));
    let preview = space.wait_ready("pr-1");

    // A template that it keeps in a Deployment is followed.
    let child = preview["status"]["deployment"].as_str().unwrap();
    let elsewhere = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "template" });
    for (version, is_new) in [("1", true), ("2", false)] {
        let mut template = workload("Deployment", "template", 0);
        let env = json!([{ "name": "VERSION", "value": version }]);
        template["spec"]["template"]["spec"]["containers"][0]["env"] = env.clone();
        space.apply(template);
        if is_new {
            let spec = json!({ "template": null, "workloadRef": elsewhere });
            space.merge("Rollout", "app", json!({ "spec": spec }));
        }
        let follows = || {
            let clone = space.get("Deployment", child)?;
            let now = clone["spec"]["template"]["spec"]["containers"][0]["env"].as_array()?.clone();
            now.contains(&env[0]).then_some(())
        };
        assert!(eventually(PATIENCE, follows).is_some(), "{:?}", space.get("Deployment", child));
    }
}

/// A pod of a Rollout, as its controller would make it.
fn rolled(space: &Space<'_>, name: &str, app: &str) {
    space.apply(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": { "app": app } },
        "spec": { "containers": [container()] },
    }));
}

#[test]
fn rollouts_that_take_their_template_from_elsewhere_are_steered() {
    let space = shared().space("elsewhere");
    space.kube().install_crd(ROLLOUTS).unwrap();
    let refer = |name: &str, selector: Value, group: &str, kind: &str, to: &str| {
        let reference = json!({ "apiVersion": group, "kind": kind, "name": to });
        let spec = json!({ "selector": selector, "workloadRef": reference });
        let meta = json!({ "name": name });
        space.apply(json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": meta, "spec": spec }));
    };
    // A Deployment's, and its selector, too.
    space.apply(workload("Deployment", "base", 0));
    refer("web", Value::Null, "apps/v1", "Deployment", "base");
    rolled(&space, "web-1", "base");
    let target = |name: &str| json!({ "target": { "kind": "Rollout", "name": name } });
    space.preview("of-web", target("web"));
    let all = json!({ "programmed": 1, "wanted": 1 });
    let preview = space.wait("of-web", "on its pod", |it| {
        it["status"]["routes"] == all && crate::stage::phase(it) == "Ready"
    });
    assert_eq!(condition(&preview, "Warnings"), &Value::Null, "nobody selects the clone");
    let routed = space.routes("of-web").remove(0);
    assert_eq!(routed.targets[0]["name"], format!("{}/web-1", space.name));

    // A PodTemplate's, which is followed.
    let template = |version: &str| {
        let mut container = container();
        container["env"] = json!([{ "name": "VERSION", "value": version }]);
        let template =
            json!({ "metadata": { "labels": { "app": "tpl" } }, "spec": { "containers": [container] } });
        space.apply(json!({ "apiVersion": "v1", "kind": "PodTemplate", "metadata": { "name": "tpl" }, "template": template }));
    };
    template("1");
    refer("tpl", json!({ "matchLabels": { "app": "tpl" } }), "v1", "PodTemplate", "tpl");
    rolled(&space, "tpl-1", "tpl");
    space.preview("of-tpl", target("tpl"));
    let preview = space.wait("of-tpl", "on its pod", |it| {
        it["status"]["routes"] == all && crate::stage::phase(it) == "Ready"
    });
    let child = preview["status"]["deployment"].as_str().unwrap().to_owned();
    template("2");
    let follows = || {
        let env =
            space.get("Deployment", &child)?["spec"]["template"]["spec"]["containers"][0]["env"].clone();
        env.as_array()?.contains(&json!({ "name": "VERSION", "value": "2" })).then_some(())
    };
    assert!(eventually(PATIENCE, follows).is_some(), "{:?}", space.get("Deployment", &child));

    // One that says nowhere which pods it means.
    refer("lost", Value::Null, "v1", "PodTemplate", "tpl");
    space.preview("of-lost", target("lost"));
    let said = space.wait_not_ready("of-lost", "TargetResolved", "NoSelector");
    assert_eq!(
        said,
        "Rollout lost does not say which pods are its own, so none can be steered: set its spec.selector"
    );
}

/// Whether there are Rollouts is asked for when the controller starts: no answer does not mean no.
#[test]
fn rollouts_that_cannot_be_asked_for_keep_their_routes() {
    let stage = Stage::new(1);
    stage.kube.install_crd(ROLLOUTS).unwrap();
    let space = stage.space("unknown");
    rollout(&space);
    space.preview("pr-1", json!({ "target": { "kind": "Rollout", "name": "app" } }));
    let mut a = stage.controller();
    space.wait_ready("pr-1");
    let before = settled(&space);
    assert!(a.stop().unwrap().success());

    let proxy = ApiProxy::start(&stage.kube).unwrap();
    proxy.refuse("GET /apis/argoproj.io", 503);
    let b = Controller::builder(proxy.kubeconfig()).identity("b").lead().unwrap();
    let asked = || (b.metric("byway_controller_watch_errors_total", "rollouts").ok()? > 2.0).then_some(());
    assert!(eventually(PATIENCE, asked).is_some(), "it asks again");
    assert_eq!(picture(&space), before);
    proxy.refuse_nothing();
    space.preview("pr-1", json!({ "target": { "kind": "Rollout", "name": "app" }, "image": "app:newer" }));
    space.wait_ready("pr-1");
}

#[test]
fn a_preview_without_a_target_is_its_own() {
    let space = shared().space("targetless");
    space.preview("pr-1", json!({ "target": null, "incoming": { "ports": [8080, 9090] } }));
    let preview = space.wait_ready("pr-1");
    let status = &preview["status"];
    assert_eq!(status["routes"], json!({ "programmed": 1, "wanted": 1 }));
    assert_eq!(status["ports"], json!([8080, 9090]));
    let service = space.get("Service", status["service"].as_str().unwrap()).unwrap();
    assert_eq!(service["spec"]["ports"].as_array().unwrap().len(), 2);
    assert_eq!(service["metadata"]["ownerReferences"][0]["uid"], preview["metadata"]["uid"]);
    let pod = space.wait_pods("byway.dev/preview=pr-1", 1).remove(0);
    for (label, value) in service["spec"]["selector"].as_object().unwrap() {
        assert_eq!(pod["metadata"]["labels"][label], *value, "the Service finds the pod");
    }
    let routes = space.routes("pr-1");
    assert_eq!(routes.len(), 1);
    let target = &routes[0].targets[0];
    assert_eq!((&target["podUid"], &target["unkeyed"]), (&pod["metadata"]["uid"], &json!("notFound")));

    let service = status["service"].as_str().unwrap();
    space.delete("Preview", "pr-1");
    space.wait_gone("Service", service);
    space.wait_no_routes("pr-1");
}

#[test]
fn what_cannot_be_cloned_is_refused_with_what_to_do() {
    let space = shared().space("refused");
    let mut host = workload("Deployment", "host", 1);
    host["spec"]["template"]["spec"]["hostNetwork"] = json!(true);
    space.apply(host);
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    space.apply(claim);
    let mut disk = workload("Deployment", "disk", 1);
    disk["spec"]["template"]["spec"]["volumes"] =
        json!([{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }]);
    space.apply(disk);
    let mut two = workload("Deployment", "two", 1);
    two["spec"]["template"]["spec"]["containers"] =
        json!([{ "name": "a", "image": "a:1" }, { "name": "b", "image": "b:1" }]);
    space.apply(two);

    let refused = |target: Value, name: &str, reason: &str, message: &str| {
        space.preview(name, json!({ "target": target }));
        assert_eq!(space.wait_not_ready(name, "TargetResolved", reason), message);
        let preview = space.wait(name, "failed", |it| crate::stage::phase(it) == "Failed");
        assert!(preview["status"].get("deployment").is_none());
    };
    refused(
        json!({ "kind": "Deployment", "name": "host" }),
        "of-host",
        "TargetUsesHostNetwork",
        "Deployment host uses the node's network, where its ports are taken and nothing can be steered: set hostNetwork to false, or use a preview without a target",
    );
    refused(
        json!({ "kind": "Deployment", "name": "disk" }),
        "of-disk",
        "ClaimNotShareable",
        "Deployment disk mounts the PersistentVolumeClaim data, which is ReadWriteOnce and cannot be shared with a preview: use a ReadWriteMany claim, or a target without it",
    );
    refused(
        json!({ "kind": "Deployment", "name": "two" }),
        "of-two",
        "AmbiguousContainer",
        "Deployment two has the containers a, b, and it is not plain which one gets the image: name it in target.container",
    );
    refused(
        json!({ "kind": "Deployment", "name": "two", "container": "c" }),
        "of-third",
        "NoSuchContainer",
        "Deployment two has no container \"c\": set target.container to one of a, b",
    );
    // What the CRD cannot tell: a regular expression that is none.
    let regex = json!({ "match": { "header": { "name": "x-traffic", "regex": "{{ key }}(" } } });
    space.deployment("app", 1);
    space.preview("of-regex", json!({ "incoming": regex }));
    let message = space.wait_not_ready("of-regex", "TargetResolved", "BadMatch");
    assert!(message.starts_with("incoming.match: "), "{message}");
    assert_eq!(space.list("Deployment", "byway.dev/preview").len(), 0, "nothing was cloned");
}

#[test]
fn agents_are_let_in_to_a_preview_that_a_policy_isolates_for_as_long_as_it_does() {
    let space = shared().space("isolated");
    space.deployment("app", 1);
    space.preview("pr-1", json!({}));
    let child = space.wait_ready("pr-1")["status"]["deployment"].as_str().unwrap().to_owned();
    let own = || space.get("NetworkPolicy", &child);
    assert_eq!(own(), None, "one of its own would isolate it");

    space.apply(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": { "name": "deny" },
        "spec": { "podSelector": {}, "policyTypes": ["Ingress"] },
    }));
    let added = eventually(PATIENCE, own).expect("a policy of its own");
    let from = json!({
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "byway" } },
        "podSelector": { "matchLabels": { "app.kubernetes.io/component": "byway-agent" } },
    });
    let rules = json!([{ "from": [from], "ports": [{ "port": 8080, "protocol": "TCP" }] }]);
    assert_eq!(added["spec"]["ingress"], rules);
    assert_eq!(added["spec"]["podSelector"]["matchLabels"], json!({ "byway.dev/preview": "pr-1" }));
    let said = space.wait("pr-1", "warned", |it| condition(it, "Warnings")["status"] == "True");
    let message = condition(&said, "Warnings")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("lets Byway's agents in to port 8080"), "{message}");

    // Opened or taken away by hand, it is put back.
    space.merge("NetworkPolicy", &child, json!({ "spec": { "ingress": [{}] } }));
    let put_back = || (own()?["spec"]["ingress"] == rules).then_some(());
    assert!(eventually(PATIENCE, put_back).is_some(), "{:?}", own());
    space.delete("NetworkPolicy", &child);
    assert!(eventually(PATIENCE, put_back).is_some());

    space.delete("NetworkPolicy", "deny");
    space.wait_gone("NetworkPolicy", &child);
    assert!(is_true(&space.get("Preview", "pr-1").unwrap(), "Ready"));
}
