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
}

proptest! {
    #[test]
    fn however_it_is_cut(bytes in "(a|b: |c|\r\n|\r\n|\r|\n| |\t|\u{0}){0,12}(\r\n\r\n)?x?", cuts in any::<u64>()) {
        let bytes = bytes.as_bytes();
        let mut scan = HeadScan::default();
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
