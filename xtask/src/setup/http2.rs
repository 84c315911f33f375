//! Programs that speak HTTP/2 and gRPC, for the tests: gRPC's own interoperability client and server, h2spec, and a
//! server and a client of Go's. Built from the Go modules that `tests/apps/http2/go.mod` pins.

use std::fs;

use anyhow::{Context, Result};

use super::go;
use crate::progress::Step;

const PROGRAMS: [(&str, &str); 5] = [
    ("grpc-client", "google.golang.org/grpc/interop/client"),
    ("grpc-server", "google.golang.org/grpc/interop/server"),
    ("h2spec", "github.com/summerwind/h2spec/cmd/h2spec"),
    ("http2-client", "./client"),
    ("http2-server", "./server"),
];

/// Builds the programs that are missing.
pub(super) fn ensure() -> Result<()> {
    let bin = byway_tests::http2_bin()?;
    for (name, package) in PROGRAMS.iter().filter(|(name, _)| !bin.join(name).is_file()) {
        fs::create_dir_all(&bin)?;
        // A program is moved to its place once it is whole.
        let fresh = bin.join(format!("{name}-{}", std::process::id()));
        Step::start(format!("Building {name}, once")).run(&mut go::build(
            "tests/apps/http2",
            package,
            &fresh,
            "-s -w",
        )?)?;
        fs::rename(&fresh, bin.join(name)).context("cannot keep what was built")?;
    }
    Ok(())
}
