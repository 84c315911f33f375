//! Processes that end with the test.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::Scratch;

/// A running process and all of its process group. Dropped, it is killed and waited for; dropped by a panic,
/// it shows the end of its log first.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    scratch: Scratch,
}

impl Running {
    /// Starts `command`, made by [`Pod::command`](crate::Pod::command); its output goes to [`Running::log`].
    ///
    /// # Errors
    ///
    /// When the program is not there.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let log = File::create(scratch.path().join("log"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name}: {}", command.get_program().display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            scratch,
        })
    }

    /// The process that was started.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stdout and stderr so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.scratch.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A folder for its files, removed with it.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Its status, once it has ended.
    ///
    /// # Errors
    ///
    /// As [`Child::try_wait`].
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until something in its namespace listens on `port`. Asks the kernel instead of connecting: the
    /// server sees nothing of it.
    ///
    /// # Errors
    ///
    /// When it ends first, or after 20 seconds.
    pub fn wait_listening(&mut self, port: u16) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(20);
        while !listens(self.pid(), port) {
            if let Some(status) = self.ended()? {
                bail!(
                    "{} ended with {status} before it listened on port {port}:\n{}",
                    self.name,
                    self.log()
                );
            }
            if Instant::now() > until {
                bail!(
                    "{} does not listen on port {port} after 20 s:\n{}",
                    self.name,
                    self.log()
                );
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Sends a signal to the process alone.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(pid(self.pid()), signal)?)
    }

    /// Asks the process to end and waits for at most `patience`; then the whole group is killed.
    ///
    /// # Errors
    ///
    /// When it had to be killed.
    pub fn stop(&mut self, patience: Duration) -> Result<ExitStatus> {
        let _ = self.signal(Signal::SIGTERM);
        let ended = eventually(patience, || self.ended().ok().flatten());
        self.kill();
        ended.with_context(|| format!("{} did not end within {patience:?}:\n{}", self.name, self.log()))
    }

    /// Kills the whole group and waits for it.
    pub fn kill(&mut self) {
        let group = pid(self.pid());
        // Signalled before the leader is reaped, while nobody else can have its number.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
        // What is left of the group has another parent now.
        eventually(Duration::from_secs(5), || {
            killpg(group, None).is_err().then_some(())
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("--- the last lines of {} ---", self.name);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Asks every few milliseconds until there is an answer or `patience` is over.
pub fn eventually<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > until {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The children of a process.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|p| p.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Kills what runs in a network namespace of ours.
pub(crate) fn kill_all_in(dev: u64, ino: u64) {
    for entry in fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        let Some(number) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let inside =
            fs::metadata(entry.path().join("ns/net")).is_ok_and(|ns| (ns.dev(), ns.ino()) == (dev, ino));
        if inside {
            let _ = kill(pid(number), Signal::SIGKILL);
        }
    }
}

pub(crate) fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap_or(i32::MAX))
}

/// True if a TCP socket listens on `port` in the network namespace of `pid`: proc_pid_net(5).
fn listens(pid: u32, port: u16) -> bool {
    let local = format!(":{port:04X}");
    ["tcp", "tcp6"].iter().any(|file| {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default();
        table.lines().skip(1).any(|line| {
            let mut columns = line.split_whitespace().skip(1);
            columns.next().is_some_and(|address| address.ends_with(&local)) && columns.nth(1) == Some("0A")
        })
    })
}
