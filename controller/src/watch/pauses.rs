//! How long it is before a watch that broke is begun again.

use std::time::{Duration, Instant};

use backon::ExponentialBuilder;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::ExponentialBackoff;

/// After so long without a failure the shortest pause is next.
const CALM: Duration = Duration::from_secs(15);

/// From less than a second to five. The library's own grow to half a minute, and do not shrink for two: an API server that
/// restarts a few times would leave the controller blind for as long. And they begin anew with each event, of which a list
/// that fails has one, too: it would be tried again at once by each of a thousand watches.
pub(super) struct Pauses {
    growing: ExponentialBackoff,
    last: Option<Instant>,
}

impl Default for Pauses {
    fn default() -> Self {
        let growing = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(400))
            .with_max_delay(Duration::from_secs(5))
            .with_jitter()
            .without_max_times();
        Self { growing: growing.into(), last: None }
    }
}

impl Pauses {
    /// The pause after a failure at this time.
    fn after(&mut self, failure: Instant) -> Option<Duration> {
        if self.last.replace(failure).is_some_and(|last| failure.duration_since(last) > CALM) {
            self.growing.reset();
        }
        self.growing.next()
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.after(Instant::now())
    }
}

impl Backoff for Pauses {
    /// Only time tells.
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_grow_to_some_seconds_and_begin_anew_after_a_calm() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        for _ in 0..20 {
            pauses.after(now);
            pauses.reset();
        }
        let long = pauses.after(now).unwrap();
        assert!((Duration::from_secs(5)..Duration::from_secs(11)).contains(&long), "{long:?}");
        let short = pauses.after(now + CALM + Duration::from_secs(1)).unwrap();
        assert!(short < Duration::from_secs(1), "{short:?}");
    }
}
