//! `cargo xtask bench control`: has the measurements of `tests/sim/examples/control_bench` made, and shows them.
//!
//! They are a program of their own, since they need a client of Kubernetes, which nothing else here does.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Output;
use crate::build;
use crate::setup::{self, Group};

mod report;

#[derive(clap::Args)]
pub(crate) struct Control {
    /// Nodes of the large cluster
    #[arg(long, default_value_t = 1000, value_name = "N")]
    nodes: usize,
    /// Previews of the large cluster
    #[arg(long, default_value_t = 1000, value_name = "N")]
    previews: usize,
    /// Pods of the large cluster, those of agents and previews included
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    pods: usize,
    /// Changes whose way is measured on 20 nodes; a fifth of that on 200
    #[arg(long, default_value_t = 100, value_name = "N")]
    samples: usize,
    /// Only this part: latency or scale
    #[arg(long, default_value = "", value_name = "PART")]
    only: String,
    /// Print one JSON document instead of tables
    #[arg(long, value_enum)]
    output: Option<Output>,
}

pub(super) fn run(args: &Control) -> Result<()> {
    setup::ensure(&[Group::Build, Group::Kube])?;
    let controller = build::controller()?;
    let mut command = Command::new(build::control_bench()?);
    command.env("BYWAY_CONTROLLER", controller).args(["--only", &args.only]);
    let numbers = [
        ("--nodes", args.nodes),
        ("--previews", args.previews),
        ("--pods", args.pods),
        ("--samples", args.samples),
    ];
    for (name, number) in numbers {
        command.args([name, &number.to_string()]);
    }
    // What it says while it runs goes to stderr, as it comes.
    let done = command.stdout(Stdio::piped()).spawn()?.wait_with_output()?;
    ensure!(done.status.success(), "the measurements failed; the reason is above");
    let found: Value = serde_json::from_slice(&done.stdout).context("the measurements gave no result")?;
    match args.output {
        Some(Output::Json) => println!("{found}"),
        None => print!("{}", report::Report(&found)),
    }
    Ok(())
}
