//! The clusters of the tests themselves: that they come up, can be disturbed, and leave nothing behind.

mod control;
mod image;
mod nodes;
