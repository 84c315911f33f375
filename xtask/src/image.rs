//! `cargo xtask image`: container images of our programs, made without a container engine.
//!
//! Each is one statically linked program and nothing else: no base image, no shell, no library to keep up to date. The
//! `Containerfile` makes the same ones with an engine.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use byway_tests::Image;

use crate::build::Target;
use crate::{build, workspace};

mod load;
#[cfg(test)]
mod tests;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to put them; left out: target/images
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// For which machines; left out: as this one. Others need a compiler and a linker for them
    #[arg(long, value_enum, value_name = "ARCH", value_delimiter = ',')]
    arch: Vec<Target>,
    /// What stands in front of their names
    #[arg(long, default_value = "localhost", value_name = "REGISTRY")]
    registry: String,
    /// Bring them to where a cluster's nodes find them
    #[arg(long, value_enum, value_name = "HOW")]
    load: Option<load::Place>,
    /// Which cluster, if there are several
    #[arg(long, value_name = "NAME", requires = "load")]
    cluster: Option<String>,
}

/// A program in an image of its own.
struct Program {
    /// Its package.
    package: &'static str,
    /// Its file, which names the image.
    name: &'static str,
    /// Who runs it.
    user: &'static str,
    /// For whoever looks at the image.
    title: &'static str,
}

/// All of them. The `Containerfile` has a target for each.
const PROGRAMS: &[Program] = &[
    Program { package: build::AGENT, name: build::AGENT, user: "0:0", title: "Byway node agent" },
    Program {
        package: build::CONTROLLER,
        name: build::CONTROLLER,
        user: "65532:65532",
        title: "Byway controller",
    },
    Program {
        package: build::CLI,
        name: "kubectl-preview",
        user: "65532:65532",
        title: "Byway's kubectl plugin",
    },
];

/// `cargo xtask image`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(|| workspace::target_dir().join("images"));
    let targets = if args.arch.is_empty() { vec![Target::this()?] } else { args.arch.clone() };
    let archives = make_for(&targets, &args.registry, &out)?;
    for archive in &archives {
        println!("{}", archive.display());
    }
    args.load.map_or(Ok(()), |place| load::run(place, args.cluster.as_deref(), &archives))
}

/// Makes all for this machine; returns the archives.
pub(crate) fn make(out: &Path) -> Result<Vec<PathBuf>> {
    make_for(&[Target::this()?], "localhost", out)
}

/// The packages of all programs that have an image.
pub(crate) fn packages() -> Vec<&'static str> {
    PROGRAMS.iter().map(|program| program.package).collect()
}

/// Builds all programs, as they are in images, into a folder.
pub(crate) fn programs(out: &Path) -> Result<PathBuf> {
    let target = Target::this()?;
    let built = build::programs_for(target, &packages())?;
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for program in PROGRAMS {
        stripped(target, &built.join(program.name), out)?;
    }
    Ok(out.to_owned())
}

fn make_for(targets: &[Target], registry: &str, out: &Path) -> Result<Vec<PathBuf>> {
    let built = targets.iter().map(|target| Ok((*target, build::programs_for(*target, &packages())?)));
    let built: Vec<(Target, PathBuf)> = built.collect::<Result<_>>()?;
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    PROGRAMS.iter().map(|program| archive(program, &built, registry, out)).collect()
}

/// One program for all architectures.
fn archive(program: &Program, built: &[(Target, PathBuf)], registry: &str, out: &Path) -> Result<PathBuf> {
    const PREFIX: &str = "org.opencontainers.image";
    let name = format!("{}/{}:{}", registry.trim_end_matches('/'), program.name, env!("CARGO_PKG_VERSION"));
    let mut images = Vec::new();
    for (target, folder) in built {
        let binary = stripped(*target, &folder.join(program.name), out)?;
        let path = format!("/{}", program.name);
        let image = Image::new(&name).architecture(target.in_images()).file(&binary, &path)?;
        let image = image.entrypoint([path]).user(program.user);
        let labels = [
            ("title", program.title),
            ("version", env!("CARGO_PKG_VERSION")),
            ("licenses", "Apache-2.0"),
            ("source", env!("CARGO_PKG_REPOSITORY")),
        ];
        images.push(
            labels.into_iter().fold(image, |it, (key, text)| it.label(&format!("{PREFIX}.{key}"), text)),
        );
        fs::remove_file(binary)?;
    }
    let archive = out.join(program.name).with_extension("tar");
    Image::write_all(&images, &archive)?;
    Ok(archive)
}

/// A copy without what only a debugger reads: three quarters of it. Backtraces still name functions.
fn stripped(target: Target, program: &Path, folder: &Path) -> Result<PathBuf> {
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
