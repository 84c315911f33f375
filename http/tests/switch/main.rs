//! The switch between a client, its home and lines, all of them others' implementations.
//!
//! [`compression`] plays the frames by hand and decodes what each side gets with another's HPACK; [`library`] has `h2`
//! on every side, which ends a connection whose windows or order are violated. [`inputs`] is the fuzz target.

mod compression;
mod inputs;
mod library;
