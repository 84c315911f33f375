//! `cargo xtask ebpf`: `agent-ebpf/` becomes `target/ebpf/byway.o`, which the agent's build embeds.
//!
//! Cargo decides what is out of date. The object is copied only when its bytes changed, so that the agent
//! is not built again for nothing, and paths are cut out of it, so that it is the same from any folder.

use std::env::consts::ARCH;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

use crate::setup::toolchain::Toolchain;
use crate::setup::{self, Group};
use crate::workspace;

const TARGET: &str = "bpfel-unknown-none";

/// The crates that use unstable features and may do so with a stable compiler.
const BOOTSTRAP: &str = "aya_ebpf,byway";

/// Builds the object; returns its path.
pub(crate) fn build() -> Result<PathBuf> {
    setup::ensure(&[Group::Build])?;
    let out = workspace::root().join("target/ebpf");
    let work = out.join("build");
    let status = cargo(&Toolchain::find()?)?
        .current_dir(workspace::root().join("agent-ebpf"))
        .args(["build", "--quiet", "--release", "--locked", "--target", TARGET, "--target-dir"])
        .arg(&work)
        .status()?;
    ensure!(status.success(), "the eBPF programs do not build; the compiler's message is above");

    let built = work.join(TARGET).join("release/byway");
    let object = out.join("byway.o");
    let bytes = fs::read(&built).with_context(|| format!("agent-ebpf built no {}", built.display()))?;
    if fs::read(&object).ok().as_ref() != Some(&bytes) {
        let fresh = out.join("byway.o.new");
        fs::write(&fresh, &bytes)?;
        fs::rename(&fresh, &object)?;
    }
    Ok(object)
}

fn cargo(toolchain: &Toolchain) -> Result<Command> {
    let mut cargo = match toolchain {
        Toolchain::Distribution { .. } => {
            let mut cargo = workspace::foreign_cargo("/usr/bin/cargo");
            cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", BOOTSTRAP);
            cargo
        }
        Toolchain::Nightly { .. } => {
            let mut cargo = workspace::foreign_cargo("rustup");
            cargo.args(["run", "nightly", "cargo", "-Zbuild-std=core"]);
            cargo
        }
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([toolchain.root()?.join("bin")].into_iter().chain(env::split_paths(&path)))?;
    cargo.env("PATH", path).env("CARGO_ENCODED_RUSTFLAGS", flags()?.join("\x1f"));
    Ok(cargo)
}

fn flags() -> Result<Vec<String>> {
    // What aya-ebpf calls the architecture whose `pt_regs` it compiles for.
    let arch = match ARCH {
        "x86_64" | "aarch64" | "arm" | "mips" | "powerpc64" | "riscv64" | "s390x" => ARCH,
        other => bail!("aya knows no eBPF on {other}"),
    };
    let cargo_home =
        env::var("CARGO_HOME").or_else(|_| env::var("HOME").map(|home| format!("{home}/.cargo")))?;
    Ok(vec![
        format!("--cfg=bpf_target_arch=\"{arch}\""),
        // The loader needs BTF, which is made from debug information.
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("--remap-path-prefix={}=byway", workspace::root().display()),
        format!("--remap-path-prefix={cargo_home}=cargo"),
    ])
}
