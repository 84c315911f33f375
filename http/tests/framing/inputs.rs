//! Inputs for the tests that need many: the seed corpus of the fuzz target, mutated the same way each time.

use std::path::Path;

/// A small generator of pseudo-random numbers (splitmix64), so that a failure can be repeated.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(crate) fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// The seeds, in the order of their names. The first byte of each is for the fuzz target.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/framing");
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 20, "the seeds are in {}", folder.display());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// What parsers have disagreed about.
const PIECES: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"0",
    b"1",
    b"+",
    b"-",
    b"_",
    b"%",
    b"\"",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"#",
    b"?",
    b"/",
    b"*",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"1\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"chunked",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Host: b\r\n",
    b"X: y\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"GET /z HTTP/1.1\r\n\r\n",
    b"HEAD",
    b"POST",
    b"ffffffffffffffff",
    b"x-byway-key: pr-1\r\n",
];

/// One or two seeds, with up to four changes.
pub(crate) fn mutated(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[rng.below(seeds.len())].clone();
    if rng.below(4) == 0 {
        bytes.extend_from_slice(&seeds[rng.below(seeds.len())][1..]);
    }
    for _ in 0..rng.below(5) {
        let at = rng.below(bytes.len());
        let end = (at + rng.below(8)).min(bytes.len());
        match rng.below(4) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes[at] = rng.next() as u8,
            2 => drop(bytes.splice(at..at, rng.one_of(PIECES).iter().copied())),
            _ => drop(bytes.splice(at..end, rng.one_of(PIECES).iter().copied())),
        }
        if bytes.is_empty() {
            bytes.push(1);
        }
    }
    bytes
}

/// A message put together from parts that are mostly right, and else wrong in the ways that matter: what random
/// changes of bytes seldom hit.
pub(crate) fn built(rng: &mut Rng, request: bool) -> Vec<u8> {
    let mut text = String::new();
    for _ in 0..=rng.below(2) {
        if request {
            text += rng.one_of(&["GET", "POST", "HEAD", "PUT", "get", "X-Y"]);
            text += rng.one_of(&[
                " /a",
                " /a?b#c",
                " /a#b",
                " http://h/x",
                " *",
                " /{}|\\^\"",
                " /<a>?`b`",
                " /\u{e9}?\u{1f600}",
                " http://u@h",
                " /\u{1}",
                " a",
                " //",
                " ?",
                "  /",
            ]);
            text +=
                rng.one_of(&[" HTTP/1.1", " HTTP/1.1", " HTTP/1.1", " HTTP/1.0", " HTTP/1.2", " HTTP/1.1 "]);
        } else {
            text += rng.one_of(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0"]);
            text += rng.one_of(&[
                " 200 OK",
                " 200 OK",
                " 200",
                " 204 No",
                " 304 Not",
                " 101 X",
                " 100 X",
                " 404 \u{e9}",
                " 99 X",
            ]);
        }
        text += end(rng);
        let chunked = rng.below(2) == 0;
        for _ in 0..rng.below(3) {
            text += rng.one_of(&[
                "Host: a",
                "A: b",
                "A : b",
                " A: b",
                "A:",
                "Connection: close",
                "Connection: keep-alive",
                "A: \u{e9}",
                "A: \u{1}\u{1b}\u{7f}",
                "A[b]: c",
                ": c",
                "Content-Length: 3",
                "Content-Length: 0",
                "Content_Length: 1",
                "A\t: b",
                "Transfer-Encoding: gzip",
            ]);
            text += end(rng);
        }
        text += if chunked {
            rng.one_of(&[
                "Transfer-Encoding: chunked",
                "Transfer-Encoding: chunked",
                "Transfer-Encoding: CHUNKED ",
                "Transfer-Encoding: gzip, chunked",
                "Transfer-Encoding: chunked, chunked",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                "Transfer-Encoding: chunked\r\nContent-Length: 3",
                "Transfer-Encoding: chunked,",
                "Transfer-Encoding:\tchunked",
                "Transfer-Encoding: chunked;q=1",
                "Transfer-Encoding: \u{b}chunked",
            ])
        } else {
            rng.one_of(&[
                "Content-Length: 3",
                "Content-Length: 03",
                "Content-Length: +3",
                "Content-Length: 3,3",
                "Content-Length: 3 ",
                "Content-Length: 3\r\nContent-Length: 3",
                "Content-Length: 3\r\nContent-Length: 4",
                "Content-Length:\t3",
                "Content-Length: 3\t",
                "Content-Length: 0x3",
                "Content-Length: 3 3",
                "A: b",
                "Content-Length: 18446744073709551619",
            ])
        };
        text += end(rng);
        text += end(rng);
        if !chunked {
            text += rng.one_of(&["abc", "abc", "ab", ""]);
            continue;
        }
        for _ in 0..rng.below(3) {
            text += rng.one_of(&[
                "3",
                "3",
                "03",
                "0000000000000003",
                "00000000000000003",
                "10000000000000003",
                "3 ",
                "3\t",
                "3;",
                "3;a=b",
                "3;a=\"b\\\"c\"",
                "3;a\nb",
                "3;a\rb",
                "3; a",
                "+3",
                "0x3",
                "3 ;a",
                "3,",
                "3;\u{e9}",
                "3;\0",
            ]);
            text += end(rng);
            text += rng.one_of(&["abc", "abc", "abc", "ab", "abcd", "0\r\n"]);
            text += end(rng);
        }
        text += rng.one_of(&["0", "0", "000", "0;x", "00000000000000000", "0 ", ""]);
        text += end(rng);
        text += rng.one_of(&[
            "",
            "",
            "A: b\r\n",
            "A : b\r\n",
            "A\r\n",
            " A: b\r\n",
            "A: b\n",
            "A: b\0\r\n",
            ": b\r\n",
        ]);
        text += end(rng);
    }
    text.into_bytes()
}

fn end(rng: &mut Rng) -> &'static str {
    match rng.below(60) {
        0 => "\n",
        1 => "\r",
        2 => "\r\r\n",
        3 => "\r\n ",
        _ => "\r\n",
    }
}
