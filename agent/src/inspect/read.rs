//! From the maps to a report.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use aya::maps::{Map, MapData, PerCpuArray};
use byway_abi::{
    Addr, DIRECT, ListenKey, Listeners, MAPPED, MAX_TARGETS, PortKey, RouteCounters, RouteRecord, Steer,
    TargetCounters, TargetRecord, direct::Why, maps,
};
use byway_http::Doubt;
use jiff::Timestamp;
use serde::Serialize;

use super::{Agent, agents, agents_of};
use crate::kernel::sys::RawMap;

/// What all agents of this machine have programmed.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) agents: Vec<AgentReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgentReport {
    pub(super) node: String,
    pub(super) pid: u32,
    pub(super) instance: String,
    pub(super) started_at: Timestamp,
    pub(super) workers: u32,
    /// Milliseconds; none before the first.
    pub(super) heartbeat_age_ms: Option<u64>,
    /// False at its limit of connections, files or memory.
    pub(super) takes_more: bool,
    pub(super) alive: bool,
    pub(super) targets: Vec<TargetReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetReport {
    pub(super) name: String,
    /// As `readlink /proc/PID/ns/net` prints it.
    pub(super) netns: String,
    pub(super) cookie: u64,
    pub(super) agent_port: u32,
    pub(super) listener_alive: bool,
    pub(super) ports: Vec<PortReport>,
    pub(super) steered: BTreeMap<&'static str, u64>,
    pub(super) counters: BTreeMap<&'static str, u64>,
    pub(super) opaque: BTreeMap<&'static str, u64>,
    /// Connections that were open before the route.
    pub(super) old: OldReport,
    pub(super) routes: Vec<RouteReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OldReport {
    pub(super) open: u64,
    /// Read on them.
    pub(super) requests: u64,
    /// Of these, the keyed ones.
    pub(super) missed: u64,
    /// Packets that were not looked at.
    pub(super) lost: u64,
    /// Closed while idle.
    pub(super) drained: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PortReport {
    pub(super) port: u32,
    pub(super) app_listening: bool,
    /// How new connections reach the app: `direct`, or `proxy`.
    pub(super) mode: &'static str,
    /// The code of why they do not go straight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RouteReport {
    pub(super) rank: u32,
    pub(super) preview: String,
    pub(super) key: String,
    #[serde(rename = "match")]
    pub(super) matcher: String,
    pub(super) backends: Vec<String>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) requests: u64,
    pub(super) unreachable: u64,
    pub(super) overlapped: u64,
    pub(super) opaque: u64,
    pub(super) missed: u64,
    pub(super) narrowed: u64,
    pub(super) lost: u64,
    pub(super) last_request: Option<Timestamp>,
}

pub(super) fn report(node: Option<&str>) -> Result<Report> {
    let found = match node {
        Some(node) => agents_of(node)?,
        None => agents()?,
    };
    let agents =
        found.iter().filter_map(|agent| unless_gone(agent).transpose()).collect::<Result<Vec<_>>>()?;
    Ok(Report { agents })
}

/// One that ends while it is read is not there. Its maps go one by one, so it may take a moment until that is seen.
fn unless_gone(agent: &Agent) -> Result<Option<AgentReport>> {
    const TRIES: usize = 10;
    const PAUSE: Duration = Duration::from_millis(20);
    let has_gone = || agents().is_ok_and(|now| now.iter().all(|it| it.instance() != agent.instance()));
    let mut tries = 0;
    loop {
        match agent_report(agent) {
            Ok(report) => return Ok(Some(report)),
            Err(_) if has_gone() => return Ok(None),
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => {
                tries += 1;
                std::thread::sleep(PAUSE);
            }
        }
    }
}

fn agent_report(agent: &Agent) -> Result<AgentReport> {
    let info = &agent.info;
    let age = agent.heartbeat_age();
    let max_age = Duration::from_millis(info.max_age_ms.into());
    let targets: RawMap<u32, TargetRecord> = agent.map(maps::TARGETS)?;
    let routes = routes(agent)?;
    let mut reports = Vec::new();
    for slot in 0..MAX_TARGETS {
        if let Some(record) = targets.lookup(&slot)?.filter(|r| r.ns != 0) {
            reports.push(target_report(agent, slot, &record, &routes)?);
        }
    }
    Ok(AgentReport {
        node: info.node.as_str().to_owned(),
        pid: info.pid,
        instance: format!("{:016x}", info.instance),
        started_at: Timestamp::from_second(info.started_at.cast_signed())?,
        workers: info.workers,
        heartbeat_age_ms: age.map(|a| a.as_millis() as u64),
        takes_more: agent.takes_more(),
        alive: age.is_some_and(|a| a <= max_age),
        targets: reports,
    })
}

fn target_report(
    agent: &Agent,
    slot: u32,
    record: &TargetRecord,
    routes: &[(u32, RouteReport)],
) -> Result<TargetReport> {
    let ports: RawMap<PortKey, u32> = agent.map(maps::PORTS)?;
    let listening: RawMap<ListenKey, Listeners> = agent.map(maps::LISTENING)?;
    let mut steered_ports: Vec<u32> =
        ports.keys()?.iter().filter(|k| k.ns == record.ns).map(|k| k.port).collect();
    steered_ports.sort_unstable();
    let mode = |port: u32| {
        let slot = ports.lookup(&PortKey { ns: record.ns, port, pad: 0 }).ok().flatten();
        let slot = slot.unwrap_or_default();
        (if slot & DIRECT != 0 { "direct" } else { "proxy" }, Why::of_port(slot).map(Why::code))
    };
    let keys = listening.keys()?;
    let app_listening = |port: u32| {
        let here = keys.iter().filter(|k| k.ns == record.ns && k.port == port);
        here.into_iter().any(|k| listening.lookup(k).ok().flatten().is_some_and(|l| l.count > 0))
    };
    let counters: RawMap<u32, TargetCounters> = agent.map(maps::TGT_COUNTERS)?;
    let c = counters.lookup(&slot)?.context("no counters of a target")?;
    let own: Addr = [0, 0, MAPPED, u32::from_ne_bytes([240, 0, 0, 1])];
    let own = ListenKey { ns: record.ns, addr: own, port: record.own_port, pad: 0 };
    Ok(TargetReport {
        name: record.name.as_str().to_owned(),
        netns: format!("net:[{}]", record.ino),
        cookie: record.ns,
        agent_port: record.own_port,
        listener_alive: listening.lookup(&own)?.is_some_and(|l| l.count > 0),
        ports: steered_ports
            .into_iter()
            .map(|port| {
                let (mode, why) = mode(port);
                PortReport { port, app_listening: app_listening(port), mode, why }
            })
            .collect(),
        steered: steered(agent, slot)?,
        counters: BTreeMap::from([
            ("accepted", c.accepted),
            ("open", c.open),
            ("appRequests", c.app_requests),
            ("directTaken", c.direct_taken),
            ("directMissed", c.direct_missed),
            ("previewRequests", c.preview_requests),
            ("unknownKey", c.unknown_key),
            ("dialFailed", c.dial_failed),
        ]),
        old: OldReport {
            open: c.old_open,
            requests: c.old_requests,
            missed: c.old_missed,
            lost: c.old_lost,
            drained: c.old_drained,
        },
        opaque: Doubt::ALL
            .into_iter()
            .map(|d| (d.code(), c.opaque[d as usize]))
            .filter(|(_, n)| *n > 0)
            .collect(),
        routes: routes.iter().filter(|(s, _)| *s == slot).map(|(_, r)| r.clone()).collect(),
    })
}

fn steered(agent: &Agent, slot: u32) -> Result<BTreeMap<&'static str, u64>> {
    let id = agent.map_id(maps::STEERED).context("no map of counters")?;
    let map: PerCpuArray<MapData, u64> = Map::PerCpuArray(MapData::from_id(id)?).try_into()?;
    let mut counts = BTreeMap::new();
    for what in Steer::ALL {
        let n: u64 = map.get(&(slot * Steer::COUNT + what as u32), 0)?.iter().sum();
        if n > 0 {
            counts.insert(what.code(), n);
        }
    }
    Ok(counts)
}

