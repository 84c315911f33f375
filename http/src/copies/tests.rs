use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    detect::PREFACE,
    http2::frame::{flag, kind},
};

/// What was found: requests of HTTP/1 as text, and `lost` with the first line of those that were.
fn shown(found: Found) -> String {
    match found {
        Found::Whole(Copied::Http1 { bytes, head }) => {
            assert!(bytes[..head].ends_with(b"\r\n\r\n"));
            String::from_utf8(bytes).unwrap()
        }
        Found::Whole(Copied::Http2 { fields, body, trailers, .. }) => {
            let field = |fields: &Fields, name: &str| {
                String::from_utf8_lossy(fields.get(name.as_bytes()).unwrap_or_default()).into_owned()
            };
            let trailer = trailers.map(|it| field(&it, "x-after")).unwrap_or_default();
            format!("{} {} {}{trailer}", field(&fields, ":method"), field(&fields, ":path"), body.len())
        }
        Found::Lost(None) => "lost".to_owned(),
        Found::Lost(Some(Copied::Http1 { bytes, .. })) => {
            let line = bytes.split(|b| *b == b'\r').next().unwrap_or_default();
            format!("lost {}", String::from_utf8_lossy(line))
        }
        Found::Lost(Some(Copied::Http2 { fields, .. })) => {
            format!("lost {}", String::from_utf8_lossy(fields.get(b":path").unwrap_or_default()))
        }
    }
}

fn all(reader: &mut Reader, bytes: &[u8]) -> Vec<String> {
    let mut seen = Vec::new();
    reader.take(bytes, |found| seen.push(shown(found)));
    seen
}

const GET: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &str = "POST /b HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello";
const CHUNKED: &str = "PUT /c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

#[test]
fn requests_are_found_one_after_the_other() {
    let mut reader = Reader::new();
    assert_eq!(all(&mut reader, [GET, POST, CHUNKED, GET].concat().as_bytes()), [GET, POST, CHUNKED, GET]);
    for byte in [CHUNKED, POST].concat().bytes() {
        let seen = all(&mut reader, &[byte]);
        assert!(seen.is_empty() || seen == [CHUNKED] || seen == [POST]);
    }
    assert!(!reader.is_over());
    assert!(reader.held() < 1024);
}

#[test]
fn behind_a_gap_the_next_request_is_found() {
    let mut reader = Reader::new();
    let mut seen = all(&mut reader, &POST.as_bytes()[..POST.len() - 2]);
    reader.gap(1, |found| seen.push(shown(found)));
    // How long the body is was said, so where it ends is known.
    seen.extend(all(&mut reader, [&b"o"[..], GET.as_bytes()].concat().as_slice()));
    assert_eq!(seen, ["lost POST /b HTTP/1.1", GET]);
    let mut seen = all(&mut reader, &CHUNKED.as_bytes()[..CHUNKED.len() - 2]);
    reader.gap(2, |found| seen.push(shown(found)));
    seen.extend(all(&mut reader, b"GET of a body\r\n"));
    seen.extend(all(&mut reader, GET.as_bytes()));
    assert_eq!(seen, ["lost PUT /c HTTP/1.1", GET]);
    // One that joins in the middle of a connection.
    let mut reader = Reader::midway();
    assert_eq!(all(&mut reader, b"rest of a body GET / HTTP/1.1\r\n"), [""; 0]);
    assert_eq!(all(&mut reader, GET.as_bytes()), [GET]);
    // And nothing is lost where nothing was under way.
    reader.gap(9, |found| panic!("{found:?}"));
}

#[test]
fn what_will_be_lost_is_known_as_soon_as_its_length_is() {
    let mut reader = Reader::new();
    let length = MOST as u64 * 300;
    let head = format!("POST /long HTTP/1.1\r\ncontent-length: {length}\r\n\r\n");
    assert_eq!(all(&mut reader, format!("{head}begin").as_bytes()), [""; 0]);
    assert_eq!(reader.unwanted(), length - 5);
    assert!(reader.held() < 1024, "nothing of it is kept");
    let mut seen = Vec::new();
    let half = u32::try_from(length / 2).unwrap();
    for missing in [half, u32::try_from(length - 5 - u64::from(half)).unwrap()] {
        reader.gap(missing, |found| seen.push(shown(found)));
    }
    assert_eq!((seen, reader.unwanted()), (vec!["lost POST /long HTTP/1.1".to_owned()], 0));
    assert_eq!(all(&mut reader, GET.as_bytes()), [GET]);
    all(&mut reader, &POST.as_bytes()[..POST.len() - 1]);
    assert_eq!(reader.unwanted(), 0, "it may be shown yet");
}

