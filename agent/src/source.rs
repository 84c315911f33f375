//! Where the document of routes comes from.

pub(crate) mod file;
