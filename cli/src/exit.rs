//! How the program ends: an exit code, and what is said of a failure.

use std::process::ExitCode;

use serde::{Serialize, Serializer};

/// Why the program ended. The numbers never change: see the table in `docs/cli.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something else went wrong.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// What is asked for is not valid, in a file, in flags, or by the API server's rules.
    Invalid = 3,
    /// The cluster does not let this user.
    NotAllowed = 4,
    /// Not ready, or not gone, in time.
    NotInTime = 5,
    /// The preview has failed: waiting will not help.
    PreviewFailed = 6,
    /// There is no such Preview.
    NotFound = 7,
    /// The cluster cannot be reached, or what is to reach it is not configured.
    Unreachable = 8,
    /// Byway is not installed in the cluster.
    NotInstalled = 9,
    /// Ctrl-C, or SIGTERM.
    Interrupted = 130,
}

impl Exit {
    /// All of them, for the documentation's test.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Invalid,
        Self::NotAllowed,
        Self::NotInTime,
        Self::PreviewFailed,
        Self::NotFound,
        Self::Unreachable,
        Self::NotInstalled,
        Self::Interrupted,
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Serialize for Exit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.code())
    }
}

/// Why a command did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// A stable word, for programs: one of a condition's, or one of `docs/cli.md`.
    pub reason: String,
    /// What is wrong.
    pub message: String,
    /// What to do, where it is not in the message.
    pub fix: Option<String>,
}

impl Failure {
    /// Without a fix.
    pub fn new(exit: Exit, reason: &str, message: impl Into<String>) -> Self {
        Self { exit, reason: reason.to_owned(), message: message.into(), fix: None }
    }

    /// With what to do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// What is asked for is not valid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, "Invalid", message)
    }

    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "Usage", message)
    }
}
