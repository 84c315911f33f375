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
    /// Hung up, during `run`.
    HungUp = 129,
    /// Ctrl-C.
    Interrupted = 130,
    /// SIGTERM, during `run`.
    Terminated = 143,
}

impl Exit {
    /// All of them, for the documentation's test.
    pub const ALL: [Self; 13] = [
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
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Step;

    fn page() -> String {
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md")).unwrap()
    }

    #[test]
    fn every_exit_code_is_in_the_table() {
        let page = page();
        for exit in Exit::ALL {
            assert!(page.contains(&format!("\n| {} | ", exit.code())), "{exit:?}");
        }
    }

    #[test]
    fn every_event_is_in_the_table() {
        let page = page();
        for step in Step::ALL {
            let name = serde_json::to_value(step).unwrap();
            assert!(page.contains(&format!("`{}`", name.as_str().unwrap())), "{name}");
        }
    }

    #[test]
    fn every_reason_of_a_failure_is_in_the_table() {
        let page = page();
        let mut seen = 0;
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("src/exit.rs") {
                    let source = std::fs::read_to_string(&path).unwrap();
                    // `Failure::new(Exit::..., "Reason"`, on one line or several.
                    for call in source.split("Failure::new(").skip(1) {
                        let Some((_, rest)) = call.split_once(',') else { continue };
                        let Some(word) =
                            rest.trim_start().strip_prefix('"').and_then(|it| it.split('"').next())
                        else {
                            continue;
                        };
                        seen += 1;
                        assert!(
                            page.contains(&format!("`{word}`")) || word == "NotImplemented",
                            "{word} of {path:?}"
                        );
                    }
                }
            }
        }
        assert!(seen > 20, "failures are made in another way now: {seen}");
    }
}
