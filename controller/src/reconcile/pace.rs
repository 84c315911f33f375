//! How often all is planned anew.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Changes that come this close together are planned for once.
const QUIET: Duration = Duration::from_millis(5);
/// Planning takes at most one part in so many of a processor's time. What it waits for a processor does not count: where
/// others keep it waiting, waiting longer would only make routes late.
const SHARE: u32 = 4;

/// The pause between one plan and the next.
#[derive(Default)]
pub(super) struct Pace {
    /// When the last plan was made, and the processor's time that it took.
    last: Option<(Instant, Duration)>,
}

impl Pace {
    /// How long changes are gathered for the next plan.
    pub(super) fn rest(&self) -> Duration {
        let left = |(at, took): (Instant, Duration)| (took * SHARE).saturating_sub(at.elapsed());
        self.last.map_or(QUIET, |last| left(last).max(QUIET))
    }

    /// Runs what makes a plan.
    pub(super) fn run(&mut self, plan: impl FnOnce()) {
        let before = processor_time();
        plan();
        self.last = Some((Instant::now(), processor_time().saturating_sub(before)));
    }
}

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    // A clock that every Linux has.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}
