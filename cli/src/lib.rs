//! Byway.