fn routes(agent: &Agent) -> Result<Vec<(u32, RouteReport)>> {
    let records: RawMap<u32, RouteRecord> = agent.map(maps::ROUTES)?;
    let counters: RawMap<u32, RouteCounters> = agent.map(maps::ROUTE_COUNTERS)?;
    let mut found = Vec::new();
    for index in records.keys()? {
        let (Some(r), Some(c)) = (records.lookup(&index)?, counters.lookup(&index)?) else { continue };
        found.push((
            r.slot,
            RouteReport {
                rank: r.rank,
                preview: r.preview.as_str().to_owned(),
                key: r.key.as_str().to_owned(),
                matcher: r.matcher.as_str().to_owned(),
                backends: r
                    .backends
                    .as_str()
                    .split(' ')
                    .filter(|b| !b.is_empty())
                    .map(str::to_owned)
                    .collect(),
                expires_at: timestamp_ms(r.expires_at.saturating_mul(1000)),
                requests: c.requests,
                unreachable: c.unreachable,
                overlapped: c.overlapped,
                opaque: c.opaque,
                missed: c.missed,
                narrowed: c.narrowed,
                lost: c.lost,
                last_request: timestamp_ms(c.last_request_ms),
            },
        ));
    }
    found.sort_by_key(|(slot, r)| (*slot, r.rank));
    Ok(found)
}

fn timestamp_ms(ms: u64) -> Option<Timestamp> {
    (ms > 0).then(|| Timestamp::from_millisecond(ms.cast_signed()).ok()).flatten()
}
