//! What the agent holds in memory: at rest, and per connection that nothing happens on.

use std::{
    collections::HashMap,
    fs,
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context, Result};
use byway_tests::Http;

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
    /// Connections that went straight to the app.
    pub(super) straight: u32,
    /// More in the kernel's maps, for each of them.
    pub(super) per_straight: f64,
    /// More of the process that serves, for all of them.
    pub(super) of_straight: u64,
}

impl Memory {
    pub(super) const IDLE_GOAL: u64 = 30 << 20;
    pub(super) const PER_CONNECTION_GOAL: f64 = 16.0 * 1024.0;
    pub(super) const CONNECTIONS: u32 = CONNECTIONS;
}

pub(super) fn run(stage: &mut Stage<'_>, straight: u32) -> Result<Memory> {
    let step = Step::start(format!("{NAME} ({CONNECTIONS} idle connections)"));
    let ready = stage.ready(Contestant::BYWAY)?;
    let agent = ready.agent.as_ref().context("no agent")?;
    let (idle, watchdog) = (resident(agent.pid()), resident(agent.watchdog_pid()));
    let open = connections(stage, &[ready.address()], CONNECTIONS)?;
    let seen = agent.metric("byway_agent_connections_open", "")?;
    anyhow::ensure!(
        seen >= f64::from(CONNECTIONS),
        "the agent holds only {seen} of {CONNECTIONS} connections"
    );
    let busy = resident(agent.pid());
    drop((open, ready));
    step.done();
    let per_connection = busy.saturating_sub(idle) as f64 / f64::from(CONNECTIONS);

    let step = Step::start(format!("{NAME} ({straight} idle connections that go straight)"));
    let ready = stage.ready(Contestant::STRAIGHT)?;
    let agent = ready.agent.as_ref().context("no agent")?;
    let before = (in_maps(agent.pid())?, resident(agent.pid()));
    let open = connections(stage, &ready.addresses(), straight)?;
    let after = (in_maps(agent.pid())?, resident(agent.pid()));
    let seen = agent.metric("byway_agent_connections_accepted_total", "")?;
    anyhow::ensure!(
        seen < f64::from(straight) / 100.0,
        "{seen} of {straight} connections went through the agent"
    );
    drop(open);
    step.done();
    let per_straight = after.0.saturating_sub(before.0) as f64 / f64::from(straight);
    let of_straight = after.1.saturating_sub(before.1);
    Ok(Memory { idle, watchdog, per_connection, straight, per_straight, of_straight })
}

/// What the kernel says that the maps of a process take (`memlock` in `fdinfo`), in bytes.
fn in_maps(pid: u32) -> Result<u64> {
    let mut maps = HashMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let Ok(said) = fs::read_to_string(entry?.path()) else { continue };
        let field = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse::<u64>().ok()
        };
        if let (Some(id), Some(bytes)) = (field("map_id:"), field("memlock:")) {
            maps.insert(id, bytes);
        }
    }
    Ok(maps.values().sum())
}

/// Each has had one answer.
fn connections(stage: &Stage<'_>, to: &[SocketAddr], count: u32) -> Result<Vec<TcpStream>> {
    let to = to.iter().cycle().take(count as usize);
    to.map(|to| {
        signals::check()?;
        let mut http = Http::new(stage.client.connect(*to)?);
        http.get("/", &[])?;
        Ok(http.stream().try_clone()?)
    })
    .collect()
}
