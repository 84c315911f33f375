//! The fuzz target's body, for a fixed number of inputs, the same ones each time: frames that are right, and then bent.

#[path = "../../fuzz/switch.rs"]
mod switch;

#[path = "../bent/mod.rs"]
mod bent;

use bent::Rng;

#[test]
fn thirty_thousand_inputs() {
    let pieces = |rng: &mut Rng| (0..1 + rng.below(40)).flat_map(|_| piece(rng)).collect();
    bent::inputs(4, pieces, switch::check);
}

fn pick(rng: &mut Rng, all: &[u8]) -> u8 {
    all[rng.below(all.len())]
}

/// Something that an end sends: a frame, most often.
fn piece(rng: &mut Rng) -> Vec<u8> {
    let kind = pick(rng, &[0, 0, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 0xbb]);
    let flags = pick(rng, &[0, 1, 4, 5, 5, 0x2c, 0x0d]);
    let stream = pick(rng, &[0, 0, 1, 3, 5, 7, 9, 11, 13, 15, 2]);
    let blocks: [&[u8]; 6] = [
        &[0x82, 0x86, 0x84],
        &[0x82, 0x40, 1, b'a', 1, b'b'],
        &[0x88, 0xbe],
        &[0x3f, 0x10, 0x82, 0xbf],
        &[0x82, 0x10, 1, b's', 0x82, 0xff, 0xff],
        &[0x20, 0x83, 0x7e, 1, b'c'],
    ];
    let payload = match kind {
        1 | 5 | 9 => blocks[rng.below(blocks.len())].to_vec(),
        0 if rng.below(8) == 0 => vec![7; 900 + rng.below(3000)],
        0 => vec![rng.below(8) as u8; rng.below(90)],
        4 => vec![0, pick(rng, &[1, 3, 4, 5, 8]), 0, 0, rng.below(256) as u8, rng.below(256) as u8],
        8 | 3 => vec![0, 0, rng.below(256) as u8, rng.below(256) as u8],
        _ => vec![rng.below(256) as u8; 8],
    };
    let [long, len] = (payload.len() as u16).to_be_bytes();
    let mut frame = vec![0, long, len, kind, flags, 0, 0, 0, stream];
    frame.extend(payload);
    let [long, len] = (frame.len() as u16).to_be_bytes();
    let mut piece = vec![rng.below(8) as u8, long, len, rng.below(16) as u8];
    piece.extend(frame);
    piece
}
