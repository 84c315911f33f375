//! A document in a local file, followed without a restart.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use byway_api::{NodeTable, NodeTableFile};
use serde::Deserialize;
use tokio::time::sleep;

use super::check_names;

/// How often the file is looked at: also through the symbolic links of a ConfigMap, which inotify does not follow.
const POLL: Duration = Duration::from_millis(100);

/// Why a document cannot be used. The last good one stays in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read {path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("{path} is not a NodeTable document: {error}")]
    Parse { path: PathBuf, error: serde_yaml_ng::Error },
    #[error("{path} holds {found}, not {} {}", NodeTableFile::API_VERSION, NodeTableFile::KIND)]
    Kind { path: PathBuf, found: String },
    #[error("{path} has fields that this agent does not know: {}; correct them or take them out", fields.join(", "))]
    Unknown { path: PathBuf, fields: Vec<String> },
    #[error("{path}: {what}")]
    Names { path: PathBuf, what: String },
}

/// A file and the state that was read last.
pub(crate) struct FileSource {
    path: PathBuf,
    /// Of what was read last.
    seen: Option<Stamp>,
    /// Of what is there now, and since when: half of a document may be a document, so it is read when it rests.
    resting: Option<(Stamp, Instant)>,
    /// It has gone, which has been said.
    missing: bool,
}

/// What kind of document it is, whatever else it holds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    ino: u64,
    size: u64,
    modified: (i64, i64),
}

impl FileSource {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: None, resting: None, missing: false }
    }

    /// The document, when the file has changed since the last call.
    pub(crate) async fn changed(&mut self) -> Result<NodeTable, FileError> {
        loop {
            let stamp = stamp(&self.path);
            match stamp {
                Err(error) if self.seen.is_none() => {
                    return Err(FileError::Read { path: self.path.clone(), error });
                }
                Ok(stamp) if self.seen != Some(stamp) => {
                    if self.rests(stamp) {
                        self.seen = Some(stamp);
                        return self.read();
                    }
                    sleep(POLL / 4).await;
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.missing, true) {
                        let path = self.path.display();
                        tracing::warn!(%error, "cannot read {path}; the last good routes stay in force");
                    }
                    sleep(POLL).await;
                }
                Ok(_) => {
                    self.missing = false;
                    sleep(POLL).await;
                }
            }
        }
    }

    /// Whether the file has not changed for a while.
    fn rests(&mut self, stamp: Stamp) -> bool {
        let (seen, since) = *self.resting.get_or_insert((stamp, Instant::now()));
        if seen != stamp {
            self.resting = Some((stamp, Instant::now()));
            return false;
        }
        since.elapsed() >= POLL
    }

    fn read(&self) -> Result<NodeTable, FileError> {
        let path = || self.path.clone();
        let text = fs::read_to_string(&self.path).map_err(|error| FileError::Read { path: path(), error })?;
        let failed = |error| FileError::Parse { path: path(), error };
        // As a value first: of a field that is there twice the types would take the last one.
        let value: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).map_err(failed)?;
        let Head { api_version, kind } = Head::deserialize(value).map_err(failed)?;
        if api_version != NodeTableFile::API_VERSION || kind != NodeTableFile::KIND {
            return Err(FileError::Kind { path: path(), found: format!("{api_version} {kind}") });
        }
        let mut fields = Vec::new();
        let reader = serde_yaml_ng::Deserializer::from_str(&text);
        let document: NodeTableFile =
            serde_ignored::deserialize(reader, |field| fields.push(field.to_string())).map_err(failed)?;
        // A slip of the pen must not detach anything.
        if !fields.is_empty() {
            return Err(FileError::Unknown { path: path(), fields });
        }
        check_names(&document.spec).map_err(|what| FileError::Names { path: path(), what })?;
        Ok(document.spec)
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let meta = fs::metadata(path)?;
    if !meta.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(Stamp { ino: meta.ino(), size: meta.size(), modified: (meta.mtime(), meta.mtime_nsec()) })
}
