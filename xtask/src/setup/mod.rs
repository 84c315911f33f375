//! `cargo xtask setup`: checks what builds and tests need and installs what is missing.
//!
//! Quick and silent when nothing is missing, so that every other command can call it first. It installs
//! nothing that was not asked for: each command names the groups that it needs.

mod browser;
mod envoy;
mod go;
mod kube;
mod libraries;
mod lock;
mod packages;
mod peers;
pub(crate) mod toolchain;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use crate::progress::Step;
use crate::workspace;
use lock::Lock;
use toolchain::Toolchain;

/// What a command needs from the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// The eBPF programs
    Build,
    /// Network namespaces and a client
    Demo,
    /// The servers and clients that the tests run unmodified
    Test,
    /// A load generator, and the proxies to compare with
    Bench,
    /// The control plane of a Kubernetes cluster: eight minutes the first time
    Kube,
    /// Nodes of a Kubernetes cluster
    Nodes,
    /// Helm
    Helm,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to prepare for; all of it when left out
    #[arg(value_enum)]
    groups: Vec<Group>,
}

/// `cargo xtask setup`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let groups = if args.groups.is_empty() { Group::value_variants() } else { &args.groups };
    ensure(groups)?;
    if groups.contains(&Group::Build) {
        eprintln!("✓ eBPF programs are built with {}", Toolchain::find()?);
    }
    for tool in packages::wanted(groups) {
        eprintln!("✓ {}", tool.program);
    }
    if groups.contains(&Group::Test) {
        eprintln!("✓ go");
        for peers in byway_tests::Peers::ALL {
            eprintln!("✓ programs of {} in {}", peers.folder(), peers.bin()?.display());
        }
        for libraries in byway_tests::Libraries::ALL {
            eprintln!("✓ libraries of {libraries:?} in {}", libraries.folder()?.display());
        }
        eprintln!("✓ packages of npm in {}", byway_tests::node_modules()?.display());
    }
    if wants_envoy(groups) {
        eprintln!("✓ envoy in {}", byway_tests::envoy()?.display());
    }
    if groups.contains(&Group::Kube) {
        eprintln!("✓ Kubernetes {} in {}", byway_tests::kube_version(), byway_tests::kube_bin()?.display());
    }
    Ok(())
}

/// Installs what the groups need and this machine lacks. Says nothing when nothing is missing.
pub(crate) fn ensure(groups: &[Group]) -> Result<()> {
    if is_complete(groups)? {
        return Ok(());
    }
    let _alone = Lock::take(&byway_tests::cache_dir()?)?;
    // Whoever was waited for may have done it.
    install(groups)
}

fn is_complete(groups: &[Group]) -> Result<bool> {
    let wants = |group| groups.contains(&group);
    Ok(packages::missing(groups).is_empty()
        && (!wants(Group::Test) || is_test_complete()?)
        && (!wants(Group::Build) || toolchain::is_there())
        && (!wants_envoy(groups) || byway_tests::envoy()?.is_file())
        && kube::missing(groups)?.is_empty())
}

fn wants_envoy(groups: &[Group]) -> bool {
    groups.iter().any(|group| matches!(group, Group::Test | Group::Bench))
}

fn is_test_complete() -> Result<bool> {
    Ok(go::is_there()? && peers::missing()?.is_empty() && libraries::are_there()? && browser::is_there()?)
}

fn install(groups: &[Group]) -> Result<()> {
    packages::ensure(groups)?;
    if groups.contains(&Group::Build) {
        toolchain::ensure()?;
    }
    if wants_envoy(groups) {
        envoy::ensure()?;
    }
    let mut cache = go::Cache::new()?;
    if groups.contains(&Group::Test) {
        go::ensure()?;
        peers::ensure(&mut cache)?;
        libraries::ensure()?;
        browser::ensure()?;
    }
    kube::ensure(groups, &mut cache)?;
    cache.forget()
}

/// Where tools are that this command built.
pub(crate) fn tools_bin() -> Result<PathBuf> {
    Ok(workspace::tools_dir()?.join("bin"))
}

/// `PATH`, with what this command built and fetched in front.
pub(crate) fn path_with_tools() -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    // A Go is only there when the machine's own is too old.
    Ok(env::join_paths([tools_bin()?, go::bin()?].into_iter().chain(env::split_paths(&path)))?)
}

/// Builds cargo-deny.
pub(crate) fn install_cargo_deny() -> Result<()> {
    let mut install = workspace::foreign_cargo("cargo");
    install
        .args(["install", "cargo-deny", "--version", "0.20.2", "--locked", "--root"])
        .arg(workspace::tools_dir()?);
    let _alone = Lock::take(&byway_tests::cache_dir()?)?;
    Step::start("Building cargo-deny, once").run(&mut install)
}
