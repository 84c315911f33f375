//! Looks into the live BPF maps of this machine, from outside the agent: `debug routes`, the watchdog, a successor.
//!
//! Maps are found by name, layout and node, and read only. What is held open here keeps maps alive, so it is held
//! for a moment only, or by who ends with the agent.

mod print;
mod read;

use std::{io, os::fd::OwnedFd, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use aya::maps::{MapData, MapError, MapInfo, loaded_maps};
use byway_abi::{AgentInfo, CLOSED, LAYOUT, MAX_WORKERS, PortKey, direct::Why, maps};
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

    /// Its serving process.
    pub(crate) fn pid(&self) -> u32 {
        self.info.pid
    }

    /// The node that it serves.
    pub(crate) fn node(&self) -> &str {
        self.info.node.as_str()
    }

    /// Whether it steers connections of the namespace with this cookie.
    pub(crate) fn steers(&self, ns: u64) -> bool {
        let ports = self.map::<PortKey, u32>(maps::PORTS).and_then(|ports| ports.keys());
        ports.is_ok_and(|keys| keys.iter().any(|key| key.ns == ns))
    }

    /// Whether it has heard HTTP/2 on the port of the namespace.
    pub(crate) fn heard_http2(&self, ns: u64, port: u16) -> bool {
        let found = self.map::<PortKey, u32>(maps::PORTS);
        let found = found.and_then(|ports| ports.lookup(&PortKey { ns, port: port.into(), pad: 0 }));
        // One that ends meanwhile has heard nothing.
        found.is_ok_and(|value| value.and_then(Why::of_port) == Some(Why::Http2))
    }

    /// Its maps that a successor shares, by name: of dials; and of direct connections, where both have them.
    pub(crate) fn shared(&self, direct: bool) -> Vec<(&'static str, MapData)> {
        // One that has gone meanwhile has none.
        let map = |name| Some((name, MapData::from_id(self.map_id(name)?).ok()?));
        let has_direct = |(_, map): &(_, MapData)| map.info().is_ok_and(|it| it.max_entries() > 1) && direct;
        let direct = [maps::CONNS, maps::ANSWERS].into_iter().filter_map(map).filter(has_direct);
        map(maps::DIALS).into_iter().chain(direct).collect()
    }

    pub(crate) fn map_id(&self, name: &str) -> Option<u32> {
        AgentInfo::MAPS.iter().position(|m| *m == name).map(|i| self.info.map_ids[i])
    }

    /// One of its maps.
    pub(crate) fn map<K: Copy, V: Copy>(&self, name: &str) -> io::Result<RawMap<K, V>> {
        let id = self.map_id(name).ok_or_else(|| io::Error::other(format!("no map {name}")))?;
        RawMap::new(descriptor(id)?)
    }

    /// Age of the oldest worker's heartbeat; none before the first.
    pub(crate) fn heartbeat_age(&self) -> Option<Duration> {
        let beats = self.beats()?;
        let oldest = beats.into_iter().map(|beat| beat & !CLOSED).filter(|beat| *beat > 0).min()?;
        Some(Duration::from_nanos(monotonic_ns().saturating_sub(oldest)))
    }

    /// Whether all workers take connections.
    fn takes_more(&self) -> bool {
        self.beats().is_some_and(|beats| beats.iter().all(|beat| beat & CLOSED == 0))
    }

    fn beats(&self) -> Option<Vec<u64>> {
        (0..self.info.workers.min(MAX_WORKERS)).map(|w| self.heartbeat.lookup(&w).ok().flatten()).collect()
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
    let mut found = Vec::new();
    for map in loaded_maps() {
        match map {
            Ok(map) if named(&map) => found.extend(Agent::open(&map)),
            Ok(_) => {}
            // It went between its listing and its opening.
            Err(MapError::SyscallError(e)) if e.io_error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error).context("cannot read the BPF maps: that needs CAP_SYS_ADMIN"),
        }
    }
    Ok(found)
}

/// The agents of one node; nodes made of containers share a kernel.
pub(crate) fn agents_of(node: &str) -> Result<Vec<Agent>> {
    Ok(agents()?.into_iter().filter(|a| a.info.node.as_str() == node).collect())
}

/// The agent whose serving process this is. Nodes made of containers number their processes alike.
pub(crate) fn agent_of_process(pid: u32, node: &str) -> Option<Agent> {
    agents_of(node).ok()?.into_iter().find(|a| a.info.pid == pid)
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
