//! The compiler and linker for the eBPF programs.
//!
//! Stable Rust has no `core` for BPF. Two ways to one: rustup's nightly, which builds it from rust-src, or
//! Debian's `rustc-web`, which comes with it built. bpf-linker reads the compiler's bitcode, so it must use
//! the same LLVM as the compiler: both versions are read from the machine, because both move with updates.

use std::fmt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env::consts::ARCH, fs};

use anyhow::{Context, Result, bail};

use super::packages;
use crate::progress::Step;
use crate::workspace;

const BPF_LINKER: &str = "0.13.0";
const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];

/// A compiler that can build for BPF.
pub(crate) enum Toolchain {
    /// rustup's nightly with rust-src.
    Nightly { llvm: Llvm },
    /// The distribution's `/usr/bin/rustc` with a prebuilt `core`.
    Distribution { llvm: Llvm },
}

/// The LLVM inside a compiler.
pub(crate) struct Llvm {
    /// As in "22.1".
    version: String,
    /// The shared library.
    library: PathBuf,
}

/// Whether there is a toolchain with its linker.
pub(super) fn is_there() -> bool {
    Toolchain::find().is_ok_and(|it| it.has_linker().unwrap_or(false))
}

/// Makes sure that there is a toolchain and its linker.
pub(super) fn ensure() -> Result<()> {
    if Toolchain::find().is_err() && packages::is_debian() {
        packages::install(&PACKAGES)?;
    }
    Toolchain::find()?.ensure_linker()
}

impl Toolchain {
    /// Finds the toolchain of this machine, nightly first.
    pub(crate) fn find() -> Result<Self> {
        if let Some(sysroot) = nightly_with_source() {
            let rustc = sysroot.join("bin/rustc");
            return Ok(Self::Nightly { llvm: Llvm::of(&rustc, &sysroot.join("lib"))? });
        }
        if Path::new("/usr/lib/rustlib/bpfel-unknown-none").is_dir() {
            let libraries = Path::new("/usr/lib").join(format!("{ARCH}-linux-gnu"));
            return Ok(Self::Distribution { llvm: Llvm::of(Path::new("/usr/bin/rustc"), &libraries)? });
        }
        bail!(
            "no Rust compiler with `core` for BPF. Either\n\
             \x20 rustup toolchain install nightly --component rust-src\n\
             or, on Debian,\n\
             \x20 apt-get install {}",
            PACKAGES.join(" ")
        )
    }

    /// Where this toolchain's bpf-linker is installed.
    pub(crate) fn root(&self) -> Result<PathBuf> {
        let tools = workspace::tools_dir()?;
        Ok(match self {
            Self::Nightly { .. } => tools.join("nightly"),
            Self::Distribution { .. } => tools,
        })
    }

    fn llvm(&self) -> &Llvm {
        match self {
            Self::Nightly { llvm } | Self::Distribution { llvm } => llvm,
        }
    }

    fn has_linker(&self) -> Result<bool> {
        let root = self.root()?;
        Ok(self.llvm().is_linked(&root.join("llvm")) && is_installed(&root, &self.llvm().feature()))
    }

    fn ensure_linker(&self) -> Result<()> {
        if self.has_linker()? {
            return Ok(());
        }
        let (root, llvm) = (self.root()?, self.llvm());
        let prefix = root.join("llvm");
        llvm.link(&prefix)?;
        let mut install = workspace::foreign_cargo("cargo");
        install
            .args(["install", "bpf-linker", "--version", BPF_LINKER, "--locked", "--force"])
            .args(["--no-default-features", "--features", &llvm.feature(), "--root"])
            .arg(&root)
            .env("LLVM_PREFIX", &prefix);
        // LLVM does the work: what is compiled here hands it over.
        let quick = [("OPT_LEVEL", "1"), ("DEBUG", "false"), ("LTO", "off"), ("CODEGEN_UNITS", "16")];
        install.envs(quick.map(|(what, how)| (format!("CARGO_PROFILE_RELEASE_{what}"), how)));
        Step::start(format!("Building bpf-linker {BPF_LINKER} for LLVM {}, once", llvm.version))
            .run(&mut install)
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Nightly { .. } => "rustup's nightly",
            Self::Distribution { .. } => "the distribution's rustc",
        };
        write!(f, "{name}, LLVM {}", self.llvm().version)
    }
}

impl Llvm {
    fn of(rustc: &Path, libraries: &Path) -> Result<Self> {
        let said = stdout(Command::new(rustc).arg("-vV").env_remove("RUSTUP_TOOLCHAIN"))
            .with_context(|| format!("{} does not run", rustc.display()))?;
        let version = major_minor(&said).with_context(|| format!("{} names no LLVM", rustc.display()))?;
        let start = format!("libLLVM.so.{version}");
        let library = fs::read_dir(libraries)?
            .filter_map(Result::ok)
            .find(|file| file.file_name().to_str().is_some_and(|name| name.starts_with(&start)))
            .with_context(|| format!("no {start} in {}", libraries.display()))?
            .path();
        Ok(Self { version, library })
    }

    /// The feature of bpf-linker that fits.
    fn feature(&self) -> String {
        format!("llvm-{}", self.version.split('.').next().unwrap_or_default())
    }

    fn is_linked(&self, prefix: &Path) -> bool {
        fs::read_link(prefix.join("lib/libLLVM.so")).is_ok_and(|target| target == self.library)
    }

    /// bpf-linker wants a folder `lib` with `libLLVM.so` in it, and looks there for the library's own name
    /// when it runs.
    fn link(&self, prefix: &Path) -> Result<()> {
        let lib = prefix.join("lib");
        if lib.exists() {
            fs::remove_dir_all(&lib)?;
        }
        fs::create_dir_all(&lib)?;
        symlink(&self.library, lib.join("libLLVM.so"))?;
        symlink(&self.library, lib.join(self.library.file_name().unwrap_or_default()))?;
        Ok(())
    }
}

/// "22.1" out of the line "LLVM version: 22.1.8".
fn major_minor(said: &str) -> Option<String> {
    let version = said.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    let mut parts = version.split('.');
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}

/// The nightly's folder, if its rust-src is there too.
fn nightly_with_source() -> Option<PathBuf> {
    let mut rustc = Command::new("rustup");
    rustc.args(["run", "nightly", "rustc", "--print", "sysroot"]).env_remove("RUSTUP_TOOLCHAIN");
    let sysroot = PathBuf::from(stdout(&mut rustc)?.trim());
    sysroot.join("lib/rustlib/src/rust/library/core").is_dir().then_some(sysroot)
}

/// True if `root` holds the bpf-linker that we would install. Cargo writes down what it installed and how.
fn is_installed(root: &Path, feature: &str) -> bool {
    let Ok(text) = fs::read_to_string(root.join(".crates2.json")) else {
        return false;
    };
    let Ok(record) = serde_json::from_str::<serde_json::Value>(&text) else {
        return false;
    };
    let wanted = format!("bpf-linker {BPF_LINKER} ");
    let right = record["installs"].as_object().into_iter().flatten().any(|(name, how)| {
        name.starts_with(&wanted)
            && how["features"].as_array().is_some_and(|all| all.contains(&feature.into()))
    });
    right && root.join("bin/bpf-linker").is_file()
}

fn stdout(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::major_minor;

    #[test]
    fn the_version_of_llvm_is_read_from_rustc() {
        let said = "rustc 1.96.0 (ac68faa20 2026-05-25)\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(major_minor(said).as_deref(), Some("22.1"));
        assert_eq!(major_minor("rustc 1.96.0\n"), None);
    }
}
