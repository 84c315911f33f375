//! How long a preview lives, and when it ends: a pure function of the object, so that controller and agent agree.

use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// A time to live: `90m`, `1h30m`, `never`. At least 60 s and at most 720 h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Ttl {
    /// Until it is deleted.
    Never,
    /// Whole seconds.
    For(SignedDuration),
}

/// Not a time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ttl must be a duration between 60s and 720h such as 90m or 1h30m, or never")]
pub struct TtlError;

const LEAST: SignedDuration = SignedDuration::from_secs(60);
const MOST: SignedDuration = SignedDuration::from_hours(720);

impl Ttl {
    /// When what was created or renewed at `since` ends; `None`: never.
    #[must_use]
    pub fn end(self, since: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            // Only a clock beyond the year 9999 makes it saturate.
            Self::For(length) => Some(since.saturating_add(length).unwrap_or(Timestamp::MAX)),
        }
    }
}

/// A duration as the CRD takes it, such as `90m` or `1h30m`.
pub(crate) fn seconds_of(text: &str) -> Option<SignedDuration> {
    let mut total = SignedDuration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let unit = match tail.chars().next()? {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        let seconds = number.parse::<i64>().ok()?.checked_mul(unit)?;
        total = total.checked_add(SignedDuration::from_secs(seconds))?;
        rest = &tail[1..];
    }
    Some(total)
}

/// `left` in coarse steps, rounded down, and how long this text stays true.
///
/// Days from two on, hours from two on, ten minutes from twenty on, five from five on, then minutes: each step is a write,
/// and the first hour back from the end costs twelve of them.
#[must_use]
pub fn time_left(left: SignedDuration) -> (String, SignedDuration) {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    // A whole number of minutes is one until its first second has passed.
    let seconds = (left.as_secs() + i64::from(left.subsec_nanos() > 0)).max(0);
    let (step, unit, letter) = match seconds {
        s if s >= 2 * DAY => (DAY, DAY, 'd'),
        s if s >= 2 * HOUR => (HOUR, HOUR, 'h'),
        s if s >= 20 * MINUTE => (10 * MINUTE, MINUTE, 'm'),
        s if s >= 5 * MINUTE => (5 * MINUTE, MINUTE, 'm'),
        _ => (MINUTE, MINUTE, 'm'),
    };
    let shown = seconds / step * step;
    let text = if shown == 0 { "<1m".to_owned() } else { format!("{}{letter}", shown / unit) };
    (text, SignedDuration::from_secs(seconds - shown + 1))
}

impl Default for Ttl {
    fn default() -> Self {
        Self::For(SignedDuration::from_hours(1))
    }
}

impl FromStr for Ttl {
    type Err = TtlError;

    fn from_str(text: &str) -> Result<Self, TtlError> {
        if text == "never" {
            return Ok(Self::Never);
        }
        let total = seconds_of(text).ok_or(TtlError)?;
        if (LEAST..=MOST).contains(&total) { Ok(Self::For(total)) } else { Err(TtlError) }
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::For(length) = self else { return f.write_str("never") };
        let seconds = length.as_secs();
        for (n, unit) in [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')] {
            if n > 0 {
                write!(f, "{n}{unit}")?;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Ttl {
    type Error = TtlError;

    fn try_from(text: String) -> Result<Self, TtlError> {
        text.parse()
    }
}

impl From<Ttl> for String {
    fn from(ttl: Ttl) -> Self {
        ttl.to_string()
    }
}
