//! Frames as bytes, and what of them counts.

use std::fmt;

use httlib_hpack::Decoder;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const END: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITY: u8 = 0x20;

/// A frame as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// With the bit that means nothing.
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// Name, value, and whether it must never be indexed.
type Field = (Vec<u8>, Vec<u8>, bool);

/// What counts of a frame: of a block its fields, since it may be encoded and cut in many ways.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Frame(Frame),
    Block {
        stream: u32,
        end: bool,
        fields: Option<Vec<Field>>,
    },
    /// What is no whole frame.
    Rest(Vec<u8>),
}

impl Heard {
    pub(crate) fn stream(&self) -> u32 {
        match self {
            Self::Frame(frame) => frame.stream,
            Self::Block { stream, .. } => *stream,
            Self::Rest(_) => 0,
        }
    }
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |bytes: &[u8]| {
            let cut = &bytes[..bytes.len().min(40)];
            format!("{} bytes \"{}\"", bytes.len(), cut.escape_ascii())
        };
        match self {
            Self::Frame(Frame { kind, flags, stream, payload }) => {
                write!(f, "kind {kind} flags {flags:#x} stream {stream} {}", shown(payload))
            }
            Self::Block { stream, end, fields: None } => write!(f, "a broken block of {stream}, end {end}"),
            Self::Block { stream, end, fields: Some(fields) } => {
                write!(f, "a block of {stream}, end {end}:")?;
                fields.iter().take(8).try_for_each(|(name, value, never)| {
                    write!(f, " {}={}{}", name.escape_ascii(), shown(value), if *never { "!" } else { "" })
                })
            }
            Self::Rest(bytes) => write!(f, "the rest {}", shown(bytes)),
        }
    }
}

/// The whole frames in `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Vec<Frame> {
    split(bytes).0
}

fn split(mut bytes: &[u8]) -> (Vec<Frame>, &[u8]) {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(len) else { break };
        bytes = rest;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        frames.push(Frame { kind: head[3], flags: head[4], stream, payload: payload.to_vec() });
    }
    (frames, bytes)
}

/// What counts of what came.
pub(crate) fn heard(bytes: &[u8]) -> Vec<Heard> {
    let (preface, bytes) = match bytes.strip_prefix(PREFACE) {
        Some(rest) => (Some(Heard::Rest(PREFACE.to_vec())), rest),
        None => (None, bytes),
    };
    let (frames, rest) = split(bytes);
    let mut decoder = Some(Decoder::default());
    let mut heard: Vec<Heard> = preface.into_iter().collect();
    let mut block: Option<(u32, bool, Vec<u8>)> = None;
    for frame in frames {
        let fragment = match (&block, frame.kind) {
            (None, 1) => fragment(&frame).map(|it| (frame.stream, frame.flags & END != 0, it)),
            (Some((stream, end, before)), 9) if *stream == frame.stream => {
                Some((*stream, *end, [before.as_slice(), &frame.payload].concat()))
            }
            _ => None,
        };
        let Some((stream, end, mut whole)) = fragment else {
            if let Some((stream, end, _)) = block.take() {
                heard.push(Heard::Block { stream, end, fields: None });
            }
            heard.push(Heard::Frame(frame));
            continue;
        };
        if frame.flags & END_HEADERS == 0 {
            block = Some((stream, end, whole));
            continue;
        }
        block = None;
        let mut fields = Vec::new();
        let decoded = decoder.as_mut().is_some_and(|it| it.decode(&mut whole, &mut fields).is_ok());
        if !decoded {
            decoder = None;
        }
        let field =
            |(name, value, flags): (Vec<u8>, Vec<u8>, u8)| (name, value, flags & Decoder::NEVER_INDEXED != 0);
        let fields = decoded.then(|| fields.into_iter().map(field).collect());
        heard.push(Heard::Block { stream, end, fields });
    }
    if let Some((stream, end, _)) = block {
        heard.push(Heard::Block { stream, end, fields: None });
    }
    match *rest {
        [] => {}
        // Of a block that is not whole nothing can be understood, wherever it is cut.
        [_, _, _, 1, flags, a, b, c, d, ..] => heard.push(Heard::Block {
            stream: u32::from_be_bytes([a, b, c, d]),
            end: flags & END != 0,
            fields: None,
        }),
        _ => heard.push(Heard::Rest(rest.to_vec())),
    }
    heard
}

/// The fragment in HEADERS; none if its padding is too long.
fn fragment(frame: &Frame) -> Option<Vec<u8>> {
    let mut payload = frame.payload.as_slice();
    if frame.flags & PADDED != 0 {
        let (padding, rest) = payload.split_first()?;
        payload = rest.get(..rest.len().checked_sub(usize::from(*padding))?)?;
    }
    payload.get(if frame.flags & PRIORITY != 0 { 5 } else { 0 }..).map(<[u8]>::to_vec)
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A block in one frame.
pub(crate) fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(1, flags | END_HEADERS, stream, block)
}

/// A block in frames of at most `len`.
pub(crate) fn in_parts(stream: u32, flags: u8, block: &[u8], len: usize) -> Vec<u8> {
    let parts: Vec<&[u8]> = block.chunks(len).collect();
    let mut bytes = Vec::new();
    for (n, part) in parts.iter().enumerate() {
        let last = if n + 1 == parts.len() { END_HEADERS } else { 0 };
        let (kind, flags) = if n == 0 { (1, flags) } else { (9, 0) };
        bytes.extend(frame(kind, flags | last, stream, part));
    }
    bytes
}

pub(crate) fn data(stream: u32, flags: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    frame(0, flags, stream, bytes.as_ref())
}

pub(crate) fn settings(all: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        all.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(4, 0, 0, &payload)
}

pub(crate) fn window(stream: u32, room: u32) -> Vec<u8> {
    frame(8, 0, stream, &room.to_be_bytes())
}

pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(3, 0, stream, &code.to_be_bytes())
}

pub(crate) fn goaway(last: u32, code: u32, debug: &[u8]) -> Vec<u8> {
    frame(7, 0, 0, &[&last.to_be_bytes()[..], &code.to_be_bytes(), debug].concat())
}

/// Fields as literals that are not indexed.
pub(crate) fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| [&[0][..], &string(name), &string(value)].concat()).collect()
}

pub(crate) fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if text.len() < 127 {
        bytes.push(text.len() as u8);
    } else {
        bytes.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            bytes.push(rest as u8 | 128);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }
    bytes.extend(text);
    bytes
}
