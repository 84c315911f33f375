//! Ctrl-C and its like end a command between two steps, so that every guard cleans up what it made.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::{SigSet, Signal};

static ASKED: AtomicBool = AtomicBool::new(false);

/// The user asked to end.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// From now on, SIGINT, SIGTERM and SIGHUP only set a mark. Call it before any thread is started.
pub(crate) fn watch() -> Result<()> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block()?;
    thread::spawn(move || {
        while signals.wait().is_ok() {
            ASKED.store(true, Ordering::Relaxed);
        }
    });
    Ok(())
}

/// Fails with [`Interrupted`] once the user has asked to end.
pub(crate) fn check() -> Result<()> {
    if ASKED.load(Ordering::Relaxed) { Err(Interrupted.into()) } else { Ok(()) }
}

/// Sleeps, but not beyond the user's asking.
pub(crate) fn sleep(time: Duration) -> Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        check()?;
        thread::sleep(Duration::from_millis(20).min(until.saturating_duration_since(Instant::now())));
    }
    check()
}
