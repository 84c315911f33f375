//! What is live and what is not, in the words of the acknowledgement.

use byway_api::{NodeRoutesStatus, Refusal, RouteStatus, TargetFailure};

use super::Control;
use crate::snapshot::Preview;

impl Control {
    /// What is live, for the acknowledgement.
    pub(crate) fn status(&self) -> NodeRoutesStatus {
        let mut previews: Vec<RouteStatus> =
            self.snapshot.previews.iter().map(|preview| self.preview_status(preview)).collect();
        previews.extend(self.snapshot.refused.iter().map(|(name, revision, error)| RouteStatus {
            name: name.clone(),
            revision: None,
            refused: Some(Refusal {
                revision: revision.clone(),
                reason: error.code().to_owned(),
                message: error.to_string(),
            }),
            failures: Vec::new(),
        }));
        previews.sort_by(|a, b| a.name.cmp(&b.name));
        NodeRoutesStatus {
            previews,
            failure: self.failure.clone(),
            targets: self.traffic.told(),
            requests: self.requests.told().to_vec(),
            more_requests: self.requests.has_more(),
            ..NodeRoutesStatus::default()
        }
    }

    fn preview_status(&self, preview: &Preview) -> RouteStatus {
        let name = &preview.route.name;
        let unreadable = self.unreadable.iter().filter(|target| target.previews.contains(name));
        let unreadable = unreadable.map(|target| TargetFailure {
            target: target.name.clone(),
            reason: "TooNew".to_owned(),
            message: format!("this agent cannot read the target ({}): upgrade the agent", target.error),
        });
        let known = self.snapshot.targets.iter();
        let known = known.filter(|(_, (wanted, _))| wanted.previews.contains(name));
        RouteStatus {
            name: name.clone(),
            revision: Some(preview.route.revision.clone()),
            refused: None,
            failures: known
                .filter_map(|(target, _)| self.failure_on(target, preview))
                .chain(unreadable)
                .collect(),
        }
    }

    /// Why a preview is not live on a target.
    fn failure_on(&self, target: &str, preview: &Preview) -> Option<TargetFailure> {
        let name = &preview.route.name;
        let failure = |reason: &str, message: String| {
            Some(TargetFailure { target: target.to_owned(), reason: reason.to_owned(), message })
        };
        if let Some(error) = self.failed.get(target) {
            return failure(error.code(), error.to_string());
        }
        if self.snapshot.loops.contains(name) {
            let why =
                "a pod of the preview is a target here, and is left out: the agent would steer its own calls";
            return failure("Loop", why.to_owned());
        }
        let attached = self.attached.get(target)?;
        let is_shown = preview.is_shown();
        if let Some(error) = attached.uncopied.as_ref().filter(|_| is_shown) {
            return failure("CopiesFailed", format!("requests cannot be copied: {error}"));
        }
        if attached.attachment.is_blocked() && !is_shown {
            let why = "rules of netfilter in the pod drop what the agent sends to the app: have them let in what comes from lo";
            return failure("Blocked", why.to_owned());
        }
        if attached.refused.contains(name) {
            let most = byway_abi::MAX_ROUTES;
            return failure(
                "TooManyRoutes",
                format!("this node has {most} routes already, which is the most"),
            );
        }
        let (_, winner) = attached.losers.iter().find(|(loser, _)| loser == name)?;
        failure(
            "Conflict",
            format!("{winner} has the same key and match here and comes first: change one of them"),
        )
    }
}
