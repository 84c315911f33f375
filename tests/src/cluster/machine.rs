//! A node as something to run programs on, known by its PID 1: also for another process than the one that
//! started the cluster.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::programs::root_path;

/// A node's name and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// As the API server knows it.
    pub name: String,
    /// Its PID 1, as the machine numbers it.
    pub init: u32,
}

impl Machine {
    /// A command that will run in the node's namespaces. Programs of the machine are there too, and so is
    /// `/sys`; `/run`, `/proc`, and what is written to `/etc` and `/var`, are the node's own.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init));
        command.args(["--mount", "--pid", "--net", "--uts", "--"]).arg(program);
        command.env("PATH", root_path());
        command
    }

    /// Imports an image, as [`Image::write`](crate::Image::write) makes it.
    ///
    /// # Errors
    ///
    /// When containerd does not understand it.
    pub fn load_image(&self, archive: &Path) -> Result<()> {
        let file = File::open(archive).with_context(|| format!("cannot read {}", archive.display()))?;
        // From stdin: the node has not all of the machine's folders.
        let mut import = self.command("ctr");
        import.args(["--namespace=k8s.io", "images", "import", "-"]).stdin(file);
        let output = import.output().context("cannot run nsenter")?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} refuses {}: {stderr}", self.name, archive.display());
        Ok(())
    }
}
