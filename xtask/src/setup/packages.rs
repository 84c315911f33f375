//! Programs that the distribution has in a version that will do: what is looked for, in which package it is,
//! and apt.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::Group;
use crate::progress::Step;
use crate::workspace;

/// A program that must be on the machine, however it came there.
pub(super) struct Tool {
    pub(super) program: &'static str,
    package: &'static str,
    groups: &'static [Group],
}

use Group::{Bench, Build, Demo, Helm, Kube, Nodes, Test};

const TOOLS: &[Tool] = &[
    tool("cc", "build-essential", &[Build]),
    tool("ip", "iproute2", &[Demo, Test, Bench, Nodes]),
    tool("nsenter", "util-linux", &[Demo, Test, Bench, Nodes]),
    tool("curl", "curl", &[Demo, Test, Bench, Kube, Nodes, Helm]),
    tool("ps", "procps", &[Test, Bench]),
    tool("nginx", "nginx", &[Test, Bench]),
    tool("node", "nodejs", &[Test]),
    tool("php", "php-cli", &[Test]),
    tool("puma", "puma", &[Test]),
    tool("javac", "default-jdk-headless", &[Test]),
    tool("mvn", "maven", &[Test]),
    tool("npm", "npm", &[Test]),
    tool("chromium", "chromium", &[Test]),
    tool("firefox-esr", "firefox-esr", &[Test]),
    tool("jq", "jq", &[Test]),
    tool("python3", "python3", &[Test, Bench, Kube, Nodes, Helm]),
    tool("pip3", "python3-pip", &[Test, Bench]),
    tool("h2load", "nghttp2-client", &[Test, Bench]),
    tool("wrk", "wrk", &[Test, Bench]),
    tool("haproxy", "haproxy", &[Test, Bench]),
    tool("containerd", "containerd", &[Nodes]),
    tool("runc", "runc", &[Nodes]),
    tool("host-local", "containernetworking-plugins", &[Nodes]),
    tool("nft", "nftables", &[Test, Nodes]),
    tool("iptables", "iptables", &[Test, Nodes]),
    tool("busybox", "busybox-static", &[Nodes]),
];

const fn tool(program: &'static str, package: &'static str, groups: &'static [Group]) -> Tool {
    Tool { program, package, groups }
}

/// The programs that the groups need.
pub(super) fn wanted(groups: &[Group]) -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter().filter(move |tool| tool.groups.iter().any(|group| groups.contains(group)))
}

/// Those of them that this machine lacks.
pub(super) fn missing(groups: &[Group]) -> Vec<&'static Tool> {
    wanted(groups).filter(|tool| workspace::find(tool.program).is_none()).collect()
}

/// Installs the programs that are missing.
pub(super) fn ensure(groups: &[Group]) -> Result<()> {
    let missing = missing(groups);
    if missing.is_empty() {
        return Ok(());
    }
    if !is_debian() {
        let programs: Vec<_> = missing.iter().map(|tool| tool.program).collect();
        bail!(
            "not on PATH: {}. This command installs packages on Debian only; install these programs with your \
             system's packages and run it again",
            programs.join(", ")
        );
    }
    let packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    install(&packages)
}

/// True where apt-get installs Debian's packages.
pub(super) fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists() && workspace::find("apt-get").is_some()
}

/// Installs packages, with fresh lists: those of a new machine are empty.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    Step::start("Refreshing the package lists").run(apt_get()?.arg("update"))?;
    Step::start(format!("Installing {}", packages.join(", ")))
        .run(apt_get()?.args(["install", "-y", "--no-install-recommends"]).args(packages))
}

fn apt_get() -> Result<Command> {
    let mut command = if is_root() {
        Command::new("apt-get")
    } else if workspace::find("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        sudo.args(["--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
        sudo
    } else {
        bail!("packages are missing, and only root can install them: run `cargo xtask setup` as root")
    };
    // Another one that runs is waited for: a new machine updates itself.
    command.args(["-o", "DPkg::Lock::Timeout=300"]).env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}
