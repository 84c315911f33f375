//! The process that holds a cluster until it is asked to end. Killed, it takes the cluster with it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use anyhow::{Context, Result, bail};
use byway_tests::{Cluster, ProxyMode};
use clap::ValueEnum;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};

use super::record::{self, Record};
use super::{Proxy, Up};
use crate::progress::Step;
use crate::signals::{self, Interrupted};

/// The line that says that all is ready.
const READY: &str = "ready";

/// The hidden command.
#[derive(clap::Args)]
pub(crate) struct Args {
    name: String,
    #[command(flatten)]
    up: Up,
}

/// Starts the process and waits until its cluster is ready.
pub(super) fn start(name: &str, up: &Up) -> Result<()> {
    signals::watch()?;
    let log = record::log(name)?;
    let proxy = up.proxy.to_possible_value().context("every way has a name")?;
    let mut child = Command::new(env::current_exe()?)
        .args(["hold-cluster", name, "--nodes", &up.nodes.to_string(), "--proxy", proxy.get_name()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Its stderr is not ours: whoever reads ours would wait for the end of the cluster.
        .stderr(File::create(&log)?)
        .spawn()?;

    let mut step: Option<Step> = None;
    let lines = child.stdout.take().into_iter().flat_map(|pipe| BufReader::new(pipe).lines());
    for line in lines.map_while(Result::ok) {
        if let Some(step) = step.take() {
            step.done();
        }
        if line == READY {
            return Ok(());
        }
        step = Some(Step::start(line));
        if let Err(interrupted) = signals::check() {
            kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
            child.wait()?;
            return Err(interrupted);
        }
    }
    drop(step);
    let status = child.wait()?;
    bail!("no cluster ({status}):\n{}", fs::read_to_string(&log).unwrap_or_default())
}

/// Is that process.
pub(crate) fn run(args: &Args) -> Result<()> {
    // A terminal's Ctrl-C is not for it.
    setsid()?;
    signals::watch()?;
    let proxy = match args.up.proxy {
        Proxy::Nftables => ProxyMode::Nftables,
        Proxy::Iptables => ProxyMode::Iptables,
    };
    let step = |what: &str| {
        println!("{what}");
        signals::check()
    };
    let cluster = Cluster::builder().nodes(args.up.nodes).proxy_mode(proxy).on_step(step).start()?;
    Record::of(&cluster)?.write(&args.name)?;
    println!("{READY}");
    let ended = loop {
        if let Err(ended) = signals::check() {
            break ended;
        }
        thread::sleep(Duration::from_millis(100));
    };
    drop(cluster);
    Record::forget(&args.name)?;
    if ended.is::<Interrupted>() { Ok(()) } else { Err(ended) }
}
