//! Where the document of routes comes from: a local file, or the node's own object in the API.

#[cfg(feature = "kubernetes")]
mod api;
mod file;
#[cfg(feature = "kubernetes")]
mod object;
#[cfg(feature = "kubernetes")]
mod state;

use anyhow::Result;
use byway_api::{NodeRoutesStatus, NodeTable};
use serde_json::Value;

use crate::{admin::Metrics, args::ServeArgs};
use file::FileSource;

/// A source of documents.
pub(crate) enum Source {
    File(FileSource),
    #[cfg(feature = "kubernetes")]
    Api(Box<api::ApiSource>),
}

/// What a source has to say.
#[cfg_attr(
    not(feature = "kubernetes"),
    expect(dead_code, reason = "a file is no object that could be seen again")
)]
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
    /// The file that the command line names, else the API server.
    ///
    /// # Errors
    ///
    /// When nothing says where the API server is.
    pub(crate) async fn open(args: &ServeArgs, node: &str) -> Result<Self> {
        if let Some(file) = &args.routes {
            return Ok(Self::File(FileSource::new(file)));
        }
        #[cfg(feature = "kubernetes")]
        return Ok(Self::Api(Box::new(api::ApiSource::open(args, node).await?)));
        #[cfg(not(feature = "kubernetes"))]
        anyhow::bail!("{node}: this agent was built without the API server: give --routes FILE")
    }

    /// Whether it is a file: whoever wrote that is there, and sees an error at once.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// What it tells of itself.
    pub(crate) fn metrics(&self) -> Option<Metrics> {
        match self {
            Self::File(_) => None,
            #[cfg(feature = "kubernetes")]
            Self::Api(api) => Some(api.metrics()),
        }
    }

    /// The next change. Losing the race of a `select!` loses nothing.
    pub(crate) async fn changed(&mut self) -> Result<Change, BadDocument> {
        match self {
            Self::File(file) => match file.changed().await {
                Ok(spec) => Ok(Change::Document(Document { spec, ..Document::default() })),
                Err(error) => Err(BadDocument(error.to_string())),
            },
            #[cfg(feature = "kubernetes")]
            Self::Api(api) => api.changed().await,
        }
    }

    /// What was in force when the last agent ended.
    pub(crate) fn remembered(&self) -> Option<Document> {
        match self {
            Self::File(_) => None,
            #[cfg(feature = "kubernetes")]
            Self::Api(api) => api.remembered(),
        }
    }

    /// The document is in force.
    pub(crate) fn remember(&self, raw: Option<Value>) {
        match self {
            Self::File(_) => drop(raw),
            #[cfg(feature = "kubernetes")]
            Self::Api(api) => api.remember(raw),
        }
    }

    /// Says what is live where the document came from. What is said there is returned.
    pub(crate) fn say(&self, status: NodeRoutesStatus) -> NodeRoutesStatus {
        match self {
            Self::File(_) => status,
            #[cfg(feature = "kubernetes")]
            Self::Api(api) => api.say(status),
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
