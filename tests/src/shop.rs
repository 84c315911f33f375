//! A shop of services for tests on real nodes (`tests/apps/shop`), and its clients.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{Image, Scratch};

/// Builds the program. Static, so that an image needs nothing else.
///
/// # Errors
///
/// When Go is not there, or does not build it.
pub fn program() -> Result<PathBuf> {
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/apps/shop"));
    let binary = crate::programs::target_dir().join("shop");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&binary).arg(".").env("CGO_ENABLED", "0").stdin(Stdio::null());
    let output = build.current_dir(source).output().context("`cargo xtask setup` installs Go")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(binary)
}

/// Makes the image `localhost/shop:VERSION`, which says its version where `shop serve` is asked for `-`.
///
/// # Errors
///
/// When a file cannot be read or written.
pub fn image(program: &Path, version: &str, scratch: &Scratch) -> Result<PathBuf> {
    let (archive, said) = (scratch.path().join(version), scratch.path().join(format!("{version}.txt")));
    std::fs::write(&said, version)?;
    let image = Image::new(&format!("localhost/shop:{version}")).file(program, "/shop")?;
    image.file(&said, "/version")?.user("65532:65532").entrypoint(["/shop"]).write(&archive)?;
    Ok(archive)
}

/// Clients that ask until they are told to stop: `shop load`, from wherever a command runs it.
#[derive(Debug)]
pub struct Clients {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
}

/// What came of it.
#[derive(Debug, Deserialize)]
pub struct Answers {
    /// How many, by answer.
    pub answered: BTreeMap<String, u64>,
    /// From the first such answer to the last, in milliseconds.
    pub spans: BTreeMap<String, u64>,
    /// Errors and answers other than 200.
    pub failed: Vec<String>,
}

impl Clients {
    /// Starts them.
    ///
    /// # Errors
    ///
    /// When the command cannot be run.
    pub fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take().context("it was piped")?);
        Ok(Self { child, input, output })
    }

    /// Stops them.
    ///
    /// # Errors
    ///
    /// When they ended before, and said nothing.
    pub fn stop(mut self) -> Result<Answers> {
        drop(self.input.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        serde_json::from_str(&text).with_context(|| format!("the clients said {text:?}"))
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that asks for each line that it reads, over a connection that it keeps: `shop pool`, or a gRPC channel.
#[derive(Debug)]
pub struct Pool {
    child: Child,
    input: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Pool {
    /// Starts it. It has no connection yet.
    ///
    /// # Errors
    ///
    /// When the command cannot be run.
    pub fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take().context("it was piped")?);
        Ok(Self { child, input: input.context("it was piped")?, answers: BufReader::new(output).lines() })
    }

    /// What is answered now. `shop pool` says whether over a connection that was open before, too: `front v1 kept`.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn ask(&mut self) -> Result<String> {
        self.ask_for("")
    }

    /// The same of one that is told what to ask for.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn ask_for(&mut self, what: &str) -> Result<String> {
        writeln!(self.input, "{what}")?;
        Ok(self.answers.next().context("the client has ended")??)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
