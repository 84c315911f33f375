//! Reads a `mirrord.json`: what of it asks for a preview becomes the spec of one.
//!
//! Pure but for the files that the configuration names (an env file, a payload): those are looked for beside it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use byway_api::{PreviewSpec, PreviewTarget, Ttl};

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
}

/// What a configuration asks for, with the overrides in it.
#[derive(Clone, Debug)]
pub struct Started {
    /// Of the Preview to make.
    pub spec: PreviewSpec,
    /// Where, if the file or the command line says.
    pub namespace: Option<String>,
    /// Of the Preview, if it follows from the file.
    pub name: Option<String>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

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

/// Reads the text of a configuration that is, or would be, at `path`.
///
/// # Errors
///
/// With everything that is wrong with it, not only the first.
pub fn read(_text: &str, _path: &Path, _overrides: &Overrides) -> Result<Started, Problems> {
    let message =
        "this version does not read mirrord's configuration: write a Preview, or use flags".to_owned();
    Err(Problems(vec![Problem { field: String::new(), message }]))
}
