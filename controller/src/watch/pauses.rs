//! How long a watch waits before it is begun again.

use std::time::Duration;

use kube::runtime::utils::Backoff;

const FIRST: Duration = Duration::from_millis(400);
/// The library's own pauses grow to half a minute, and do not shrink for two: an API server that restarts a few times
/// would leave the controller blind for as long.
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses that double until one try succeeds.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    tries: u32,
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = FIRST.saturating_mul(1 << self.tries.min(8)).min(LONGEST);
        self.tries += 1;
        // So that not all watches come back at once.
        Some(pause.mul_f64(jitter()))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.tries = 0;
    }
}

/// From 0.75 to 1.25, by the clock: it need not be random, only different.
fn jitter() -> f64 {
    let nanos = jiff::Timestamp::now().subsec_nanosecond().unsigned_abs() % 1000;
    0.75 + f64::from(nanos) / 2000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_seconds_and_begin_anew_after_a_success() {
        let mut pauses = Pauses::default();
        let all: Vec<_> = pauses.by_ref().take(12).collect();
        assert!(all[0] <= FIRST.mul_f64(1.25), "{all:?}");
        assert!(all.iter().all(|it| *it <= LONGEST.mul_f64(1.25)), "{all:?}");
        assert!(all[11] >= LONGEST.mul_f64(0.75), "{all:?}");
        pauses.reset();
        assert!(pauses.next() <= Some(FIRST.mul_f64(1.25)));
    }
}
