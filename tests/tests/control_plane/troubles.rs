//! What keeps the pods of a preview from running is in its conditions, within seconds.

use std::time::{Duration, Instant};

use byway_api::names;
use byway_sim::{Does, Pods};
use byway_tests::eventually;
use serde_json::{Value, json};

use crate::stage::{PATIENCE, Space, condition, is_true, phase, shared, workload};

/// Has the pods of an image fail, and a Preview of `app` use it. Returns the message of its conditions.
fn fails(space: &Space<'_>, name: &str, does: Does, reason: &str) -> String {
    let image = format!("{name}:1");
    space.stage.sim.pods(Pods::of_image(&image).of_namespace(&space.name), does);
    space.preview(name, json!({ "image": image }));
    space.wait_not_ready(name, "PodsReady", reason)
}

/// The only pod of a Preview.
fn pod_of(space: &Space<'_>, preview: &str) -> String {
    let pods = space.list("Pod", &format!("byway.dev/preview={preview}"));
    pods[0]["metadata"]["name"].as_str().unwrap().to_owned()
}

#[test]
fn pods_that_do_not_get_ready_say_why() {
    let space = shared().space("pods");
    space.deployment("app", 1);
    space.wait_pods("app=app", 1);
    let begun = Instant::now();

    let said = fails(&space, "pull", Does::ImagePullFails, "ImagePullFailed");
    let pod = pod_of(&space, "pull");
    let wanted = "container app: failed to pull and unpack image \"pull:1\": not found; check spec.image and the pull secrets of the pods";
    assert_eq!(said, format!("0 of 1 pods are ready; {pod}: {wanted}"));
    assert_eq!(phase(&space.get("Preview", "pull").unwrap()), "Failed");

    let said = fails(&space, "crash", Does::CrashLoops, "CrashLoop");
    let pod = pod_of(&space, "crash");
    let wanted =
        "container app: it ended with exit code 1 (Error), 5 times; kubectl logs --previous may say why";
    assert_eq!(said, format!("0 of 1 pods are ready; {pod}: {wanted}"));
    assert_eq!(phase(&space.get("Preview", "crash").unwrap()), "Failed");

    let said = fails(&space, "config", Does::LacksSecret, "ContainerConfig");
    let pod = pod_of(&space, "config");
    let wanted = "container app cannot be created: secret \"my-secret\" not found";
    assert_eq!(said, format!("0 of 1 pods are ready; {pod}: {wanted}"));

    let said = fails(&space, "room", Does::IsUnschedulable, "Unschedulable");
    let pod = pod_of(&space, "room");
    let wanted = "no node takes the pod: 0/3 nodes are available: 3 Insufficient memory.";
    assert_eq!(said, format!("0 of 1 pods are ready; {pod}: {wanted}"));
    assert_eq!(phase(&space.get("Preview", "room").unwrap()), "Pending", "a node may come");

    let said = fails(&space, "alone", Does::IsNotTried, "NotScheduled");
    let pod = pod_of(&space, "alone");
    let wanted = "not scheduled yet, and the scheduler says nothing of it";
    assert_eq!(said, format!("0 of 1 pods are ready; {pod}: {wanted}"));
    assert_eq!(phase(&space.get("Preview", "alone").unwrap()), "Pending");

    let said = fails(&space, "slow", Does::IsNotReady, "ContainersNotReady");
    assert_eq!(said, "0 of 1 pods are ready; waiting for their containers");
    assert!(begun.elapsed() < PATIENCE, "all of it within seconds");

    // All of it goes away with its cause.
    for name in ["pull", "crash", "config", "room", "slow"] {
        let pods = Pods::of_image(&format!("{name}:1")).of_namespace(&space.name);
        space.stage.sim.pods(pods, Does::RunsAfter(Duration::ZERO));
        space.wait_ready(name);
    }
}

#[test]
fn a_new_image_that_fails_leaves_the_old_pod_serving() {
    let space = shared().space("degraded");
    space.deployment("app", 1);
    space.preview("pr-1", json!({}));
    space.wait_ready("pr-1");
    let old = space.wait_pods("byway.dev/preview=pr-1", 1).remove(0);
    let broken = Pods::of_image("broken:1").of_namespace(&space.name);
    space.stage.sim.pods(broken, Does::CrashLoops);
    space.preview("pr-1", json!({ "image": "broken:1" }));
    let said = space.wait_not_ready("pr-1", "PodsReady", "CrashLoop");
    let wanted = "0 of 1 pods are ready, and the version before answers until then; ";
    assert!(said.starts_with(wanted), "{said}");
    let preview = space.get("Preview", "pr-1").unwrap();
    assert_eq!(phase(&preview), "Degraded", "requests still reach the old pod");
    assert!(is_true(&preview, "RoutesProgrammed"));
    let backends = space.routes("pr-1")[0].entry["backends"].clone();
    assert_eq!(backends[0]["ips"][0], old["status"]["podIP"]);
    space.preview("pr-1", json!({ "image": "app:fixed" }));
    space.wait_ready("pr-1");
}

