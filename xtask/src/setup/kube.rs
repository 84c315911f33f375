//! The programs of Kubernetes, etcd and helm, built from the Go modules that `xtask/kube/go.mod` pins.
//!
//! Registries of modules are everywhere, registries of images are not. Built once for each set of versions, for
//! ten minutes on two processors.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Group, go};
use crate::progress::Step;

/// A program and the Go package that it is.
pub(super) struct Program {
    name: &'static str,
    package: &'static str,
    group: Group,
}

const PROGRAMS: &[Program] = &[
    program("etcd", "go.etcd.io/etcd/server/v3", Group::Kube),
    program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", Group::Kube),
    program("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", Group::Kube),
    program("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", Group::Kube),
    program("kubectl", "k8s.io/kubernetes/cmd/kubectl", Group::Kube),
    program("kubelet", "k8s.io/kubernetes/cmd/kubelet", Group::Nodes),
    program("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", Group::Nodes),
    program("helm", "helm.sh/helm/v4/cmd/helm", Group::Helm),
];

const fn program(name: &'static str, package: &'static str, group: Group) -> Program {
    Program { name, package, group }
}

/// The programs of these groups that are not there yet.
pub(super) fn missing(groups: &[Group]) -> Result<Vec<&'static Program>> {
    let bin = byway_tests::kube_bin()?;
    let wanted = PROGRAMS.iter().filter(|program| groups.contains(&program.group));
    Ok(wanted.filter(|program| !bin.join(program.name).is_file()).collect())
}

/// Builds the programs that are missing.
pub(super) fn ensure(groups: &[Group], cache: &mut go::Cache) -> Result<()> {
    let (bin, missing) = (byway_tests::kube_bin()?, missing(groups)?);
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|program| program.name).collect();
    let given = env::var_os("BYWAY_KUBE_BIN").is_some();
    ensure!(!given, "BYWAY_KUBE_BIN is {}, which has no {}", bin.display(), names.join(", "));
    go::ensure()?;

    // A program is moved to its place once it is whole.
    let fresh = bin.with_file_name(format!("new-{}", std::process::id()));
    fs::create_dir_all(&fresh)?;
    let built = missing.iter().try_for_each(|program| {
        build(program, &fresh.join(program.name), cache)?;
        fs::create_dir_all(&bin)?;
        fs::rename(fresh.join(program.name), bin.join(program.name)).context("cannot keep what was built")
    });
    fs::remove_dir_all(&fresh)?;
    built
}

/// One by one, so that each step shows that it goes on; what they share is compiled once anyway.
fn build(program: &Program, to: &Path, cache: &mut go::Cache) -> Result<()> {
    let version = byway_tests::kube_version();
    let minor = version.split('.').nth(1).unwrap_or_default();
    let variable = "-X k8s.io/component-base/version.git";
    let flags = format!("-s -w {variable}Version={version} {variable}Major=1 {variable}Minor={minor}");
    let step = Step::start(format!("Building {} for Kubernetes {version}, once", program.name));
    step.run(&mut cache.build("xtask/kube", program.package, to, &flags)?)
}
