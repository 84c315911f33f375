//! What became of a clone, as whoever writes it reports.

use std::fmt::Display;

use byway_api::Preview;
use byway_api::conditions::reason;

use crate::rows::Name;

/// What became of a clone.
#[derive(Debug)]
pub enum CloneOutcome {
    /// It is as wanted.
    Applied(Applied),
    /// It cannot be made: a reason and what to do.
    Refused {
        /// [`Wish::version`](crate::wish::Wish::version).
        version: u64,
        /// `metadata.generation` of the Preview that it is said of.
        generation: Option<i64>,
        /// A stable code.
        reason: String,
        /// A sentence.
        message: String,
    },
    /// There is none, as wanted.
    Absent {
        /// [`Wish::version`](crate::wish::Wish::version).
        version: u64,
    },
}

/// A clone that is as wanted.
#[derive(Debug)]
pub struct Applied {
    /// [`Wish::version`](crate::wish::Wish::version).
    pub version: u64,
    /// `metadata.generation` of the Preview that it was made from.
    pub generation: Option<i64>,
    /// Name of the Deployment.
    pub deployment: String,
    /// Name of the Service of a Preview without a target.
    pub service: Option<String>,
    /// `metadata.generation` of the Deployment.
    pub settled: Option<i64>,
    /// Of the pods that run the newest template.
    pub revision: Name,
    /// The ports to steer.
    pub ports: Vec<u16>,
    /// Reasons and sentences.
    pub warnings: Vec<(String, String)>,
}

impl CloneOutcome {
    /// The wish for `preview` that could not be fulfilled for now.
    pub fn failed(preview: &Preview, error: &dyn Display) -> Self {
        let message = format!("the clone cannot be made for now: {error}");
        // No wish has this version, so it is tried again.
        let generation = preview.metadata.generation;
        Self::Refused { version: 0, generation, reason: reason::API_ERROR.to_owned(), message }
    }

    /// Of the wish that it answers.
    pub fn version(&self) -> u64 {
        match self {
            Self::Applied(applied) => applied.version,
            Self::Refused { version, .. } | Self::Absent { version } => *version,
        }
    }

    /// `metadata.generation` of the Preview that it answers.
    pub fn generation(&self) -> Option<i64> {
        match self {
            Self::Applied(applied) => applied.generation,
            Self::Refused { generation, .. } => *generation,
            Self::Absent { .. } => None,
        }
    }

    /// The ports to steer.
    pub fn ports(&self) -> &[u16] {
        self.applied().map_or(&[], |it| &it.ports)
    }

    /// Of the pods that run the newest template.
    pub fn revision(&self) -> Option<&str> {
        self.applied().map(|it| &*it.revision)
    }

    /// Name of the Deployment.
    pub fn deployment(&self) -> Option<&str> {
        self.applied().map(|it| it.deployment.as_str())
    }

    /// Name of the Service.
    pub fn service(&self) -> Option<&str> {
        self.applied().and_then(|it| it.service.as_deref())
    }

    /// Reasons and sentences.
    pub fn warnings(&self) -> &[(String, String)] {
        self.applied().map_or(&[], |it| &it.warnings)
    }

    /// `metadata.generation` of the Deployment.
    pub fn settled(&self) -> Option<i64> {
        self.applied().and_then(|it| it.settled)
    }

    /// Why there is none.
    pub fn refusal(&self) -> Option<(&str, &str)> {
        match self {
            Self::Refused { reason, message, .. } => Some((reason, message)),
            Self::Applied(_) | Self::Absent { .. } => None,
        }
    }

    fn applied(&self) -> Option<&Applied> {
        if let Self::Applied(applied) = self { Some(applied) } else { None }
    }
}
