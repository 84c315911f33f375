//! Go, for one of the servers that the tests run, and for Kubernetes.
//!
//! Since 1.24, Go's listeners speak MPTCP by default, and that is what must keep working; Debian 12 has 1.19.
//! Where no such Go is on `PATH`, one is fetched the way that Go fetches its own newer versions: as the
//! module golang.org/toolchain.

use std::env::{self, consts::ARCH};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};

use super::path_with_tools;
use crate::progress::Step;
use crate::workspace;

const OLDEST: (u32, u32) = (1, 24);
const MODULE: &str = "golang.org/toolchain@v0.0.1-go1.24.4.linux-amd64";
/// Of the module's zip, whose contents the checksum database knows as
/// `h1:nm4Il5pypT+vEB1UPY4e+r1p/0HoRr/2jjj+dwb8KhA=`.
const SHA256: &str = "a44b3b07ab40a14e785eb421dc6b09cf6a136eb46c9c8a334f8b752184875866";

/// Where the fetched one has its programs.
pub(super) fn bin() -> Result<PathBuf> {
    Ok(workspace::tools_dir()?.join(MODULE).join("bin"))
}

/// Whether there is one that is new enough.
pub(super) fn is_there() -> Result<bool> {
    Ok(bin()?.join("go").is_file() || on_path())
}

/// Fetches Go if there is none that is new enough. Needs curl and python3.
pub(super) fn ensure() -> Result<()> {
    if is_there()? {
        return Ok(());
    }
    if ARCH != "x86_64" {
        bail!("Go {}.{} or newer is needed: install it from https://go.dev/dl", OLDEST.0, OLDEST.1);
    }
    let tools = workspace::tools_dir()?;
    fs::create_dir_all(&tools)?;
    let zip = tools.join("go.zip");
    let (path, version) = MODULE.split_once('@').unwrap_or_default();
    let url = format!("{}/{path}/@v/{version}.zip", proxy());
    Step::start("Fetching Go, once")
        .run(Command::new("curl").args(["-sSfL", "--retry", "3", "-o"]).arg(&zip).arg(url))?;

    let sum = Command::new("sha256sum").arg(&zip).output()?.stdout;
    ensure!(
        sum.starts_with(SHA256.as_bytes()),
        "{} is not the Go that was expected: remove it and try again, or install Go yourself",
        zip.display()
    );
    Step::start("Unpacking Go").run(Command::new("python3").args(["-c", UNPACK]).arg(&zip).arg(&tools))?;
    Ok(fs::remove_file(&zip)?)
}

/// What Go keeps of its work: 4 GB after Kubernetes. While something is missing it is kept, so that the next set-up goes on
/// where this one stopped.
pub(super) struct Cache {
    folder: PathBuf,
    filled: bool,
}

impl Cache {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { folder: workspace::tools_dir()?.join("go-build"), filled: false })
    }

    /// The command that builds a package with the versions that `folder` of the workspace pins.
    pub(super) fn build(&mut self, folder: &str, package: &str, to: &Path, ldflags: &str) -> Result<Command> {
        self.filled = true;
        let mut go = Command::new("go");
        // Packages are named as they are compiled: the last one is shown.
        go.args(["build", "-v", "-p", "2", "-trimpath", "-ldflags", ldflags, "-o"]).arg(to).arg(package);
        go.current_dir(workspace::root().join(folder)).env("PATH", path_with_tools()?);
        go.env("CGO_ENABLED", "0").env("GOWORK", "off").env("GOCACHE", &self.folder);
        Ok(go)
    }

    /// Takes away what this set-up has put there.
    pub(super) fn forget(self) -> Result<()> {
        if self.filled { Ok(fs::remove_dir_all(self.folder)?) } else { Ok(()) }
    }
}

/// Modules know no permissions. `go` itself is marked last: it says that all is there.
const UNPACK: &str = "
import os, sys, zipfile
archive, folder = sys.argv[1:]
with zipfile.ZipFile(archive) as z:
    z.extractall(folder)
    tools = [n for n in z.namelist() if '/pkg/tool/' in n or '/bin/' in n]
    for name in sorted(tools, key=lambda n: n.endswith('/bin/go')):
        os.chmod(os.path.join(folder, name), 0o755)
";

fn on_path() -> bool {
    let Some(go) = workspace::find("go") else {
        return false;
    };
    let said = Command::new(go).args(["env", "GOVERSION"]).output().map(|output| output.stdout);
    said.is_ok_and(|said| version(&String::from_utf8_lossy(&said)).is_some_and(|v| v >= OLDEST))
}

/// (1, 24) out of "go1.24.4".
fn version(said: &str) -> Option<(u32, u32)> {
    let digits = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok());
    let (major, rest) = said.trim().strip_prefix("go")?.split_once('.')?;
    Some((digits(major)?, digits(rest)?))
}

/// The first module proxy that the user has set, else Go's own.
fn proxy() -> String {
    let set = env::var("GOPROXY").unwrap_or_default();
    let first = set.split([',', '|']).find(|entry| entry.starts_with("http"));
    first.unwrap_or("https://proxy.golang.org").trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_of_go_are_read() {
        assert_eq!(version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(version("go1.24rc1"), Some((1, 24)));
        assert_eq!(version("devel +abc"), None);
    }
}
