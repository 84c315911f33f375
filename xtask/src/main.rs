//! The list of what a developer can do here: `cargo xtask --help`.
//!
//! This file only wires. Each command is a file of its own, and each calls [`setup`] for what it needs, so
//! that none of them asks a newcomer to have read anything first.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "these are commands for a terminal; what they say is their output"
)]

mod build;
mod ebpf;
mod progress;
mod setup;
mod workspace;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "What a developer can do here"
)]
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
    /// Build the node agent, with the eBPF programs in it
    Build,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Setup(args) => setup::run(&args),
        Command::Ebpf => ebpf::build().map(drop),
        Command::Build => build::agent().map(drop),
    }
}
