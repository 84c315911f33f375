//! `ip -batch`: many changes for the price of one process.

use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::Netns;

/// Runs `lines`, each one an `ip` command without the word `ip`, in `netns`.
pub(crate) fn batch(netns: &Netns, lines: &str) -> Result<()> {
    let mut child = netns
        .command("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run `ip`: `cargo xtask setup` installs it")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(lines.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "ip -batch: {}\n{lines}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
