//! The chart: what it refuses, what it renders, what a real API server makes of that, and its whole life on real nodes.

mod applied;
mod crds;
mod helm;
mod limits;
mod nodes;
mod rendered;
mod values;
