//! Who may have routes: what has ended, and who holds a key and target that several Previews name.

use std::collections::HashMap;
use std::sync::Arc;

use byway_api::{Key, Preview, PreviewTarget, TargetKind, Ttl};
use jiff::{SignedDuration, Timestamp};

use crate::identity::{key_of, ref_of, uid_of};
use crate::rows::{Name, Ref};
use crate::traffic::Traffic;
use crate::world::World;

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
    /// When it ends at the latest.
    pub expires_at: Option<Timestamp>,
    /// When it ends if no request comes.
    pub idle_at: Option<Timestamp>,
    /// When it falls asleep if no request comes; in the past while it sleeps.
    pub sleeps_at: Option<Timestamp>,
    /// Whether it is to have no pods until a request comes.
    pub is_asleep: bool,
    /// What came to it.
    pub traffic: Traffic,
    /// Whether it may have routes.
    pub is: Is,
}

/// How far the clock of who renews a Preview may be ahead.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Agents tell mere numbers once a minute, so a request may have come that is not known yet.
const TOLD: SignedDuration = SignedDuration::from_secs(90);

/// Whether a Preview may have routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Is {
    /// It may.
    Live,
    /// It ended then.
    Expired(Timestamp),
    /// It ended then, since no request had come for its idleTtl.
    Idle(Timestamp),
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

    /// When it ends, as things are.
    pub fn end(&self) -> Option<Timestamp> {
        self.expires_at.into_iter().chain(self.idle_at).min()
    }
}

/// All Previews, the oldest first: that is their order of priority.
pub fn standings(world: &World, now: Timestamp) -> Vec<Standing> {
    let mut all: Vec<Standing> =
        world.previews.iter().filter_map(|(_, it)| standing(it, world.traffic.of(it), now)).collect();
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

fn standing(preview: &Arc<Preview>, traffic: Traffic, now: Timestamp) -> Option<Standing> {
    let (expires_at, idle_at) = (expires_at(preview, now), idle_at(preview, &traffic, now));
    let is = match (expires_at, idle_at) {
        _ if preview.metadata.deletion_timestamp.is_some() => Is::Leaving,
        (Some(at), _) if at <= now => Is::Expired(at),
        (_, Some(at)) if at <= now => Is::Idle(at),
        _ => Is::Live,
    };
    let sleeps_at = sleeps_at(preview, &traffic, now);
    // The CRD lets no key pass that is none.
    let key = key_of(preview)?;
    Some(Standing {
        name: ref_of(preview),
        uid: uid_of(preview),
        key,
        expires_at,
        idle_at,
        sleeps_at,
        is_asleep: is == Is::Live && sleeps_at.is_some_and(|at| at <= now),
        traffic,
        is,
        preview: preview.clone(),
    })
}

/// When a Preview ends: a function of the object and of the time. A renewal that lies in the future does not count yet, or
/// it would lengthen the ttl beyond its bound; clocks may differ by some minutes. Once its time has come it is one as any
/// other: that it was written long before cannot be told from the object.
pub fn expires_at(preview: &Preview, now: Timestamp) -> Option<Timestamp> {
    end(preview.spec.ttl, begun(preview, now))
}

/// When a Preview ends that nobody uses. What the agents saw is known to the controller alone, so it alone ends it so.
fn idle_at(preview: &Preview, traffic: &Traffic, now: Timestamp) -> Option<Timestamp> {
    let begun = begun(preview, now);
    end(preview.spec.idle_ttl?, traffic.last.map_or(begun, |last| last.max(begun)))
}

/// When a Preview falls asleep. One that starts asleep is woken by a request alone.
fn sleeps_at(preview: &Preview, traffic: &Traffic, now: Timestamp) -> Option<Timestamp> {
    let idle = preview.spec.idle.as_ref().filter(|_| preview.spec.replicas > 0)?;
    let begun = (!idle.start_asleep).then(|| begun(preview, now));
    let Some(used) = begun.into_iter().chain(traffic.last).max() else { return Some(Timestamp::UNIX_EPOCH) };
    let at = used.saturating_add(idle.sleeps_after()).and_then(|at| at.saturating_add(TOLD));
    Some(at.unwrap_or(Timestamp::MAX))
}

/// When it was renewed, or made.
fn begun(preview: &Preview, now: Timestamp) -> Timestamp {
    let latest = now.saturating_add(SKEW).unwrap_or(Timestamp::MAX);
    let renewed = preview.spec.renewed_at.as_ref().map(|time| time.0).filter(|at| *at <= latest);
    renewed.unwrap_or_else(|| age(preview))
}

/// The API keeps whole seconds: what is written must be what is read.
fn end(ttl: Ttl, since: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(ttl.end(since)?.as_second()).ok()
}

fn age(preview: &Preview) -> Timestamp {
    preview.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}
