//! `byway-agent`: wires the parts together.

use std::process::ExitCode;

use byway_agent::{
    args::{Cli, Command, Debug},
    inspect, serve, watch,
};
use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let done = match cli.command {
        Some(Command::Debug { what: Debug::Routes { output } }) => inspect::print_routes(output),
        None if cli.serve.no_watchdog => serve(&cli.serve).map(|()| ExitCode::SUCCESS),
        None => watch(&cli.serve),
    };
    done.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::FAILURE
    })
}
