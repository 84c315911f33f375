//! The programs of Kubernetes, each named with what to do when it is missing.

use std::path::PathBuf;
use std::{env, sync::LazyLock};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::{cache_dir, find_program};

const GO_MOD: &str = include_str!("../../../xtask/kube/go.mod");
const GO_SUM: &str = include_str!("../../../xtask/kube/go.sum");

/// The version of Kubernetes that `xtask/kube/go.mod` pins, as in "v1.34.4".
#[must_use]
pub fn kube_version() -> &'static str {
    static VERSION: LazyLock<&str> = LazyLock::new(|| {
        let requirement = |line: &'static str| line.trim().strip_prefix("k8s.io/kubernetes ");
        let version = GO_MOD.lines().find_map(requirement).and_then(|rest| rest.split(' ').next());
        version.expect("xtask/kube/go.mod requires k8s.io/kubernetes")
    });
    *VERSION
}

/// The folder of the built programs: `BYWAY_KUBE_BIN`, or one in the cache for exactly these versions.
///
/// # Errors
///
/// When no variable of the environment says where the cache is.
pub fn kube_bin() -> Result<PathBuf> {
    if let Some(given) = env::var_os("BYWAY_KUBE_BIN") {
        return Ok(given.into());
    }
    // etcd and helm have versions of their own, and the checksums cover all of them.
    let sum = Sha256::digest(GO_SUM);
    let sum: String = sum.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    Ok(cache_dir()?.join(format!("kube/{}-{sum}/bin", kube_version())))
}

/// A program that `cargo xtask setup` builds.
pub(super) fn built(program: &str, group: &str) -> Result<PathBuf> {
    let file = kube_bin()?.join(program);
    file.is_file().then_some(&file).with_context(|| {
        let folder = file.parent().unwrap_or(&file).display();
        format!("{folder} has no {program}: run `cargo xtask setup {group}`")
    })?;
    Ok(file)
}

/// A program that `cargo xtask setup nodes` installs.
pub(super) fn installed(program: &str) -> Result<PathBuf> {
    find_program(program)
        .with_context(|| format!("{program} is not installed: run `cargo xtask setup nodes`"))
}
