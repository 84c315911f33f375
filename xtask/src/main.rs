//! The list of what a developer can do here: `cargo xtask --help`.
//!
//! This file only wires. Each command is a file of its own, and each calls [`setup`] for what it needs, so
//! that none of them asks a newcomer to have read anything first.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "these are commands for a terminal; what they say is their output")]

mod bench;
mod build;
mod cluster;
mod debug;
mod demo;
mod ebpf;
mod extension;
mod generate;
mod image;
mod programs;
mod progress;
mod record;
mod setup;
mod signals;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "What a developer can do here")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check and install what builds and tests need
    Setup(setup::Args),
    /// Build the eBPF programs into target/ebpf/byway.o
    Ebpf,
    /// Build the programs that are in images: the agent, with the eBPF programs in it, the controller, and the kubectl plugin
    Build(build::Args),
    /// Make container images, without a container engine
    Image(image::Args),
    /// Pack the browser extension, as the stores of Chromium, Edge and Firefox take it
    Extension,
    /// See it work: a stable app, a preview and the real agent, each in a network namespace
    Demo(demo::Args),
    /// Record the demo as the moving picture of the README
    Record,
    /// Look into the live BPF maps of this machine
    Debug(debug::Args),
    /// Measure what the agent costs, beside nothing at all, haproxy and nginx
    Bench(bench::Args),
    /// Write the files that are made from others: the CRDs, the help of the kubectl plugin, the chart's README
    Generate(generate::Args),
    /// A Kubernetes cluster on this machine, built from packages alone
    Cluster(cluster::Args),
    /// Check formatting and lints, then run all tests, the datapath's included
    Test(test::Args),
    /// The web server of the demo
    #[command(hide = true)]
    DemoApp(demo::app::Args),
    /// The process that holds a cluster
    #[command(hide = true)]
    HoldCluster(cluster::hold::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Setup(args) => setup::run(&args),
        Command::Ebpf => ebpf::build().map(drop),
        Command::Build(args) => build::run(&args),
        Command::Image(args) => image::run(&args),
        Command::Extension => extension::pack(),
        Command::Demo(args) => demo::run(&args),
        Command::Record => record::run(),
        Command::Debug(args) => debug::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Cluster(args) => cluster::run(&args),
        Command::HoldCluster(args) => cluster::hold::run(&args),
        Command::Test(args) => test::run(&args),
        Command::DemoApp(args) => demo::app::serve(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Ctrl-C, and everything is cleaned up: as a shell would say it.
        Err(e) if e.is::<signals::Interrupted>() => ExitCode::from(130),
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}
