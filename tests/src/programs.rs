//! Where programs are that come with the machine, and where those are that were built for tests.

use std::env::{self, consts::ARCH};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Where distributions put what only root needs, and plugins that nobody starts by hand.
const BESIDE_PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin"];

/// `PATH` with all of that: a user who became root may have kept his own.
pub(crate) fn root_path() -> OsString {
    env::join_paths(folders()).unwrap_or_else(|_| env::var_os("PATH").unwrap_or_default())
}

/// Finds a program on `PATH`, or where only root looks.
#[must_use]
pub fn find_program(program: &str) -> Option<PathBuf> {
    folders().into_iter().map(|dir| dir.join(program)).find(|file| file.is_file())
}

fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(BESIDE_PATH.map(PathBuf::from)).collect()
}

/// What is built once for this user, not once per checkout.
///
/// # Errors
///
/// When no variable of the environment says where.
pub fn cache_dir() -> Result<PathBuf> {
    env::var_os("BYWAY_CACHE")
        .map(PathBuf::from)
        .or_else(|| env::var_os("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("byway")))
        .or_else(|| env::var_os("HOME").map(|dir| PathBuf::from(dir).join(".cache/byway")))
        .context("none of BYWAY_CACHE, XDG_CACHE_HOME and HOME is set: set BYWAY_CACHE to a folder for built tools")
}

/// A program of this project: what the variable `BYWAY_AGENT`, or the like, names, else what `cargo xtask build` made.
#[must_use]
pub fn built(program: &str) -> PathBuf {
    let variable = program.to_uppercase().replace('-', "_");
    let release = target_dir().join(format!("{ARCH}-unknown-linux-gnu/release"));
    env::var_os(variable).map_or_else(|| release.join(program), PathBuf::from)
}

/// A module of Go with programs that the tests talk to: `tests/apps/` has a folder for each, which pins its versions.
#[derive(Clone, Copy, Debug)]
pub enum Peers {
    /// gRPC and HTTP/2.
    Http2,
    /// WebSocket.
    WebSocket,
}

impl Peers {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Http2, Self::WebSocket];

    /// The name of its folder.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Http2 => "http2",
            Self::WebSocket => "websocket",
        }
    }

    /// A program of it.
    ///
    /// # Errors
    ///
    /// When it was not built.
    pub fn program(self, name: &str) -> Result<PathBuf> {
        let file = self.bin()?.join(name);
        file.is_file().then_some(&file).with_context(|| {
            let folder = file.parent().unwrap_or(&file).display();
            format!("{folder} has no {name}: run `cargo xtask setup test`")
        })?;
        Ok(file)
    }

    /// Where its programs are: a folder in the cache for exactly these versions and sources.
    ///
    /// # Errors
    ///
    /// As [`cache_dir`].
    pub fn bin(self) -> Result<PathBuf> {
        let sources: &[&str] = match self {
            Self::Http2 => &[
                include_str!("../apps/http2/go.sum"),
                include_str!("../apps/http2/server/main.go"),
                include_str!("../apps/http2/client/main.go"),
                include_str!("../apps/http2/channel/main.go"),
                include_str!("../apps/http2/mixed/main.go"),
            ],
            Self::WebSocket => &[
                include_str!("../apps/websocket/go.sum"),
                include_str!("../apps/websocket/server/main.go"),
                include_str!("../apps/websocket/client/main.go"),
            ],
        };
        Ok(cache_dir()?.join(self.folder()).join(digest(sources)))
    }
}

/// Where envoy is, once `cargo xtask setup` has fetched it.
///
/// # Errors
///
/// As [`cache_dir`].
pub fn envoy() -> Result<PathBuf> {
    Ok(cache_dir()?.join("tools/envoy-1.40.0"))
}

/// Where npm put the packages that `tests/browser/` pins: a folder in the cache for exactly these versions.
///
/// # Errors
///
/// As [`cache_dir`].
pub fn node_modules() -> Result<PathBuf> {
    let lock = include_str!("../browser/package-lock.json");
    Ok(cache_dir()?.join("browser").join(digest(&[lock])).join("node_modules"))
}

/// Libraries that servers of `tests/apps/http2/` need and that no distribution has.
#[derive(Clone, Copy, Debug)]
pub enum Libraries {
    /// hypercorn and what it needs, in a folder as `PYTHONPATH` wants it.
    Python,
    /// grpc-java with Netty, and the server's own classes, in a folder as `-cp` wants it.
    Java,
}

impl Libraries {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Python, Self::Java];

    /// Where they are: a folder in the cache for exactly these versions and sources.
    ///
    /// # Errors
    ///
    /// As [`cache_dir`].
    pub fn folder(self) -> Result<PathBuf> {
        let (name, sources): (_, &[&str]) = match self {
            Self::Python => ("python", &[include_str!("../apps/http2/python/requirements.txt")]),
            Self::Java => (
                "java",
                &[include_str!("../apps/http2/java/pom.xml"), include_str!("../apps/http2/java/Server.java")],
            ),
        };
        Ok(cache_dir()?.join(name).join(digest(sources)))
    }
}

/// Names a folder by what it is made of.
fn digest(sources: &[&str]) -> String {
    let mut sum = Sha256::new();
    sources.iter().for_each(|source| sum.update(source));
    sum.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The archives that `cargo xtask image` made.
///
/// # Errors
///
/// When there are none.
pub fn images() -> Result<Vec<PathBuf>> {
    let folder = target_dir().join("images");
    let missing = || format!("no images in {}: `cargo xtask image` makes them", folder.display());
    let entries = std::fs::read_dir(&folder).with_context(missing)?;
    Ok(entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?)
}

/// Where cargo puts what it builds for this machine.
#[must_use]
pub fn target_dir() -> PathBuf {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}
