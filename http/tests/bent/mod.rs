//! Inputs for the bodies of fuzz targets: what is right, with some bytes bent, the same ones each time.

use std::panic::{catch_unwind, resume_unwind};

const INPUTS: usize = 30_000;

/// A small generator of pseudo-random numbers (xorshift64).
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most
    }
}

/// Checks many inputs, of each of which fewer than so many bytes are bent. One that fails is printed.
pub(crate) fn inputs(bends: usize, make: impl Fn(&mut Rng) -> Vec<u8>, check: fn(&[u8])) {
    let mut rng = Rng(1);
    for _ in 0..INPUTS {
        let mut input = make(&mut rng);
        for _ in 0..rng.below(bends) {
            let at = rng.below(input.len());
            input[at] = rng.below(256) as u8;
        }
        if let Err(panic) = catch_unwind(|| check(&input)) {
            eprintln!("the input was b\"{}\"", input.escape_ascii());
            resume_unwind(panic);
        }
    }
}
