//! Reads a `mirrord.json`: what of it asks for a preview becomes the spec of one.
//!
//! The text is rendered (`template`), parsed (`parse`), held against the keys that are known (`keys`, `walk`), and then
//! read by section: `target`, `preview`, `env`, `incoming`. Nothing is passed over in silence: a key is honoured, refused
//! with what to do instead, or named in a warning. All that is wrong is said at once.
//!
//! Pure but for what the configuration itself asks for, its env file and variables of the environment: see [`Outside`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use byway_api::{Key, PreviewSpec, PreviewTarget, Ttl};
use serde_json::{Value, json};

use crate::files::Secrets;

mod env;
mod filter;
mod incoming;
pub mod keys;
mod mounts;
mod outside;
mod parse;
mod preview;
mod section;
mod target;
mod template;
#[cfg(test)]
mod tests;
mod walk;

pub use outside::Outside;
use section::Section;

/// What the command line says, and what therefore need not be in the file, or is not taken from it.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--key`, or `BYWAY_KEY`.
    pub key: Option<String>,
    /// `--target`.
    pub target: Option<PreviewTarget>,
    /// `--namespace`.
    pub namespace: Option<String>,
    /// `--image`.
    pub image: Option<String>,
    /// `--ttl`.
    pub ttl: Option<Ttl>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--port`.
    pub ports: Vec<u16>,
    /// `--context`: then the file need not, and may not, choose the cluster.
    pub context: Option<String>,
    /// `--kubeconfig`: as `context`.
    pub kubeconfig: Option<PathBuf>,
}

/// What a configuration asks for, with the overrides in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// Of the Preview to make.
    pub spec: PreviewSpec,
    /// Where, if the file or the command line says.
    pub namespace: Option<String>,
    /// Of the Preview, if it follows from the file. mirrord's files name none.
    pub name: Option<String>,
    /// What is to be kept in a Secret.
    pub secrets: Secrets,
    /// How long to wait for it.
    pub timeout: Option<Duration>,
    /// What the file asks for and a preview here does not do, each with what happens instead.
    pub warnings: Vec<String>,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, e.g. `feature.preview.ttl_mins`; empty: the file as a whole.
    pub field: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// All that is wrong with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// Reads the text of a configuration that is, or would be, at `path`.
///
/// # Errors
///
/// With everything that is wrong with it, not only the first.
pub fn read(text: &str, path: &Path, overrides: &Overrides) -> Result<Started, Problems> {
    read_within(text, path, overrides, &Outside::real())
}

/// As [`read`], with another environment and other files.
///
/// # Errors
///
/// As [`read`].
pub fn read_within(
    text: &str,
    path: &Path,
    overrides: &Overrides,
    outside: &Outside,
) -> Result<Started, Problems> {
    let whole = |message| Problems(vec![Problem { field: String::new(), message }]);
    let key_is_given = overrides.key.is_some() || outside.var("MIRRORD_KEY").is_some();
    let rendered = template::render(text, outside, key_is_given).map_err(whole)?;
    let value = parse::parse(&rendered.text, path).map_err(|wrong| whole(rendered.explain(text, &wrong)))?;
    if !value.is_object() {
        return Err(whole(
            "the configuration is not an object: write { \"target\": ..., \"feature\": ... }".to_owned(),
        ));
    }
    let mut said = Said::default();
    walk::walk(&value, overrides, outside, &mut said);
    if let Some(mark) = rendered.no_branch {
        walk::branchless(&value, mark, &mut said);
    }
    let (mark, no_branch) = (rendered.mark, rendered.no_branch);
    let mut reader = Reader { mark, no_branch, key: None, outside, said };
    let file = Section::root(&value);
    reader.key = reader.key(&file, overrides);
    let started = started(&mut reader, &file, overrides);
    match started {
        Some(started) if reader.said.problems.0.is_empty() => {
            Ok(Started { warnings: reader.said.warnings, ..started })
        }
        _ => Err(reader.said.problems),
    }
}

/// The sections in their order. `None` only where a problem was said.
fn started(reader: &mut Reader<'_>, file: &Section<'_>, overrides: &Overrides) -> Option<Started> {
    for section in [file.get("feature"), file.at(&["feature", "preview"])].into_iter().flatten() {
        reader.is_object(&section);
    }
    let (target, namespace) = target::read(reader, file, overrides);
    let image = preview::image(reader, file, overrides);
    let mut spec: PreviewSpec =
        serde_json::from_value(json!({ "image": image.clone().unwrap_or_default() })).ok()?;
    spec.key = reader.key.as_ref().map(ToString::to_string);
    spec.target = target.clone().flatten();
    preview::read(reader, file, overrides, &mut spec);
    spec.env = env::read(reader, file);
    spec.unset_env = env::unset(reader, file);
    spec.env_mapping = env::mapping(reader, file);
    let files = mounts::read(reader, file);
    spec.files = files.list;
    spec.incoming = incoming::read(reader, file, overrides, matches!(target, Some(None)));
    let timeout = overrides.timeout.or_else(|| preview::timeout(reader, file));
    (image.is_some() && target.is_some()).then(|| Started {
        spec,
        namespace,
        name: None,
        secrets: files.secrets.clone(),
        timeout,
        warnings: Vec::new(),
    })
}

/// What was found to say.
#[derive(Debug, Default)]
struct Said {
    problems: Problems,
    warnings: Vec<String>,
}

impl Said {
    fn problem(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.problems.0.push(Problem { field: field.into(), message: message.into() });
    }
}

/// What all sections need while they are read.
struct Reader<'a> {
    /// Stands for the key in what was rendered.
    mark: char,
    /// Stands for the branch, if there is none.
    no_branch: Option<char>,
    /// If it is known by now.
    key: Option<Key>,
    outside: &'a Outside,
    said: Said,
}

impl Reader<'_> {
    /// The key in force: the command line's, mirrord's variable's, the file's. None: one is made later.
    fn key(&mut self, file: &Section<'_>, overrides: &Overrides) -> Option<Key> {
        let of_file = file.get("key").and_then(|key| self.raw_text(&key));
        let (field, text) = match (&overrides.key, self.outside.var("MIRRORD_KEY"), of_file) {
            (Some(key), ..) => ("--key", key.clone()),
            (None, Some(key), _) => ("MIRRORD_KEY", key),
            (None, None, Some(key)) => ("key", key.to_owned()),
            (None, None, None) => return None,
        };
        if text.contains(self.mark) {
            self.said.problem(
                field,
                "the key cannot be made of {{ key }} itself: write it, or use {{ get_env(name='NAME') }}",
            );
            return None;
        }
        text.parse().map_err(|error: byway_api::KeyError| self.said.problem(field, error.to_string())).ok()
    }

    /// Whether it is an object, which is said if it is not.
    fn is_object(&mut self, section: &Section<'_>) -> bool {
        let is_object = section.value.is_object();
        if !is_object {
            self.said.problem(&section.path, format!("is {}: write an object", section.what()));
        }
        is_object
    }

    /// A text as it was rendered.
    fn raw_text<'v>(&mut self, section: &Section<'v>) -> Option<&'v str> {
        let text = section.value.as_str();
        if text.is_none() {
            self.said.problem(&section.path, format!("is {}: write a text", section.what()));
        }
        text
    }

    /// A text with the key put in.
    fn text(&mut self, section: &Section<'_>) -> Option<String> {
        let text = self.raw_text(section)?;
        self.filled(text, &section.path)
    }

    fn filled(&mut self, text: &str, path: &str) -> Option<String> {
        // That is said already.
        if self.no_branch.is_some_and(|mark| text.contains(mark)) {
            return None;
        }
        if !text.contains(self.mark) {
            return Some(text.to_owned());
        }
        let Some(key) = &self.key else {
            self.said.problem(
                path,
                "has {{ key }}, and no key is known yet: set `key` in the file, MIRRORD_KEY, or --key",
            );
            return None;
        };
        Some(text.replace(self.mark, key.as_str()))
    }

    /// A list of texts, or one with its parts between `;`.
    fn texts(&mut self, section: &Section<'_>) -> Vec<String> {
        if let Value::Array(_) = section.value {
            return section.items().filter_map(|item| self.text(&item)).collect();
        }
        let text = self.text(section).unwrap_or_default();
        text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Problem { field, message }) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { "\n" } else { "" })?;
            if !field.is_empty() {
                write!(f, "{field}: ")?;
            }
            f.write_str(message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
