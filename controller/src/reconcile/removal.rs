//! The end of Previews that have expired long ago.

use std::collections::BTreeMap;

use byway_plan::rows::{Name, Ref};
use byway_plan::standing::Standing;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::args::Settings;
use crate::write::Desired;

/// Removes what ended long ago; else when that will be.
pub(super) fn want(
    removals: &mut Desired<Ref, (Name, String), ()>,
    standing: &Standing,
    ended: Timestamp,
    settings: &Settings,
    now: Timestamp,
) -> Option<Timestamp> {
    let meta = &standing.preview.metadata;
    // A tool that keeps objects as they are in a repository would create it again, and the preview would start anew.
    if is_tracked(meta) {
        return None;
    }
    // One that had ended before it was made is new to whoever made it.
    let created = meta.creation_timestamp.as_ref().map_or(ended, |time| time.0);
    let at = ended.max(created).saturating_add(settings.keep_expired).unwrap_or(Timestamp::MAX);
    if at > now {
        return Some(at);
    }
    if !removals.is_writing(&standing.name) {
        let version = meta.resource_version.clone().unwrap_or_default();
        removals.want(standing.name.clone(), (standing.uid.clone(), version));
    }
    None
}

/// Whether a GitOps tool or a package manager looks after the object.
fn is_tracked(meta: &ObjectMeta) -> bool {
    const MARKS: [&str; 5] = [
        "argocd.argoproj.io/tracking-id",
        "argocd.argoproj.io/instance",
        "kustomize.toolkit.fluxcd.io/name",
        "helm.toolkit.fluxcd.io/name",
        "meta.helm.sh/release-name",
    ];
    let has = |map: &Option<BTreeMap<String, String>>| {
        map.as_ref().is_some_and(|map| MARKS.iter().any(|mark| map.contains_key(*mark)))
    };
    has(&meta.annotations) || has(&meta.labels)
}
