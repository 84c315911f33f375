//! `cargo xtask test`: everything that must hold before a change is taken, in the order of how soon it
//! tells: formatting, lints, tests without root, then the datapath in network namespaces and whole clusters.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::setup::{self, Group};
use crate::{generate, image, workspace};

/// Ends a file of tests that hangs, so that those behind it run; which test it was is printed after a minute. Several
/// times what the slowest takes.
const RUNNER: &str = "target.'cfg(unix)'.runner = ['timeout', '--kill-after=10', '1200']";

/// The datapath without a cluster, run once more with connections that go through the agent from their first byte on. Those
/// of HTTP/2 do so anyway, behind the first one to a port.
const THROUGH: [&str; 14] = [
    "answers",
    "fail_open",
    "frames",
    "handover",
    "http1",
    "inspect",
    "invisible",
    "listening",
    "meshes",
    "real_apps",
    "streams",
    "targetless",
    "targets",
    "upgrade",
];

/// Datapath tests share the machine's processors and the kernel's only programs at the cgroup root.
const DATAPATH_THREADS: &str = "2";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only tests whose name contains this, without the checks
    filter: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure(&[Group::Build, Group::Demo, Group::Test, Group::Kube, Group::Nodes, Group::Helm])?;
    if args.filter.is_none() {
        stage("formatting", workspace::cargo().args(["fmt", "--all", "--check"]))?;
        let programs = ["fmt", "--manifest-path", "agent-ebpf/Cargo.toml", "--check"];
        stage("formatting of the eBPF programs", workspace::cargo().args(programs))?;
    }
    // The lints of the agent need the object, tests on nodes the images, all others the programs in them.
    image::make(&workspace::target_dir().join("images"))?;
    generate::run(&generate::Args { check: true })?;
    if args.filter.is_none() {
        let lints = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        stage("lints", workspace::cargo().args(lints))?;
        // As the demo builds it.
        let alone =
            ["clippy", "-p", "byway-agent", "--no-default-features", "--locked", "--", "-D", "warnings"];
        stage("lints of the agent without Kubernetes", workspace::cargo().args(alone))?;
        // A workspace of its own, which nothing else builds. What it runs is tested with the others.
        let fuzz = ["check", "--manifest-path", "http/fuzz/Cargo.toml", "--locked"];
        stage("fuzzing still builds", workspace::cargo().args(fuzz))?;
        dependencies()?;
    }
    let filter = args.filter.as_slice();
    // One run of a stage shows all that fails in it.
    let pure = ["test", "--workspace", "--exclude", "byway-tests", "--locked", "--no-fail-fast"];
    stage("tests", workspace::cargo().args(pure).args(filter))?;
    let datapath = ["--config", RUNNER, "test", "--package", "byway-tests", "--locked", "--no-fail-fast"];
    let path = setup::path_with_tools()?;
    let tests = |of: &[&str]| {
        let mut tests = workspace::cargo();
        let of = of.iter().flat_map(|file| ["--test", file]);
        let threads = ["--", "--test-threads", DATAPATH_THREADS];
        tests.args(datapath).args(of).args(filter).args(threads).env("PATH", &path);
        tests
    };
    let straight = stage("datapath tests", &mut tests(&[]));
    stage("datapath tests, through the agent", tests(&THROUGH).env("BYWAY_TEST_MODE", "proxy")).and(straight)
}

/// Licences, sources and bans of what we depend on. Compiling the tool takes minutes, so a developer's
/// machine may lack it; where `CI` is set it is installed.
fn dependencies() -> Result<()> {
    if workspace::find("cargo-deny").is_none() && !setup::tools_bin()?.join("cargo-deny").is_file() {
        if !workspace::in_ci() {
            eprintln!("!!! SKIPPED: cargo-deny is not installed (`cargo install cargo-deny --locked`)");
            return Ok(());
        }
        setup::install_cargo_deny()?;
    }
    let mut deny = workspace::cargo();
    deny.args(["deny", "check", "bans", "licenses", "sources"]);
    stage("dependencies", deny.env("PATH", setup::path_with_tools()?))
}

fn stage(name: &str, command: &mut Command) -> Result<()> {
    eprintln!("== {name}");
    let status = command.status()?;
    ensure!(status.success(), "{name}: failed; the reason is above");
    Ok(())
}
