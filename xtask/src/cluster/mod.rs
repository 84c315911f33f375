//! `cargo xtask cluster`: a Kubernetes cluster on this machine that stays until it is told to go.
//!
//! `up` leaves a process behind, which [`hold`]s the cluster as a test would. What it holds is written down
//! ([`record`]), so that the other commands find it.

pub(crate) mod hold;
mod record;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Subcommand;

use crate::progress::Step;
use crate::setup::{self, Group};
use record::Record;

/// The cluster that is meant when none is named.
pub(crate) const DEFAULT: &str = "dev";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which of several clusters
    #[arg(long, global = true, default_value = DEFAULT)]
    name: String,
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start one, and wait until all of it is ready
    Up(Up),
    /// Stop it, and remove every trace
    Down,
    /// Run kubectl as administrator: `cargo xtask cluster kubectl -- get nodes`
    Kubectl(Passed),
    /// Run helm as administrator: `cargo xtask cluster helm -- list`
    Helm(Passed),
    /// Print what a shell evaluates to use it: `eval "$(cargo xtask cluster env)"`
    Env,
    /// Import image archives on every node
    Load {
        /// As `docker save` writes them
        #[arg(required = true)]
        archives: Vec<PathBuf>,
    },
    /// Run a program of this machine on a node: `cargo xtask cluster exec 0 -- ip address`
    Exec {
        /// The first one is 0
        node: usize,
        #[command(flatten)]
        command: Passed,
    },
}

/// What a cluster is to be like.
#[derive(clap::Args, Clone)]
pub(crate) struct Up {
    /// How many nodes; 0 for a control plane alone, which needs no root
    #[arg(long, default_value_t = 2)]
    nodes: usize,
    /// How kube-proxy works
    #[arg(long, value_enum, default_value_t = Proxy::Nftables)]
    proxy: Proxy,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Proxy {
    /// Its newest way
    Nftables,
    /// The way of most clusters
    Iptables,
}

#[derive(clap::Args)]
struct Passed {
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let record = || Record::find(&args.name);
    match &args.command {
        Action::Up(up) => start(&args.name, up),
        Action::Down => down(&args.name),
        Action::Kubectl(passed) => become_program(&mut record()?.tool("kubectl")?, passed),
        Action::Helm(passed) => {
            setup::ensure(&[Group::Helm])?;
            become_program(&mut record()?.tool("helm")?, passed)
        }
        Action::Env => {
            println!("{}", record()?.environment()?);
            Ok(())
        }
        Action::Load { archives } => load(&args.name, archives),
        Action::Exec { node, command } => {
            let machines = record()?.machines;
            let machine = machines.get(*node).with_context(|| format!("no node {node} here"))?;
            let (program, args) = command.args.split_first().context("name a program to run")?;
            let args = args.to_vec();
            become_program(&mut machine.command(program), &Passed { args })
        }
    }
}

/// Imports image archives on every node.
pub(crate) fn load(name: &str, archives: &[PathBuf]) -> Result<()> {
    let machines = Record::find(name)?.machines;
    ensure!(!machines.is_empty(), "this cluster has no nodes");
    machines.iter().try_for_each(|node| archives.iter().try_for_each(|file| node.load_image(file)))
}

fn start(name: &str, up: &Up) -> Result<()> {
    if let Ok(record) = Record::find(name) {
        eprintln!("it is up already: {}", record.kubeconfig.display());
        return Ok(());
    }
    setup::ensure(if up.nodes == 0 { &[Group::Kube] } else { &[Group::Kube, Group::Nodes] })?;
    hold::start(name, up)?;
    eprintln!("use it: eval \"$(cargo xtask cluster env --name {name})\"");
    eprintln!("logs:   {}", Record::find(name)?.logs.display());
    Ok(())
}

fn down(name: &str) -> Result<()> {
    let step = Step::start("Stopping the cluster");
    if let Ok(record) = Record::find(name) {
        record.end()?;
    }
    // Also what a holder left that was killed.
    byway_tests::Cluster::remove_stale();
    Record::forget(name)?;
    step.done();
    Ok(())
}

/// Becomes the program. Only an error comes back.
fn become_program(command: &mut Command, passed: &Passed) -> Result<()> {
    let error = command.args(&passed.args).exec();
    Err(error).with_context(|| format!("cannot run {}", command.get_program().display()))
}
