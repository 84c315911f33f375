//! Programs as small as they are in images, which have no library to offer them either.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::Target;

/// A copy without what only a debugger reads: three quarters of it. Backtraces still name functions.
pub(crate) fn stripped(target: Target, program: &Path, folder: &Path) -> Result<PathBuf> {
    ensure!(is_static(program)?, "{} needs libraries, which the image has none of", program.display());
    let copy = folder.join(program.file_name().context("a program has a name")?);
    let tool = if target.rust() == ARCH { "strip".to_owned() } else { target.tool("strip") };
    let status = Command::new(&tool).args(["--strip-debug", "-o"]).arg(&copy).arg(program).status();
    let status = status.with_context(|| format!("cannot run {tool}, which comes with the linker"))?;
    ensure!(status.success(), "{tool} failed");
    Ok(copy)
}

/// Whether a program asks for no loader of libraries: an ELF file of this machine without `PT_INTERP`.
fn is_static(program: &Path) -> Result<bool> {
    const INTERP: usize = 3;
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let number = |at: usize, len: usize| {
        let mut le = [0; 8];
        le[..len].copy_from_slice(bytes.get(at..at + len)?);
        Some(u64::from_le_bytes(le) as usize)
    };
    ensure!(bytes.starts_with(b"\x7fELF"), "{} is no program", program.display());
    let interprets = || {
        let (first, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        let mut kinds = (0..count).map(|n| number(first + n * size, 4));
        Some(kinds.any(|kind| kind == Some(INTERP)))
    };
    Ok(!interprets().with_context(|| format!("{} is no program", program.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn a_program_that_needs_libraries_is_told_from_one_that_needs_none() {
        let busybox = byway_tests::find_program("busybox").expect("`cargo xtask setup nodes` installs it");
        assert!(is_static(&busybox).unwrap());
        assert!(!is_static(&std::env::current_exe().unwrap()).unwrap());
        assert!(is_static(&workspace::root().join("Cargo.toml")).is_err());
    }
}
