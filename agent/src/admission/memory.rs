//! How much memory the agent may use, and how much it does.

use std::{fs, io};

use nix::unistd::{SysconfVar, sysconf};

/// A limit, and what is held against it.
pub(crate) struct Memory {
    limit: u64,
    /// The limit is the cgroup's (v2), so what the kernel holds for the sockets counts, too: twice as much as the
    /// process itself.
    of_cgroup: bool,
}

impl Memory {
    /// `most` resident bytes of the process; 0: 80 % of the memory limit of its cgroup, without which there is none.
    pub(crate) fn new(most: u64) -> Self {
        let limit =
            |file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok().map(|bytes| bytes / 5 * 4);
        let process = |limit| Self { limit, of_cgroup: false };
        if most > 0 {
            return process(most);
        }
        match limit("/sys/fs/cgroup/memory.max") {
            Some(limit) => Self { limit, of_cgroup: true },
            None => process(limit("/sys/fs/cgroup/memory/memory.limit_in_bytes").unwrap_or(u64::MAX)),
        }
    }

    pub(crate) fn is_over(&self) -> io::Result<bool> {
        let used = if self.of_cgroup { cgroup_bytes() } else { resident_bytes() };
        Ok(used? > self.limit)
    }
}

/// Memory that counts against the cgroup's limit, without what the kernel takes back when it needs it.
fn cgroup_bytes() -> io::Result<u64> {
    let current = fs::read_to_string("/sys/fs/cgroup/memory.current")?;
    let stat = fs::read_to_string("/sys/fs/cgroup/memory.stat")?;
    let inactive = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let bytes = |text: &str| text.trim().parse::<u64>().map_err(io::Error::other);
    Ok(bytes(&current)?.saturating_sub(inactive.map_or(Ok(0), bytes)?))
}

/// Resident memory of the process (`/proc/self/statm`, second field, in pages).
pub(crate) fn resident_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    let size = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|size| u64::try_from(size).ok());
    pages.zip(size).map(|(pages, size)| pages * size).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_what_the_kernel_says() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        // Of two moments, while other tests run.
        let (least, most) = (kib * 1024 / 2, kib * 1024 * 2);
        let bytes = resident_bytes().unwrap();
        assert!((least..most).contains(&bytes), "{bytes} and {kib} KiB");
        assert!(Memory::new(1).is_over().unwrap());
        assert!(!Memory::new(1 << 40).is_over().unwrap());
    }
}
