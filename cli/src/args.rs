//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use byway_api::{ExistingConnections, OnUnreachable, PortMapping, PreviewTarget, PullPolicy, Ttl};
use clap::{Arg, ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};

mod names;
pub(crate) mod values;

pub(crate) use names::{container, image, namespace, object_name, target as named};
pub use values::{EnvVarArg, FileArg};
pub(crate) use values::{kind, target};

/// Preview environments in a shared Kubernetes cluster.
///
/// A preview runs an image of yours beside the stable version of a workload. Requests that carry its key reach it; all
/// others reach the app.
#[derive(Clone, Debug, Parser)]
#[command(name = "kubectl-preview", bin_name = "kubectl preview", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Which cluster.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which cluster, and where in it: as kubectl's flags of these names.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// The namespace; left out: that of the file, else of the context
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Cluster", value_parser = names::namespace)]
    pub namespace: Option<String>,
    /// The context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub context: Option<String>,
    /// The kubeconfig; left out: $KUBECONFIG, else ~/.kube/config, else the cluster that this runs in
    #[arg(long, global = true, value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Start a preview, or give a running one another image, and wait until requests reach it
    Start(StartArgs),
    /// Show the previews by key, with their pods
    Status(StatusArgs),
    /// List previews in a table
    List(ListArgs),
    /// Print what a preview's containers write
    Logs(LogsArgs),
    /// Give previews more time; revives expired ones
    Extend(ExtendArgs),
    /// End previews, and wait until nothing of them is left
    #[command(visible_alias = "clean")]
    Stop(StopArgs),
    /// Run a command with a preview that ends with it
    Run(RunArgs),
    /// Say why a request may not have reached a preview
    Explain(ExplainArgs),
    /// Look whether the cluster, and a namespace in it, can have previews
    Doctor(DoctorArgs),
    /// Print a script that completes this command in a shell
    Completion(CompletionArgs),
    /// Print the versions of this command and of Byway in the cluster
    Version(VersionArgs),
    /// The process that ends the preview of `run` when `run` is killed
    #[command(hide = true)]
    Guard(GuardArgs),
}

