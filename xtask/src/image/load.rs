//! Brings images to the nodes of a cluster on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::cluster;

/// To where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Place {
    /// The nodes of a kind cluster
    Kind,
    /// The nodes of a k3d cluster
    K3d,
    /// The containerd of this machine, as its kubelet sees it; CONTAINERD_ADDRESS names another socket
    Ctr,
    /// The nodes of a cluster of `cargo xtask cluster`
    Xtask,
}

/// Loads all archives.
pub(super) fn run(place: Place, cluster: Option<&str>, archives: &[PathBuf]) -> Result<()> {
    if place == Place::Xtask {
        return cluster::load(cluster.unwrap_or(cluster::DEFAULT), archives);
    }
    archives.iter().try_for_each(|archive| finish(&mut command(place, cluster, archive)?))
}

/// What does it. Without a name each program takes its own default.
pub(super) fn command(place: Place, cluster: Option<&str>, archive: &Path) -> Result<Command> {
    let (program, args, option) = match place {
        Place::Kind => ("kind", &["load", "image-archive"][..], "--name"),
        Place::K3d => ("k3d", &["image", "import"][..], "--cluster"),
        Place::Ctr | Place::Xtask => {
            ensure!(cluster.is_none(), "this machine has one containerd: leave --cluster out");
            ("ctr", &["--namespace=k8s.io", "images", "import"][..], "")
        }
    };
    let mut command = Command::new(program);
    command.args(args).arg(archive);
    if let Some(name) = cluster {
        command.args([option, name]);
    }
    Ok(command)
}

pub(super) fn finish(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_owned();
    let status =
        command.status().with_context(|| format!("cannot run {}: is it installed?", program.display()))?;
    ensure!(status.success(), "{} did not take the image; its message is above", program.display());
    Ok(())
}
