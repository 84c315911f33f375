//! Cgroups for a node's pods, in whichever hierarchies the machine has.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, Result, ensure};

use crate::eventually;
use crate::scratch::is_stale;

/// The cgroup of one name in every hierarchy. Dropped, it is removed with those below.
#[derive(Debug)]
pub(super) struct Cgroups(Vec<PathBuf>);

impl Cgroups {
    /// Makes `/NAME`.
    pub(super) fn new(name: &str) -> Result<Self> {
        let hierarchies = hierarchies();
        ensure!(!hierarchies.is_empty(), "no cgroups are mounted");
        let made = Self(hierarchies.iter().map(|(root, _)| root.join(name)).collect());
        for ((root, version), cgroup) in hierarchies.iter().zip(&made.0) {
            if *version == 2 {
                enable_controllers(root);
            }
            fs::create_dir_all(cgroup).with_context(|| format!("cannot make {}", cgroup.display()))?;
            // In version 1, nobody may join a cpuset before it has these.
            for file in ["cpuset.cpus", "cpuset.mems"].iter().filter(|_| *version == 1) {
                if let Ok(all) = fs::read(root.join(file)) {
                    fs::write(cgroup.join(file), all)?;
                }
            }
        }
        Ok(made)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // A process that was killed stays in its cgroup for another moment.
        eventually(Duration::from_secs(5), || self.0.iter().all(|path| remove(path).is_ok()).then_some(()));
    }
}

/// Removes the cgroups of processes that are gone.
pub(super) fn remove_stale() {
    let roots = hierarchies();
    for entry in roots.iter().filter_map(|(root, _)| fs::read_dir(root).ok()).flatten().filter_map(Result::ok)
    {
        if is_stale(&entry.file_name()) {
            let _ = remove(&entry.path());
        }
    }
}

/// As [`remove_stale`], the first time.
pub(super) fn remove_stale_once() {
    static STALE: Once = Once::new();
    STALE.call_once(remove_stale);
}

/// Mount points and versions. Where there are both, kubelet's limits are in version 1, and pods have a cgroup of
/// their own in version 2 all the same.
fn hierarchies() -> Vec<(PathBuf, u8)> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut all = Vec::new();
    for line in mounts.lines() {
        // What, where, of which type: proc_pid_mounts(5).
        let mut columns = line.split(' ').skip(1);
        match (columns.next(), columns.next()) {
            (Some(path), Some("cgroup")) => all.push((path.into(), 1)),
            (Some(path), Some("cgroup2")) => all.push((path.into(), 2)),
            _ => {}
        }
    }
    all
}

fn enable_controllers(root: &Path) {
    let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        // One by one: one that cannot be had does not keep the others away.
        let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

/// Leaves first; the files in a cgroup are not to be removed.
fn remove(cgroup: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(cgroup) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(cgroup)
}
