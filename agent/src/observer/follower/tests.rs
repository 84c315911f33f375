use proptest::prelude::*;

use super::*;

const GET: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &str = "POST /b HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nGET / HTTP";
const CHUNKED: &str =
    "PUT /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

/// The targets of the requests in these packets: sequence number, length, what was copied.
fn seen(packets: &[(u32, usize, &str)]) -> Vec<String> {
    let mut follower = Follower::default();
    let mut found = Vec::new();
    for (seq, len, copied) in packets {
        follower.take(*seq, *len as u32, copied.as_bytes(), |head| {
            found.push(head.target.escape_ascii().to_string());
        });
    }
    found
}

fn whole(seq: u32, text: &str) -> (u32, usize, &str) {
    (seq, text.len(), text)
}

#[test]
fn a_packet_that_begins_with_a_head_is_enough() {
    assert_eq!(seen(&[whole(77, GET)]), ["/a"]);
    let pipelined = format!("{GET}{POST}{CHUNKED}{GET}");
    assert_eq!(seen(&[whole(77, &pipelined)]), ["/a", "/b", "/c", "/a"]);
    assert!(seen(&[whole(77, "half of a body\r\n\r\n"), whole(95, "\u{16}\u{3}\u{1}")]).is_empty());
}

#[test]
fn after_a_gap_the_next_head_at_the_start_of_a_packet_counts() {
    let (first, second) = POST.split_at(40);
    assert_eq!(seen(&[whole(0, first), whole(500, "rest"), whole(504, GET)]), ["/a"]);
    assert_eq!(seen(&[whole(0, first), whole(40, second)]), ["/b"]);
}

#[test]
fn what_is_sent_again_counts_once() {
    let end = GET.len() as u32;
    assert_eq!(seen(&[whole(0, GET), whole(0, GET), whole(end, GET)]), ["/a", "/a"]);
    let both = format!("{GET}{POST}");
    assert_eq!(seen(&[whole(0, GET), whole(0, &both)]), ["/a", "/b"], "with more behind it");
    let late = u32::MAX - 5;
    assert_eq!(seen(&[whole(late, GET), whole(late.wrapping_add(end), GET), whole(late, GET)]), ["/a", "/a"]);
}

#[test]
fn what_was_not_copied_is_passed_over_where_it_is_payload() {
    let head = "POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n";
    let (len, end) = (head.len() + 60_000, head.len() as u32 + 60_000);
    assert_eq!(
        seen(&[(0, len, head), (end, 40_000, "GET /x HTTP"), whole(end + 40_000, GET)]),
        ["/up", "/a"]
    );
    assert_eq!(seen(&[(0, 5000, &GET[..20]), whole(5000, GET)]), ["/a"], "of a head that is too long");
}

#[test]
fn nothing_is_read_in_a_tunnel() {
    let upgrade = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let end = upgrade.len() as u32;
    assert_eq!(seen(&[whole(0, upgrade), whole(end, "\u{1}GET /no HTTP/1.1\r\n\r\n")]), ["/ws"]);
}

proptest! {
    #[test]
    fn however_it_is_cut_it_is_the_same(cuts in proptest::collection::vec(1..60_usize, 1..40), start: u32) {
        let stream = format!("{GET}{POST}{CHUNKED}{POST}{GET}");
        let (mut packets, mut at) = (Vec::new(), 0);
        // The first packet must show that it is a request.
        for cut in [20].into_iter().chain(cuts).chain([stream.len()]) {
            let end = (at + cut).min(stream.len());
            packets.push(whole(start.wrapping_add(at as u32), &stream[at..end]));
            at = end;
        }
        packets.retain(|packet| packet.1 > 0);
        prop_assert_eq!(seen(&packets), ["/a", "/b", "/c", "/b", "/a"]);
    }

    #[test]
    fn no_bytes_do_harm(packets in proptest::collection::vec((any::<u32>(), 0..9000_u32, proptest::collection::vec(any::<u8>(), 0..200)), 0..20)) {
        let mut follower = Follower::default();
        for (seq, more, bytes) in &packets {
            follower.take(*seq, bytes.len() as u32 + more, bytes, |_| {});
        }
    }
}
