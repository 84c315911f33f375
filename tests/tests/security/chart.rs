//! What the chart is made of, before and after it is installed.

use byway_tests::kube_version;
use serde_json::{Value, json};

use crate::installed::{CHART, NAMESPACE, Who, ask, cluster};

fn helm(args: &[&str]) -> String {
    let output = cluster().helm().unwrap().args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "helm {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn rendered(settings: &[&str]) -> String {
    // What helm takes for the server's version it was told when it was built.
    let version = kube_version();
    let mut args = vec!["template", "byway", CHART, "-n", NAMESPACE, "--kube-version", version];
    args.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    helm(&args)
}

#[test]
fn it_has_no_faults_that_helm_can_see() {
    helm(&["lint", "--strict", CHART]);
}

#[test]
fn the_api_server_takes_every_object_as_it_is() {
    for settings in [&[][..], &["controller.allowKeyless=true", "imagePullSecrets[0].name=a"]] {
        let apply = [
            "apply",
            "--dry-run=server",
            "--server-side",
            "--force-conflicts",
            "--validate=strict",
            "-f",
            "-",
        ];
        let said = ask(Who::Admin, &apply, &rendered(settings)).unwrap();
        assert!(said.contains("daemonset.apps/byway-agent"), "{said}");
    }
}

#[test]
fn crds_stay_unless_told_otherwise_and_can_be_left_out() {
    const KEEP: &str = "helm.sh/resource-policy: keep";
    let crds = |text: &str| text.matches("kind: CustomResourceDefinition").count();
    let with = rendered(&[]);
    assert_eq!((crds(&with), with.matches(KEEP).count()), (2, 2));
    let not_kept = rendered(&["crds.keep=false"]);
    assert_eq!((crds(&not_kept), not_kept.matches(KEEP).count()), (2, 0));
    assert_eq!(crds(&rendered(&["crds.enabled=false"])), 0);
}

#[test]
fn a_match_without_a_key_is_refused_unless_the_chart_allows_it() {
    let rule = |text: &str| {
        let crd = text.split("\n---").find(|part| part.contains("name: previews.byway.dev")).unwrap();
        let (_, after) = crd.split_once("- message: 'every way through a match").unwrap();
        after.lines().nth(1).unwrap().trim().to_owned()
    };
    assert!(rule(&rendered(&[])).starts_with("rule: '!has(self.match) ||"));
    assert_eq!(rule(&rendered(&["controller.allowKeyless=true"])), "rule: \"true\"");
}

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
fn the_api_server_finds_no_fault_in_the_policies() {
    let policies = ask(Who::Admin, &["get", "validatingadmissionpolicies", "-o", "json"], "").unwrap();
    let policies: Value = serde_json::from_str(&policies).unwrap();
    let ours = ["noderoutes-status.byway.dev", "previews.byway.dev"];
    for name in ours {
        let mut items = policies["items"].as_array().unwrap().iter();
        let policy = items.find(|it| it["metadata"]["name"] == name).unwrap();
        assert_eq!(policy["status"]["typeChecking"].to_string(), "{}", "{name}");
    }
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
    for why in ["host namespaces (hostPID=true)", "non-default capabilities", "hostPath volumes"] {
        assert!(denied.contains(why), "{why}: {denied}");
    }
    assert_eq!(denied.matches("container \"agent\"").count(), 1, "{denied}");
}
