//! `cargo xtask image`: container images of our programs, made without a container engine.
//!
//! Each is one statically linked program and nothing else: no base image, no shell, no library to keep up to date. The
//! `Containerfile` makes the same ones with an engine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use byway_tests::Image;

use crate::build::{self, Target, stripped};
use crate::programs::{PROGRAMS, Program, packages};
use crate::workspace;

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
