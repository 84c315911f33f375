//! `kubectl-preview`: wires the parts together.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use byway_cli::args::Cli;
use byway_cli::commands;
use byway_cli::progress::Progress;
use clap::Parser as _;

// One thread: all is waiting for the API server.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::dispatch(&cli).await {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            Progress::new(cli.command.how()).fail(&failure);
            failure.exit.into()
        }
    }
}
