//! The kubectl plugin. Not in this version; the agent takes its routes from a file.
#![forbid(unsafe_code)]
