//! Signals that would end this process.

use std::fs::File;

use nix::sys::signal::Signal;
use nix::unistd::{getpgrp, tcgetpgrp};
use tokio::signal::unix::{self, SignalKind};

use crate::exit::{Exit, Failure};

/// The signals, from when this was made.
pub(super) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
    quit: unix::Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        let on = |kind| {
            unix::signal(kind).map_err(|error| {
                Failure::new(Exit::Failed, "Failed", format!("cannot wait for signals: {error}"))
            })
        };
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hang_up: on(SignalKind::hangup())?,
            quit: on(SignalKind::quit())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hang_up.recv() => Signal::SIGHUP,
            _ = self.quit.recv() => Signal::SIGQUIT,
        }
    }
}

/// Whether a terminal sends its signals to this process group, and so to the command too.
pub(super) fn is_foreground() -> bool {
    let terminal = File::open("/dev/tty").ok();
    terminal.and_then(|it| tcgetpgrp(it).ok()) == Some(getpgrp())
}
