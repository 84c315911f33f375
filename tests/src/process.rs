//! Processes that end with the test.

use std::collections::VecDeque;
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
    kept: Option<Scratch>,
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
        Ok(Self { name: name.to_owned(), child, scratch, kept: None })
    }

    /// Keeps a folder, say with its configuration, for as long as it runs.
    #[must_use]
    pub fn keeping(mut self, folder: Scratch) -> Self {
        self.kept = Some(folder);
        self
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
        while !self.listens(port) {
            if let Some(status) = self.ended()? {
                bail!("{} ended with {status} before it listened on port {port}:\n{}", self.name, self.log());
            }
            if Instant::now() > until {
                bail!("{} does not listen on port {port} after 20 s:\n{}", self.name, self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// True if something in its namespace listens on `port`.
    pub fn listens(&self, port: u16) -> bool {
        !listeners(self.pid(), port).is_empty()
    }

    /// Which of its processes holds the listening socket of `port`: itself, or the first of its descendants.
    pub fn listening_pid(&self, port: u16) -> Option<u32> {
        let sockets: Vec<_> =
            listeners(self.pid(), port).iter().map(|ino| format!("socket:[{ino}]")).collect();
        let mut queue = VecDeque::from([self.pid()]);
        while let Some(pid) = queue.pop_front() {
            let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(Result::ok);
            let mut links = fds.filter_map(|fd| fs::read_link(fd.path()).ok());
            if links.any(|link| link.to_str().is_some_and(|link| sockets.iter().any(|s| s == link))) {
                return Some(pid);
            }
            queue.extend(children(pid));
        }
        None
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
        let family = descendants(self.pid());
        // Signalled before the leader is reaped, while nobody else can have its number.
        let _ = killpg(pid(self.pid()), Signal::SIGKILL);
        let _ = self.child.wait();
        // The rest belongs to init now, which takes its time; without life they hold no socket any more.
        eventually(Duration::from_secs(5), || family.iter().all(|pid| !lives(*pid)).then_some(()));
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
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().filter_map(Result::ok);
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The children of a process, and theirs.
fn descendants(ancestor: u32) -> Vec<u32> {
    let mut all = children(ancestor);
    let mut next = 0;
    while let Some(pid) = all.get(next) {
        all.extend(children(*pid));
        next += 1;
    }
    all
}

/// False for a zombie, too.
pub(crate) fn lives(pid: u32) -> bool {
    started_at(pid).is_some()
}

/// When a process started, in clock ticks since boot: with its id, that tells it from a later one. `None` once
/// it has ended.
#[must_use]
pub fn started_at(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc_pid_stat(5): the name in brackets may hold anything; the state, field 3, follows it.
    let fields: Vec<_> = stat.rsplit(") ").next()?.split(' ').collect();
    let ended = fields.first().is_none_or(|state| state.starts_with(['Z', 'X']));
    if ended { None } else { fields.get(19)?.parse().ok() }
}

/// Kills what runs in a network namespace of ours.
pub(crate) fn kill_all_in(dev: u64, ino: u64) {
    for entry in fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
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

/// Inodes of the TCP sockets that listen on `port` in the network namespace of `pid`: proc_pid_net(5).
fn listeners(pid: u32, port: u16) -> Vec<String> {
    let local = format!(":{port:04X}");
    let tables = ["tcp", "tcp6"].map(|file| fs::read_to_string(format!("/proc/{pid}/net/{file}")));
    let lines = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
    lines
        .filter_map(|line| {
            // sl, local_address, rem_address, st, queues, timer, retrnsmt, uid, timeout, inode
            let columns: Vec<_> = line.split_whitespace().collect();
            let (address, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
            (address.ends_with(&local) && *state == "0A").then(|| (*inode).to_owned())
        })
        .collect()
}
