//! Requests from within a pod, without a pause.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;

/// Clients that ask until they are told to stop.
pub(crate) struct Load {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
}

/// What came of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Outcome {
    /// By answer.
    pub(crate) answered: BTreeMap<String, u64>,
    /// Errors and answers other than 200.
    pub(crate) failed: Vec<String>,
}

impl Load {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, input, output }
    }

    pub(crate) fn stop(mut self) -> Outcome {
        drop(self.input.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
