//! What a check has to say.

use serde::Serialize;

use super::facts::Look;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Could not be looked at, or cannot be told from outside.
    Unknown,
    /// Works, but not as one might expect, or not always.
    Warning,
    /// Previews will not work.
    Problem,
}

impl Level {
    /// As it is printed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Of the check: a stable word.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// What to do, unless all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// Where a check puts what it has to say.
#[derive(Debug)]
pub(super) struct Findings {
    /// A stable word.
    pub(super) code: &'static str,
    /// What to do when all is not well.
    pub(super) fix: &'static str,
    pub(super) all: Vec<Finding>,
}

impl Findings {
    pub(super) fn ok(&mut self, message: impl Into<String>) {
        self.push(Level::Ok, message.into(), None);
    }

    /// Cannot be told; the check's own fix says where to look.
    pub(super) fn unknown(&mut self, message: impl Into<String>) {
        self.push(Level::Unknown, message.into(), Some(self.fix.to_owned()));
    }

    pub(super) fn warning(&mut self, message: impl Into<String>) {
        self.push(Level::Warning, message.into(), Some(self.fix.to_owned()));
    }

    pub(super) fn problem(&mut self, message: impl Into<String>) {
        self.push(Level::Problem, message.into(), Some(self.fix.to_owned()));
    }

    /// With a message that says itself what to do.
    pub(super) fn said(&mut self, level: Level, message: impl Into<String>) {
        self.push(level, message.into(), None);
    }

    /// What was looked at; what could not be is said.
    pub(super) fn see<'l, T>(&mut self, look: &'l Look<T>) -> Option<&'l T> {
        match look {
            Look::Seen(value) => Some(value),
            Look::Hidden(why) => {
                self.push(Level::Unknown, format!("could not look: {why}"), None);
                None
            }
        }
    }

    fn push(&mut self, level: Level, message: String, fix: Option<String>) {
        self.all.push(Finding { code: self.code, level, message, fix });
    }
}
