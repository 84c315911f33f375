//! Looks into the live BPF maps of this machine, from outside the agent: `debug routes`, the watchdog, a successor.
//!
//! Maps are found by name, layout and node, and read only. What is held open here keeps maps alive, so it is held
//! for a moment only, or by who ends with the agent.

mod print;
mod read;

use std::{io, os::fd::OwnedFd, process::ExitCode, time::Duration};

use anyhow::Result;
use aya::maps::{MapData, MapInfo, loaded_maps};
use byway_abi::{AgentInfo, LAYOUT, MAX_WORKERS, maps};
use clap::ValueEnum;

use crate::kernel::sys::{RawMap, monotonic_ns};

/// How to print.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Format {
    /// For a human.
    #[default]
    Table,
    /// One JSON document.
    Json,
}

/// An agent whose maps are in the kernel.
pub(crate) struct Agent {
    info: AgentInfo,
    heartbeat: RawMap<u32, u64>,
}

impl Agent {
    fn open(map: &MapInfo) -> Option<Self> {
        let map: RawMap<u32, AgentInfo> = RawMap::new(descriptor(map.id()).ok()?).ok()?;
        let info = map.lookup(&0).ok()??;
        if info.layout != LAYOUT {
            return None;
        }
        let id = info.map_ids[AgentInfo::MAPS.iter().position(|m| *m == maps::HEARTBEAT)?];
        Some(Self { info, heartbeat: RawMap::new(descriptor(id).ok()?).ok()? })
    }

    /// Random, so that no two runs are alike.
    pub(crate) fn instance(&self) -> u64 {
        self.info.instance
    }

    /// Its map of dials, for a successor to share.
    pub(crate) fn dials(&self) -> Option<MapData> {
        MapData::from_id(self.map_id(maps::DIALS)?).ok()
    }

    fn map_id(&self, name: &str) -> Option<u32> {
        AgentInfo::MAPS.iter().position(|m| *m == name).map(|i| self.info.map_ids[i])
    }

    fn map<K: Copy, V: Copy>(&self, name: &str) -> io::Result<RawMap<K, V>> {
        let id = self.map_id(name).ok_or_else(|| io::Error::other(format!("no map {name}")))?;
        RawMap::new(descriptor(id)?)
    }

    /// Age of the oldest worker's heartbeat.
    pub(crate) fn heartbeat_age(&self) -> Option<Duration> {
        let oldest = self.beats(MAX_WORKERS)?.into_iter().min().filter(|beat| *beat > 0)?;
        Some(Duration::from_nanos(monotonic_ns().saturating_sub(oldest)))
    }

    /// Whether all workers take more connections.
    fn takes_more(&self) -> bool {
        self.beats(0).is_some_and(|beats| !beats.contains(&0))
    }

    fn beats(&self, from: u32) -> Option<Vec<u64>> {
        let workers = self.info.workers.min(MAX_WORKERS);
        (from..from + workers).map(|index| self.heartbeat.lookup(&index).ok().flatten()).collect()
    }
}

fn descriptor(map_id: u32) -> io::Result<OwnedFd> {
    use std::os::fd::AsFd;
    let map = MapData::from_id(map_id).map_err(io::Error::other)?;
    map.fd().as_fd().try_clone_to_owned()
}

/// All agents of this machine.
pub(crate) fn agents() -> Result<Vec<Agent>> {
    let named = |map: &MapInfo| map.name_as_str() == Some(maps::AGENT);
    let found = loaded_maps().collect::<Result<Vec<_>, _>>().unwrap_or_default();
    Ok(found.iter().filter(|m| named(m)).filter_map(Agent::open).collect())
}

/// The agents of one node; nodes made of containers share a kernel.
pub(crate) fn agents_of(node: &str) -> Result<Vec<Agent>> {
    Ok(agents()?.into_iter().filter(|a| a.info.node.as_str() == node).collect())
}

/// The agent whose serving process this is.
pub(crate) fn agent_of_process(pid: u32) -> Option<Agent> {
    agents().ok()?.into_iter().find(|a| a.info.pid == pid)
}

/// `debug routes`, of all nodes of this machine or of one. The exit code is 2 when there is no agent.
///
/// # Errors
///
/// When the maps cannot be read, for want of rights.
pub fn print_routes(node: Option<&str>, format: Format) -> Result<ExitCode> {
    let report = read::report(node)?;
    print::print(&report, format)?;
    Ok(if report.agents.is_empty() { ExitCode::from(2) } else { ExitCode::SUCCESS })
}
