//! Where the document of routes comes from: a local file, or the node's own object in the API.

pub(crate) mod api;
pub(crate) mod file;
mod object;
mod state;

use byway_api::NodeTable;
use serde_json::Value;

pub(crate) use api::ApiSource;
pub(crate) use file::FileSource;
pub(crate) use object::{Object, version_of};

/// A source of documents.
pub(crate) enum Source {
    File(FileSource),
    Api(Box<ApiSource>),
}

/// What a source has to say.
pub(crate) enum Change {
    /// Another document is to be followed.
    Document(Document),
    /// The document is the same; who may acknowledge it may be another.
    Seen,
}

/// Why a document cannot be used. The last good one stays in force.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadDocument(pub(crate) String);

impl BadDocument {
    /// The stable code, for the acknowledgement.
    pub(crate) const CODE: &str = "BadDocument";
}

/// A document to follow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    pub(crate) spec: NodeTable,
    /// Targets of it that this version cannot read. They are refused alone.
    pub(crate) unreadable: Vec<UnreadableTarget>,
    /// The table as it came from the API, to be remembered with what this version cannot read.
    pub(crate) raw: Option<Value>,
}

/// A target that does not fit the format that this version knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnreadableTarget {
    pub(crate) name: String,
    pub(crate) previews: Vec<String>,
    pub(crate) error: String,
}

impl Source {
    /// The next change. Losing the race of a `select!` loses nothing.
    pub(crate) async fn changed(&mut self) -> Result<Change, BadDocument> {
        match self {
            Self::File(file) => match file.changed().await {
                Ok(spec) => Ok(Change::Document(Document { spec, ..Document::default() })),
                Err(error) => Err(BadDocument(error.to_string())),
            },
            Self::Api(api) => api.changed().await,
        }
    }

    /// What was in force when the last agent ended.
    pub(crate) fn remembered(&self) -> Option<Document> {
        match self {
            Self::File(_) => None,
            Self::Api(api) => api.remembered(),
        }
    }

    /// The document is in force.
    pub(crate) fn remember(&self, raw: Option<Value>) {
        if let Self::Api(api) = self {
            api.remember(raw);
        }
    }

    /// The object that the last document was of; none of a file, and none when it is deleted or was never seen.
    pub(crate) fn object(&self) -> Option<&Object> {
        match self {
            Self::File(_) => None,
            Self::Api(api) => api.object(),
        }
    }
}

/// Names are unique, and what targets refer to is there.
fn check_names(spec: &NodeTable) -> Result<(), String> {
    use std::collections::HashSet;

    let mut previews = HashSet::new();
    if let Some(twice) = spec.previews.iter().find(|p| !previews.insert(p.name.as_str())) {
        return Err(format!("two previews are named {}: give each a name of its own", twice.name));
    }
    let mut targets = HashSet::new();
    if let Some(twice) = spec.targets.iter().find(|t| !targets.insert(t.name.as_str())) {
        return Err(format!("two targets are named {}: give each a name of its own", twice.name));
    }
    let unknown = |t: &byway_api::Target| t.previews.iter().find(|p| !previews.contains(p.as_str())).cloned();
    match spec.targets.iter().find_map(|t| Some((&t.name, unknown(t)?))) {
        Some((target, preview)) => {
            Err(format!("target {target} names {preview}, which is not in spec.previews"))
        }
        None => Ok(()),
    }
}
