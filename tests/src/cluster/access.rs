//! What a test does with a cluster, by `kubectl`: the same for every cluster, whoever brought it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Cluster, binaries, pki};
use crate::find_program;

impl Cluster {
    /// `kubectl` as administrator.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.env("KUBECONFIG", &self.kubeconfig);
        // By address and port it would remember the kinds of another cluster.
        command.env("KUBECACHEDIR", self.dir.path().join("kubectl"));
        command
    }

    /// `helm` as administrator, with nothing of the user's own.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn helm(&self) -> Result<Command> {
        let helm = binaries::built("helm", "helm").or_else(|e| find_program("helm").ok_or(e))?;
        let mut command = Command::new(helm);
        command.env("KUBECONFIG", &self.kubeconfig);
        for kind in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{kind}_HOME"), self.dir.path().join("helm"));
        }
        Ok(command)
    }

    /// What `kubectl` with these arguments prints.
    ///
    /// # Errors
    ///
    /// When it fails; says what it wrote to stderr.
    pub fn ask<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        finish(self.kubectl().args(args), "")
    }

    /// Applies objects, in YAML or JSON, on the server's side.
    ///
    /// # Errors
    ///
    /// When the server refuses one.
    pub fn apply(&self, objects: &str) -> Result<()> {
        let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        finish(self.kubectl().args(args), objects).map(drop)
    }

    /// Makes a namespace whose name starts so, and waits for its default service account: before that, no pod
    /// is admitted.
    ///
    /// # Errors
    ///
    /// When there is no such account within 30 seconds.
    pub fn namespace(&self, prefix: &str) -> Result<String> {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "generateName": format!("{prefix}-") },
        });
        let args = ["create", "-f", "-", "-o", "jsonpath={.metadata.name}"];
        let name = finish(self.kubectl().args(args), &object.to_string())?;
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        let account = ["wait", "--for=create", "--timeout=30s", "serviceaccount/default", "-n", &name];
        self.ask(account)?;
        Ok(name)
    }

    /// A kubeconfig with a token of a service account, good for an hour and, if a pod is given by its name and
    /// UID, bound to it as the tokens in pods are.
    ///
    /// # Errors
    ///
    /// When there is no such account or pod.
    pub fn kubeconfig_for(
        &self,
        namespace: &str,
        account: &str,
        pod: Option<(&str, &str)>,
    ) -> Result<PathBuf> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mut create = self.kubectl();
        create.args(["create", "token", account, "-n", namespace, "--duration=1h"]);
        if let Some((name, uid)) = pod {
            create.args(["--bound-object-kind=Pod", "--bound-object-name", name, "--bound-object-uid", uid]);
        }
        let token = finish(&mut create, "")?;
        let view = self.ask(["config", "view", "--raw", "--minify", "--flatten", "-o", "json"])?;
        let view: Value = serde_json::from_str(&view)?;
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = self.dir.path().join(format!("{account}-{n}.yaml"));
        pki::write_kubeconfig(&file, &view["clusters"][0]["cluster"], &json!({ "token": token.trim() }))?;
        Ok(file)
    }

    /// True once the API server is ready.
    pub(super) fn answers(&self) -> bool {
        self.ask(["get", "--raw", "/readyz", "--request-timeout=5s"]).is_ok()
    }
}

/// Runs a command to its end, with `input` as its stdin; returns its stdout.
fn finish(command: &mut Command, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = command.get_program().to_owned();
    let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it ends without reading all of it, its status and stderr tell more.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed with {}:\n{stderr}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
