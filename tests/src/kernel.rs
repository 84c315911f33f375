//! What an agent holds in the kernel, found without asking it.

use std::fs;
use std::mem::offset_of;

use anyhow::{Context, Result};
use aya::maps::{Array, Map, MapData, MapInfo, loaded_maps};
use aya::programs::loaded_programs;
use byway_abi::{AgentInfo, Text, maps};

use crate::Pod;

/// Programs, links and maps of one agent, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Ids of maps.
    pub maps: Vec<u32>,
    /// Ids of programs.
    pub programs: Vec<u32>,
    /// Ids of links.
    pub links: Vec<u32>,
}

impl Loaded {
    /// What the agent with this process id has loaded.
    ///
    /// # Errors
    ///
    /// When it has no map that says so.
    pub fn by(agent: u32) -> Result<Self> {
        let id = |map: &MapInfo| (map.name_as_str() == Some(maps::AGENT)).then(|| map.id());
        let candidates = loaded_maps().filter_map(Result::ok).filter_map(|map| id(&map));
        let maps = candidates.filter_map(|id| ids(id, agent)).next();
        let maps = maps.with_context(|| format!("no map says that it is of process {agent}"))?;
        Ok(Self { maps, ..Self::default() }.and_users())
    }

    /// What all agents of a node have loaded; nothing if there is none.
    #[must_use]
    pub fn on(node: &str) -> Self {
        let candidates = loaded_maps().filter_map(Result::ok);
        let agents = candidates.filter(|map| map.name_as_str() == Some(maps::AGENT)).map(|map| map.id());
        let name = Text::<256>::new(node).0;
        let is_of_node =
            |bytes: &[u8]| bytes.get(offset_of!(AgentInfo, node)..).is_some_and(|it| it.starts_with(&name));
        let maps: Vec<u32> = agents.filter_map(|id| listed(id, is_of_node)).flatten().collect();
        if maps.is_empty() { Self::default() } else { Self { maps, ..Self::default() }.and_users() }
    }

    /// What of it is still there. So is whatever is pinned, in any bpffs, or that a process holds open.
    #[must_use]
    pub fn left(&self) -> Self {
        let there: Vec<u32> = loaded_maps().filter_map(|map| Some(map.ok()?.id())).collect();
        let maps = self.maps.iter().copied().filter(|id| there.contains(id)).collect();
        let programs = loaded_programs().filter_map(|p| Some(p.ok()?.id())).collect::<Vec<_>>();
        let links = links().into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        Self {
            maps,
            programs: self.programs.iter().copied().filter(|id| programs.contains(id)).collect(),
            links: self.links.iter().copied().filter(|id| links.contains(id)).collect(),
        }
    }

    /// True if there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Programs that use the maps, the other maps of these programs, and so on; and links to these programs.
    fn and_users(mut self) -> Self {
        let programs: Vec<(u32, Vec<u32>)> = loaded_programs()
            .filter_map(Result::ok)
            .filter_map(|p| Some((p.id(), p.map_ids().ok()??)))
            .collect();
        loop {
            let before = self.programs.len();
            for (id, maps) in &programs {
                if !self.programs.contains(id) && maps.iter().any(|map| self.maps.contains(map)) {
                    self.programs.push(*id);
                    self.maps.extend(maps);
                }
            }
            if self.programs.len() == before {
                break;
            }
        }
        self.maps.sort_unstable();
        self.maps.dedup();
        self.links = links()
            .into_iter()
            .filter(|(_, program)| self.programs.contains(program))
            .map(|(id, _)| id)
            .collect();
        self
    }
}

/// How many dials the agent with this process id has under way.
///
/// # Errors
///
/// When it has no such map.
pub fn dials(agent: u32) -> Result<usize> {
    let maps = Loaded::by(agent)?.maps;
    for id in maps {
        let map = MapData::from_id(id)?;
        if map.info()?.name_as_str() == Some(maps::DIALS) {
            let map: aya::maps::HashMap<_, [u8; 48], [u8; 24]> = Map::HashMap(map).try_into()?;
            return Ok(map.keys().count());
        }
    }
    anyhow::bail!("no map of dials")
}

/// True if an agent listens in the pod's namespace: on 240.0.0.1, as nobody else does.
#[must_use]
pub fn agent_listens(pod: &Pod) -> bool {
    let table = pod.run(|| fs::read_to_string("/proc/thread-self/net/tcp6")).unwrap_or_default();
    table.lines().any(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let of_agent = columns.get(1).is_some_and(|a| a.starts_with("0000000000000000FFFF0000010000F0:"));
        of_agent && columns.get(3) == Some(&"0A")
    })
}

/// A counter of `/proc/net/netstat` in the pod's namespace, say `TcpExt`, `TCPSynRetrans`.
#[must_use]
pub fn netstat(pod: &Pod, group: &str, name: &str) -> u64 {
    let text = pod.run(|| fs::read_to_string("/proc/thread-self/net/netstat")).unwrap_or_default();
    let mut lines = text.lines().filter(|line| line.split(':').next() == Some(group));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
    let mut pairs = names.split(' ').zip(values.split(' '));
    pairs.find(|(n, _)| *n == name).and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

/// Map ids in the agent's own description of itself, if it is of this process.
fn ids(map: u32, pid: u32) -> Option<Vec<u32>> {
    listed(map, |bytes| word(bytes, offset_of!(AgentInfo, pid)) == Some(pid))
}

/// Map ids in an agent's own description of itself, if it is the one that is meant.
fn listed(map: u32, is_meant: impl Fn(&[u8]) -> bool) -> Option<Vec<u32>> {
    const SIZE: usize = size_of::<AgentInfo>();
    let data: Array<_, [u8; SIZE]> = Map::Array(MapData::from_id(map).ok()?).try_into().ok()?;
    let bytes = data.get(&0, 0).ok()?;
    if !is_meant(&bytes) {
        return None;
    }
    let ids = (0..AgentInfo::MAPS.len()).filter_map(|n| word(&bytes, offset_of!(AgentInfo, map_ids) + 4 * n));
    Some(ids.chain([map]).collect())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Links and their programs.
fn links() -> Vec<(u32, u32)> {
    aya::programs::loaded_links().filter_map(Result::ok).map(|link| (link.id(), link.program_id())).collect()
}
