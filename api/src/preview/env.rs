//! Variables of the target that have another value in the preview.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::derives::JsonSchema;

/// Another value for variables of the target's container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvMapping {
    /// Which: a regular expression, found anywhere in a variable's name; `^` and `$` hold it to the whole name.
    #[schemars(length(min = 1, max = 256))]
    pub names: String,
    /// The value that they have. `$(NAME)` refers to another variable, `$$` is a dollar, as in env.
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// Most bytes of a compiled regex.
const MAX_COMPILED: usize = 64 << 10;

impl EnvMapping {
    /// `names`, to be found in a name.
    ///
    /// # Errors
    ///
    /// When it is no regular expression, or takes too much memory.
    pub fn regex(&self) -> Result<Regex, regex::Error> {
        RegexBuilder::new(&self.names).size_limit(MAX_COMPILED).build()
    }
}