#[test]
fn a_quota_that_is_used_up_is_named() {
    let space = shared().space("quota");
    space.deployment("app", 1);
    space.wait_pods("app=app", 1);
    space.apply(json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few" },
        "spec": { "hard": { "pods": "1" } },
    }));
    let counted = || (space.get("ResourceQuota", "few")?["status"]["used"]["pods"] == "1").then_some(());
    assert!(eventually(PATIENCE, counted).is_some());
    space.preview("pr-1", json!({}));
    let said = space.wait_not_ready("pr-1", "PodsReady", "QuotaExceeded");
    assert!(said.starts_with("0 of 1 pods are ready; pods \"byway-pr-1-"), "{said}");
    let wanted = "exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1; free some of the namespace's ResourceQuota, or ask for more";
    assert!(said.ends_with(wanted), "{said}");
    assert_eq!(phase(&space.get("Preview", "pr-1").unwrap()), "Failed");
    space.delete("ResourceQuota", "few");
    space.wait_ready("pr-1");
}

/// The Deployment itself may be what there are too many of: then nothing tells when there is room again.
#[test]
fn a_quota_for_deployments_is_named_and_tried_again() {
    let space = shared().space("count");
    space.deployment("app", 1);
    space.apply(json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few" },
        "spec": { "hard": { "count/deployments.apps": "1" } },
    }));
    let used = |it: &Value| it["status"]["used"]["count/deployments.apps"] == "1";
    let counted = || space.get("ResourceQuota", "few").filter(used).map(drop);
    assert!(eventually(PATIENCE, counted).is_some());
    space.preview("pr-1", json!({}));
    let said = space.wait_not_ready("pr-1", "TargetResolved", "QuotaExceeded");
    assert!(said.contains("exceeded quota: few, requested: count/deployments.apps=1"), "{said}");
    space.delete("ResourceQuota", "few");
    space.wait_ready_within(2 * PATIENCE, "pr-1");
}

#[test]
fn a_limit_range_is_named() {
    let space = shared().space("limits");
    let mut app = workload("Deployment", "app", 1);
    let resources = json!({ "limits": { "memory": "2Gi" }, "requests": { "memory": "2Gi" } });
    app["spec"]["template"]["spec"]["containers"][0]["resources"] = resources;
    space.apply(app);
    space.wait_pods("app=app", 1);
    space.apply(json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": { "name": "small" },
        "spec": { "limits": [{ "type": "Container", "max": { "memory": "1Gi" } }] },
    }));
    space.preview("pr-1", json!({}));
    let said = space.wait_not_ready("pr-1", "PodsReady", "LimitRange");
    let wanted = "maximum memory usage per Container is 1Gi, but limit is 2Gi; set resources on the target within the namespace's LimitRange";
    assert!(said.ends_with(wanted), "{said}");
}

#[test]
fn pod_security_is_named() {
    let space = shared().space("security");
    space.deployment("app", 1);
    space.wait_pods("app=app", 1);
    let restricted =
        json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    space.kube().merge("Namespace", "", &space.name, &restricted).unwrap();
    space.preview("pr-1", json!({}));
    let said = space.wait_not_ready("pr-1", "PodsReady", "PodSecurity");
    assert!(
        said.contains("violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false"),
        "{said}"
    );
    let wanted = "; change the target's securityContext, or the namespace's level";
    assert!(said.ends_with(wanted), "{said}");
    assert_eq!(phase(&space.get("Preview", "pr-1").unwrap()), "Failed");
}

#[test]
fn resource_claims_that_a_pod_waits_for_are_named() {
    let space = shared().space("claims");
    let mut app = workload("Deployment", "app", 1);
    let claims = json!([
        { "name": "one", "resourceClaimName": "gpu-1" }, { "name": "two", "resourceClaimTemplateName": "gpus" },
    ]);
    app["spec"]["template"]["spec"]["resourceClaims"] = claims;
    space.apply(app);
    let said = fails(&space, "claim", Does::IsNotTried, "NotScheduled");
    let wanted = "it needs the ResourceClaim gpu-1 and a ResourceClaim of the template gpus, which may be missing or not yet allocated";
    assert!(said.contains("not scheduled yet") && said.ends_with(wanted), "{said}");
}

