//! From a target and a Preview to the objects that the Preview owns: pure, no I/O, no clock.
//!
//! [`source_of`] makes a [`Source`] of the target workload. [`of_target`] makes the clone of it, [`targetless()`] the
//! fresh pod of a Preview without a target. Both give [`Children`], ready for server-side apply, or a [`Refusal`] that
//! says what to do. What works, but not as one might expect, is a [`Warning`].
//!
//! In this order a clone is made: refuse what must not be cloned, choose the `container`, find its `ports`, change the
//! `labels` by which others select the target, turn the target's own `spread` on the clone, take out the `annotations` by
//! which `registries` would take it for the target, then `build`.

mod annotations;
mod around;
mod build;
mod check;
mod children;
mod chosen;
mod container;
mod deployment;
mod devices;
mod downward;
mod duplicates;
mod files;
mod injected;
mod labels;
mod mapping;
mod mesh;
mod ordinal;
mod pod;
mod policies;
mod ports;
mod refuse;
pub mod registries;
mod sidecars;
mod source;
mod spread;
mod targetless;
#[cfg(test)]
mod testing;
mod unset;
mod volumes;
mod warn;

pub use around::Surroundings;
pub use build::of_target;
pub use children::Children;
pub use deployment::RENEWED_ANNOTATION;
pub use files::own_name as files_name;
pub use labels::{Selecting, escaping};
pub use refuse::Refusal;
pub use source::{Found, Source, WorkloadRef, source_of};
pub use targetless::targetless;
pub use warn::Warning;
