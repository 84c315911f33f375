//! `helm`, with and without a cluster.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use byway_tests::{Cluster, kube_bin, kube_version};

/// The chart.
pub(crate) const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/byway");
/// Where it is installed.
pub(crate) const NAMESPACE: &str = "byway";

/// What it says, if it is content.
pub(crate) fn finish(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    if output.status.success() { Ok(out) } else { Err(out + &err) }
}

/// Without a cluster.
pub(crate) fn offline(args: &[&str]) -> Result<String, String> {
    let mut helm = Command::new(kube_bin().unwrap().join("helm"));
    for kind in ["CACHE", "CONFIG", "DATA"] {
        helm.env(format!("HELM_{kind}_HOME"), concat!(env!("CARGO_TARGET_TMPDIR"), "/helm"));
    }
    finish(helm.args(args).env_remove("KUBECONFIG"))
}

/// As administrator of a cluster.
pub(crate) fn helm(cluster: &Cluster, args: &[&str]) -> Result<String, String> {
    finish(cluster.helm().unwrap().args(args))
}

/// What the chart renders.
pub(crate) fn template(more: &[&str]) -> Result<String, String> {
    // What helm takes for the server's version it was told when it was built.
    let args = ["template", "byway", CHART, "-n", NAMESPACE, "--kube-version", kube_version()];
    offline(&[&args[..], more].concat())
}

/// The files of values that are rendered and applied.
pub(crate) fn value_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/values");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 2, "{files:?}");
    files
}
