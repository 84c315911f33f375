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
    /// Only this part: latency or scale
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut latencies = Vec::new();
    if "latency".starts_with(&args.only) {
        // One change on 200 nodes is hundreds of writes, for which the API server has these processors.
        for (nodes, samples) in [(20, args.samples), (200, args.samples.div_ceil(5))] {
            latencies.push(latency::measure(nodes, args.routed, samples)?);
        }
    }
    let scale = if "scale".starts_with(&args.only) {
        Some(scale::measure(args.nodes, args.previews, args.pods)?)
    } else {
        None
    };
    println!("{}", json!({ "latency": latencies, "scale": scale }));
    Ok(())
}
