//! `cargo xtask build`: the node agent, which carries the eBPF programs inside, the controller, and the kubectl plugin.
//!
//! All are linked statically, so that what is tested is what an image has in it.

use std::env::{self, consts::ARCH};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::programs::{AGENT, CONTROLLER, PROGRAMS, packages};
use crate::{ebpf, workspace};

mod strip;

pub(crate) use strip::stripped;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Put copies here that are as small as those in images
    #[arg(long, value_name = "DIR")]
    strip: Option<PathBuf>,
}

/// `cargo xtask build`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = match &args.strip {
        Some(folder) => stripped_programs(folder)?,
        None => programs(&packages())?,
    };
    println!("{}", folder.display());
    Ok(())
}

/// Builds the agent in release mode; returns the path of the binary.
pub(crate) fn agent() -> Result<PathBuf> {
    // Somebody who names a binary wants that one, in the demo and in the tests.
    match env::var_os("BYWAY_AGENT") {
        Some(binary) => Ok(binary.into()),
        None => Ok(programs(&[AGENT])?.join(AGENT)),
    }
}

/// Builds the agent for the demo: all of it but what speaks with an API server, which takes the compiler longer than the
/// rest, and with less of an eye to speed. Returns the path of the binary.
pub(crate) fn demo_agent() -> Result<PathBuf> {
    match env::var_os("BYWAY_AGENT") {
        Some(binary) => Ok(binary.into()),
        None => {
            ebpf::build()?;
            let what = ["-p", AGENT, "--no-default-features"];
            Ok(built_for(Target::this()?, "demo", &what)?.join(AGENT))
        }
    }
}

/// What kind of machine a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    Amd64,
    Arm64,
}

impl Target {
    /// This machine.
    pub(crate) fn this() -> Result<Self> {
        let all = [Self::Amd64, Self::Arm64];
        let this = all.into_iter().find(|target| target.rust() == ARCH);
        this.with_context(|| format!("there are no images for {ARCH}"))
    }

    /// As Rust calls it.
    pub(crate) fn rust(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// As images call it.
    pub(crate) fn in_images(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// A tool of the GNU compilers for it, as distributions name it.
    pub(crate) fn tool(self, name: &str) -> String {
        format!("{}-linux-gnu-{name}", self.rust())
    }

    fn triple(self) -> String {
        format!("{}-unknown-linux-gnu", self.rust())
    }

    /// Fails if nothing here compiles for it.
    fn ensure(self) -> Result<()> {
        let triple = self.triple();
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let print = Command::new(rustc).args(["--print", "target-libdir", "--target", &triple]).output()?;
        let folder = String::from_utf8_lossy(&print.stdout).trim().to_owned();
        ensure!(
            Path::new(&folder).is_dir(),
            "nothing compiles for {triple} here: `rustup target add {triple}`"
        );
        let linker = self.tool("gcc");
        ensure!(
            self.rust() == ARCH || workspace::find(&linker).is_some(),
            "nothing links for {triple} here: install {linker} (Debian: gcc-{}-linux-gnu)",
            self.rust().replace('_', "-")
        );
        Ok(())
    }
}

/// Builds programs in release mode; returns their folder.
pub(crate) fn programs(packages: &[&str]) -> Result<PathBuf> {
    programs_for(Target::this()?, packages)
}

/// Builds programs in release mode for a machine of some kind; returns their folder.
pub(crate) fn programs_for(target: Target, packages: &[&str]) -> Result<PathBuf> {
    // The same object for all: none of the programs reads registers, and all machines put the low byte first.
    ebpf::build()?;
    let packages: Vec<&str> = packages.iter().flat_map(|name| ["-p", name]).collect();
    release_for(target, &packages)
}

/// Builds all programs, as they are in images, into a folder.
fn stripped_programs(out: &Path) -> Result<PathBuf> {
    let target = Target::this()?;
    let built = programs_for(target, &packages())?;
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for program in PROGRAMS {
        stripped(target, &built.join(program.name), out)?;
    }
    Ok(out.to_owned())
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

fn release(what: &[&str]) -> Result<PathBuf> {
    release_for(Target::this()?, what)
}

fn release_for(target: Target, what: &[&str]) -> Result<PathBuf> {
    built_for(target, "release", what)
}

/// Builds with a profile of the workspace; returns the folder of the programs.
fn built_for(target: Target, profile: &str, what: &[&str]) -> Result<PathBuf> {
    let triple = target.triple();
    let mut cargo = workspace::cargo();
    if target.rust() != ARCH {
        target.ensure()?;
        let variable = triple.to_uppercase().replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), target.tool("gcc"));
        cargo.env(format!("CC_{}", triple.replace('-', "_")), target.tool("gcc"));
    }
    // With a target named, flags are for the programs alone: macros and build scripts cannot be static.
    cargo.args(["build", "--profile", profile, "--target", &triple]).args(what);
    // Of all ways to give flags this one counts, so what was given before is kept.
    let given = env::var("RUSTFLAGS").unwrap_or_default();
    let flags: Vec<&str> = given.split_whitespace().chain(["-Ctarget-feature=+crt-static"]).collect();
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    ensure!(cargo.status()?.success(), "{}: does not build; the compiler's message is above", what.join(" "));
    Ok(workspace::target_dir().join(triple).join(profile))
}
