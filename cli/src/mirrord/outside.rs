//! What a configuration may refer to outside of its text.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::text;

type Var = dyn Fn(&str) -> Option<String> + Send + Sync;
type File = dyn Fn(&Path) -> std::io::Result<Vec<u8>> + Send + Sync;
type Branch = dyn Fn() -> Option<String> + Send + Sync;
type Place = dyn Fn(&Path) -> PathBuf + Send + Sync;

/// The environment, and files that a configuration names.
#[derive(Clone)]
pub struct Outside {
    var: Arc<Var>,
    file: Arc<File>,
    branch: Arc<Branch>,
    place: Arc<Place>,
}

impl Outside {
    /// This process's own.
    #[must_use]
    pub fn real() -> Self {
        let own = Self::new(|name| std::env::var(name).ok(), text::open, git_branch);
        Self { place: Arc::new(real_place), ..own }
    }

    /// Another one: variables, files, and the branch that is checked out.
    pub fn new(
        var: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        file: impl Fn(&Path) -> std::io::Result<Vec<u8>> + Send + Sync + 'static,
        branch: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let place = Arc::new(|path: &Path| path.to_owned());
        Self { var: Arc::new(var), file: Arc::new(file), branch: Arc::new(branch), place }
    }

    /// A variable, unless it is empty.
    pub(super) fn var(&self, name: &str) -> Option<String> {
        (self.var)(name).filter(|value| !value.is_empty())
    }

    /// A file as text.
    pub(super) fn file(&self, path: &Path) -> std::io::Result<String> {
        text::decode(&self.bytes(path)?)
    }

    /// A file as it is.
    pub(crate) fn bytes(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        (self.file)(path)
    }

    /// Where a path leads, with `~` and variables in it as mirrord reads them. What is not set stays as it is.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        let home = || self.var("HOME");
        let path = shellexpand::full_with_context_no_errors(path, home, |name| self.var(name));
        (self.place)(Path::new(path.as_ref()))
    }

    /// Absent where none is checked out, as mostly in CI. `MIRRORD_BRANCH_NAME` goes before it.
    pub(super) fn branch(&self) -> Option<String> {
        self.var("MIRRORD_BRANCH_NAME").or_else(|| (self.branch)())
    }
}

/// A file that is not there has a place, too.
fn real_place(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

fn git_branch() -> Option<String> {
    let output = Command::new("git").args(["symbolic-ref", "--short", "--quiet", "HEAD"]).output().ok()?;
    let branch = String::from_utf8(output.stdout).ok()?;
    Some(branch.trim().to_owned()).filter(|branch| output.status.success() && !branch.is_empty())
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").finish_non_exhaustive()
    }
}
