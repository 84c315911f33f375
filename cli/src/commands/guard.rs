//! The process that ends the preview of `run` when `run` is killed: it holds one end of a pipe whose other end dies with it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::Done;
use super::marked::delete;
use crate::args::{Global, GuardArgs};
use crate::client::Cluster;
use crate::exit::{Exit, Failure};

/// A Preview that was being created when its creator was killed may come so much later.
const LATE: Duration = Duration::from_secs(15);
/// So long is tried to reach the API server.
const PATIENCE: Duration = Duration::from_secs(600);

/// The guard, as seen by `run`.
pub(super) struct Guard {
    process: Child,
    pipe: ChildStdin,
}

impl Guard {
    /// Starts it, before the Preview is made.
    pub(super) fn start(global: &Global, object: &Value, mark: &str) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Failed, "NoGuard", format!("cannot start the process that cleans up: {error}"))
        };
        let metadata = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args([
            "guard",
            "--namespace",
            &metadata("namespace"),
            "--name",
            &metadata("name"),
            "--mark",
            mark,
        ]);
        if let Some(context) = &global.context {
            command.args(["--context", context]);
        }
        if let Some(file) = &global.kubeconfig {
            command.arg("--kubeconfig").arg(file);
        }
        // Of a group of its own, so that Ctrl-C is not for it; without our output, so that nobody who reads that waits for it.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().map_err(failed)?;
        let pipe = process.stdin.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self { process, pipe })
    }

    /// The Preview has ended: there is nothing left to do.
    pub(super) async fn dismiss(mut self) {
        // If it is gone, that is as well.
        let _ = self.pipe.write_all(b"done").await;
        drop(self.pipe);
        let _ = self.process.wait().await;
    }
}

/// The process itself.
pub(super) async fn run(global: &Global, args: &GuardArgs) -> Done {
    // Whoever ends a process and all its children means us too: but then there is work to do.
    let ignored = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    // The cluster is found while the kubeconfig is there for sure.
    let cluster = Cluster::find(global).await?;
    let mut said = Vec::new();
    // Nothing more can be read either way.
    let _ = tokio::io::stdin().read_to_end(&mut said).await;
    if said == b"done" {
        return Ok(Exit::Ok.code());
    }
    let api = cluster.previews(&cluster.namespace);
    let begun = Instant::now();
    let mut pause = Duration::from_millis(200);
    loop {
        match delete(&api, &args.name, &args.mark).await {
            Ok(true) => break,
            Ok(false) if begun.elapsed() > LATE => break,
            Err(failure) if begun.elapsed() > PATIENCE => return Err(failure),
            Ok(false) => pause = Duration::from_millis(500),
            Err(_) => pause = (pause * 2).min(Duration::from_secs(10)),
        }
        tokio::time::sleep(pause).await;
    }
    drop(ignored);
    Ok(Exit::Ok.code())
}
