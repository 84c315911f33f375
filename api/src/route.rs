//! One preview's route, judged: the edge where text from a document becomes types.
//!
//! A route that does not compile is refused alone, with a stable code and a sentence, and acknowledged so.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::{
    Backend, CompiledMatch, ExistingConnections, Key, KeyError, Match, MatchError, OnUnreachable,
    PreviewRoute,
};

#[cfg(test)]
mod tests;

/// A route that can be relied on.
#[derive(Clone, Debug)]
pub struct CompiledRoute {
    /// `NAMESPACE/NAME` of the Preview.
    pub name: String,
    /// The revision to acknowledge.
    pub revision: String,
    /// The key.
    pub key: Key,
    /// What a request must look like; `None`: the key in one of the default carriers.
    pub matcher: Option<CompiledMatch>,
    /// The ports whose requests it gets; none: all that its targets steer.
    pub ports: Vec<u16>,
    /// Where the preview listens for requests to a port, if it does not at the same one.
    pub preview_ports: BTreeMap<u16, u16>,
    /// It gets copies, of so many connections of a hundred.
    pub copies_percent: Option<u8>,
    /// Whether the match names a method: else only GET and HEAD are copied.
    pub names_method: bool,
    /// How long a request waits for a preview that sleeps; `None`: it does not.
    pub wake_timeout: Option<Duration>,
    /// Who answers when no backend can be reached.
    pub on_unreachable: OnUnreachable,
    /// What happens to connections that were open before.
    pub existing_connections: ExistingConnections,
    /// From then on the route is dead.
    pub expires_at: Option<Timestamp>,
    /// Whether responses get `x-byway-preview: NAME`.
    pub response_header: bool,
    /// The preview's ready pods.
    pub backends: Vec<Backend>,
}

/// Why a preview is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// It does not fit the format that this version knows.
    #[error("this agent cannot read the preview ({0}): upgrade the agent, or take out what it does not know")]
    TooNew(String),
    /// A value does not fit its field.
    #[error("the preview cannot be read: {0}")]
    BadField(String),
    /// `name` is empty, too long for a header, or has characters that a header cannot carry.
    #[error("the preview's name must be NAMESPACE/NAME, in lower-case letters, digits, `-` and `.`")]
    BadName,
    /// `key` is not a key.
    #[error("{0}")]
    BadKey(#[from] KeyError),
    /// `match` cannot be used.
    #[error("match: {0}")]
    BadMatch(#[from] MatchError),
}

impl RouteError {
    /// A stable code, for the status and for metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooNew(_) => "TooNew",
            Self::BadField(_) => "BadField",
            Self::BadName => "BadName",
            Self::BadKey(_) => "BadKey",
            Self::BadMatch(_) => "BadMatch",
        }
    }
}

impl PreviewRoute {
    /// Judges this entry.
    pub fn compile(&self) -> Result<CompiledRoute, RouteError> {
        if let Some(why) = &self.unreadable {
            let is_unknown = why.starts_with("unknown field") || why.starts_with("unknown variant");
            let error = if is_unknown { RouteError::TooNew } else { RouteError::BadField };
            return Err(error(why.clone()));
        }
        if !is_name(&self.name) {
            return Err(RouteError::BadName);
        }
        let key: Key = self.key.parse()?;
        let matcher = match &self.match_ {
            Some(it) => Some(it.compile(&key, self.allow_keyless || self.copies_percent.is_some())?),
            None => None,
        };
        Ok(CompiledRoute {
            name: self.name.clone(),
            revision: self.revision.clone(),
            key,
            matcher,
            ports: self.ports.clone(),
            preview_ports: self.preview_ports.clone(),
            copies_percent: self.copies_percent,
            names_method: self.match_.as_ref().is_some_and(Match::names_method),
            wake_timeout: self.wake_timeout_seconds.map(|it| Duration::from_secs(it.into())),
            on_unreachable: self.on_unreachable,
            existing_connections: self.existing_connections,
            expires_at: self.expires_at,
            response_header: self.response_header,
            backends: self.backends.clone(),
        })
    }
}

/// The name goes into a response header as it is, so nothing that could end a header line may be in it.
fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 253
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
    };
    name.split_once('/').is_some_and(|(namespace, name)| part(namespace) && part(name))
}
