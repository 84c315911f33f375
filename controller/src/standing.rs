//! Who may have routes: what has ended, and who holds a key and target that several Previews name.

use std::collections::HashMap;
use std::sync::Arc;

use byway_api::{Key, Preview, PreviewTarget, TargetKind};
use jiff::{SignedDuration, Timestamp};

use crate::rows::{Name, Ref};
use crate::world::{World, key_of, ref_of, uid_of};

#[cfg(test)]
mod tests;

/// A Preview as of now.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The object.
    pub preview: Arc<Preview>,
    /// Its name.
    pub name: Ref,
    /// Its UID.
    pub uid: Name,
    /// The key in force.
    pub key: Key,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Whether it may have routes.
    pub is: Is,
}

/// How far the clock of who renews a Preview may be ahead.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Whether a Preview may have routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Is {
    /// It may.
    Live,
    /// It ended then.
    Expired(Timestamp),
    /// This older one has its key and target.
    InConflict(Ref),
    /// It is being deleted.
    Leaving,
}

impl Standing {
    /// Whether it may have routes.
    pub fn is_live(&self) -> bool {
        self.is == Is::Live
    }
}

/// All Previews, the oldest first: that is their order of priority.
pub fn standings(world: &World, now: Timestamp) -> Vec<Standing> {
    let mut all: Vec<Standing> = world.previews.iter().filter_map(|(_, it)| standing(it, now)).collect();
    all.sort_by(|a, b| age(&a.preview).cmp(&age(&b.preview)).then_with(|| a.uid.cmp(&b.uid)));
    let mut holders: HashMap<(Name, Key, TargetKind, String), Ref> = HashMap::new();
    for one in &mut all {
        if !one.is_live() {
            continue;
        }
        let Some(target) = &one.preview.spec.target else { continue };
        let PreviewTarget { kind, name, .. } = target;
        let claim = (one.name.namespace.clone(), one.key.clone(), *kind, name.clone());
        match holders.get(&claim) {
            Some(holder) => one.is = Is::InConflict(holder.clone()),
            None => drop(holders.insert(claim, one.name.clone())),
        }
    }
    all
}

fn standing(preview: &Arc<Preview>, now: Timestamp) -> Option<Standing> {
    let expires_at = expires_at(preview, now);
    let is = match expires_at {
        _ if preview.metadata.deletion_timestamp.is_some() => Is::Leaving,
        Some(at) if at <= now => Is::Expired(at),
        _ => Is::Live,
    };
    // The CRD lets no key pass that is none.
    let key = key_of(preview)?;
    Some(Standing {
        name: ref_of(preview),
        uid: uid_of(preview),
        key,
        expires_at,
        is,
        preview: preview.clone(),
    })
}

/// When a Preview ends: a function of the object, whenever it is asked. A renewal that lies in the future does not count,
/// or it would lengthen the ttl beyond its bound; clocks may differ by some minutes.
pub fn expires_at(preview: &Preview, now: Timestamp) -> Option<Timestamp> {
    let latest = now.saturating_add(SKEW).unwrap_or(Timestamp::MAX);
    let renewed = preview.spec.renewed_at.as_ref().map(|time| time.0).filter(|at| *at <= latest);
    let end = preview.spec.ttl.end(renewed.unwrap_or_else(|| age(preview)))?;
    // The API keeps whole seconds: what is written must be what is read.
    Timestamp::from_second(end.as_second()).ok()
}

fn age(preview: &Preview) -> Timestamp {
    preview.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}
