//! `doctor`: looks whether a cluster can have previews.

use clap::Args;

use crate::{args::Global, exit::Exit, exit::Failure};

/// Look whether the cluster, and a namespace in it, can have previews.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {}

/// Runs it.
///
/// # Errors
///
/// When something is amiss.
pub async fn run(_global: &Global, _args: &DoctorArgs) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "NotImplemented", "doctor is not in this version"))
}
