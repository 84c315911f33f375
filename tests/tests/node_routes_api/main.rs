//! The agent and a real API server: what it takes from there, and what it says.

mod acks;
mod kubelet;
mod outages;
mod pods;
mod speed;
mod support;
