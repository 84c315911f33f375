use proptest::prelude::*;

use super::{huffman, table::*, *};
use crate::http2::fields::Fields;

fn bytes(hex: &str) -> Vec<u8> {
    let hex: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    hex.chunks(2).map(|it| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap()).collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Option<Vec<(String, String)>> {
    let mut fields = Fields::default();
    decoder.decode(block, &mut fields, None).ok()?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Some(fields.iter().map(|it| (text(it.name), text(it.value))).collect())
}

fn fields(all: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
    Some(all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

/// RFC 7541, C.4: three requests over one connection.
#[test]
fn the_requests_of_the_rfc() {
    let mut decoder = Decoder::default();
    let usual = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")];
    let first = decode(&mut decoder, &bytes("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"));
    assert_eq!(first, fields(&usual));
    let second = decode(&mut decoder, &bytes("8286 84be 5886 a8eb 1064 9cbf"));
    assert_eq!(second, fields(&[&usual[..], &[("cache-control", "no-cache")]].concat()));
    let third = bytes("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf");
    let wanted = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ];
    assert_eq!(decode(&mut decoder, &third), fields(&wanted));
}

/// RFC 7541, C.6: three answers, with a table of 256 bytes.
#[test]
fn the_answers_of_the_rfc() {
    let mut decoder = Decoder::default();
    let first = "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d \
                 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
    let date = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
    let place = ("location", "https://www.example.com");
    let wanted = [(":status", "302"), ("cache-control", "private"), date, place];
    assert_eq!(decode(&mut decoder, &bytes(first)), fields(&wanted));
    let second = decode(&mut decoder, &bytes("4883 640e ffc1 c0bf"));
    assert_eq!(second, fields(&[(":status", "307"), ("cache-control", "private"), date, place]));
}

#[test]
fn what_means_nothing_is_said() {
    for block in ["80", "ff20", "40", "4005", "000561", "0084ffffffff00", "008300ffff", "3fe1ffffff7f", "7f"]
    {
        assert_eq!(decode(&mut Decoder::default(), &bytes(block)), None, "{block}");
    }
}

/// A short block may mean very much. What is kept of it stays small, and the table is right all the same.
#[test]
fn a_block_that_unfolds_is_cut() {
    let mut decoder = Decoder::default();
    let mut block = vec![0x40];
    encode::string(&mut block, b"x");
    encode::string(&mut block, &[b'v'; 4000]);
    block.extend(vec![0xbe; 100_000]);
    let mut all = Fields::default();
    decoder.decode(&block, &mut all, None).unwrap();
    assert!(all.is_long() && all.size() < 400_000, "{}", all.size());
    assert_eq!(decode(&mut decoder, &[0xbe]).unwrap()[0].1.len(), 4000);
}

/// Names by index make long entries of few bytes, each of which evicts the one before.
#[test]
fn a_block_that_evicts_its_own_entries_keeps_none_of_them() {
    let mut decoder = Decoder::default();
    let mut block = vec![0x40];
    encode::string(&mut block, &[b'n'; 4000]);
    encode::string(&mut block, b"");
    block.extend([0x7e, 0x00].repeat(10_000));
    for _ in 0..2 {
        decoder.decode(&block, &mut Fields::default(), None).unwrap();
        assert!((4000..=2 * USUAL).contains(&decoder.held()), "{}", decoder.held());
    }
}

proptest! {
    /// The table of before a block is the one that there was.
    #[test]
    fn a_block_can_be_undone(
        blocks in prop::collection::vec(prop::collection::vec(prop_oneof![
            6 => (0..300_usize).prop_map(Ok),
            1 => (0..700_usize).prop_map(Err),
        ], 0..12), 1..8),
    ) {
        let (mut table, mut before) = (Table::default(), Table::default());
        let same = |a: &Table, b: &Table| (62..100).all(|i| match (a.place(i), b.place(i)) {
            (Some(a), Some(b)) => a.both() == b.both(),
            (a, b) => a.is_none() && b.is_none(),
        });
        table.resize(600);
        before.resize(600);
        let mut n = 0_u32;
        for block in blocks {
            table.begin();
            let mut after = table.before();
            for step in block {
                n += 1;
                let entry = |len: usize| Entry::new(&n.to_be_bytes(), &vec![b'v'; len]);
                for it in [&mut table, &mut after] {
                    match step {
                        Ok(len) => it.insert(entry(len)),
                        Err(most) => it.resize(most),
                    }
                }
                prop_assert!(same(&table, &after));
            }
            prop_assert!(same(&table.before(), &before));
            before = after;
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_not(block in prop::collection::vec(any::<u8>(), 0..200)) {
        let (mut fields, mut text) = (Fields::default(), Vec::new());
        let _ = Decoder::default().decode(&block, &mut fields, None);
        huffman::decode(&block, &mut text);
        prop_assert!(text.len() <= block.len() * 8 / 5);
    }
}
