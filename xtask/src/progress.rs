//! What a long step shows: a spinner on a terminal, plain lines elsewhere. Everything goes to stderr, so
//! that stdout holds only what a command is asked for.

use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// A step that is under way. Dropped without [`Step::done`], it counts as failed.
pub(crate) struct Step {
    title: String,
    bar: Option<ProgressBar>,
    started: Instant,
    finished: bool,
}

impl Step {
    /// Shows `title`, say "Installing nginx".
    pub(crate) fn start(title: impl Into<String>) -> Self {
        let title = title.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{spinner:.cyan} {prefix} {wide_msg:.dim} {elapsed:.dim}");
            let bar = ProgressBar::new_spinner()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
                .with_prefix(title.clone());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if bar.is_none() {
            eprintln!("· {title} ...");
        }
        Self { title, bar, started: Instant::now(), finished: false }
    }

    /// Ends the step well.
    pub(crate) fn done(mut self) {
        self.finished = true;
        let line = format!("✓ {} ({:.1} s)", self.title, self.started.elapsed().as_secs_f32());
        self.end(&line);
    }

    /// Runs `command` as this step: its last line is shown while it runs, all of its output if it fails.
    pub(crate) fn run(self, command: &mut Command) -> Result<()> {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        let output = Arc::new(Mutex::new(String::new()));
        let out = self.follow(child.stdout.take(), &output);
        let err = self.follow(child.stderr.take(), &output);
        let status = child.wait()?;
        // Whatever the reading threads panicked with, the status tells more.
        let _ = (out.join(), err.join());
        if status.success() {
            self.done();
            return Ok(());
        }
        drop(self);
        let output = output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        bail!("{name} failed with {status}:\n{output}")
    }

    fn follow<R: Read + Send + 'static>(
        &self,
        pipe: Option<R>,
        output: &Arc<Mutex<String>>,
    ) -> thread::JoinHandle<()> {
        let bar = self.bar.clone();
        let output = Arc::clone(output);
        thread::spawn(move || {
            for line in pipe.into_iter().flat_map(|p| BufReader::new(p).lines()).map_while(Result::ok) {
                if let Some(bar) = &bar {
                    bar.set_message(line.trim().to_owned());
                }
                let mut output = output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                output.push_str(&line);
                output.push('\n');
            }
        })
    }

    fn end(&self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{line}");
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.finished {
            self.end(&format!("✗ {}", self.title));
        }
    }
}
