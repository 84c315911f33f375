//! A status as it is written: of previews that are simply live a line each, in one text. A hundred of them as values would
//! cost the API server more than all else of the object.

use serde::{Deserialize, Serialize};

use super::{Failure, Instance, NodeRoutesStatus, PreviewRequests, RouteStatus, TargetTraffic};
use crate::absent::is_default;
use crate::derives::JsonSchema;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    /// Who wrote this; a status of another instance claims nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<Instance>,
    /// `metadata.generation` of the spec that this status answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observed_generation: Option<i64>,
    /// Why the agent steers nothing on this node at all, e.g. `NoBtf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    /// The previews that are live on all their targets here: a line each, `NAMESPACE/NAME REVISION`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 500_000))]
    live: String,
    /// The previews that are not, or not on all their targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    previews: Vec<RouteStatus>,
    /// What cannot be matched on targets. Written when a target is first seen so, then once a minute at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    targets: Vec<TargetTraffic>,
    /// What came to previews, since this instance knows them. Written when the first request comes, then once a minute
    /// at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    requests: Vec<PreviewRequests>,
    /// Not all that came to previews fits: of those that are not in `requests`, what was said before stands, and more is
    /// said next time.
    #[serde(default, skip_serializing_if = "is_default")]
    more_requests: bool,
}

impl From<NodeRoutesStatus> for Written {
    fn from(status: NodeRoutesStatus) -> Self {
        let mut live = String::new();
        let mut previews = status.previews;
        previews.retain(|it| match &it.revision {
            Some(revision) if is_word(&it.name) && is_word(revision) && it.is_live() => {
                live.extend([&it.name, " ", revision, "\n"]);
                false
            }
            _ => true,
        });
        let NodeRoutesStatus {
            instance, observed_generation, failure, targets, requests, more_requests, ..
        } = status;
        Self { instance, observed_generation, failure, live, previews, targets, requests, more_requests }
    }
}

impl From<Written> for NodeRoutesStatus {
    fn from(written: Written) -> Self {
        let live = written.live.lines().filter_map(|line| line.split_once(' ')).map(|(name, revision)| {
            RouteStatus {
                name: name.to_owned(),
                revision: Some(revision.to_owned()),
                ..RouteStatus::default()
            }
        });
        let mut previews: Vec<_> = live.chain(written.previews).collect();
        previews.sort_by(|a, b| a.name.cmp(&b.name));
        let Written { instance, observed_generation, failure, targets, requests, more_requests, .. } =
            written;
        Self { instance, observed_generation, failure, previews, targets, requests, more_requests }
    }
}

impl RouteStatus {
    fn is_live(&self) -> bool {
        self.refused.is_none() && self.failures.is_empty()
    }
}

/// Whether it fits in a line, as names and revisions of the controller do. A document may come from anybody.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}
