//! How long a route takes: from a preview's pod whose containers are ready to the last agent's acknowledgement.
//!
//! It begins when the API server has answered the kubelet that says so, and ends when it has answered the last of the
//! agents of the target's nodes. One change at a time.

use std::collections::HashSet;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use byway_sim::Happened;
use serde_json::{Value, json};

use crate::stage::{NAMESPACE, Stage, each};

/// What a change leaves to do, such as that its old pod goes, is no part of the next one.
const REST: Duration = Duration::from_millis(500);
/// Longest way of a route.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure(nodes: usize, previews: usize, samples: usize) -> Result<Value> {
    eprintln!("the way of a route: {previews} previews of a target with a pod on each of {nodes} nodes");
    let (stage, journal) = Stage::new(nodes, true)?;
    stage.deployment("app")?;
    each(nodes, |n| stage.pod("app", n, stage.sim.node(n)))?;
    each(previews, |n| stage.preview(&format!("pr-{n}"), "app", "app:0"))?;
    stage.wait_ready(previews, Duration::from_secs(600))?;
    stage.wait_quiet(REST)?;
    journal.try_iter().for_each(drop);
    let before = stage.operations()?;
    let mut all = Vec::new();
    for sample in 1..=samples {
        let preview = format!("pr-{}", sample % previews);
        stage.preview(&preview, "app", &format!("app:{sample}"))?;
        all.push(one(&journal, nodes).with_context(|| format!("change {sample}, of {preview}"))?);
        stage.wait_quiet(REST)?;
        if sample % 10 == 0 {
            eprintln!("  {sample} of {samples} changes; the last took {:?}", all[all.len() - 1]);
        }
    }
    let after = stage.operations()?;
    let per_change = |what: &str| {
        let of = |all: &std::collections::BTreeMap<String, u64>| all.get(what).copied().unwrap_or_default();
        (of(&after) - of(&before)) as f64 / samples as f64
    };
    all.sort_unstable();
    let at = |part: f64| {
        let place = ((all.len() as f64 * part).ceil() as usize).clamp(1, all.len()) - 1;
        all[place].as_secs_f64() * 1e3
    };
    let writes: serde_json::Map<String, Value> = ["clone", "noderoutes", "gate", "status", "event"]
        .into_iter()
        .map(|what| (what.to_owned(), json!(per_change(what))))
        .collect();
    Ok(json!({
        "nodes": nodes, "previews": previews, "samples": samples,
        "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0), "operations_per_change": writes,
    }))
}

/// The next pod that gets ready, until all agents route to it.
fn one(journal: &Receiver<Happened>, nodes: usize) -> Result<Duration> {
    let until = Instant::now() + PATIENCE;
    let next = || {
        let left = until.saturating_duration_since(Instant::now());
        journal.recv_timeout(left).context("nothing happens any more")
    };
    let (ready, address) = loop {
        if let Happened::PodReady { namespace, ip, at, .. } = next()?
            && namespace == NAMESPACE
        {
            break (at, ip);
        }
    };
    let mut done: HashSet<String> = HashSet::new();
    loop {
        if let Happened::Acknowledged { node, backends, at } = next()?
            && backends.contains(&address)
        {
            ensure!(done.insert(node), "an agent routes to a pod twice");
            if done.len() == nodes {
                return Ok(at.saturating_duration_since(ready));
            }
        }
    }
}
