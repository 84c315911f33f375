use proptest::prelude::*;

use super::*;

fn whole(body: Body, bytes: &[u8]) -> (Result<usize, Doubt>, bool) {
    let mut scan = BodyScan::new(body);
    (scan.advance(bytes), scan.done())
}

#[test]
fn bodies_that_are_counted() {
    assert_eq!(whole(Body::Empty, b"GET"), (Ok(0), true));
    assert_eq!(whole(Body::Length(0), b"GET"), (Ok(0), true));
    assert_eq!(whole(Body::Length(3), b"ab"), (Ok(2), false));
    assert_eq!(whole(Body::Length(3), b"abcGET"), (Ok(3), true));
    assert_eq!(whole(Body::UntilClose, b"abc"), (Ok(3), false));
    assert_eq!(whole(Body::Tunnel, b"abc"), (Ok(3), false));
}

#[test]
fn bodies_in_chunks() {
    let good = [
        "0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\r\n",
        "00000003\r\nabc\r\nA\r\n0123456789\r\n000\r\n\r\n",
        "3;a=b;c=\"d e\"\r\n\r\n\r\r\n0;x\r\n\r\n",
        "1;\r\nx\r\n0\r\n\r\n",
        "0\r\nTrailer: x \t\r\nB:\r\n\r\n",
        "3\r\n0\r\n\r\n0\r\n\r\n",
    ];
    for body in good {
        let bytes = format!("{body}GET / HTTP/1.1\r\n");
        assert_eq!(whole(Body::Chunked, bytes.as_bytes()), (Ok(body.len()), true), "{body:?}");
    }
    for part in ["", "3", "3\r", "3\r\nab", "3\r\nabc", "3\r\nabc\r", "0\r\n", "0\r\n\r", "0\r\nA: b\r\n"] {
        assert_eq!(whole(Body::Chunked, part.as_bytes()), (Ok(part.len()), false), "{part:?}");
    }
}

#[test]
fn chunks_in_doubt() {
    let extension = format!("1;{}\r\n", "x".repeat(5000));
    let trailer = format!("0\r\nA: {}\r\n", "x".repeat(9000));
    let trailers = format!("0\r\n{}", "a:\r\n".repeat(65));
    let bad = [
        "\r\n",
        "g",
        "-1",
        "+1",
        " 1",
        "1 \r\n",
        "0x1",
        "1\n",
        "1\rX",
        "1;\n",
        "1;\0",
        "11111111111111111",
        ";\r\n",
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\rX",
        "0\r\n\n",
        "0\r\nA\r\n",
        "0\r\nA: b\n",
        "0\r\n A: b\r\n",
        "0\r\nA : b",
        "0\r\nA: b\r\n c",
        "0\r\nA: \0",
        "0\r\n\rX",
        "0\r\n:",
        &extension,
        &trailer,
        &trailers,
    ];
    for body in bad {
        assert_eq!(whole(Body::Chunked, body.as_bytes()).0, Err(Doubt::BadChunk), "{body:?}");
    }
    assert_eq!(whole(Body::Chunked, b"FFFFFFFFFFFFFFFF\r\n").0, Ok(18), "as large as it can be");
}

#[test]
fn blanks_behind_the_size_of_an_answers_chunk() {
    let answer = |bytes: &[u8]| {
        let mut scan = BodyScan::of_answer(Body::Chunked);
        (scan.advance(bytes), scan.done())
    };
    for body in
        ["5 \r\nhello\r\n0\t\r\n\r\n", "5   \t\r\nhello\r\n0 ;a=b\r\n\r\n", "5 ;x\r\nhello\r\n0\r\n\r\n"]
    {
        assert_eq!(answer(body.as_bytes()), (Ok(body.len()), true), "{body:?}");
        assert_eq!(whole(Body::Chunked, body.as_bytes()).0, Err(Doubt::BadChunk), "no request: {body:?}");
    }
    let blanks = format!("5{}", " ".repeat(5000));
    for body in [" 5\r\n", "5 5\r\n", "5 \n", "5\n", " \r\n", "5\r\nhello\n", "0\r\n\n", &blanks] {
        assert_eq!(answer(body.as_bytes()).0, Err(Doubt::BadChunk), "{body:?}");
    }
}

#[test]
fn payload_can_be_skipped() {
    let mut scan = BodyScan::new(Body::Length(10));
    assert_eq!(scan.opaque_run(), 10);
    scan.skip(4);
    assert_eq!((scan.opaque_run(), scan.done()), (6, false));
    scan.skip(6);
    assert_eq!((scan.opaque_run(), scan.done()), (0, true));

    let mut scan = BodyScan::new(Body::Chunked);
    assert_eq!(scan.opaque_run(), 0);
    assert_eq!(scan.advance(b"A\r\nxx"), Ok(5));
    assert_eq!(scan.opaque_run(), 8);
    scan.skip(8);
    assert_eq!(scan.opaque_run(), 0);
    assert_eq!(scan.advance(b"\r\n0\r\n\r\nGET"), Ok(7));
    assert!(scan.done());

    let mut scan = BodyScan::new(Body::Tunnel);
    scan.skip(1 << 40);
    assert_eq!((scan.opaque_run(), scan.done()), (u64::MAX, false));
}

fn chunked() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("0\r\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("3\r\nabc\r\n".to_owned()),
        Just("B;x=y\r\n0\r\n\r\nGET / \r\n".to_owned()),
        Just("A: b\r\n".to_owned()),
        "[0-9a-fA-F;: \r\nx]{0,3}",
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|it| it.concat().into_bytes())
}

proptest! {
    #[test]
    fn however_it_is_cut(bytes in chunked(), cuts in any::<u64>(), length in 0_u64..20, counted in any::<bool>(), answer in any::<bool>()) {
        let body = if counted { Body::Length(length) } else { Body::Chunked };
        let new = if answer { BodyScan::of_answer } else { BodyScan::new };
        let mut scan = new(body);
        let (mut begin, mut taken) = (0, Ok(0));
        for end in (1..=bytes.len()).filter(|i| *i == bytes.len() || cuts >> (i % 64) & 1 == 1) {
            match scan.advance(&bytes[begin..end]) {
                Ok(n) => {
                    taken = taken.map(|it| it + n);
                    prop_assert!(n == end - begin || scan.done());
                }
                Err(doubt) => taken = Err(doubt),
            }
            if taken.is_err() || scan.done() {
                break;
            }
            begin = end;
        }
        let mut whole = new(body);
        prop_assert_eq!((taken, scan.done()), (whole.advance(&bytes), whole.done()));
    }
}
