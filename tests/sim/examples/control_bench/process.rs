//! What a process costs, from `proc_pid_stat(5)` and `proc_pid_status(5)`.

use std::fs;
use std::time::{Duration, Instant};

/// Processor time until now, and when that was.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    spent: Duration,
    at: Instant,
}

impl Cpu {
    pub(crate) fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name in brackets: the state is field 3, utime 14, stime 15, in ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = [11, 12].iter().filter_map(|i| fields.get(*i)?.parse::<u64>().ok()).sum::<u64>();
        Self { spent: Duration::from_millis(ticks * 10), at: Instant::now() }
    }

    /// Processors that it took since then.
    pub(crate) fn since(self, before: Self) -> f64 {
        let spent = self.spent.saturating_sub(before.spent);
        spent.as_secs_f64() / self.at.duration_since(before.at).as_secs_f64()
    }
}

/// Resident memory in bytes, now and at its highest.
pub(crate) fn memory(pid: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|it| it.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    };
    (kib("VmRSS:") << 10, kib("VmHWM:") << 10)
}
