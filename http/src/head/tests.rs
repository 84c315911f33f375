use proptest::prelude::*;

use super::*;

fn whole(bytes: &[u8]) -> Result<Option<usize>, Doubt> {
    HeadScan::default().end(bytes)
}

#[test]
fn where_a_head_ends() {
    assert_eq!(whole(b""), Ok(None));
    assert_eq!(whole(b"GET / HTTP/1.1\r\nA: b\r\n\r"), Ok(None));
    assert_eq!(whole(b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody\n\0"), Ok(Some(24)));
    assert_eq!(whole(b"GET / HTTP/1.1\r\n\r\n\r\n\r\n"), Ok(Some(18)));
}

#[test]
fn what_no_head_contains() {
    let cases: [(&[u8], Doubt); 10] = [
        (b"GET / HTTP/1.1\n", Doubt::BareLf),
        (b"GET / HTTP/1.1\r\nA: b\n\r\n", Doubt::BareLf),
        (b"GET /\rX", Doubt::BareCr),
        (b"GET / HTTP/1.1\r\r\n\r\n", Doubt::BareCr),
        (b"GET / HTTP/1.1\r\nA: b\0", Doubt::NulByte),
        (b"GET / HTTP/1.1\r\nA: b\r\n c", Doubt::ObsFold),
        (b"GET / HTTP/1.1\r\nA: b\r\n\t\r\n\r\n", Doubt::ObsFold),
        (b"GET / HTTP/1.1\r\n ", Doubt::ObsFold),
        (b"\r\nGET / HTTP/1.1\r\n\r\n", Doubt::EmptyLine),
        (b"GET / HTTP/1.1\r\nA: b\r\n \n", Doubt::ObsFold),
    ];
    for (bytes, doubt) in cases {
        assert_eq!(whole(bytes), Err(doubt), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_line_of_an_answer_may_end_in_lf_alone() {
    let answer = |bytes: &[u8]| HeadScan::of_answers().end(bytes);
    assert_eq!(answer(b"HTTP/1.1 200 OK\nA: b\n\nbody\n\n"), Ok(Some(22)));
    assert_eq!(answer(b"HTTP/1.1 200 OK\r\nA: b\n\r\nbody"), Ok(Some(24)));
    assert_eq!(answer(b"HTTP/1.1 200 OK\nA: b\r\n\n"), Ok(Some(23)));
    assert_eq!(answer(b"HTTP/1.1 200 OK\nA: b\n\r"), Ok(None));
    let cases: [(&[u8], Doubt); 6] = [
        (b"\nHTTP/1.1 200 OK\n", Doubt::EmptyLine),
        (b"\r\nHTTP/1.1 200 OK\n", Doubt::EmptyLine),
        (b"HTTP/1.1 200 OK\nA: b\n c", Doubt::ObsFold),
        (b"HTTP/1.1 200 OK\nA: \0", Doubt::NulByte),
        (b"HTTP/1.1 200 OK\nA: b\r\r\n\n", Doubt::BareCr),
        (b"HTTP/1.1 200 OK\nA: b\rc\n\n", Doubt::BareCr),
    ];
    for (bytes, doubt) in cases {
        assert_eq!(answer(bytes), Err(doubt), "{}", bytes.escape_ascii());
    }
}

#[test]
fn the_longest_head() {
    let head = |len: usize| {
        let mut head = b"GET / HTTP/1.1\r\nA: ".to_vec();
        head.resize(len - 4, b'x');
        head.extend_from_slice(b"\r\n\r\n");
        head
    };
    assert_eq!(whole(&head(MAX_HEAD)), Ok(Some(MAX_HEAD)));
    assert_eq!(whole(&head(MAX_HEAD + 1)), Err(Doubt::HeadTooLong));
    assert_eq!(whole(&head(MAX_HEAD)[..MAX_HEAD - 1]), Ok(None));
    assert_eq!(whole(&vec![b'x'; MAX_HEAD]), Err(Doubt::HeadTooLong));
    let answer = |len| HeadScan::of_answers().end(&head(len));
    assert_eq!(answer(MAX_ANSWER_HEAD), Ok(Some(MAX_ANSWER_HEAD)));
    assert_eq!(answer(MAX_ANSWER_HEAD + 1), Err(Doubt::HeadTooLong));
}

proptest! {
    #[test]
    fn however_it_is_cut(
        bytes in "(a|b: |c|\r\n|\r\n|\r|\n| |\t|\u{0}){0,12}(\r\n\r\n|\n\n)?x?",
        cuts in any::<u64>(),
        answer in any::<bool>(),
    ) {
        let bytes = bytes.as_bytes();
        let new = if answer { HeadScan::of_answers } else { HeadScan::default };
        let whole = |bytes| new().end(bytes);
        let mut scan = new();
        let mut found = Ok(None);
        for end in (1..=bytes.len()).filter(|i| *i == bytes.len() || cuts >> (i % 64) & 1 == 1) {
            found = scan.end(&bytes[..end]);
            if found != Ok(None) {
                break;
            }
        }
        prop_assert_eq!(found, whole(bytes));
        scan.reset();
        prop_assert_eq!(scan.end(bytes), whole(bytes));
    }
}
