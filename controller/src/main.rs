//! `byway-controller`: wires the parts together.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use byway_controller::args::{Cli, Command};
use byway_controller::connections::Connections;
use byway_controller::{admin, check, leader, metrics::Metrics, reconcile, uninstall};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

// One thread: all is waiting for the API server, and one heap stays small.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    let config = kube::Config::infer().await.context("cannot find the API server: is there a KUBECONFIG?")?;
    let client = byway_trust::client(config.clone())?;
    let namespace = &cli.settings.namespace;
    match cli.command {
        Some(Command::Uninstall { timeout }) => {
            Ok(uninstall::run(client, namespace, timeout.unsigned_abs()).await?)
        }
        Some(Command::Check { timeout }) => Ok(check::run(client, namespace, timeout.unsigned_abs()).await?),
        None => lead(cli, config, client).await,
    }
}

async fn lead(cli: Cli, config: kube::Config, client: kube::Client) -> Result<()> {
    let metrics = Arc::new(Metrics::default());
    tokio::spawn(admin::serve(admin::listen(cli.admin).await?, metrics.clone()));
    let leadership = leader::Leadership::new(&client, &cli).await?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let lead = async {
        let term = leadership.won().await?;
        metrics.set_leader(true);
        tracing::info!("leading");
        let connections = Connections::new(config)?;
        let client = connections.writer(&term)?;
        let work = reconcile::run(client, connections, cli.settings.clone(), metrics.clone(), term.clone());
        tokio::select! {
            why = leadership.lost(&term) => Err(why),
            ended = work => Err(ended.err().map_or_else(
                || anyhow::anyhow!("the lease ended while this process was stopped"),
                anyhow::Error::from,
            )),
        }
    };
    tokio::select! {
        done = lead => done?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // The next leader need not wait for the lease to end.
    leadership.release().await;
    Ok(())
}
