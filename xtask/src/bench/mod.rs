//! `cargo xtask bench`: what the agent costs, beside nothing at all and beside known proxies; and what the controller does.
//!
//! Numbers of one machine say little, so everything is a ratio to what ran seconds before and after it on the
//! same machine: contestants take turns, round by round, and a ratio is the median over the rounds.

mod contestant;
mod control;
mod cpu;
mod endure;
mod first_demo;
mod load;
mod memory;
mod proxies;
mod report;
mod rows;
mod servers;
mod settings;
mod sink;
mod stage;
mod stats;
mod walk;

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Subcommand, ValueEnum};

use crate::setup::{self, Group};
use crate::{build, signals};
use contestant::Protocol;
use report::Report;
use settings::Programs;
use stage::Stage;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Requests per second, latency, CPU and memory: direct, with the agent, and with haproxy, nginx and (for HTTP/2) envoy in its place
    Datapath(Datapath),
    /// How long a route takes, and what the controller costs in a large cluster: simulated nodes on a real API server
    Control(control::Control),
    /// From a running cluster to a keyed request that a preview answers, command by command
    Walk,
    /// The first `cargo xtask demo` of a newcomer: from a clone of this tree's last commit, with empty caches
    FirstDemo(first_demo::FirstDemo),
}

#[derive(clap::Args)]
struct Datapath {
    /// How often each contestant has its turn in each row
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    rounds: u32,
    /// How long a turn takes
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..), value_name = "S")]
    seconds: u64,
    /// Only rows whose name contains this
    #[arg(long, default_value = "", value_name = "FILTER")]
    rows: String,
    /// How many idle connections go straight to the app in the row of memory: up to 120,000, and to the limit of open files
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(1..=120_000), value_name = "N")]
    connections: u32,
    /// Also two minutes of a connection per request, per way of closing
    #[arg(long)]
    long: bool,
    /// Print one JSON document instead of tables
    #[arg(long, value_enum)]
    output: Option<Output>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Json,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Datapath(args) => datapath(args),
        What::Control(args) => control::run(args),
        What::Walk => walk::run(),
        What::FirstDemo(args) => first_demo::run(args),
    }
}

fn datapath(args: &Datapath) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the benchmark makes network namespaces and loads eBPF programs, which only root may: \
         sudo -E env \"PATH=$PATH\" cargo xtask bench datapath"
    );
    setup::ensure(&[Group::Build, Group::Bench])?;
    build::agent()?;
    let programs = Programs {
        steer: build::example("steer")?,
        grpc: build::example("grpc")?,
        envoy: byway_tests::envoy()?,
    };
    stage::raise_files()?;
    signals::watch()?;
    let mut report = Report::default();
    for protocol in Protocol::ALL {
        measure(args, protocol, &programs, &mut report)?;
    }
    match args.output {
        Some(Output::Json) => println!("{}", report.json()),
        None => print!("{report}"),
    }
    Ok(())
}

/// The rows that speak one protocol, on a stage of their own.
fn measure(args: &Datapath, protocol: Protocol, programs: &Programs, report: &mut Report) -> Result<()> {
    let rows = rows::all().into_iter().filter(|row| row.load.protocol() == protocol);
    let rows: Vec<_> = rows.filter(|row| row.name.contains(&args.rows)).collect();
    let is_first = protocol == Protocol::Http1;
    let memory = is_first && memory::NAME.contains(&args.rows);
    if rows.is_empty() && !memory && !(is_first && args.long) {
        return Ok(());
    }
    let mut stage = Stage::set(protocol, programs)?;
    for row in &rows {
        report.rows.push(rows::run(&mut stage, row, args.rounds, Duration::from_secs(args.seconds))?);
    }
    if memory {
        report.memory = Some(memory::run(&mut stage, args.connections)?);
    }
    if is_first && args.long {
        report.endurance = endure::run(&mut stage, &args.rows)?;
    }
    Ok(())
}
