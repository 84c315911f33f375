//! From a report to a screen.

use std::io::{self, Write as _};

use anyhow::Result;
use byway_abi::direct::Why;
use jiff::Timestamp;

use super::{
    Format,
    read::{AgentReport, Report, RouteReport, TargetReport},
};

pub(super) fn print(report: &Report, format: Format) -> Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, report)?;
            writeln!(out)?;
        }
        Format::Table if report.agents.is_empty() => {
            writeln!(
                out,
                "No byway agent runs on this machine (no map named BYWAY_AGENT): nothing is steered."
            )?;
        }
        Format::Table => report.agents.iter().try_for_each(|agent| print_agent(&mut out, agent))?,
    }
    Ok(())
}

fn print_agent(out: &mut impl io::Write, agent: &AgentReport) -> io::Result<()> {
    let state = match (agent.alive, agent.heartbeat_age_ms) {
        (true, Some(_)) if !agent.takes_more => "at its limit: new connections reach the app".to_owned(),
        (true, Some(age)) => format!("alive, heartbeat {age} ms ago"),
        (_, Some(age)) => format!("HUNG, heartbeat {age} ms ago: new connections reach the app"),
        (_, None) => "starting".to_owned(),
    };
    writeln!(out, "agent {} on {}: {state}", agent.pid, agent.node)?;
    agent.targets.iter().try_for_each(|target| print_target(out, target))
}

fn print_target(out: &mut impl io::Write, target: &TargetReport) -> io::Result<()> {
    writeln!(out, "  target {}  {}", target.name, target.netns)?;
    let listener = if target.listener_alive { "listening" } else { "GONE" };
    for port in &target.ports {
        let app = if port.app_listening { "listening" } else { "not listening: connections are refused" };
        // Where nobody has chosen otherwise, through the agent goes without saying.
        let way = match port.why.filter(|why| *why != Why::Told.code()) {
            Some(why) => format!("; connections go through the agent ({why})"),
            None if port.mode == "direct" => "; connections go straight to the app".to_owned(),
            None => String::new(),
        };
        writeln!(out, "    port {}: app {app}, agent {listener} on {}{way}", port.port, target.agent_port)?;
    }
    let counts = |title: &str, counts: &std::collections::BTreeMap<&'static str, u64>| {
        let counts: Vec<String> = counts.iter().map(|(name, n)| format!("{name} {n}")).collect();
        if counts.is_empty() { String::new() } else { format!("    {title}: {}\n", counts.join(", ")) }
    };
    write!(out, "{}", counts("connections", &target.steered))?;
    write!(out, "{}", counts("requests", &target.counters))?;
    write!(out, "{}", counts("opaque", &target.opaque))?;
    let old = &target.old;
    if old.open + old.requests + old.drained + old.lost > 0 {
        writeln!(
            out,
            "    open before the route: {} connections, {} requests on them, {} keyed ones missed, {} drained, {} packets lost",
            old.open, old.requests, old.missed, old.drained, old.lost
        )?;
    }
    if target.routes.is_empty() {
        return writeln!(out, "    no route");
    }
    let rows: Vec<[String; 6]> = target.routes.iter().map(row).collect();
    let titles = ["KEY", "PREVIEW", "MATCH", "BACKENDS", "EXPIRES", "REQUESTS"];
    let width =
        |i: usize| rows.iter().map(|r| r[i].chars().count()).chain([titles[i].len()]).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    for row in std::iter::once(&titles.map(str::to_owned)).chain(&rows) {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, w)| format!("{cell:w$}")).collect();
        writeln!(out, "    {}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn row(route: &RouteReport) -> [String; 6] {
    let expires = route.expires_at.map_or_else(
        || "never".to_owned(),
        |at| match at.as_second() - Timestamp::now().as_second() {
            left if left <= 0 => "expired".to_owned(),
            left if left < 120 => format!("in {left}s"),
            left => format!("in {}m", left / 60),
        },
    );
    let backends = if route.backends.is_empty() { "none ready".to_owned() } else { route.backends.join(" ") };
    let mut requests = route.requests.to_string();
    for (n, what) in [
        (route.unreachable, "unreachable"),
        (route.overlapped, "overlapped"),
        (route.opaque, "opaque"),
        (route.missed, "missed"),
        (route.narrowed, "narrowed"),
        (route.lost, "lost"),
    ] {
        if n > 0 {
            requests = format!("{requests}, {n} {what}");
        }
    }
    [route.key.clone(), route.preview.clone(), route.matcher.clone(), backends, expires, requests]
}
