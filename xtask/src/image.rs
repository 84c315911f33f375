//! `cargo xtask image`: container images of the agent and the controller, made without a container engine.
//!
//! Both are one statically linked program each and nothing else: no base image, no shell, no library to keep up to date.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use byway_tests::Image;

use crate::{build, workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to put them; left out: target/images
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A program, and who runs it.
const PROGRAMS: [(&str, &str); 2] = [(build::AGENT, "0:0"), (build::CONTROLLER, "65532:65532")];

/// `cargo xtask image`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(|| workspace::target_dir().join("images"));
    for archive in make(&out)? {
        println!("{}", archive.display());
    }
    Ok(())
}

/// Makes both; returns the archives, as `docker load` and `ctr image import` read them.
pub(crate) fn make(out: &Path) -> Result<Vec<PathBuf>> {
    let programs = build::programs(&PROGRAMS.map(|(name, _)| name))?;
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut archives = Vec::new();
    for (name, user) in PROGRAMS {
        let program = stripped(&programs.join(name), out)?;
        let path = format!("/{name}");
        let image = Image::new(&format!("localhost/{name}:{}", env!("CARGO_PKG_VERSION")));
        let archive = out.join(name).with_extension("tar");
        image.file(&program, &path)?.entrypoint([path]).user(user).write(&archive)?;
        fs::remove_file(program)?;
        archives.push(archive);
    }
    Ok(archives)
}

/// A copy without what only a debugger reads: three quarters of it. Backtraces still name functions.
fn stripped(program: &Path, folder: &Path) -> Result<PathBuf> {
    ensure!(is_static(program)?, "{} needs libraries, which the image has none of", program.display());
    let copy = folder.join(program.file_name().context("a program has a name")?);
    let mut strip = Command::new("strip");
    let status = strip.args(["--strip-debug", "-o"]).arg(&copy).arg(program).status();
    ensure!(status.context("cannot run strip, which comes with the linker")?.success(), "strip failed");
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
    let interprets = || {
        let (first, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        let mut kinds = (0..count).map(|n| number(first + n * size, 4));
        Some(kinds.any(|kind| kind == Some(INTERP)))
    };
    Ok(!interprets().with_context(|| format!("{} is no program", program.display()))?)
}
