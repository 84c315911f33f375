//! `cargo xtask build`: the node agent, which carries the eBPF programs inside, the controller, and the kubectl plugin.
//!
//! All are linked statically, so that what is tested is what an image has in it.

use std::env::{self, consts::ARCH};
use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::{ebpf, workspace};

/// The node agent.
pub(crate) const AGENT: &str = "byway-agent";
/// The controller.
pub(crate) const CONTROLLER: &str = "byway-controller";

/// `cargo xtask build`.
pub(crate) fn run() -> Result<()> {
    programs(&[AGENT, CONTROLLER])?;
    let folder = cli()?;
    println!("{}", folder.display());
    Ok(())
}

/// Builds the agent in release mode; returns the path of the binary.
pub(crate) fn agent() -> Result<PathBuf> {
    // Somebody who names a binary wants that one, in the demo and in the tests.
    if let Some(binary) = env::var_os("BYWAY_AGENT") {
        return Ok(binary.into());
    }
    Ok(programs(&[AGENT])?.join(AGENT))
}

/// Builds programs in release mode; returns their folder.
pub(crate) fn programs(names: &[&str]) -> Result<PathBuf> {
    ebpf::build()?;
    let packages: Vec<&str> = names.iter().flat_map(|name| ["-p", name]).collect();
    release(&packages)
}

/// Builds one of the agent's examples in release mode; returns the path of the binary.
pub(crate) fn example(name: &str) -> Result<PathBuf> {
    ebpf::build()?;
    Ok(release(&["-p", AGENT, "--example", name])?.join("examples").join(name))
}

/// Builds the measurements of the controller in release mode; returns the path of the binary.
pub(crate) fn control_bench() -> Result<PathBuf> {
    let name = "control_bench";
    Ok(release(&["-p", "byway-sim", "--example", name])?.join("examples").join(name))
}

/// Builds the controller in release mode; returns the path of the binary.
pub(crate) fn controller() -> Result<PathBuf> {
    Ok(release(&["-p", CONTROLLER])?.join(CONTROLLER))
}

/// Builds the kubectl plugin in release mode; returns its folder.
pub(crate) fn cli() -> Result<PathBuf> {
    release(&["-p", "byway-cli"])
}

fn release(what: &[&str]) -> Result<PathBuf> {
    let target = format!("{ARCH}-unknown-linux-gnu");
    let mut cargo = workspace::cargo();
    // With a target named, flags are for the programs alone: macros and build scripts cannot be static.
    cargo.args(["build", "--release", "--target", &target]).args(what);
    // Of all ways to give flags this one counts, so what was given before is kept.
    let given = env::var("RUSTFLAGS").unwrap_or_default();
    let flags: Vec<&str> = given.split_whitespace().chain(["-Ctarget-feature=+crt-static"]).collect();
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    ensure!(cargo.status()?.success(), "{}: does not build; the compiler's message is above", what.join(" "));
    Ok(workspace::target_dir().join(target).join("release"))
}
