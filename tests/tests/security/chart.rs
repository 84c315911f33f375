//! What the chart has made, as the API server has it.

use serde_json::{Value, json};

use crate::installed::{NAMESPACE, Who, ask, cluster};

/// `off` is false in YAML 1.1, which kubectl and helm read.
#[test]
fn every_mode_of_the_code_is_one_of_the_crd() {
    let crd = ask(Who::Admin, &["get", "crd", "previews.byway.dev", "-o", "json"], "").unwrap();
    let crd: Value = serde_json::from_str(&crd).unwrap();
    let mode =
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/incoming/properties/mode/enum";
    assert_eq!(crd.pointer(mode).unwrap().to_string(), r#"["steal","mirror","off"]"#);
}

#[test]
fn the_agent_needs_a_privileged_namespace_and_the_controller_a_restricted_one() {
    let takes = |namespace: &str, workload: &str| {
        let get = ["get", workload, "-n", NAMESPACE, "-o", "jsonpath={.spec.template.spec}"];
        let mut spec: Value = serde_json::from_str(&ask(Who::Admin, &get, "").unwrap()).unwrap();
        // Those of the accounts are not there.
        spec["serviceAccountName"] = "default".into();
        spec["serviceAccount"] = "default".into();
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a", "namespace": namespace }, "spec": spec,
        });
        ask(Who::Admin, &["create", "--dry-run=server", "-f", "-"], &pod.to_string())
    };
    let [privileged, baseline, restricted] = ["privileged", "baseline", "restricted"].map(|level| {
        let namespace = cluster().namespace(level).unwrap();
        let label = format!("pod-security.kubernetes.io/enforce={level}");
        ask(Who::Admin, &["label", "namespace", &namespace, &label], "").unwrap();
        namespace
    });
    takes(&restricted, "deployment/byway-controller").unwrap();
    takes(&privileged, "daemonset/byway-agent").unwrap();
    let denied = takes(&baseline, "daemonset/byway-agent").unwrap_err();
    // This is all that keeps it from a lower level.
    let whys = [
        "host namespaces (hostPID=true)",
        "non-default capabilities",
        "hostPath volumes",
        "forbidden AppArmor profile",
        "seLinuxOptions",
    ];
    for why in whys {
        assert!(denied.contains(why), "{why}: {denied}");
    }
    assert_eq!(denied.matches("container \"agent\"").count(), 1, "{denied}");
}