#[test]
fn what_is_too_long_or_no_http_is_never_half() {
    let mut reader = Reader::new();
    let head = format!("POST /long HTTP/1.1\r\ncontent-length: {}\r\n\r\n", MOST + 1);
    let mut seen = all(&mut reader, head.as_bytes());
    for chunk in vec![b'a'; MOST + 1].chunks(64 << 10) {
        seen.extend(all(&mut reader, chunk));
        assert!(reader.held() <= 2 * MOST);
    }
    seen.extend(all(&mut reader, GET.as_bytes()));
    assert_eq!(seen, ["lost POST /long HTTP/1.1", GET]);
    let mut reader = Reader::new();
    assert_eq!(all(&mut reader, b"\x16\x03\x01\x02\x00\x01"), [""; 0]);
    assert!(reader.is_over());
    let mut reader = Reader::new();
    assert_eq!(all(&mut reader, b"GET / HTTP/1.1\r\na: b\nc: d\r\n\r\n"), ["lost"]);
    assert!(reader.is_over());
    let mut reader = Reader::new();
    assert_eq!(all(&mut reader, b"CONNECT a:1 HTTP/1.1\r\n\r\nabc"), [""; 0]);
    assert!(reader.is_over());
}

#[test]
fn of_a_body_only_the_beginning_need_be_known() {
    let long = format!("POST /long HTTP/1.1\r\ncontent-length: 900\r\n\r\n{}", "x".repeat(900));
    let all = [long.as_bytes(), GET.as_bytes()].concat();
    let (mut segments, mut reader, mut seen) = (Segments::new(100), Reader::new(), Vec::new());
    // The second packet before the first, and the first twice; of each only 300 bytes.
    let half = long.len() / 2;
    for (from, to) in [(half, long.len()), (0, half), (0, half), (long.len(), all.len())] {
        let known = &all[from..(from + 300).min(to)];
        let missing = (to - from - known.len()) as u32;
        segments
            .take(100 + from as u32, known, missing, |piece| reader.next(piece, |it| seen.push(shown(it))));
    }
    assert_eq!(seen, ["lost POST /long HTTP/1.1", GET]);
}

/// A segment: where it begins, and how much of the stream it has.
fn segments(len: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..len, 1..80_usize), 0..60)
}

proptest! {
    #[test]
    fn however_packets_come_the_requests_are_the_same(
        which in prop::collection::vec(0..3_usize, 1..8),
        cuts in segments(400),
        start in any::<u32>(),
        seed in any::<u64>(),
    ) {
        let sent: Vec<&str> = which.iter().map(|it| [GET, POST, CHUNKED][*it]).collect();
        let stream = sent.concat().into_bytes();
        // All of it in pieces, and some of it again, in any order.
        let mut pieces: Vec<(usize, usize)> = (0..stream.len()).step_by(13).map(|at| (at, 13)).collect();
        pieces.extend(cuts.into_iter().filter(|(at, _)| *at < stream.len()));
        let mut state = seed | 1;
        for i in (1..pieces.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            pieces.swap(i, (state >> 33) as usize % (i + 1));
        }
        let (mut segments, mut reader, mut seen) = (Segments::new(start), Reader::new(), Vec::new());
        for (at, len) in pieces {
            let piece = &stream[at..(at + len).min(stream.len())];
            let taken = segments.take(start.wrapping_add(at as u32), piece, 0, |piece| {
                reader.next(piece, |found| seen.push(shown(found)));
            });
            prop_assert!(taken);
        }
        prop_assert_eq!(seen, sent);
        prop_assert!(segments.gap().is_none() && segments.held() == 0);
    }

    #[test]
    fn whatever_is_missing_none_is_half(
        which in prop::collection::vec(0..3_usize, 1..8),
        missing in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let sent: Vec<&str> = which.iter().map(|it| [GET, POST, CHUNKED][*it]).collect();
        let stream = sent.concat().into_bytes();
        let pieces: Vec<(usize, &[u8])> = stream.chunks(11).enumerate().map(|(n, it)| (n * 11, it)).collect();
        let lacks: Vec<usize> = missing.iter().map(|it| it.index(pieces.len())).collect();
        let (mut segments, mut reader) = (Segments::new(7), Reader::new());
        let (mut whole, mut lost) = (Vec::new(), 0);
        let mut see = |found: Found| match found {
            Found::Whole(copied) => whole.push(shown(Found::Whole(copied))),
            Found::Lost(_) => lost += 1,
        };
        for (n, (at, piece)) in pieces.iter().enumerate() {
            if lacks.contains(&n) {
                continue;
            }
            segments.take(7 + *at as u32, piece, 0, |piece| reader.next(piece, &mut see));
            if let Some(missing) = segments.gap() {
                reader.gap(missing, &mut see);
                segments.skip(|piece| reader.next(piece, &mut see));
            }
        }
        reader.end(&mut see);
        for one in &whole {
            prop_assert!(sent.contains(&one.as_str()), "{one:?} was never sent");
        }
        prop_assert!(whole.len() + lost <= sent.len() + lacks.len());
    }

    #[test]
    fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..600), cut in any::<prop::sample::Index>()) {
        let request = frame(1, 4, 7, &[0xbe]);
        for before in [&b""[..], PREFACE, GET.as_bytes(), &request] {
            let all = [before, &bytes].concat();
            let (one, two) = all.split_at(cut.index(all.len() + 1).min(all.len()));
            for mut reader in [Reader::new(), Reader::midway()] {
                reader.take(one, |_| {});
                reader.take(two, |_| {});
                reader.gap(3, |_| {});
                reader.take(two, |_| {});
            }
        }
    }
}

