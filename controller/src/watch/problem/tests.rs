use super::*;

fn pod(status: &serde_json::Value) -> Pod {
    let spec = serde_json::json!({ "nodeName": "n1" });
    serde_json::from_value(serde_json::json!({ "metadata": {}, "spec": spec, "status": status })).unwrap()
}

fn reason_of(status: &serde_json::Value) -> Option<&'static str> {
    problem(&pod(status)).map(|(reason, _)| reason)
}

#[test]
fn a_kubelets_words_become_reasons() {
    let waiting = |why: &str| serde_json::json!({ "containerStatuses": [{ "name": "app", "state": { "waiting": { "reason": why, "message": "m" } } }] });
    assert_eq!(reason_of(&waiting("ContainerCreating")), None);
    assert_eq!(reason_of(&waiting("PodInitializing")), None);
    assert_eq!(reason_of(&waiting("ErrImagePull")), Some(reason::IMAGE_PULL_FAILED));
    assert_eq!(reason_of(&waiting("ErrImageNeverPull")), Some(reason::IMAGE_PULL_FAILED));
    assert_eq!(reason_of(&waiting("CreateContainerConfigError")), Some(reason::CONTAINER_CONFIG));
    assert_eq!(reason_of(&waiting("CrashLoopBackOff")), Some(reason::CRASH_LOOP));
}

#[test]
fn an_app_that_keeps_ending_is_told_before_the_kubelet_backs_off() {
    let status = |restarts: i32, ready: bool| {
        serde_json::json!({ "containerStatuses": [{ "name": "app", "ready": ready, "restartCount": restarts,
            "state": { "running": {} }, "lastState": { "terminated": { "exitCode": 3, "reason": "Error" } } }] })
    };
    assert_eq!(reason_of(&status(1, false)), None);
    assert_eq!(reason_of(&status(2, true)), None);
    let (reason, message) = problem(&pod(&status(2, false))).unwrap();
    assert_eq!(reason, reason::CRASH_LOOP);
    assert!(message.contains("exit code 3"), "{message}");
}

#[test]
fn a_scheduler_is_quoted() {
    let status = serde_json::json!({ "conditions": [{ "type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/3 nodes are available" }] });
    let (reason, message) = problem(&pod(&status)).unwrap();
    assert_eq!(reason, reason::UNSCHEDULABLE);
    assert!(message.contains("0/3 nodes"), "{message}");
}

#[test]
fn a_pod_whose_node_is_lost_is_told_from_one_that_waits_for_its_gate() {
    let status = |containers: &str, ready: &serde_json::Value| {
        pod(&serde_json::json!({ "conditions": [
            { "type": "ContainersReady", "status": containers },
            { "type": "byway.dev/routed", "status": if ready[2] == "closed" { "False" } else { "True" } },
            { "type": "Ready", "status": ready[0], "reason": ready[1] },
        ]}))
    };
    let is_lost = |containers, ready| is_lost(&status(containers, &ready));
    assert!(!is_lost("True", serde_json::json!(["True", null])));
    assert!(!is_lost("True", serde_json::json!(["False", "ReadinessGatesNotReady"])));
    assert!(!is_lost("False", serde_json::json!(["False", "ContainersNotReady"])));
    assert!(!is_lost("True", serde_json::json!(["False", null, "closed"])), "it never was ready");
    // What the node lifecycle controller makes of the first of them.
    assert!(is_lost("True", serde_json::json!(["False", null])));
    let (reason, message) = problem(&status("True", &serde_json::json!(["False", null]))).unwrap();
    assert_eq!(reason, reason::CONTAINERS_NOT_READY);
    assert!(message.contains("does not answer"), "{message}");
}

#[test]
fn what_an_api_server_says_is_sorted() {
    for (said, reason) in [
        (
            "pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5",
            reason::QUOTA_EXCEEDED,
        ),
        (
            "pods \"x\" is forbidden: failed quota: q: must specify limits.cpu for: app",
            reason::QUOTA_EXCEEDED,
        ),
        ("pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"", reason::POD_SECURITY),
        ("admission webhook \"v.example.com\" denied the request: no", reason::ADMISSION_REFUSED),
        (
            "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
            reason::ADMISSION_REFUSED,
        ),
        (
            "pods \"x\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi",
            reason::LIMIT_RANGE,
        ),
        ("something else", reason::POD_CREATE_FAILED),
    ] {
        assert_eq!(create_failure(said), reason, "{said}");
    }
}

#[test]
fn a_pod_of_which_the_scheduler_says_nothing_is_told_with_its_claims() {
    let of = |spec: serde_json::Value, status: serde_json::Value| {
        let pod = serde_json::json!({ "metadata": {}, "spec": spec, "status": status });
        problem(&serde_json::from_value(pod).unwrap())
    };
    let none = serde_json::json!({ "phase": "Pending" });
    let (reason, message) = of(serde_json::json!({}), none.clone()).unwrap();
    assert_eq!(reason, reason::NOT_SCHEDULED);
    assert_eq!(&*message, "not scheduled yet, and the scheduler says nothing of it");

    let claims = serde_json::json!({ "resourceClaims": [
        { "name": "a", "resourceClaimName": "gpu-1" }, { "name": "b", "resourceClaimTemplateName": "gpus" },
    ]});
    let (_, message) = of(claims.clone(), none).unwrap();
    let wanted = "; it needs the ResourceClaim gpu-1 and a ResourceClaim of the template gpus, which may be missing or not yet allocated";
    assert!(message.ends_with(wanted), "{message}");
    let made =
        serde_json::json!({ "resourceClaimStatuses": [{ "name": "b", "resourceClaimName": "app-b-x" }] });
    let (_, message) = of(claims.clone(), made).unwrap();
    assert!(message.contains("the ResourceClaim app-b-x, made of the template gpus"), "{message}");

    // What has a node is scheduled, and what the scheduler says goes before all.
    assert_eq!(of(serde_json::json!({ "nodeName": "n1" }), serde_json::json!({})), None);
    let said =
        serde_json::json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "message": "m" }] });
    assert_eq!(of(claims, said).unwrap().0, reason::UNSCHEDULABLE);
}
