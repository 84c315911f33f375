//! `cargo xtask build`: the node agent, which carries the eBPF programs inside.

use std::env;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::{ebpf, workspace};

/// Builds the agent in release mode; returns the path of the binary.
pub(crate) fn agent() -> Result<PathBuf> {
    // Somebody who names a binary wants that one, in the demo and in the tests.
    if let Some(binary) = env::var_os("BYWAY_AGENT") {
        return Ok(binary.into());
    }
    ebpf::build()?;
    let status = workspace::cargo().args(["build", "--release", "-p", "byway-agent"]).status()?;
    ensure!(status.success(), "the agent does not build; the compiler's message is above");
    Ok(workspace::target_dir().join("release/byway-agent"))
}

/// Builds the controller as its tests take it: for them, to compile soon matters more than to run fast.
pub(crate) fn controller() -> Result<()> {
    if env::var_os("BYWAY_CONTROLLER").is_some() {
        return Ok(());
    }
    let status = workspace::cargo().args(["build", "-p", "byway-controller"]).status()?;
    ensure!(status.success(), "the controller does not build; the compiler's message is above");
    Ok(())
}

/// Builds one of the agent's examples in release mode; returns the path of the binary.
pub(crate) fn example(name: &str) -> Result<PathBuf> {
    ebpf::build()?;
    let args = ["build", "--release", "-p", "byway-agent", "--example", name];
    ensure!(workspace::cargo().args(args).status()?.success(), "{name} does not build; the reason is above");
    Ok(workspace::target_dir().join("release/examples").join(name))
}
