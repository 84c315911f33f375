//! Processor time and memory of processes, from `proc_pid_stat(5)` and `proc_pid_status(5)`.
//!
//! What the kernel does for a process in its own context counts: on virtual links that is nearly all of the
//! network's work, since a packet is received on the sender's time.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

/// Processor time of a process and of all that descend from it.
pub(super) fn of_family(pid: u32) -> Duration {
    let own = of_process(pid);
    children(pid).into_iter().map(of_family).fold(own, |sum, time| sum + time)
}

fn of_process(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name in brackets: the state is field 3, utime 14, stime 15, in ticks of 10 ms.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = [11, 12].iter().filter_map(|i| fields.get(*i)?.parse::<u64>().ok()).sum::<u64>();
    Duration::from_millis(ticks * 10)
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Resident memory of one process in bytes.
pub(super) fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0_u64) * 1024
}

/// Processor time that passed on the server's side of a turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// By what stands between client and app.
    pub(super) between: Duration,
    /// By that, the app and the preview.
    pub(super) total: Duration,
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            between: self.between.saturating_sub(before.between),
            total: self.total.saturating_sub(before.total),
        }
    }
}
