//! The parent of the serving process: ends it when it hangs.
//!
//! While the child hangs, its stale heartbeat already passes new connections on to the app; killing it frees those
//! that it had accepted. The parent does not start it again: whoever started the agent does, with back-off.

use std::{
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitCode, ExitStatus},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::{
    sys::{
        prctl,
        signal::{SigSet, Signal, kill},
    },
    unistd::Pid,
};

use crate::{
    args::ServeArgs,
    inspect::{self, Agent},
    sys,
};

/// A heartbeat older than this is a hang.
const HUNG: Duration = Duration::from_secs(1);
/// One look is not enough: both processes may have been frozen, and this one thawed first.
const LOOKS: u32 = 4;
const POLL: Duration = Duration::from_millis(100);

/// Serves in a child process and watches its heartbeat; ends as the child does.
///
/// # Errors
///
/// When the child cannot be started.
pub fn watch(args: &ServeArgs) -> Result<ExitCode> {
    // Blocked before the child is made, so that no signal is lost; the child unblocks them for itself.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block()?;
    let node = args.node()?;
    let mut child = start()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).context("process id")?);
    let mut agent: Option<Agent> = None;
    let mut late = 0;
    let mut starvation = Starvation::default();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(exit_code(status));
        }
        if let Some(signal) = sys::pending_signal(&signals) {
            kill(pid, signal)?; // the child drains and ends
        }
        if agent.is_none() {
            agent = inspect::agent_of_process(child.id(), &node);
        }
        let age = agent.as_ref().and_then(Agent::heartbeat_age);
        let waited = starvation.more_since_last(child.id());
        let hangs = age.is_some_and(|age| age > HUNG) && waited < POLL / 2;
        late = if hangs { late + 1 } else { 0 };
        if late == LOOKS {
            // A start that failed leaves a heartbeat that nobody beats: then another one counts, or none yet.
            agent = inspect::agent_of_process(child.id(), &node);
            if agent.as_ref().and_then(Agent::heartbeat_age).is_none_or(|age| age <= HUNG) {
                late = 0;
            }
        }
        if late == LOOKS {
            tracing::error!(?age, "the agent hangs: ending it; connections reach the app");
            child.kill()?;
            return Ok(exit_code(child.wait()?));
        }
        sleep(POLL);
    }
}

/// How long the child's threads wait for a processor. On a node that is too busy to run them they are late although
/// they do not hang, and to end them would help nobody.
#[derive(Default)]
struct Starvation {
    total: Duration,
}

impl Starvation {
    /// How long they waited since the last call, taken together (`/proc/PID/task/TID/schedstat`, second field, in
    /// nanoseconds; zero on kernels without it).
    fn more_since_last(&mut self, pid: u32) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let waited = tasks.filter_map(|task| {
            let schedstat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            schedstat.split(' ').nth(1)?.parse().ok().map(Duration::from_nanos)
        });
        let before = std::mem::replace(&mut self.total, waited.sum());
        self.total.saturating_sub(before)
    }
}

fn start() -> Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1)).arg("--no-watchdog").arg0("byway-agent");
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        command.pre_exec(|| {
            SigSet::empty().thread_set_mask()?;
            Ok(prctl::set_pdeathsig(Signal::SIGKILL)?) // never without a watchdog
        });
    }
    command.spawn().context("cannot start the serving process")
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
