//! What all on the stage know: the ports, the key, and where the programs are.

use std::path::PathBuf;

/// The steered port of the app.
pub(super) const APP_PORT: u16 = 8080;
/// Where proxies reach the app: not steered.
pub(super) const APP_DIRECT_PORT: u16 = 8081;
/// The steered port for uploads; for gRPC on a stage of HTTP/2.
pub(super) const SECOND_PORT: u16 = 8090;
/// Where proxies reach that.
pub(super) const SECOND_DIRECT_PORT: u16 = 8091;
/// The preview's key.
pub(super) const KEY: &str = "bench";

/// Programs that were built or fetched.
pub(super) struct Programs {
    pub(super) steer: PathBuf,
    pub(super) grpc: PathBuf,
    pub(super) envoy: PathBuf,
}
