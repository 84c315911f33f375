//! The CRDs through the life of a cluster: upgraded with the chart, kept when it goes, taken over by the next.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use byway_tests::{Cluster, Scratch, eventually};
use serde_json::Value;

use crate::helm::{CHART, NAMESPACE, helm};

const SOON: Duration = Duration::from_secs(30);
/// Fields that a chart of before did not have.
const NEWER: [&str; 4] = ["envMapping", "files", "idle", "labels"];
/// No node here runs the Job that ends Previews.
const NO_HOOK: [&str; 2] = ["--set", "uninstall.deletePreviews=false"];

#[test]
fn crds_are_upgraded_kept_and_taken_over() {
    let cluster = Cluster::builder().start().unwrap();
    let run = |args: &[&str]| helm(&cluster, &[args, &NO_HOOK].concat());
    let uid = || cluster.ask(["get", "preview", "old", "-o", "jsonpath={.metadata.uid} {.spec.ttl}"]);
    let folder = Scratch::new("chart").unwrap();
    let older = older_chart(folder.path());

    // A chart of before, whose CRD had another default.
    run(&["install", "byway", older.to_str().unwrap(), "-n", NAMESPACE, "--create-namespace"]).unwrap();
    make(&cluster, "old");
    let before = uid().unwrap();
    assert!(before.ends_with(" 30m"), "{before}");
    run(&["upgrade", "byway", CHART, "-n", NAMESPACE]).unwrap();
    let upgraded = || {
        let dry = ["create", "--dry-run=server", "-f", "-", "-o", "jsonpath={.spec.ttl}"];
        let mut kubectl = cluster.kubectl();
        let file = write(folder.path(), "new");
        kubectl.args(dry.map(|arg| if arg == "-" { file.to_str().unwrap() } else { arg }));
        (crate::helm::finish(&mut kubectl).ok()? == "1h").then_some(())
    };
    assert!(eventually(SOON, upgraded).is_some(), "the new default is in force");
    assert_eq!(uid().unwrap(), before, "what was there stays as it was");
    let file = r#"{"spec":{"files":[{"path":"/a","text":"b"}]}}"#;
    cluster.ask(["patch", "preview", "old", "--type=merge", "-p", file]).unwrap();
    let text = cluster.ask(["get", "preview", "old", "-o", "jsonpath={.spec.files[0].text}"]).unwrap();
    assert_eq!((text.as_str(), uid().unwrap()), ("b", before.clone()), "and may have what is new");

    // Kept, with what they hold. Nothing else is.
    helm(&cluster, &["uninstall", "byway", "-n", NAMESPACE]).unwrap();
    assert_eq!(uid().unwrap(), before);
    let kinds =
        "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings";
    let left = || {
        let cluster_wide =
            cluster.ask(["get", kinds, "-l", "app.kubernetes.io/name=byway", "-o", "name"]).unwrap();
        let kinds = "daemonsets,deployments,pods,serviceaccounts,roles,rolebindings,poddisruptionbudgets,secrets,jobs";
        let ours = ["get", kinds, "-n", NAMESPACE, "-l", "app.kubernetes.io/name=byway", "-o", "name"];
        cluster_wide + &cluster.ask(ours).unwrap()
    };
    assert!(eventually(SOON, || left().is_empty().then_some(())).is_some(), "{}", left());

    // The same release takes them up again; one of another name has to be told that it may.
    run(&["install", "byway", CHART, "-n", NAMESPACE]).unwrap();
    assert_eq!(uid().unwrap(), before);
    helm(&cluster, &["uninstall", "byway", "-n", NAMESPACE]).unwrap();
    let other = ["install", "other", CHART, "-n", "elsewhere", "--create-namespace"];
    let refused = run(&other).unwrap_err();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    run(&[&other[..], &["--take-ownership"]].concat()).unwrap();
    assert_eq!(uid().unwrap(), before);
    run(&["upgrade", "other", CHART, "-n", "elsewhere"]).unwrap();

    // Where there may be Previews by default: not where the cluster itself lives, nor Byway.
    for namespace in ["kube-system", "elsewhere"] {
        let refused = || {
            let file = write(folder.path(), "refused");
            let create = ["create", "--dry-run=server", "-n", namespace, "-f", file.to_str().unwrap()];
            cluster
                .ask(create)
                .err()
                .filter(|error| error.to_string().contains("no Previews in the namespace"))
        };
        assert!(eventually(SOON, refused).is_some(), "{namespace}");
    }

    // And when they are not to be kept, they go with all that they hold.
    run(&["upgrade", "other", CHART, "-n", "elsewhere", "--set", "crds.keep=false"]).unwrap();
    helm(&cluster, &["uninstall", "other", "-n", "elsewhere"]).unwrap();
    let crds = || cluster.ask(["get", "crds", "-o", "name"]).unwrap();
    assert!(eventually(SOON, || crds().is_empty().then_some(())).is_some(), "{}", crds());
}

/// A copy of the chart, as it could have been once.
fn older_chart(folder: &Path) -> PathBuf {
    let chart = folder.join("byway");
    copy(Path::new(CHART), &chart);
    let file = chart.join("files/crds/previews.yaml");
    let crd = fs::read_to_string(&file).unwrap();
    let (before, after) = crd.split_once("              ttl:\n                default: 1h\n").unwrap();
    let mut crd: Value = serde_yaml_ng::from_str(&format!(
        "{before}              ttl:\n                default: 30m\n{after}"
    ))
    .unwrap();
    let spec = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    for field in NEWER {
        assert!(spec["properties"].as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    // Rules that speak of them would not compile.
    let is_older = |rule: &Value| NEWER.iter().all(|field| !rule["rule"].as_str().unwrap().contains(field));
    spec["x-kubernetes-validations"].as_array_mut().unwrap().retain(is_older);
    fs::write(&file, serde_yaml_ng::to_string(&crd).unwrap()).unwrap();
    chart
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn make(cluster: &Cluster, name: &str) {
    cluster.apply(&preview(name)).unwrap();
}

fn write(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name).with_extension("json");
    fs::write(&file, preview(name)).unwrap();
    file
}

fn preview(name: &str) -> String {
    serde_json::json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "metadata": { "name": name },
        "spec": { "image": "localhost/app:2", "incoming": { "ports": [8080] } },
    })
    .to_string()
}
