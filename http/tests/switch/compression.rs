//! However blocks are encoded, cut and divided: home and lines decode what the client meant.

use byway_http::{
    Switch,
    detect::PREFACE,
    http2::switch::{Input, Scratch, Step},
};
use httlib_hpack::{Decoder, Encoder};
use proptest::prelude::*;

const NAMES: [&str; 6] = ["x-a", "x-byway-key", "cookie", "accept", "x-secret", "grpc-timeout"];
const LINE: u32 = 1;

/// How a field is encoded: the library's flags.
const FLAGS: [u8; 7] = [0, 0x3, 0x4, 0x7, 0x8, 0xb, 0x14];
const NEVER: u8 = Decoder::NEVER_INDEXED;

#[derive(Clone, Debug)]
struct Request {
    away: bool,
    fields: Vec<(String, Vec<u8>, u8)>,
    /// A new size of the table.
    resize: Option<u32>,
    /// Length of the fragments.
    fragment: usize,
    trailers: bool,
}

fn request() -> impl Strategy<Value = Request> {
    let value = prop_oneof![
        4 => prop::sample::select(vec![&b"1"[..], b"pr-1", b"a=b; c=d", b"application/grpc", b"\xff\x00\"`"]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => (4000..4200_usize).prop_map(|len| vec![b'l'; len]),
    ];
    let field = (prop::sample::select(NAMES.to_vec()), value, prop::sample::select(FLAGS.to_vec()))
        .prop_map(|(name, value, flags)| (name.to_owned(), value, flags));
    let resize = prop::option::weighted(0.15, prop::sample::select(vec![0, 64, 200, 1000, 4096]));
    (any::<bool>(), prop::collection::vec(field, 0..8), resize, 1..200_usize, any::<bool>()).prop_map(
        |(away, fields, resize, fragment, trailers)| Request { away, fields, resize, fragment, trailers },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn both_sides_decode_what_was_meant(
        requests in prop::collection::vec(request(), 1..25),
        cuts in prop::collection::vec(1..400_usize, 1..20),
    ) {
        let mut encoder = Encoder::default();
        let mut sent = Vec::new();
        let mut meant: [Vec<(u32, Vec<Field>)>; 2] = Default::default();
        for (n, request) in requests.iter().enumerate() {
            let stream = 2 * n as u32 + 1;
            let pseudo = [(":method", "POST"), (":path", "/a.B/C"), (":scheme", "http")];
            let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec(), 0x14));
            let mut block = Vec::new();
            if let Some(size) = request.resize {
                encoder.update_max_dynamic_size(size, &mut block).unwrap();
            }
            let all: Vec<_> = pseudo.into_iter().chain(request.fields.clone()).collect();
            blocks(&mut sent, &mut encoder, block, stream, &all, request.fragment, !request.trailers);
            let to = &mut meant[usize::from(request.away)];
            to.push((stream, all.into_iter().map(Field::of).collect()));
            if request.trailers {
                let all = [("x-a".to_owned(), b"trailer".to_vec(), 0x4), ("x-b".to_owned(), vec![0xfe; 9], 0x8)];
                blocks(&mut sent, &mut encoder, Vec::new(), stream, &all, request.fragment, true);
                to.push((stream, all.into_iter().map(Field::of).collect()));
            }
        }
        let [home, line] = play(&requests, &sent, &cuts);
        let meant_as_sent = requests.iter().all(|request| !request.away).then_some(&sent);
        if let Some(sent) = meant_as_sent {
            prop_assert!(home == *sent, "what is not away goes on byte for byte");
        }
        prop_assert_eq!(decoded(&home), meant[0].clone());
        let settings = if line.is_empty() { 0 } else { PREFACE.len() };
        // Streams that are away do not wait for each other.
        let mut on_line = decoded(&line[settings..]);
        on_line.sort_by_key(|(stream, _)| *stream);
        prop_assert_eq!(on_line, meant[1].clone());
    }
}

/// A field as it has to arrive: whether it must never be indexed is part of it.
#[derive(Clone, Debug, PartialEq)]
struct Field {
    name: Vec<u8>,
    value: Vec<u8>,
    never: bool,
}

impl Field {
    fn of((name, value, flags): (String, Vec<u8>, u8)) -> Self {
        Self { name: name.into_bytes(), value, never: flags & NEVER != 0 && flags & 0x4 == 0 }
    }
}

fn blocks(
    to: &mut Vec<u8>,
    encoder: &mut Encoder<'_>,
    mut block: Vec<u8>,
    stream: u32,
    fields: &[(String, Vec<u8>, u8)],
    fragment: usize,
    end: bool,
) {
    for (name, value, flags) in fields {
        encoder.encode((name.clone().into_bytes(), value.clone(), *flags), &mut block).unwrap();
    }
    let parts: Vec<&[u8]> = block.chunks(fragment.max(block.len() / 4 + 1)).collect();
    for (n, part) in parts.iter().enumerate() {
        let last = if n + 1 == parts.len() { 4 } else { 0 };
        let (kind, flags) = if n == 0 { (1, u8::from(end)) } else { (9, 0) };
        to.extend(&(part.len() as u32).to_be_bytes()[1..]);
        to.extend([kind, flags | last]);
        to.extend(stream.to_be_bytes());
        to.extend(*part);
    }
}

/// What home and the line get.
fn play(requests: &[Request], sent: &[u8], cuts: &[usize]) -> [Vec<u8>; 2] {
    let (mut switch, mut scratch) = (Switch::new(false), Scratch::default());
    let (mut home, mut line) = (Vec::new(), Vec::new());
    let (mut rest, mut asked, mut has_line) = (sent, requests.iter(), false);
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let (now, behind) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
        rest = behind;
        let mut now = Input::new(now);
        while switch.client(&mut now, &mut scratch) == Step::Asked {
            if asked.next().unwrap().away {
                if !std::mem::replace(&mut has_line, true) {
                    switch.add_line(LINE, "preview".to_owned());
                    switch.line_speaks(LINE);
                }
                switch.goes_away(LINE, None, &mut scratch);
            } else {
                switch.goes_home(None, &mut scratch);
            }
        }
        switch.to_home().keep(now, 0);
        drain(switch.to_home(), &mut home);
        if let Some(out) = switch.to_line(LINE) {
            drain(out, &mut line);
        }
        switch.line_took(LINE);
    }
    if let Some(out) = switch.to_line(LINE) {
        drain(out, &mut line);
    }
    [home, line]
}

fn drain(out: &mut byway_http::http2::switch::Out, to: &mut Vec<u8>) {
    to.extend_from_slice(out.bytes());
    let len = out.len();
    out.advance(len);
}

/// The blocks in `frames` and their streams, by another's decoder.
fn decoded(mut frames: &[u8]) -> Vec<(u32, Vec<Field>)> {
    let mut decoder = Decoder::default();
    let (mut blocks, mut block) = (Vec::new(), Vec::new());
    while let Some((head, rest)) = frames.split_first_chunk::<9>() {
        let (payload, rest) = rest.split_at(u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize);
        frames = rest;
        if matches!(head[3], 1 | 9) {
            block.extend_from_slice(payload);
            if head[4] & 4 != 0 {
                let mut fields = Vec::new();
                decoder.decode(&mut block, &mut fields).unwrap();
                let field = |(name, value, flags): (Vec<u8>, Vec<u8>, u8)| Field {
                    name,
                    value,
                    never: flags & NEVER != 0,
                };
                let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                blocks.push((stream, fields.into_iter().map(field).collect()));
                block.clear();
            }
        }
    }
    assert!(frames.is_empty(), "whole frames only");
    blocks
}
