//! `byway-agent`: wires the parts together.

use std::{io::IsTerminal as _, process::ExitCode};

use byway_agent::{
    args::{Cli, Command, Debug},
    inspect, serve, watch,
};
use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    let done = match cli.command {
        Some(Command::Debug { what: Debug::Routes { output, node } }) => {
            inspect::print_routes(node.as_deref(), output)
        }
        None if cli.serve.no_watchdog => serve(&cli.serve).map(|()| ExitCode::SUCCESS),
        None => watch(&cli.serve),
    };
    done.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::FAILURE
    })
}