/// What a preview shall be: of `start` and `run`.
#[derive(Clone, Debug, Default, Args)]
pub struct What {
    /// A Preview in YAML or JSON, or a mirrord.json; `-`: standard input. Flags override it
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The workload to preview: KIND/NAME[/container/NAME], e.g. deployment/checkout. Left out: a fresh pod that needs --port
    #[arg(short, long, value_name = "TARGET", value_parser = values::target)]
    pub target: Option<PreviewTarget>,
    /// The image that the preview runs
    #[arg(short, long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// When nodes pull the image: Always, IfNotPresent (say of one that `kind load` brought) or Never; left out: Always, unless it names a digest
    #[arg(long, value_name = "WHEN", value_parser = values::pull_policy)]
    pub image_pull_policy: Option<PullPolicy>,
    /// The key that requests carry; left out: one is made
    #[arg(short, long, env = "BYWAY_KEY", hide_env_values = true, value_name = "KEY", value_parser = values::not_empty)]
    pub key: Option<String>,
    /// How long it lives, e.g. 90m, 1h30m or never; left out: 1h, and 15m for `run`, which lengthens it
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub ttl: Option<Ttl>,
    /// End it earlier, once no request with its key has come for so long, e.g. 30m
    #[arg(long, value_name = "TIME")]
    pub idle_ttl: Option<Ttl>,
    /// How many pods
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(0..=20))]
    pub replicas: Option<i32>,
    /// A port to steer, of the container; can be given several times. Left out: all that the target serves
    #[arg(long = "port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub ports: Vec<u16>,
    /// A port that is not to be steered: requests to it stay with the target; can be given several times
    #[arg(long = "ignore-port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub ignore_ports: Vec<u16>,
    /// Where the preview listens for a steered port, if elsewhere: PORT:PREVIEW_PORT; can be given several times
    #[arg(long, value_name = "PORT:PORT", value_parser = values::port_mapping)]
    pub port_mapping: Vec<PortMapping>,
    /// The header whose whole value is the key, in place of the default carriers
    #[arg(long, value_name = "NAME")]
    pub header: Option<String>,
    /// A variable of the preview's environment; can be given several times
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE", value_parser = values::env)]
    pub env: Vec<EnvVarArg>,
    /// Variables of the target that the preview is not to have: `AWS_*`; can be given several times
    #[arg(long, value_name = "NAMES", value_parser = values::not_empty)]
    pub unset_env: Vec<String>,
    /// A file of this machine that the preview has at PATH; who may read the Preview may read it; can be given several times
    #[arg(long = "mount-file", value_name = "PATH=FILE", value_parser = values::file)]
    pub files: Vec<FileArg>,
    /// The same, kept in a Secret that goes with the Preview
    #[arg(long = "mount-secret", value_name = "PATH=FILE", value_parser = values::file)]
    pub secret_files: Vec<FileArg>,
    /// A label of the preview's pods; can be given several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = values::env)]
    pub labels: Vec<EnvVarArg>,
    /// Let it sleep, without pods, once no request with its key has come for so long, e.g. 30m; the next one wakes it
    #[arg(long, value_name = "TIME", value_parser = values::sleep_after)]
    pub sleep_after: Option<Duration>,
    /// Let it sleep from the start
    #[arg(long)]
    pub start_asleep: bool,
    /// How long a request waits for it to wake [default: 90s, where it may sleep]
    #[arg(long, value_name = "TIME", value_parser = values::wake_timeout)]
    pub wake_timeout: Option<Duration>,
    /// Who answers while the preview cannot be reached: error (a 502 that names it) or stable (the app)
    #[arg(long, value_name = "WHO", value_parser = values::on_unreachable)]
    pub on_unreachable: Option<OnUnreachable>,
    /// What happens to connections that were open before; leave: they stay with the app; drainIdle: those that are shown to owe nothing are closed
    #[arg(long, value_name = "WHAT", value_parser = values::existing_connections)]
    pub existing_connections: Option<ExistingConnections>,
    /// How long to wait until it is ready [default: 5m, or what the file says]
    #[arg(long, value_name = "TIME", value_parser = values::patience)]
    pub timeout: Option<Duration>,
}

/// Of `start`.
#[derive(Clone, Debug, Args)]
pub struct StartArgs {
    /// The Preview's name; left out: that of the file, else made of target and key
    pub name: Option<String>,
    /// What it shall be.
    #[command(flatten)]
    pub what: What,
    /// Do not wait until it is ready
    #[arg(long)]
    pub no_wait: bool,
    /// Ask whether the API server would take it, print it, and make nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What is printed: json (an event per line), yaml (the Preview), name
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<EventFormat>,
}

/// Which previews, when there may be several.
#[derive(Clone, Debug, Default, Args)]
pub struct Which {
    /// Names
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Those with this key
    #[arg(short, long, value_name = "KEY")]
    pub key: Option<String>,
    /// Those whose key matches, e.g. 'pr-1*'
    #[arg(long, value_name = "PATTERN", conflicts_with = "key")]
    pub glob: Option<String>,
    /// Those of this workload: KIND/NAME
    #[arg(short, long, value_name = "TARGET", value_parser = values::target)]
    pub target: Option<PreviewTarget>,
    /// In all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

impl Which {
    /// One name, or one key.
    pub(crate) fn one(name: Option<&String>, key: Option<&String>) -> Self {
        Self { names: name.into_iter().cloned().collect(), key: key.cloned(), ..Self::default() }
    }
}

/// Where it is only looked, `-A` goes before `-n`, as kubectl has it. What changes previews does not guess which is meant.
fn alone(all_namespaces: Arg) -> Arg {
    all_namespaces.conflicts_with("namespace")
}

/// Of `status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Which; left out: all.
    #[command(flatten)]
    pub which: Which,
    /// Only those that have failed
    #[arg(long)]
    pub failed: bool,
    /// Print again whenever something changes
    #[arg(short, long)]
    pub watch: bool,
    /// Format
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,
}

