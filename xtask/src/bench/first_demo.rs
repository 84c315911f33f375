//! `cargo xtask bench first-demo`: how long a newcomer waits for the first `cargo xtask demo`, and for what.
//!
//! A clone of this tree's last commit, in a folder of its own with empty caches: nothing of the user's is touched, and all
//! of it is gone at the end. What is installed of the system's packages, and rustup's compilers, stay as they are.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use byway_tests::Scratch;
use nix::sys::resource::{UsageWho, getrusage};

use crate::progress::Log;
use crate::workspace;

#[derive(clap::Args)]
pub(super) struct FirstDemo {
    /// Another commit than the last one, to compare
    #[arg(long, default_value = "HEAD", value_name = "COMMIT")]
    commit: String,
}

pub(super) fn run(args: &FirstDemo) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the demo needs root: sudo -E env \"PATH=$PATH\" cargo xtask bench first-demo"
    );
    let scratch = Scratch::new("first-demo")?;
    let clone = clone(&args.commit, &scratch)?;
    let mut demo = newcomer(&clone, &scratch)?;

    let (begun, before) = (Instant::now(), processor()?);
    let mut child = demo.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut log = Log::new("first demo")?;
    let lines = child.stderr.take().into_iter().flat_map(|pipe| BufReader::new(pipe).lines());
    for line in lines.map_while(Result::ok) {
        // What cargo has built, and the steps of set-up and demo.
        if line.trim_start().starts_with("Finished ") || line.starts_with("✓ ") {
            println!("{:>7.1} s  {}", begun.elapsed().as_secs_f64(), line.trim());
        }
        log.say(&line);
    }
    let status = child.wait()?;
    if !status.success() {
        let (why, file) = log.end();
        bail!("the demo failed ({status}): {why} (all that it said: {})", file.display());
    }
    log.forget();
    let (wall, busy) = (begun.elapsed(), processor()?.saturating_sub(before));
    println!("{:>7.1} s  in all, {:.0} s of processor", wall.as_secs_f64(), busy.as_secs_f64());
    Ok(())
}

fn clone(commit: &str, scratch: &Scratch) -> Result<PathBuf> {
    let (root, clone) = (workspace::root(), scratch.path().join("byway"));
    let git = |command: &mut Command| {
        let output = command.stderr(Stdio::inherit()).output().context("cannot run git")?;
        ensure!(output.status.success(), "cannot clone {commit} of {}", root.display());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    // As it is called here: the clone knows other branches.
    let commit = git(Command::new("git").arg("-C").arg(&root).args(["rev-parse", "--verify", commit]))?;
    git(Command::new("git").args(["clone", "--quiet", "--no-checkout"]).arg(&root).arg(&clone))?;
    git(Command::new("git").arg("-C").arg(&clone).args(["checkout", "--quiet", "--detach", &commit]))?;
    Ok(clone)
}

/// `cargo xtask demo` in the clone, without all that a newcomer does not have.
fn newcomer(clone: &Path, scratch: &Scratch) -> Result<Command> {
    let cargo_home = scratch.path().join("cargo");
    fs::create_dir_all(&cargo_home)?;
    // Where crates come from is the machine's matter.
    if let Some(home) = home() {
        for name in ["config.toml", "config"] {
            if home.join(name).is_file() {
                fs::copy(home.join(name), cargo_home.join(name))?;
            }
        }
    }
    let mut cargo = workspace::foreign_cargo("cargo");
    cargo.current_dir(clone).args(["xtask", "demo"]).stdin(Stdio::null());
    cargo.env("CARGO_HOME", cargo_home).env("BYWAY_CACHE", scratch.path().join("cache"));
    cargo.env_remove("BYWAY_AGENT");
    Ok(cargo)
}

fn home() -> Option<PathBuf> {
    let given = env::var_os("CARGO_HOME").map(PathBuf::from);
    given.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
}

/// What all processes that this one waited for have used.
fn processor() -> Result<Duration> {
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = |it: nix::sys::time::TimeVal| {
        Duration::new(it.tv_sec().unsigned_abs(), it.tv_usec().unsigned_abs() as u32 * 1000)
    };
    Ok(time(used.user_time()) + time(used.system_time()))
}
