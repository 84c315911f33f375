//! `kubectl-preview`, called as a user would.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use byway_tests::{Scratch, built, eventually, tied};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use crate::stage::{PATIENCE, Space};

/// What a call printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Out {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A call that goes on.
pub(crate) struct Call {
    child: Child,
    folder: Scratch,
}

/// A call, in the namespace of a test.
pub(crate) fn call<S: AsRef<str>>(space: &Space<'_>, args: &[S]) -> Out {
    begin(space, args).end()
}

/// The same with this as standard input.
pub(crate) fn call_with(space: &Space<'_>, args: &[&str], input: &str) -> Out {
    let mut command = command(space.stage.cluster.kubeconfig());
    command.args(with_namespace(space, args));
    let folder = Scratch::new("input").unwrap();
    std::fs::write(folder.path().join("input"), input).unwrap();
    command.stdin(File::open(folder.path().join("input")).unwrap());
    Call::spawn(command).end()
}

pub(crate) fn begin<S: AsRef<str>>(space: &Space<'_>, args: &[S]) -> Call {
    let mut command = command(space.stage.cluster.kubeconfig());
    command.args(with_namespace(space, args));
    Call::spawn(command)
}

/// Behind the name of the command: what comes after `--` is not ours.
fn with_namespace<S: AsRef<str>>(space: &Space<'_>, args: &[S]) -> Vec<String> {
    let mut args: Vec<String> = args.iter().map(|it| it.as_ref().to_owned()).collect();
    args.splice(1..1, ["-n".to_owned(), space.name.clone()]);
    args
}

/// With nothing of the user's own.
pub(crate) fn command(kubeconfig: &Path) -> Command {
    let binary = built("kubectl-preview");
    assert!(binary.exists(), "no {}: `cargo xtask build` builds it", binary.display());
    let mut command = Command::new(binary);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("KUBECONFIG", kubeconfig).env("HOME", "/nonexistent").env("USER", "ann").stdin(Stdio::null());
    command
}

impl Call {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let folder = Scratch::new("call").unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        tied(&mut command);
        let child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Self { child, folder }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    pub(crate) fn stdout(&self) -> String {
        self.read("stdout")
    }

    pub(crate) fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// Waits until it has said this on standard error.
    pub(crate) fn wait_says(&self, text: &str) {
        let said = eventually(PATIENCE, || self.stderr().contains(text).then_some(()));
        assert!(said.is_some(), "it never said {text:?}, but: {}", self.stderr());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// To it, and what it has started in its group.
    pub(crate) fn signal_group(&self, signal: Signal) {
        killpg(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    pub(crate) fn end(mut self) -> Out {
        let ended = eventually(3 * PATIENCE + Duration::from_secs(30), || self.child.try_wait().unwrap());
        let status = ended.unwrap_or_else(|| panic!("it does not end; it said: {}", self.stderr()));
        Out { code: status.code(), stdout: self.stdout(), stderr: self.stderr() }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

impl Out {
    /// It ended so.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Its standard error has all of these, in this order.
    #[track_caller]
    pub(crate) fn says(self, wanted: &[&str]) -> Self {
        let mut rest = self.stderr.as_str();
        for text in wanted {
            let at =
                rest.find(text).unwrap_or_else(|| panic!("{text:?} is not in {rest:?} of {}", self.stderr));
            rest = &rest[at + text.len()..];
        }
        self
    }

    /// The events that it printed.
    pub(crate) fn events(&self) -> Vec<Value> {
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stdout.lines().map(line).collect()
    }
}
