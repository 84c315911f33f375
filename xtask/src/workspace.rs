//! Where things are, and how `cargo` is called from within `cargo xtask`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
pub(crate) use byway_tests::find_program as find;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo puts what it builds for this machine.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Tools that are built once for this user, not once per checkout.
pub(crate) fn tools_dir() -> Result<PathBuf> {
    Ok(byway_tests::cache_dir()?.join("tools"))
}

/// True in continuous integration, where a check that cannot run is a failure.
pub(crate) fn in_ci() -> bool {
    env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// The workspace's own cargo, as called by hand in the root: what the outer `cargo run` told this process
/// about xtask itself is not passed on.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    forget(&mut command, |name| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|p| name.starts_with(p))
            || name == "CARGO_PRIMARY_PACKAGE"
    });
    command
}

/// Another cargo, with another compiler: nothing that was meant for the workspace's compiler is passed on.
/// Proxies, registries and `CARGO_HOME` stay.
pub(crate) fn foreign_cargo(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    forget(&mut command, |name| {
        let kept = [
            "CARGO_HOME",
            "CARGO_HTTP_",
            "CARGO_NET_",
            "CARGO_REGISTRY",
            "CARGO_REGISTRIES_",
            "CARGO_SOURCE_",
            "CARGO_TERM_",
        ];
        let cargo = name.starts_with("CARGO") && !kept.iter().any(|p| name.starts_with(p));
        let rustc = name.starts_with("RUSTC") || name.starts_with("RUSTDOC") || name == "RUSTFLAGS";
        cargo || rustc || name == "RUSTUP_TOOLCHAIN" || name == "LD_LIBRARY_PATH"
    });
    // An empty wrapper also overrides one from a configuration file.
    command.env("RUSTC_WRAPPER", "");
    command
}

fn forget(command: &mut Command, unwanted: impl Fn(&str) -> bool) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(&unwanted) {
            command.env_remove(&name);
        }
    }
}
