//! Which Previews a command is about.

use byway_api::{Phase, Preview, PreviewTarget};
use globset::{Glob, GlobMatcher};
use kube::ResourceExt as _;
use kube::api::ListParams;

use crate::args::Which;
use crate::client::{Cluster, failure};
use crate::exit::{Exit, Failure};
use crate::words;

/// What is asked for, understood.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    names: Vec<String>,
    key: Option<String>,
    glob: Option<GlobMatcher>,
    target: Option<PreviewTarget>,
}

impl Selection {
    /// Of flags.
    ///
    /// # Errors
    ///
    /// When the pattern is none.
    pub fn new(which: &Which) -> Result<Self, Failure> {
        let glob = which.glob.as_deref().map(|pattern| {
            let wrong = |error: globset::Error| Failure::usage(format!("--glob {pattern}: {}", error.kind()));
            Glob::new(pattern).map(|it| it.compile_matcher()).map_err(wrong)
        });
        // As kubectl prints names, and takes them.
        let bare = |it: &String| it.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Self {
            names: which.names.iter().map(bare).collect(),
            key: which.key.clone(),
            glob: glob.transpose()?,
            target: which.target.clone(),
        })
    }

    /// True if nothing narrows it.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.names.is_empty() && self.key.is_none() && self.glob.is_none() && self.target.is_none()
    }

    /// True if it asks for something that has to be there. A pattern may match none.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.glob.is_none() && !self.is_all()
    }

    /// Whether a Preview is meant.
    #[must_use]
    pub fn has(&self, preview: &Preview) -> bool {
        let key = words::key_of(preview);
        let key = key.as_ref().map_or("", |it| it.as_str());
        let is_target = |wanted: &PreviewTarget| {
            let Some(target) = &preview.spec.target else { return false };
            let container = wanted.container.is_none() || wanted.container == target.container;
            target.kind == wanted.kind && target.name == wanted.name && container
        };
        (self.names.is_empty() || self.names.contains(&preview.name_any()))
            && self.key.as_deref().is_none_or(|it| it == key)
            && self.glob.as_ref().is_none_or(|it| it.is_match(key))
            && self.target.as_ref().is_none_or(is_target)
    }

    /// What was asked for, in words: for saying that there is none.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = String::from("Preview");
        if !self.names.is_empty() {
            words = format!("{words} {}", self.names.join(", "));
        }
        for (what, value) in [
            ("with the key", self.key.clone()),
            ("with a key like", self.glob.as_ref().map(|it| it.glob().glob().to_owned())),
            ("of", self.target.as_ref().map(words::target)),
        ] {
            if let Some(value) = value {
                words = format!("{words} {what} {value}");
            }
        }
        words
    }

    /// Names that no Preview has.
    fn missing(&self, found: &[Preview]) -> Vec<&str> {
        let is_there = |name: &str| found.iter().any(|it| it.name_any() == name);
        self.names.iter().map(String::as_str).filter(|it| !is_there(it)).collect()
    }
}

/// Those of a cluster, by key, then namespace and name.
///
/// # Errors
///
/// When they cannot be listed.
pub async fn list(cluster: &Cluster, all: bool, selection: &Selection) -> Result<Vec<Preview>, Failure> {
    let api = if all { cluster.all_previews() } else { cluster.previews(&cluster.namespace) };
    // One name needs no list, and may be all that this user may read.
    if let ([name], false) = (selection.names.as_slice(), all) {
        let found = api.get_opt(name).await.map_err(|error| failure(&error))?;
        if found.is_none()
            && let Err(error) = api.list(&ListParams::default().limit(1)).await
        {
            // Where there is no CRD, there is no object either.
            let failure = failure(&error);
            if failure.exit == Exit::NotInstalled {
                return Err(failure);
            }
        }
        return Ok(found.into_iter().filter(|it| selection.has(it)).collect());
    }
    let list = api.list(&ListParams::default()).await.map_err(|error| failure(&error))?;
    let mut found: Vec<Preview> = list.items.into_iter().filter(|it| selection.has(it)).collect();
    found.sort_by_cached_key(|it| {
        (words::key_of(it).map(String::from), it.namespace().unwrap_or_default(), it.name_any())
    });
    Ok(found)
}

/// Those that a command shows, and what is to be said of what was asked for and is not there.
///
/// # Errors
///
/// When they cannot be listed.
pub async fn shown(
    cluster: &Cluster,
    which: &Which,
    selection: &Selection,
    failed: bool,
) -> Result<(Vec<Preview>, Option<Failure>), Failure> {
    let mut found = list(cluster, which.all_namespaces, selection).await?;
    let place = cluster.place(which.all_namespaces);
    let lack = selection.is_certain().then(|| lack(&place, selection, &found)).flatten();
    found.retain(|it| !failed || has_failed(it));
    Ok((found, lack))
}