#[test]
fn a_policy_that_refuses_the_pods_is_named() {
    let space = shared().labelled_space("policy", &json!({ "refuses-previews": "yes" }));
    space.deployment("app", 1);
    let rule = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
    });
    let expression =
        format!("!has(object.metadata.labels) || !('{}' in object.metadata.labels)", names::PREVIEW_LABEL);
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": "no-previews.test" },
        "spec": {
            "failurePolicy": "Fail", "matchConstraints": { "resourceRules": [rule] },
            "validations": [{ "expression": expression, "message": "previews are not welcome" }],
        },
    });
    let here = json!({ "namespaceSelector": { "matchLabels": { "refuses-previews": "yes" } } });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": "no-previews.test" },
        "spec": { "policyName": "no-previews.test", "validationActions": ["Deny"], "matchResources": here },
    });
    space.kube().apply(&policy).unwrap();
    space.kube().apply(&binding).unwrap();
    // It takes the API server a moment to know it.
    let refuses = || {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "generateName": "probe-", "namespace": space.name, "labels": { names::PREVIEW_LABEL: "x" } },
            "spec": { "containers": [{ "name": "a", "image": "a:1" }] },
        });
        space.kube().create(&pod).is_err().then_some(())
    };
    assert!(eventually(PATIENCE, refuses).is_some());
    space.preview("pr-1", json!({}));
    let said = space.wait_not_ready("pr-1", "PodsReady", "AdmissionRefused");
    assert!(said.contains("ValidatingAdmissionPolicy 'no-previews.test' with binding 'no-previews.test' denied request: previews are not welcome"), "{said}");
    assert!(said.ends_with("; the clone has to meet the same policy as the target"), "{said}");
    space.kube().delete("ValidatingAdmissionPolicyBinding", "", "no-previews.test").unwrap();
    space.wait_ready("pr-1");
}

#[test]
fn a_foreign_deployment_is_left_alone() {
    let space = shared().space("taken");
    let preview = space.preview("pr-1", json!({}));
    space.wait_not_ready("pr-1", "TargetResolved", "TargetNotFound");
    let child = names::child_name("pr-1", preview["metadata"]["uid"].as_str().unwrap());
    space.deployment(&child, 1);
    space.wait_pods(&format!("app={child}"), 1);
    // Its status is still being written.
    let settled = || {
        let is = space.get("Deployment", &child).filter(|it| it["status"]["readyReplicas"] == 1)?;
        std::thread::sleep(Duration::from_millis(300));
        (space.get("Deployment", &child)? == is).then_some(is)
    };
    let before = eventually(PATIENCE, settled).unwrap();
    space.deployment("app", 1);
    let said = space.wait_not_ready("pr-1", "TargetResolved", "NameTaken");
    assert_eq!(
        said,
        format!(
            "{child} exists and does not belong to this Preview: delete it, or make the Preview under another name"
        )
    );
    assert_eq!(phase(&space.get("Preview", "pr-1").unwrap()), "Failed");
    assert_eq!(space.get("Deployment", &child).unwrap(), before, "byte for byte");

    // Nor is it deleted with the Preview.
    space.preview("pr-2", json!({}));
    space.wait_ready("pr-2");
    space.delete("Preview", "pr-1");
    space.wait_gone("Preview", "pr-1");
    space.preview("pr-3", json!({}));
    space.wait_ready("pr-3");
    assert_eq!(space.get("Deployment", &child).unwrap(), before);
}

#[test]
fn a_name_that_was_taken_is_used_once_it_is_free() {
    let space = shared().space("freed");
    let preview = space.preview("pr-1", json!({}));
    space.wait_not_ready("pr-1", "TargetResolved", "TargetNotFound");
    let child = names::child_name("pr-1", preview["metadata"]["uid"].as_str().unwrap());
    space.deployment(&child, 1);
    space.deployment("app", 1);
    space.wait_not_ready("pr-1", "TargetResolved", "NameTaken");
    space.delete("Deployment", &child);
    space.wait_ready("pr-1");
}

#[test]
fn scaled_to_zero_is_no_failure() {
    let space = shared().space("zero");
    space.deployment("app", 1);
    space.preview("pr-1", json!({ "replicas": 0 }));
    let said = space.wait_not_ready("pr-1", "PodsReady", "ScaledToZero");
    assert_eq!(said, "replicas is 0: keyed requests are answered as incoming.onUnreachable says");
    let preview = space.get("Preview", "pr-1").unwrap();
    assert_eq!(phase(&preview), "Pending");
    let message = condition(&preview, "RoutesProgrammed")["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty());
    space.preview("pr-1", json!({ "replicas": 2 }));
    space.wait_ready("pr-1");
    assert_eq!(space.routes("pr-1")[0].entry["backends"].as_array().unwrap().len(), 2);
}
