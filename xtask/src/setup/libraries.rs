//! Libraries of servers that the tests run: hypercorn from the registry of Python packages, pinned by checksums, and
//! grpc-java from Maven's, pinned by version.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use byway_tests::Libraries;

use crate::progress::Step;
use crate::workspace;

/// By its full name, since there is no project that pins it.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// Whether all of them are there.
pub(super) fn are_there() -> Result<bool> {
    Libraries::ALL.iter().try_fold(true, |all, one| Ok(all && one.folder()?.is_dir()))
}

/// Fetches those that are missing.
pub(super) fn ensure() -> Result<()> {
    for libraries in Libraries::ALL {
        let folder = libraries.folder()?;
        if folder.is_dir() {
            continue;
        }
        // Moved to its place once it is whole.
        let fresh = folder.with_extension(format!("new-{}", std::process::id()));
        fs::create_dir_all(&fresh)?;
        match libraries {
            Libraries::Python => python(&fresh)?,
            Libraries::Java => java(&fresh)?,
        }
        fs::rename(&fresh, &folder).context("cannot keep what was fetched")?;
    }
    Ok(())
}

fn python(to: &Path) -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r"]);
    pip.arg(workspace::root().join("tests/apps/http2/python/requirements.txt")).arg("--target").arg(to);
    Step::start("Fetching hypercorn, once").run(&mut pip)
}

fn java(to: &Path) -> Result<()> {
    let sources = workspace::root().join("tests/apps/http2/java");
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", COPY, "--file"]).arg(sources.join("pom.xml"));
    maven.arg(format!("-DoutputDirectory={}", to.display()));
    Step::start("Fetching grpc-java, once").run(&mut maven)?;
    let mut compiler = Command::new("javac");
    compiler.arg("-cp").arg(to.join("*")).arg("-d").arg(to).arg(sources.join("Server.java"));
    Step::start("Compiling its server").run(&mut compiler)
}
