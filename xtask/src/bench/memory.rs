//! What the agent holds in memory: at rest, and per connection that nothing happens on.

use anyhow::{Context, Result};
use byway_tests::{Agent, Http};

use super::contestant::Contestant;
use super::cpu::resident;
use super::stage::Stage;
use crate::progress::Step;
use crate::signals;

pub(super) const NAME: &str = "memory";
/// Connections held at once.
const CONNECTIONS: u32 = 4_000;

/// In bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// Of the process that serves.
    pub(super) idle: u64,
    /// Of the process that watches it.
    pub(super) watchdog: u64,
    /// More, per connection.
    pub(super) per_connection: f64,
}

impl Memory {
    pub(super) const IDLE_GOAL: u64 = 30 << 20;
    pub(super) const PER_CONNECTION_GOAL: f64 = 16.0 * 1024.0;
    pub(super) const CONNECTIONS: u32 = CONNECTIONS;
}

pub(super) fn run(stage: &mut Stage<'_>) -> Result<Memory> {
    let step = Step::start(format!("{NAME} ({CONNECTIONS} idle connections)"));
    let ready = stage.ready(Contestant::BYWAY)?;
    let agent = ready.agent.as_ref().context("no agent")?;
    let (idle, watchdog) = (resident(agent.pid()), resident(agent.watchdog_pid()));
    let connections = connections(stage, agent, ready.address())?;
    let busy = resident(agent.pid());
    drop(connections);
    step.done();
    let per_connection = busy.saturating_sub(idle) as f64 / f64::from(CONNECTIONS);
    Ok(Memory { idle, watchdog, per_connection })
}

/// Each has had one answer.
fn connections(stage: &Stage<'_>, agent: &Agent, to: std::net::SocketAddr) -> Result<Vec<Http>> {
    let connections = (0..CONNECTIONS)
        .map(|_| {
            signals::check()?;
            let mut http = Http::new(stage.client.connect(to)?);
            http.get("/", &[])?;
            Ok(http)
        })
        .collect::<Result<Vec<_>>>()?;
    let open = agent.metric("byway_agent_connections_open", "")?;
    anyhow::ensure!(
        open >= f64::from(CONNECTIONS),
        "the agent holds only {open} of {CONNECTIONS} connections"
    );
    Ok(connections)
}
