//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use byway_abi::direct::MAX_CONNS;
use clap::{Args, Parser, Subcommand};

use crate::inspect::Format;

/// Steers keyed requests of the pods of this node to their previews.
#[derive(Debug, Parser)]
#[command(name = "byway-agent", version)]
pub struct Cli {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What the agent can do but serve.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look into the live BPF maps of this machine.
    Debug {
        /// What to look at.
        #[command(subcommand)]
        what: Debug,
    },
}

/// What can be looked at.
#[derive(Debug, Subcommand)]
pub enum Debug {
    /// Steered namespaces, their ports and routes, and whether the agent behind them is alive.
    Routes {
        /// How to print.
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
        /// Only the agents of this node; nodes made of containers share a kernel.
        #[arg(long, value_name = "NAME")]
        node: Option<String>,
    },
}

/// How to serve.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// A NodeTable document, followed without a restart. Its targets may name a network namespace by path. Left
    /// out: the object of this node's name, from the API server that KUBECONFIG or the pod names.
    #[arg(long, value_name = "FILE")]
    pub routes: Option<PathBuf>,
    /// Where the last routes from the API are kept, so that a restart steers before the API answers.
    #[arg(long, value_name = "DIR", conflicts_with = "routes")]
    pub state_dir: Option<PathBuf>,
    /// UID of the agent's own pod: it acknowledges the routes that name it.
    #[arg(long, env = "POD_UID", value_name = "UID")]
    pub pod_uid: Option<String>,
    /// The name of this node.
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    pub node_name: Option<String>,
    /// Address for /healthz, /readyz, /metrics and /status; a listener passed by socket activation comes first.
    #[arg(long, default_value = "127.0.0.1:9907", value_name = "ADDR")]
    pub admin: SocketAddr,
    /// Threads that accept and forward; 0: one per CPU, at most 4.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=8), value_name = "N")]
    pub workers: u32,
    /// Most connections at once; at the limit new ones reach the app. 0: what the limit of open files allows.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub max_connections: usize,
    /// Most connections that go straight to their apps at once; beyond that new ones go through the agent.
    #[arg(long, default_value_t = MAX_CONNS, value_parser = clap::value_parser!(u32).range(2..=1 << 20), value_name = "N")]
    pub max_direct: u32,
    /// Most resident memory in MiB; above it new connections reach the app. 0: 80 % of the cgroup's limit.
    #[arg(long, default_value_t = 0, value_name = "MIB")]
    pub max_memory: u64,
    /// Packets a second of each port that previews are shown while the node's processors have no time left; with time left, all.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub copies_when_busy: u32,
    /// Most connections that wait for a busy agent, per target; further ones reach the app.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096), value_name = "N")]
    pub max_backlog: u32,
    /// When stopped, how long tunnels and idle connections live on, in seconds.
    #[arg(long, default_value = "600", value_parser = seconds, value_name = "SECONDS")]
    pub drain_deadline: Duration,
    /// How connections reach their apps: straight until they are keyed (kernel 6.6), or through the agent.
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub mode: crate::direct::mode::Wanted,
    /// End the process there: to test what is left of a connection whose agent dies in the midst of taking it over.
    #[arg(long, hide = true, value_enum, value_name = "STEP")]
    pub die_at: Option<crate::direct::Step>,
    /// Stop the process there, until it is continued: to test the same of an agent that gets no processor.
    #[arg(long, hide = true, value_enum, value_name = "STEP")]
    pub stop_at: Option<crate::direct::Step>,
    /// Observe by filters of clsact although the kernel has TCX: to test what kernels before 6.6 do.
    #[arg(long, hide = true)]
    pub clsact: bool,
    /// Serve in this process, without the watchdog that ends a hung agent.
    #[arg(long)]
    pub no_watchdog: bool,
}

impl ServeArgs {
    /// The name of this node: as given, else the machine's.
    pub(crate) fn node(&self) -> nix::Result<String> {
        match &self.node_name {
            Some(name) => Ok(name.clone()),
            None => Ok(nix::unistd::gethostname()?.to_string_lossy().into_owned()),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    const WEEK: u64 = 7 * 24 * 60 * 60;
    let seconds: u64 = text.parse().map_err(|_| "a whole number of seconds".to_owned())?;
    if seconds > WEEK {
        Err(format!("at most {WEEK} seconds, a week"))
    } else {
        Ok(Duration::from_secs(seconds))
    }
}