/// The same, where none is a failure.
///
/// # Errors
///
/// When there is none, or one of the names is missing.
pub async fn some(cluster: &Cluster, all: bool, selection: &Selection) -> Result<Vec<Preview>, Failure> {
    let found = list(cluster, all, selection).await?;
    match lack(&cluster.place(all), selection, &found) {
        Some(failure) => Err(failure),
        None => Ok(found),
    }
}

/// What is to be said where nothing was found, or not every name.
#[must_use]
pub fn lack(place: &str, selection: &Selection, found: &[Preview]) -> Option<Failure> {
    let missing = selection.missing(found);
    if !found.is_empty() && missing.is_empty() {
        return None;
    }
    let what = if missing.is_empty() || missing.len() == selection.names.len() {
        selection.words()
    } else {
        format!("Preview {}", missing.join(", "))
    };
    let failure = Failure::new(Exit::NotFound, "NotFound", format!("there is no {what} in {place}"));
    Some(failure.fix("`kubectl preview list -A` lists all of them"))
}

/// Whether something is wrong with it that waiting does not mend.
#[must_use]
pub fn has_failed(preview: &Preview) -> bool {
    let phase = preview.status.as_ref().and_then(|it| it.phase);
    matches!(phase, Some(Phase::Failed | Phase::Degraded))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn preview(name: &str, key: &str, kind: &str) -> Preview {
        serde_json::from_value(json!({
            "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "metadata": { "name": name, "namespace": "demo" },
            "spec": { "image": "app:2", "key": key, "target": { "kind": kind, "name": "app" } },
        }))
        .unwrap()
    }

    fn has(which: Which, preview: &Preview) -> bool {
        Selection::new(&which).unwrap().has(preview)
    }

    #[test]
    fn a_key_is_taken_whole_and_a_pattern_as_one() {
        let (one, twelve) = (preview("a", "pr-1", "Deployment"), preview("b", "pr-12", "Deployment"));
        let key = |it: &str| Which { key: Some(it.to_owned()), ..Which::default() };
        let glob = |it: &str| Which { glob: Some(it.to_owned()), ..Which::default() };
        assert!(has(key("pr-1"), &one) && !has(key("pr-1"), &twelve));
        assert!(has(glob("pr-1*"), &one) && has(glob("pr-1*"), &twelve));
        assert!(!has(glob("pr-1"), &twelve) && !has(glob("pr-?"), &twelve) && has(glob("pr-{1,2}"), &one));
        assert_eq!(Selection::new(&glob("[")).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn all_that_is_asked_for_must_hold() {
        let it = preview("a", "pr-1", "Deployment");
        let target = |text: &str| Some(crate::args::target(text).unwrap());
        let both =
            Which { names: vec!["preview/a".into()], target: target("deploy/app"), ..Which::default() };
        assert!(has(both, &it));
        assert!(!has(Which { target: target("sts/app"), ..Which::default() }, &it));
        assert!(!has(Which { target: target("deploy/app/container/x"), ..Which::default() }, &it));
        assert!(!has(Which { names: vec!["b".into()], ..Which::default() }, &it));
        assert!(Selection::default().is_all() && Selection::default().has(&it));
    }

    #[test]
    fn what_is_asked_for_and_not_there_is_named() {
        let said = |which: Which, found: &[Preview]| {
            let selection = Selection::new(&which).unwrap();
            lack("namespace demo", &selection, found).map(|it| it.message)
        };
        let names = |names: &[&str]| Which {
            names: names.iter().map(|it| (*it).to_owned()).collect(),
            ..Which::default()
        };
        let there = [preview("a", "pr-1", "Deployment")];
        assert_eq!(said(names(&["a"]), &there), None);
        let b = "there is no Preview b in namespace demo";
        assert_eq!(said(names(&["a", "b"]), &there).as_deref(), Some(b));
        assert_eq!(said(names(&["b"]), &[]).as_deref(), Some(b));
        let key = Which { key: Some("x".to_owned()), ..Which::default() };
        assert_eq!(said(key, &[]).as_deref(), Some("there is no Preview with the key x in namespace demo"));
    }

    #[test]
    fn a_pattern_may_match_none() {
        let certain = |which: Which| Selection::new(&which).unwrap().is_certain();
        assert!(certain(Which { names: vec!["a".into()], ..Which::default() }));
        assert!(certain(Which { key: Some("a".into()), ..Which::default() }));
        let target = crate::args::target("deploy/app").unwrap();
        assert!(certain(Which { target: Some(target.clone()), ..Which::default() }));
        let glob = Some("pr-*".to_owned());
        assert!(!certain(Which { glob: glob.clone(), ..Which::default() }));
        assert!(!certain(Which { glob, target: Some(target), ..Which::default() }));
        assert!(!certain(Which::default()));
    }
}
