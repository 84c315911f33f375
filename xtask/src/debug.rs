//! `cargo xtask debug routes`: the same code as `byway-agent debug routes`, which is in the agent's binary.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::build;

/// What to look at, as `byway-agent debug --help` tells.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments of `byway-agent debug`: `routes`, `routes --output json`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, default_value = "--help")]
    what: Vec<String>,
}

/// Becomes the agent's binary, the demo's, which is there after a demo. Only an error comes back.
pub(crate) fn run(args: &Args) -> Result<()> {
    let agent = build::demo_agent()?;
    let error = Command::new(&agent).arg("debug").args(&args.what).exec();
    Err(error).with_context(|| format!("cannot run {}", agent.display()))
}
