//! What the controller counts, in OpenMetrics.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// All of it.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Counter,
    reconcile_seconds: Histogram,
    operations: Family<What, Counter>,
    operation_seconds: Family<What, Histogram>,
    errors: Family<Error, Counter>,
    watch_errors: Family<What, Counter>,
    previews: Family<OfPhase, Gauge>,
    leader: Gauge,
    up_to_date: Gauge<f64, AtomicU64>,
    /// When the loop of a leader began anew last.
    turned: Mutex<Option<Instant>>,
}

/// A loop that takes longer than this is stuck: it looks round every minute, even if nothing happens.
const STUCK: Duration = Duration::from_secs(120);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Error {
    what: &'static str,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPhase {
    phase: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("byway_controller");
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let metrics = Self {
            reconciles: Counter::default(),
            reconcile_seconds: seconds(),
            operations: Family::default(),
            operation_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 2.0, 15))
            }),
            errors: Family::default(),
            watch_errors: Family::default(),
            previews: Family::default(),
            leader: Gauge::default(),
            up_to_date: Gauge::default(),
            turned: Mutex::default(),
            registry: Registry::default(),
        };
        registry.register("reconciles", "Times that all was planned anew", metrics.reconciles.clone());
        registry.register_with_unit(
            "reconcile_duration",
            "How long planning took",
            Unit::Seconds,
            metrics.reconcile_seconds.clone(),
        );
        registry.register(
            "operations",
            "Attempts to bring an object to what is wanted, by kind",
            metrics.operations.clone(),
        );
        registry.register_with_unit(
            "operation_duration",
            "How long they took",
            Unit::Seconds,
            metrics.operation_seconds.clone(),
        );
        registry.register(
            "errors",
            "Operations that failed, by kind of object and reason",
            metrics.errors.clone(),
        );
        registry.register("watch_errors", "Watches that broke", metrics.watch_errors.clone());
        registry.register("previews", "Previews by phase", metrics.previews.clone());
        registry.register("leader", "1 while this replica leads", metrics.leader.clone());
        registry.register(
            "last_reconcile_timestamp_seconds",
            "When all was planned last, in Unix time",
            metrics.up_to_date.clone(),
        );
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// A write has ended.
    pub fn wrote(&self, what: &'static str, took: Duration, error: Option<&str>) {
        self.operations.get_or_create(&What { what }).inc();
        self.operation_seconds.get_or_create(&What { what }).observe(took.as_secs_f64());
        if let Some(code) = error {
            self.errors.get_or_create(&Error { what, code: code.to_owned() }).inc();
        }
    }

    /// A watch broke.
    pub fn watch_failed(&self, what: &'static str) {
        self.watch_errors.get_or_create(&What { what }).inc();
    }

    /// All was planned.
    pub fn reconciled(&self, took: Duration) {
        self.reconciles.inc();
        self.reconcile_seconds.observe(took.as_secs_f64());
        self.up_to_date.set(jiff::Timestamp::now().as_duration().as_secs_f64());
    }

    /// How many Previews are in each phase.
    pub fn set_previews(&self, phase: byway_api::Phase, count: usize) {
        self.previews.get_or_create(&OfPhase { phase: phase.as_str().to_owned() }).set(count as i64);
    }

    /// Whether this replica leads.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// The loop begins anew.
    pub fn turned(&self, now: Instant) {
        *self.turned.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether the loop has not begun anew for too long. One that does not lead has none.
    pub fn is_stuck(&self, now: Instant) -> bool {
        let turned = *self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        turned.is_some_and(|turned| now.saturating_duration_since(turned) > STUCK)
    }

    /// The text of `/metrics`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_stuck_once_it_has_not_begun_anew_for_longer_than_it_sleeps() {
        let (metrics, now) = (Metrics::default(), Instant::now());
        assert!(!metrics.is_stuck(now + 2 * STUCK), "nothing to do before it leads");
        metrics.turned(now);
        assert!(!metrics.is_stuck(now + STUCK) && metrics.is_stuck(now + 2 * STUCK));
        metrics.turned(now + 2 * STUCK);
        assert!(!metrics.is_stuck(now + 2 * STUCK));
    }
}
