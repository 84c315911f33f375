//! `kubectl-preview`: wires the parts together.
#![forbid(unsafe_code)]

use byway_cli::args::Cli;
use clap::Parser as _;

fn main() {
    let _cli = Cli::parse();
}
