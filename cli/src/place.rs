//! Which Preview a draft is: the one that holds its key and target, or a new one.

use byway_api::{Key, Preview, PreviewTarget};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::exit::{Exit, Failure};
use crate::{keys, words};

/// Where a draft goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The Preview's name.
    pub name: String,
    /// Its key.
    pub key: Key,
    /// Whether `spec.key` is to be sent: it is immutable, also in being absent.
    pub sends_key: bool,
    /// The target to send: with the container that the Preview has already.
    pub target: Option<PreviewTarget>,
    /// The Preview that is changed.
    pub before: Option<Preview>,
}

/// What is asked for.
pub struct Wanted<'a> {
    /// The name that was given.
    pub name: Option<&'a str>,
    /// The key that was given.
    pub key: Option<Key>,
    /// The target.
    pub target: Option<PreviewTarget>,
    /// The image.
    pub image: &'a str,
}

/// Finds the place of a draft among the Previews of its namespace.
///
/// # Errors
///
/// When the name is another preview's, or what cannot be changed differs.
pub fn place(
    wanted: Wanted<'_>,
    there: &[Preview],
    now: Timestamp,
    make: impl FnOnce() -> Key,
) -> Result<Place, Failure> {
    let of_name = |name: &str| there.iter().find(|it| it.name_any() == name);
    let named = wanted.name.and_then(of_name);
    let key = match (&wanted.key, named.and_then(words::key_of)) {
        (Some(key), _) => key.clone(),
        // Started again by its name, it keeps its key.
        (None, Some(key)) => key,
        (None, None) => make(),
    };
    let before = match (named, &wanted.target) {
        (Some(named), _) => Some(named),
        (None, Some(target)) => {
            let holder = holder(there, &key, target, now);
            if let (Some(holder), Some(name)) = (holder, wanted.name) {
                return Err(held(holder, name, &key, target));
            }
            holder
        }
        (None, None) => None,
    };
    let Some(before) = before else {
        let target = wanted.target.as_ref();
        let plain = keys::name(target, wanted.image, &key);
        let free = |name: &String| of_name(name).is_none();
        let same = of_name(&plain).filter(|it| target.is_none() && is_targetless_of(it, &key));
        if let (Some(same), None) = (same, wanted.name) {
            return changed(same, key, None);
        }
        let name = wanted.name.map(str::to_owned);
        let name = name.unwrap_or_else(|| {
            if free(&plain) { plain } else { keys::with_hash(target, wanted.image, &key) }
        });
        return Ok(Place { name, key, sends_key: true, target: wanted.target, before: None });
    };
    changed(before, key, wanted.target)
}

/// A Preview that becomes another one, as far as it can.
fn changed(before: &Preview, key: Key, target: Option<PreviewTarget>) -> Result<Place, Failure> {
    let name = before.name_any();
    let conflict = |what: &str, is: &str, asked: &str| {
        let message = format!("Preview {name} has the {what} {is}, which cannot be changed to {asked}");
        Failure::new(Exit::Invalid, "Immutable", message).fix(format!(
            "`kubectl preview stop {}` first, or leave out the name to start another one",
            words::place(before)
        ))
    };
    let is = words::key_of(before);
    if is.as_ref() != Some(&key) {
        return Err(conflict("key", is.as_ref().map_or("", |it| it.as_str()), key.as_str()));
    }
    let target = match (&before.spec.target, target) {
        (Some(is), Some(mut asked)) => {
            // Not asked for, the container stays.
            asked.container = asked.container.or_else(|| is.container.clone());
            if asked != *is {
                return Err(conflict("target", &words::target(is), &words::target(&asked)));
            }
            Some(asked)
        }
        (None, None) => None,
        (is, asked) => {
            let text = |it: Option<&PreviewTarget>| it.map_or_else(|| "none".to_owned(), words::target);
            return Err(conflict("target", &text(is.as_ref()), &text(asked.as_ref())));
        }
    };
    Ok(Place { name, key, sends_key: before.spec.key.is_some(), target, before: Some(before.clone()) })
}

/// The Preview that has this key and target, as the controller decides it: the oldest that lives; else one that has ended.
fn holder<'a>(
    there: &'a [Preview],
    key: &Key,
    target: &PreviewTarget,
    now: Timestamp,
) -> Option<&'a Preview> {
    let is_it = |it: &&Preview| {
        let same = it.spec.target.as_ref().is_some_and(|it| it.kind == target.kind && it.name == target.name);
        same && it.metadata.deletion_timestamp.is_none() && words::key_of(it).as_ref() == Some(key)
    };
    let has_ended = |it: &Preview| words::state(it, now) == "expired";
    let age =
        |it: &&Preview| (has_ended(it), it.metadata.creation_timestamp.as_ref().map(|it| it.0), it.uid());
    there.iter().filter(is_it).min_by_key(age)
}

fn is_targetless_of(preview: &Preview, key: &Key) -> bool {
    preview.spec.target.is_none() && words::key_of(preview).as_ref() == Some(key)
}

fn held(holder: &Preview, name: &str, key: &Key, target: &PreviewTarget) -> Failure {
    let (place, holder) = (words::place(holder), holder.name_any());
    let target = words::target(target);
    let message = format!(
        "Preview {holder} has the key {key} and the target {target} already, so {name} would conflict with it"
    );
    Failure::new(Exit::Invalid, "Conflict", message).fix(format!(
        "leave out the name to change {holder}, use another key, or `kubectl preview stop {place}`"
    ))
}

#[cfg(test)]
mod tests;
