//! What should be in the cluster, from what is there: the pure part of the control plane.
//!
//! The way of a change: a watch has seen an [`update`], the [`world`] takes it in, [`standing`] says who may have routes,
//! [`mod@clone`] what a Preview owns, [`routes`] what each node should steer, and [`status`] what is said of it all. A
//! [`wish`] is what is asked of whoever writes, an [`outcome`] what came of it.
//!
//! Functions of values: no I/O, and no clock but the time that is given. It cannot name the API server's client: whoever
//! watches and writes depends on this crate, as does whoever asks what a clone would be.
#![forbid(unsafe_code)]

pub mod clone;
pub mod identity;
pub mod outcome;
pub mod ports;
pub mod refused;
pub mod relabel;
pub mod routes;
pub mod rows;
pub mod rules;
pub mod scope;
mod selectors;
pub mod standing;
pub mod status;
pub mod table;
#[cfg(test)]
mod testing;
pub mod traffic;
pub mod update;
pub mod wish;
pub mod world;
