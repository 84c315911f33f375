//! Measures the controller on a real API server with simulated nodes: `cargo xtask bench control` builds and runs it, and
//! prints what it finds. Steps go to stderr; stdout gets one JSON document.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "its result is its output")]

mod latency;
mod process;
mod scale;
mod stage;

use anyhow::Result;
use clap::Parser;
use serde_json::json;

/// What is measured, and at which size.
#[derive(Parser)]
struct Args {
    /// Nodes of the large cluster
    #[arg(long, default_value_t = 1000)]
    nodes: usize,
    /// Previews of the large cluster
    #[arg(long, default_value_t = 1000)]
    previews: usize,
    /// Pods of the large cluster, those of agents and previews included
    #[arg(long, default_value_t = 20_000)]
    pods: usize,
    /// Previews while the way of a route is measured
    #[arg(long, default_value_t = 100)]
    routed: usize,
    /// Changes that are measured on 20 nodes; a fifth of that on 200
    #[arg(long, default_value_t = 100)]
    samples: usize,
    /// Only this part: latency (20 nodes), many (200 nodes) or scale
    #[arg(long, default_value = "", value_parser = ["", "latency", "many", "scale"], hide_possible_values = true)]
    only: String,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let wants = |part: &str| args.only.is_empty() || args.only == part;
    let mut latencies = Vec::new();
    if wants("latency") {
        latencies.push(latency::measure(20, args.routed, args.samples)?);
    }
    if wants("many") {
        // One change on 200 nodes is hundreds of writes, for which the API server has these processors.
        latencies.push(latency::measure(200, args.routed, args.samples.div_ceil(5))?);
    }
    let scale =
        if wants("scale") { Some(scale::measure(args.nodes, args.previews, args.pods)?) } else { None };
    println!("{}", json!({ "latency": latencies, "scale": scale }));
    Ok(())
}
