//! A CI job's service account with the chart's role `byway-ci`: what it can do is enough, and not more.

use std::path::PathBuf;
use std::process::Command;

use crate::team::{BYWAY, STAGING, Team};

/// A service account of the app's namespace.
const ACCOUNT: &str = "pipeline";

/// Of the chart, so that the role is bound to the account.
pub(crate) fn values() -> Vec<String> {
    let subject = [("kind", "ServiceAccount"), ("name", ACCOUNT), ("namespace", STAGING)];
    let subject = subject.map(|(field, value)| format!("ci.subjects[0].{field}={value}"));
    [format!("ci.namespaces={{{STAGING}}}")].into_iter().chain(subject).collect()
}

pub(crate) fn with_the_role(team: &Team) {
    team.ask(&["create", "serviceaccount", ACCOUNT]);
    let kubeconfig = kubeconfig(team);
    let args = ["run", "-t", "deployment/my-app", "-i", "localhost/shop:v2", "-k", "job-2", "--"];
    let script = ["sh", "-c", "echo \"$BYWAY_KEY\"; exit 7"];
    let output = finish(team.plugin(&[&args[..], &script].concat()).env("KUBECONFIG", &kubeconfig));
    assert_eq!((output.0, output.1.as_str()), (Some(7), "job-2\n"), "{}\n{}", output.2, team.describe());
    assert_eq!(team.previews(), ["key-my-feature"], "nothing is left behind");

    for beyond in [
        vec!["get", "secrets", "-n", STAGING],
        vec!["delete", "pod", "client", "-n", STAGING],
        vec!["scale", "deployment/my-app", "--replicas=1", "-n", STAGING],
        vec!["get", "previews", "-n", BYWAY],
        vec!["run", "other", "--image=localhost/pause:1", "-n", BYWAY],
        vec!["get", "previews", "-A"],
        vec!["get", "noderoutes"],
    ] {
        let (code, _, said) = finish(team.cluster().kubectl().args(&beyond).env("KUBECONFIG", &kubeconfig));
        assert!(code == Some(1) && said.contains("(Forbidden)"), "{beyond:?}: {code:?} {said}");
    }
    let elsewhere =
        ["preview", "run", "-n", BYWAY, "-t", "deployment/byway-controller", "-i", "localhost/shop:v2", "--"];
    let ran = ["echo", "it ran"];
    let mut run = team.kubectl_with_plugin();
    let (code, printed, said) = finish(run.args(elsewhere).args(ran).env("KUBECONFIG", &kubeconfig));
    assert!(code != Some(0) && printed.is_empty() && said.contains("forbidden"), "{code:?} {printed} {said}");
}

/// Of the account.
pub(crate) fn kubeconfig(team: &Team) -> PathBuf {
    team.cluster().kubeconfig_for(STAGING, ACCOUNT, None).unwrap()
}

/// Its exit code, what it printed, and what it complained of.
fn finish(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
