//! Copies of packets under arbitrary bytes: see `copies.rs` for what must hold.
#![no_main]

#[path = "../copies.rs"]
mod copies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| copies::check(input));
