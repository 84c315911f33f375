//! `cargo xtask demo`: the main job on real traffic. Two servers, the real agent and the real eBPF programs,
//! each in a network namespace of this machine; nothing of it reaches any other network, and all of it is
//! gone at the end.

pub(crate) mod app;
mod load;
mod screen;
mod stage;

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::setup::{self, Group};
use crate::{build, signals};
use stage::Stage;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Keep everything up until SIGINT or SIGTERM
    #[arg(long)]
    keep: bool,
    /// A server of your own as the stable app: a shell command that listens on port 8080
    #[arg(long, value_name = "CMD")]
    app: Option<String>,
    /// A server of your own as the preview: a shell command that listens on port 8080
    #[arg(long, value_name = "CMD")]
    preview: Option<String>,
    /// Print only one line of JSON once all is ready, and keep everything up
    #[arg(long, value_enum)]
    output: Option<Output>,
    /// The same without the agent, for comparison
    #[arg(long)]
    no_agent: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Json,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the demo makes network namespaces and loads eBPF programs, which only root may: \
         sudo -E env \"PATH=$PATH\" cargo xtask demo"
    );
    setup::ensure(&[Group::Demo])?;
    let agent = if args.no_agent { None } else { Some(build::demo_agent()?) };
    signals::watch()?;
    let mut stage = Stage::set(args.app.as_deref(), args.preview.as_deref(), agent)?;
    if args.output == Some(Output::Json) {
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{}", stage.describe())?;
        stdout.flush()?;
        return hold(&mut stage);
    }
    screen::show(&mut stage)?;
    if args.keep {
        stage.revive_agent()?;
        screen::invite(&stage);
        return hold(&mut stage);
    }
    Ok(())
}

/// Waits for the user. What was killed meanwhile is let go of, and nothing else changes.
fn hold(stage: &mut Stage) -> Result<()> {
    while signals::sleep(Duration::from_millis(100)).is_ok() {
        stage.reap();
    }
    Ok(())
}
