//! Folders for logs and routes files, gone when dropped.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

const MEMORY: &str = "/dev/shm";

/// A new folder, removed when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one, with `name` in its name.
    ///
    /// # Errors
    ///
    /// When the system's folder for temporary files is full or read-only.
    pub fn new(name: &str) -> Result<Self> {
        Self::below(&std::env::temp_dir(), name)
    }

    /// Makes one in memory, where the system has a folder for that, so that no disk slows a server down.
    ///
    /// # Errors
    ///
    /// As [`Scratch::new`].
    pub fn in_memory(name: &str) -> Result<Self> {
        let memory = Path::new(MEMORY);
        if memory.is_dir() { Self::below(memory, name) } else { Self::new(name) }
    }

    fn below(parent: &Path, name: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static STALE: Once = Once::new();
        STALE.call_once(remove_stale);

        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = parent.join(format!("bw-{}-{n}-{name}", std::process::id()));
        // A process that was killed may have left one, and its id may be ours now.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the folders of processes that are gone.
pub(crate) fn remove_stale() {
    let parents = [std::env::temp_dir(), MEMORY.into()];
    for entry in parents.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().filter_map(Result::ok) {
        if is_stale(&entry.file_name()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// True for `bw-PID-...` of a process that is gone.
pub(crate) fn is_stale(name: &OsStr) -> bool {
    let owner = name.to_str().and_then(|n| n.strip_prefix("bw-")).and_then(|n| n.split('-').next());
    let owner = owner.and_then(|pid| pid.parse::<u32>().ok());
    owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}
