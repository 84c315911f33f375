//! Programs that the tests talk to, built from the Go modules that `tests/apps/` pins: gRPC's own interoperability
//! client and server, two clients of gRPC of our own, h2spec, a server and a client of Go's, and a client and a server of
//! WebSocket.

use std::fs;

use anyhow::{Context, Result};
use byway_tests::Peers;

use super::go;
use crate::progress::Step;

const PROGRAMS: [(Peers, &str, &str); 9] = [
    (Peers::Http2, "grpc-channel", "./channel"),
    (Peers::Http2, "grpc-client", "google.golang.org/grpc/interop/client"),
    (Peers::Http2, "grpc-mixed", "./mixed"),
    (Peers::Http2, "grpc-server", "google.golang.org/grpc/interop/server"),
    (Peers::Http2, "h2spec", "github.com/summerwind/h2spec/cmd/h2spec"),
    (Peers::Http2, "http2-client", "./client"),
    (Peers::Http2, "http2-server", "./server"),
    (Peers::WebSocket, "websocket-client", "./client"),
    (Peers::WebSocket, "websocket-server", "./server"),
];

/// The programs that are not there yet.
pub(super) fn missing() -> Result<Vec<(Peers, &'static str, &'static str)>> {
    let mut missing = Vec::new();
    for (peers, name, package) in PROGRAMS {
        if !peers.bin()?.join(name).is_file() {
            missing.push((peers, name, package));
        }
    }
    Ok(missing)
}

/// Builds the programs that are missing.
pub(super) fn ensure(cache: &mut go::Cache) -> Result<()> {
    for (peers, name, package) in missing()? {
        let bin = peers.bin()?;
        fs::create_dir_all(&bin)?;
        // A program is moved to its place once it is whole.
        let fresh = bin.join(format!("{name}-{}", std::process::id()));
        let folder = format!("tests/apps/{}", peers.folder());
        Step::start(format!("Building {name}, once"))
            .run(&mut cache.build(&folder, package, &fresh, "-s -w")?)?;
        fs::rename(&fresh, bin.join(name)).context("cannot keep what was built")?;
    }
    Ok(())
}
