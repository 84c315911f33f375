//! What drives Chromium in the tests and looks at the extension: the packages of npm that `tests/browser/` pins.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::progress::Step;
use crate::workspace;

/// Whether they are there.
pub(super) fn is_there() -> Result<bool> {
    Ok(byway_tests::node_modules()?.is_dir())
}

/// Fetches them if they are missing.
pub(super) fn ensure() -> Result<()> {
    if is_there()? {
        return Ok(());
    }
    let modules = byway_tests::node_modules()?;
    let folder = modules.parent().context("it is in a folder of its own")?;
    // Moved to its place once it is whole.
    let fresh = folder.with_extension(format!("new-{}", std::process::id()));
    fs::create_dir_all(&fresh)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(workspace::root().join("tests/browser").join(file), fresh.join(file))?;
    }
    // Scripts of packages are not run: none of these needs one.
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&fresh);
    Step::start("Fetching what drives a browser, once").run(&mut npm)?;
    fs::rename(&fresh, folder).context("cannot keep what was fetched")
}