/// Another's client, and what it sends, with trailers and streams between each other.
#[test]
fn what_a_client_of_http2_sends_is_found() {
    let (client, mut server) = tokio::io::duplex(1 << 20);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sent = runtime.block_on(async {
        let (mut send, connection) = h2::client::handshake(client).await.unwrap();
        tokio::spawn(connection);
        let request = |method: &str, path: &str| {
            http::Request::builder().method(method).uri(format!("http://a{path}")).body(()).unwrap()
        };
        let (_one, mut upload) = send.send_request(request("POST", "/up"), false).unwrap();
        upload.send_data(Bytes::from_static(b"hello"), false).unwrap();
        let (_two, _) = send.send_request(request("GET", "/down"), true).unwrap();
        let (_three, mut gone) = send.send_request(request("PUT", "/gone"), false).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        gone.send_reset(h2::Reason::CANCEL);
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-after", "!".parse().unwrap());
        upload.send_trailers(trailers).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut bytes = vec![0; 1 << 20];
        let n = tokio::io::AsyncReadExt::read(&mut server, &mut bytes).await.unwrap();
        bytes.truncate(n);
        bytes
    });
    let expected = ["GET /down 0", "POST /up 5!", "lost /gone"];
    for size in [1, 7, sent.len()] {
        let mut reader = Reader::new();
        let mut seen: Vec<String> = sent.chunks(size).flat_map(|bytes| all(&mut reader, bytes)).collect();
        seen.sort_unstable();
        assert_eq!(seen, expected, "in pieces of {size}");
        // What the client has put into the table, and room for a few streams.
        assert!(reader.held() < 1024, "{}", reader.held());
    }
}

#[test]
fn all_that_is_kept_of_http2_counts() {
    let mut reader = Reader::new();
    all(&mut reader, PREFACE);
    // A block that goes on, and in the end puts a long field into the table (RFC 7541, 6.2.1).
    let value = vec![b'a'; 1000];
    let block = [&b"\x82\x84\x86\x40\x01x\x7f\xe9\x06"[..], &value].concat();
    all(&mut reader, &frame(kind::HEADERS, flag::END_STREAM, 1, &block));
    assert!(reader.held() >= block.len(), "{}", reader.held());
    let seen = all(&mut reader, &frame(kind::CONTINUATION, flag::END_HEADERS, 1, b""));
    assert_eq!(seen, ["GET / 0"]);
    assert!((1000..2000).contains(&reader.held()), "the table: {}", reader.held());
    all(&mut reader, &frame(kind::HEADERS, flag::END_HEADERS, 3, b"\x83\x84\x86"));
    all(&mut reader, &frame(kind::DATA, 0, 3, &value));
    assert!(reader.held() >= 2000, "{}", reader.held());
}

#[test]
fn what_is_kept_at_a_time_is_not_kept_for_good() {
    let mut reader = Reader::new();
    all(&mut reader, PREFACE);
    let each = |reader: &mut Reader, kind, flags, payload: &[u8]| {
        (0..4000).for_each(|n| drop(all(reader, &frame(kind, flags, 2 * n + 1, payload))));
    };
    each(&mut reader, kind::HEADERS, flag::END_HEADERS, b"\x83\x84\x86");
    assert!(reader.held() > 400_000, "{}", reader.held());
    each(&mut reader, kind::DATA, flag::END_STREAM, b"");
    assert!(reader.held() < 10_000, "{}", reader.held());
    let mut segments = Segments::new(0);
    (0..4000).for_each(|n| assert!(segments.take(2 + 2 * n, b"x", 0, |_| {})));
    assert!(segments.held() > 100_000, "{}", segments.held());
    while segments.gap().is_some() {
        segments.skip(|_| {});
    }
    assert_eq!(segments.held(), 0);
}

