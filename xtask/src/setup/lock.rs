//! One set-up at a time: two would install the same things, and take away from each other what they compile with.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::progress::Step;

#[cfg(test)]
mod tests;

/// Held while something is installed. The file stays, and says who held it last; the kernel frees it when the process
/// ends, however that comes.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until no other set-up is under way, and says for whom.
    pub(super) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join("set-up.lock");
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = fs::create_dir_all(folder).and_then(|()| open());
        let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&mut file)?;
                let step = Step::start(format!("Waiting for another set-up to end: {holder}"));
                file.lock()?;
                step.done();
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let args: Vec<_> = env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
        file.set_len(0)?;
        file.rewind()?;
        // In one piece, for whoever reads it just then.
        file.write_all(
            format!("process {}, `cargo xtask {}`", std::process::id(), args.join(" ")).as_bytes(),
        )?;
        Ok(Self { _file: file })
    }
}

/// Who holds it, who says so a moment after.
fn holder(file: &mut File) -> io::Result<String> {
    let mut holder = String::new();
    for _ in 0..100 {
        file.rewind()?;
        file.read_to_string(&mut holder)?;
        if !holder.is_empty() {
            return Ok(holder);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok("one that does not say which".to_owned())
}
