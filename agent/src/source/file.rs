//! A document in a local file, followed without a restart.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use byway_api::{NodeRoutes, NodeRoutesSpec};
use tokio::time::sleep;

/// How often the file is looked at: also through the symbolic links of a ConfigMap, which inotify does not follow.
const POLL: Duration = Duration::from_millis(100);

/// Why a document cannot be used. The last good one stays in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read {path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("{path} is not a NodeRoutes document: {error}")]
    Parse { path: PathBuf, error: serde_yaml_ng::Error },
    #[error("{path} holds {found}, not {} {}", NodeRoutes::API_VERSION, NodeRoutes::KIND)]
    Kind { path: PathBuf, found: String },
}

/// A file and the state that was read last.
pub(crate) struct FileSource {
    path: PathBuf,
    seen: Option<Stamp>,
}

#[derive(PartialEq, Eq)]
struct Stamp {
    ino: u64,
    size: u64,
    modified: (i64, i64),
}

impl FileSource {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: None }
    }

    /// The document, when the file has changed since the last call.
    pub(crate) async fn changed(&mut self) -> Result<NodeRoutesSpec, FileError> {
        loop {
            let stamp = stamp(&self.path);
            match stamp {
                Err(error) if self.seen.is_none() => {
                    return Err(FileError::Read { path: self.path.clone(), error });
                }
                Ok(stamp) if self.seen.as_ref() != Some(&stamp) => {
                    self.seen = Some(stamp);
                    return self.read();
                }
                _ => sleep(POLL).await,
            }
        }
    }

    fn read(&self) -> Result<NodeRoutesSpec, FileError> {
        let path = || self.path.clone();
        let text = fs::read_to_string(&self.path).map_err(|error| FileError::Read { path: path(), error })?;
        let document: NodeRoutes =
            serde_yaml_ng::from_str(&text).map_err(|error| FileError::Parse { path: path(), error })?;
        if document.api_version != NodeRoutes::API_VERSION || document.kind != NodeRoutes::KIND {
            let found = format!("{} {}", document.api_version, document.kind);
            return Err(FileError::Kind { path: path(), found });
        }
        Ok(document.spec)
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let meta = fs::metadata(path)?;
    Ok(Stamp { ino: meta.ino(), size: meta.size(), modified: (meta.mtime(), meta.mtime_nsec()) })
}
