//! Framing under many inputs: what must hold for any bytes, and what must hold against hyper.
//!
//! The first is the body of the fuzz target, run for a fixed number of inputs, the same ones each time, on stable.

mod hyper;
mod inputs;
#[path = "../../fuzz/invariants.rs"]
mod invariants;

const INPUTS: usize = 200_000;

#[test]
fn two_hundred_thousand_inputs() {
    let seeds = inputs::seeds();
    for seed in &seeds {
        run(seed);
    }
    let mut rng = inputs::Rng(1);
    for i in 0..INPUTS {
        match i % 4 {
            0 => run(&[&[i as u8][..], &inputs::built(&mut rng, true)].concat()),
            1 => run(&[&[i as u8][..], &inputs::built(&mut rng, false)].concat()),
            _ => run(&inputs::mutated(&mut rng, &seeds)),
        }
    }
}

fn run(input: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| invariants::check(input)) {
        eprintln!("the input was b\"{}\"", input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}
