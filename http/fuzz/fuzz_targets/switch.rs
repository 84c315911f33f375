//! The switch under arbitrary bytes: see `switch.rs` for what must hold.
#![no_main]

#[path = "../switch.rs"]
mod switch;

libfuzzer_sys::fuzz_target!(|input: &[u8]| switch::check(input));
