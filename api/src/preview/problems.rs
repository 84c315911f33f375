//! What is wrong with a Preview that the CRD's rules cannot tell.

use super::{File, Labels, Mode, PreviewSpec, schema};
use crate::{Key, MatchError};

/// Why a Preview cannot work until it is changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A match that is not usable.
    #[error("incoming.match: {0}")]
    Match(#[from] MatchError),
    /// No way through it may be without the key.
    #[error("incoming.match: {}", schema::KEYLESS)]
    Keyless,
    /// Not all that is long may be in one object.
    #[error(
        "files: text and binary have {0} bytes together, at most {MOST_BYTES} are allowed: name a ConfigMap or Secret that has the longest ones (configMapKeyRef, secretKeyRef)"
    )]
    FilesTooLarge(usize),
    /// A file would have to be a directory, too.
    #[error("files: {outer} is a file, and so there can be no {inner} below it: leave one of them out")]
    FileBelowFile {
        /// The longer path.
        inner: String,
        /// The path that is its beginning.
        outer: String,
    },
    /// What is no regular expression.
    #[error("envMapping: {names:?} is no regular expression: {why}")]
    BadEnvMapping {
        /// As it is written.
        names: String,
        /// What the parser says.
        why: String,
    },
    /// What no label can be.
    #[error("labels.set: {name}: {why}")]
    BadLabel {
        /// Its name.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// Most bytes of files that stand in a Preview: etcd takes objects of 1.5 MiB, and the API server keeps two more copies in its
/// notes of who set which field.
const MOST_BYTES: usize = 512 << 10;

impl Problem {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Match(_) => "BadMatch",
            Self::Keyless => "Keyless",
            Self::FilesTooLarge(_) => "FilesTooLarge",
            Self::FileBelowFile { .. } => "FileBelowFile",
            Self::BadEnvMapping { .. } => "BadEnvMapping",
            Self::BadLabel { .. } => "BadLabel",
        }
    }
}

impl PreviewSpec {
    /// The first thing that is wrong and that the CRD's rules let pass. `key` is the key in force.
    ///
    /// # Errors
    ///
    /// With what to write instead.
    pub fn check(&self, key: &Key, allow_keyless: bool) -> Result<(), Problem> {
        let size = self.files.iter().map(File::size).sum();
        if size > MOST_BYTES {
            return Err(Problem::FilesTooLarge(size));
        }
        if let Some([inner, outer]) = self.file_below_file() {
            return Err(Problem::FileBelowFile { inner: inner.to_owned(), outer: outer.to_owned() });
        }
        for mapping in &self.env_mapping {
            if let Err(why) = mapping.regex() {
                let why = last_line(&why.to_string());
                return Err(Problem::BadEnvMapping { names: mapping.names.clone(), why });
            }
        }
        if let Some((name, why)) = self.labels.as_ref().and_then(Labels::wrong) {
            return Err(Problem::BadLabel { name: name.to_owned(), why });
        }
        let Some(match_) = &self.incoming.match_ else { return Ok(()) };
        // Copies harm nobody's answer.
        let allow_keyless = allow_keyless || self.incoming.mode == Mode::Mirror;
        match match_.compile(key, allow_keyless) {
            Ok(_) => Ok(()),
            Err(MatchError::Keyless { .. }) => Err(Problem::Keyless),
            Err(error) => Err(error.into()),
        }
    }
}

impl PreviewSpec {
    fn file_below_file(&self) -> Option<[&str; 2]> {
        let paths = || self.files.iter().map(|file| file.path.as_str());
        let is_below =
            |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        paths().find_map(|inner| Some([inner, paths().find(|outer| is_below(inner, outer))?]))
    }
}

/// What a parser says after it has drawn where.
fn last_line(said: &str) -> String {
    said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
