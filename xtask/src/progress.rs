//! What a long step shows: a spinner on a terminal, plain lines elsewhere. Everything goes to stderr, so
//! that stdout holds only what a command is asked for.

use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

pub(crate) use log::Log;

mod log;
#[cfg(test)]
mod tests;

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

    /// Runs `command` as this step: its last line is shown while it runs. If it fails, one line says why, and a file has
    /// all that it said.
    pub(crate) fn run(self, command: &mut Command) -> Result<()> {
        let log = Mutex::new(Log::new(&self.title)?);
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped
            .spawn()
            .with_context(|| format!("{}: cannot run {}", self.title, command.get_program().display()))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        thread::scope(|threads| {
            threads.spawn(|| self.follow(out, &log));
            self.follow(err, &log);
        });
        let status = child.wait()?;
        let log = log.into_inner().unwrap_or_else(PoisonError::into_inner);
        if status.success() {
            log.forget();
            self.done();
            return Ok(());
        }
        let (why, file) = log.end();
        bail!("{}: {status}: {why} (all that it said: {})", self.title, file.display())
    }

    fn follow<R: Read>(&self, pipe: Option<R>, log: &Mutex<Log>) {
        for line in pipe.into_iter().flat_map(|p| BufReader::new(p).lines()).map_while(Result::ok) {
            if let Some(bar) = &self.bar {
                bar.set_message(line.trim().to_owned());
            }
            log.lock().unwrap_or_else(PoisonError::into_inner).say(&line);
        }
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