#[test]
fn trailers_that_are_too_long_are_not_shown_in_part() {
    let mut reader = Reader::new();
    all(&mut reader, PREFACE);
    all(&mut reader, &frame(kind::HEADERS, flag::END_HEADERS, 1, b"\x83\x84\x86"));
    // More fields than are kept, each of them by its place in the static table.
    let ends = flag::END_HEADERS | flag::END_STREAM;
    assert_eq!(all(&mut reader, &frame(kind::HEADERS, ends, 1, &[0x90; 2000])), ["lost /"]);
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    crate::http2::frame::write(&mut bytes, kind, flags, stream, payload);
    bytes
}

#[test]
fn requests_of_http2_that_cannot_be_read_are_counted() {
    // What refers to a field of before.
    let request = |stream| frame(1, 4, stream, &[0xbe, 0x83]);
    let data = |stream| frame(0, 1, stream, &[b'x'; 300]);
    let trailers = |stream| frame(1, 5, stream, &[0xbf]);
    let settings = frame(4, 1, 0, &[]);
    let mut joined = Reader::midway();
    assert_eq!(all(&mut joined, &data(5)[4..]), [""; 0], "the rest of a body");
    assert_eq!(all(&mut joined, &[request(7), settings, data(7)].concat()), ["lost"]);
    assert_eq!(all(&mut joined, &trailers(7)), [""; 0], "not a request of its own");
    // Frames that are cut where packets end, also in their heads.
    for byte in [request(9), data(9), request(11), trailers(9)].concat().chunks(1) {
        all(&mut joined, byte);
    }
    assert_eq!(all(&mut joined, &[data(11), request(13)].concat()), ["lost"]);
    // Part of a body that is not known, and more than that.
    let body = data(13);
    assert_eq!(all(&mut joined, &body[..50]), [""; 0]);
    joined.gap(100, |it| panic!("{it:?}"));
    assert_eq!(all(&mut joined, &[&body[150..], &request(15)].concat()), ["lost"]);
    joined.gap(1000, |it| panic!("{it:?}"));
    assert_eq!(all(&mut joined, &data(15)[4..]), [""; 0]);
    assert_eq!(all(&mut joined, &request(17)), ["lost"]);
    // One that was read up to a gap.
    let mut reader = Reader::new();
    let plain = frame(1, 4, 1, &[0x82, 0x84, 0x86]);
    assert_eq!(all(&mut reader, &[PREFACE, &plain].concat()), [""; 0]);
    let mut seen = Vec::new();
    reader.gap(3, |found| seen.push(shown(found)));
    seen.extend(all(&mut reader, &request(3)));
    assert_eq!(seen, ["lost /", "lost"]);
    assert!(!reader.needs_all() && reader.held() == 0);
}

#[test]
fn statuses_of_http2_are_found() {
    let answers = [
        frame(4, 0, 0, &[]),
        frame(4, 1, 0, &[]),
        // An interim answer, whose status goes into the table.
        frame(1, 4, 1, b"\x48\x03103"),
        frame(1, 0, 3, b"\x48\x03"),
        frame(9, 4, 3, b"503"),
        frame(0, 0, 3, &[b'x'; 200]),
        frame(1, 5, 3, b"\x40\x01a\x01b"), // trailers
        frame(1, 5, 5, &[0xbf]),           // the same status by its place in the table
        frame(3, 0, 7, &[0; 4]),
        frame(1, 5, 1, &[0x88]),
    ]
    .concat();
    assert!(Answers::begin_with(&answers) && !Answers::begin_with(&answers[9..]));
    for size in [1, 7, answers.len()] {
        let (mut reader, mut seen) = (Answers::default(), Vec::new());
        for bytes in answers.chunks(size) {
            assert!(reader.next(Piece::Bytes(bytes), |stream, status| seen.push((stream, status))));
        }
        assert_eq!(seen, [(3, 503), (5, 503), (1, 200)], "in pieces of {size}");
    }
    // Of a body nothing need be known; of all else everything.
    let data = frame(0, 1, 1, &[b'x'; 100]);
    let (mut reader, mut seen) = (Answers::default(), Vec::new());
    let mut see = |stream, status| seen.push((stream, status));
    assert!(reader.next(Piece::Bytes(&[&answers[..18], &data[..40]].concat()), &mut see));
    assert!(reader.next(Piece::Missing(69), &mut see));
    assert!(reader.next(Piece::Bytes(&frame(1, 5, 3, &[0x8d])), &mut see));
    assert!(!reader.next(Piece::Missing(1), &mut see));
    assert_eq!(seen, [(3, 404)]);
    let mut reader = Answers::default();
    assert!(!reader.next(Piece::Bytes(&[frame(1, 0, 1, &[0x88]), data].concat()), |_, _| {}), "a cut block");
    // What a promise says of the table is not read, so nothing behind it can be.
    let promise = frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, b"\0\0\0\x02\x48\x03404");
    assert!(!Answers::default().next(Piece::Bytes(&promise), |_, _| {}));
}
