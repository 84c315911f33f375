//! Sleep: no pods while nobody uses the preview.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::derives::KubeSchema;
use crate::ttl::seconds_of;

/// When the preview sleeps, and how long a request waits for it to wake.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Idle {
    /// It sleeps after so long without a request that has its key: `30m`, between `30s` and `720h`.
    #[serde(default = "half_an_hour")]
    #[schemars(schema_with = "schema::sleep_after")]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+(h|m|s))+$') && duration(self) >= duration('30s') && duration(self) <= duration('720h')")
        .message("sleepAfter must be a duration between 30s and 720h such as 30m or 2h"))]
    pub sleep_after: String,
    /// Whether it sleeps from the start, until the first request.
    #[serde(default, skip_serializing_if = "crate::absent::is_default")]
    pub start_asleep: bool,
    /// How long a request waits for a pod of it at most: `90s`, between `1s` and `10m`. Past that it is answered 503.
    #[serde(default = "a_while")]
    #[schemars(schema_with = "schema::wake_timeout")]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+(h|m|s))+$') && duration(self) >= duration('1s') && duration(self) <= duration('10m')")
        .message("wakeTimeout must be a duration between 1s and 10m such as 90s"))]
    pub wake_timeout: String,
}

impl Idle {
    /// `sleepAfter`. The CRD lets nothing pass that is none.
    #[must_use]
    pub fn sleeps_after(&self) -> SignedDuration {
        seconds_of(&self.sleep_after).unwrap_or(SignedDuration::from_mins(30))
    }

    /// `wakeTimeout`. The CRD lets nothing pass that is none.
    #[must_use]
    pub fn wakes_within(&self) -> SignedDuration {
        seconds_of(&self.wake_timeout).unwrap_or(SignedDuration::from_secs(90))
    }
}

fn half_an_hour() -> String {
    "30m".to_owned()
}

fn a_while() -> String {
    "90s".to_owned()
}
