//! The command line.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use byway_plan::rules::Rules;
use clap::{Args, Parser, Subcommand};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{ParseExpressionError, Selector, SelectorExt};

#[cfg(test)]
mod tests;

/// Makes of Previews what the node agents steer.
#[derive(Debug, Parser)]
#[command(name = "byway-controller", version)]
pub struct Cli {
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to run.
    #[command(flatten)]
    pub settings: Settings,
    /// Address for /healthz, /readyz and /metrics.
    #[arg(long, default_value = "0.0.0.0:9908", value_name = "ADDR")]
    pub admin: SocketAddr,
    /// This replica, among those that could lead.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub identity: Option<String>,
    /// How long a leader may be silent before another replica leads, in seconds.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(3..=300), value_name = "SECONDS")]
    pub lease: u64,
}

/// What the controller's image can do but run, for the hooks of the chart.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// End all that runs for Previews, and stop the controller: what comes before Byway is uninstalled.
    Uninstall {
        /// Give up after so many seconds, and say what is left.
        #[arg(long, default_value = "240", value_parser = seconds, value_name = "SECONDS")]
        timeout: SignedDuration,
    },
    /// Say whether Byway works here: its kinds are served, a controller leads, and every agent is ready.
    Check {
        /// How long it may take until all is well, in seconds.
        #[arg(long, default_value = "60", value_parser = seconds, value_name = "SECONDS")]
        timeout: SignedDuration,
    },
}

/// What the administrator decides.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// The namespace of the agents and of the lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "byway", value_name = "NAME")]
    pub namespace: String,
    /// Where there may be Previews: a selector of namespaces by their labels, in JSON. Elsewhere `byway.dev/armed` has no
    /// effect. That there are none is the admission policy's part.
    #[arg(long, default_value = "{}", value_parser = selector, value_name = "JSON")]
    pub preview_namespaces: Selector,
    /// Let previews have a match without a key. Whoever may create Previews can then take all requests of a workload.
    #[arg(long)]
    pub allow_keyless: bool,
    /// How long an expired Preview is kept, in seconds.
    #[arg(long, default_value = "86400", value_parser = seconds, value_name = "SECONDS")]
    pub keep_expired: SignedDuration,
}

impl Settings {
    /// Whether there may be Previews in a namespace with these labels: never in Byway's own.
    pub fn has_previews(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        namespace != self.namespace && self.preview_namespaces.matches(labels)
    }

    /// What of it bears on what is planned.
    pub fn rules(&self) -> Rules {
        Rules { allow_keyless: self.allow_keyless, agents_namespace: self.namespace.as_str().into() }
    }
}

fn selector(json: &str) -> Result<Selector, String> {
    let selector: LabelSelector = serde_json::from_str(json).map_err(|error| error.to_string())?;
    selector.try_into().map_err(|error: ParseExpressionError| error.to_string())
}

fn seconds(text: &str) -> Result<SignedDuration, String> {
    let seconds: u32 = text.parse().map_err(|_| "a whole number of seconds".to_owned())?;
    Ok(SignedDuration::from_secs(seconds.into()))
}