/// Of `list`.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Which; left out: all.
    #[command(flatten)]
    pub which: Which,
    /// Only those that have failed
    #[arg(long)]
    pub failed: bool,
    /// Format
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,
}

/// Of `logs`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("one").required(true).args(["name", "key"]).multiple(true))]
pub struct LogsArgs {
    /// The Preview's name
    pub name: Option<String>,
    /// All previews with this key
    #[arg(short, long, value_name = "KEY")]
    pub key: Option<String>,
    /// Go on until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the last lines of each container
    #[arg(long, value_name = "LINES", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(0..))]
    pub tail: Option<i64>,
    /// Only this container; left out: all
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Of the run before the last restart
    #[arg(long, conflicts_with = "follow")]
    pub previous: bool,
}

/// Of `extend`.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("all_namespaces", alone))]
pub struct ExtendArgs {
    /// Which.
    #[command(flatten)]
    pub which: Which,
    /// How long from now; left out: an hour at least, and as long as it had if it has ended
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub ttl: Option<Ttl>,
    /// What is printed
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<EventFormat>,
}

/// Of `stop`.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("all_namespaces", alone))]
pub struct StopArgs {
    /// Which.
    #[command(flatten)]
    pub which: Which,
    /// All of the namespace, or with -A of the cluster
    #[arg(long)]
    pub all: bool,
    /// Do not ask before ending all
    #[arg(short, long)]
    pub yes: bool,
    /// Do not wait until they are gone
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait until they are gone
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = values::patience)]
    pub timeout: Duration,
    /// What is printed
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<EventFormat>,
}

/// Of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// What it shall be.
    #[command(flatten)]
    pub what: What,
    /// The Preview's name; left out: that of the file, else made of target and key
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// What is told on standard error, which the command shares
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<JsonFormat>,
    /// The command, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND", action = ArgAction::Append)]
    pub command: Vec<std::ffi::OsString>,
}

/// Of `explain`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("one").required(true).args(["name", "key"]))]
pub struct ExplainArgs {
    /// The Preview's name
    pub name: Option<String>,
    /// The preview with this key
    #[arg(short, long, value_name = "KEY")]
    pub key: Option<String>,
    /// Format
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<StructuredFormat>,
}

/// Of `completion`.
#[derive(Clone, Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Of `version`.
#[derive(Clone, Debug, Args)]
pub struct VersionArgs {
    /// Only of this command: ask no cluster
    #[arg(long)]
    pub client: bool,
    /// Format
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<StructuredFormat>,
}

/// Look whether the cluster, and a namespace in it, can have previews.
#[derive(Clone, Debug, Default, Args)]
pub struct DoctorArgs {
    /// A workload that may get a preview: KIND/NAME[/container/NAME]; left out: only the cluster and the namespace
    #[arg(value_name = "TARGET", value_parser = values::target)]
    pub target: Option<PreviewTarget>,
    /// A Preview: its target, and what its spec makes of it
    #[arg(long, value_name = "NAME", conflicts_with = "target")]
    pub preview: Option<String>,
    /// Print what is well, too
    #[arg(short, long)]
    pub verbose: bool,
    /// Format
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<StructuredFormat>,
}

/// Of `guard`.
#[derive(Clone, Debug, Args)]
pub struct GuardArgs {
    /// The Preview's name
    #[arg(long)]
    pub name: String,
    /// What its annotation says
    #[arg(long)]
    pub mark: String,
}

/// What is printed of previews.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The Previews, as they are in the API
    Json,
    /// The same in YAML
    Yaml,
    /// With more columns
    Wide,
    /// One `preview.byway.dev/NAME` per line
    Name,
}

/// What is printed by a command that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventFormat {
    /// One event per line, as it happens
    Json,
    /// The Preview at the end
    Yaml,
    /// One `preview.byway.dev/NAME` per line
    Name,
}

/// What is told by `run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum JsonFormat {
    /// One event per line, as it happens
    Json,
}

/// For programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StructuredFormat {
    /// JSON
    Json,
    /// YAML
    Yaml,
}
