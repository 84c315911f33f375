//! What a command says while it runs as a step: all of it in a file, and the line that tells most.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::workspace;

/// All that a command says.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    /// The first line that names an error: what follows is its consequences.
    error: Option<String>,
    last: String,
}

impl Log {
    /// In the folder `log` of what is built, named after the step.
    pub(crate) fn new(title: &str) -> Result<Self> {
        let name: String =
            title.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
        let folder = workspace::target_dir().join("log");
        // Two steps of one name may run at a time, in two processes.
        let path = folder.join(format!("{}-{}.log", name.to_lowercase(), std::process::id()));
        let file = fs::create_dir_all(&folder).and_then(|()| File::create(&path));
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, file, error: None, last: String::new() })
    }

    pub(crate) fn say(&mut self, line: &str) {
        // A full disk will be told by whoever fills it.
        let _ = writeln!(self.file, "{line}");
        let line = line.trim();
        if self.error.is_none() && is_error(line) {
            self.error = Some(line.to_owned());
        }
        if !line.is_empty() {
            line.clone_into(&mut self.last);
        }
    }

    /// The line that tells most of why it failed, and where all is.
    pub(crate) fn end(self) -> (String, PathBuf) {
        (self.error.unwrap_or(self.last), self.path)
    }

    /// Nobody will ask.
    pub(crate) fn forget(self) {
        let _ = fs::remove_file(self.path);
    }
}

/// As cargo, rustc, apt, curl, Go and Python say it.
fn is_error(line: &str) -> bool {
    const BEGINS: [&str; 5] = ["error", "E: ", "ERROR", "fatal: ", "curl: ("];
    BEGINS.iter().any(|it| line.starts_with(it)) || line.contains("Error: ") || line.contains(": error")
}
