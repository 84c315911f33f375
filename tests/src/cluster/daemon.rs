//! A program of the cluster. It outlives the test that starts it, but not the process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io, thread};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};

use crate::{eventually, process};

/// A running program and its process group. Dropped, it is killed and waited for.
pub(super) struct Daemon {
    name: String,
    log: PathBuf,
    make: Box<dyn Fn() -> Command + Send + Sync>,
    child: Mutex<Child>,
}

impl Daemon {
    /// Starts what `make` makes, with its output in the folder `logs`. It is made again for each restart.
    pub(super) fn start(
        name: &str,
        logs: &Path,
        make: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let child = Mutex::new(spawn(name, &log, make())?);
        Ok(Self { name: name.to_owned(), log, make: Box::new(make), child })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child().id()
    }

    /// Signals its process group.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = self.child();
        // A process that was waited for may have passed its number on.
        ensure!(child.try_wait()?.is_none(), "{} has ended:\n{}", self.name, self.tail());
        Ok(killpg(process::pid(child.id()), signal)?)
    }

    /// Kills it, if it still runs, and waits for its end.
    pub(super) fn kill(&self) {
        let _ = self.signal(Signal::SIGKILL);
        let _ = self.child().wait();
    }

    /// Starts it once more, with the same arguments.
    pub(super) fn restart(&self) -> Result<()> {
        self.kill();
        *self.child() = spawn(&self.name, &self.log, (self.make)())?;
        Ok(())
    }

    /// Asks `ready` until it is true. Fails when the program ends first, or when `patience` does.
    pub(super) fn wait(&self, patience: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let asked = eventually(patience, || {
            let ended = self.child().try_wait();
            match ended {
                Ok(None) => ready().then_some(Ok(())),
                ended => Some(Err(ended)),
            }
        });
        match asked {
            Some(Ok(())) => Ok(()),
            Some(Err(ended)) => bail!("{} ended too early, {ended:?}:\n{}", self.name, self.tail()),
            None => bail!("{} is not ready after {patience:?}:\n{}", self.name, self.tail()),
        }
    }

    /// The last lines of its log.
    pub(super) fn tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("name", &self.name).finish_non_exhaustive()
    }
}

fn spawn(name: &str, log: &Path, mut command: Command) -> Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let program = command.get_program().to_owned();
    spawn_to_stay(command).with_context(|| format!("cannot start {name}: {}", program.display()))
}

/// A child is killed when the thread that spawned it ends, as a test's does with the test. A cluster may be
/// shared by many tests, so one thread that never ends spawns them all.
fn spawn_to_stay(command: Command) -> io::Result<Child> {
    type Job = (Command, Sender<io::Result<Child>>);
    static SPAWNER: LazyLock<Sender<Job>> = LazyLock::new(|| {
        let (sender, jobs) = channel::<Job>();
        thread::spawn(move || jobs.iter().for_each(|(mut job, done)| drop(done.send(job.spawn()))));
        sender
    });
    let (done, child) = channel();
    SPAWNER.send((command, done)).map_err(io::Error::other)?;
    child.recv().map_err(io::Error::other)?
}
