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
        let packet = Packet { seq: *seq, len: *len as u32, copied: copied.as_bytes() };
        follower.take_request(packet, |head| found.push(head.target.escape_ascii().to_string()));
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

/// Both ways of a connection, from somewhere in the middle of it.
#[derive(Default)]
struct Talk {
    follower: Follower,
    at: [u32; 2],
}

impl Talk {
    fn says(&mut self, is_answer: bool, copied: &[u8], len: usize) {
        let seq = &mut self.at[usize::from(is_answer)];
        let packet = Packet { seq: *seq, len: len as u32, copied };
        *seq += len as u32;
        if is_answer {
            self.follower.take_answer(packet);
        } else {
            self.follower.take_request(packet, |_| {});
        }
    }

    fn client(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.says(false, bytes.as_ref(), bytes.as_ref().len());
        self.follower.owes_nothing()
    }

    fn server(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.says(true, bytes.as_ref(), bytes.as_ref().len());
        self.follower.owes_nothing()
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";

/// Requests and their answers.
const ANSWERS: [(&str, &str); 5] = [
    (GET, OK),
    (GET, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
    ("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"),
    (POST, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    (
        "GET / HTTP/1.1\r\nhost: a\r\nif-none-match: *\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",
    ),
];

#[test]
fn nothing_is_owed_once_a_request_was_seen_and_answered() {
    let mut talk = Talk::default();
    assert!(!talk.follower.owes_nothing(), "nobody knows what was asked before");
    assert!(!talk.server(OK), "the answer to a request that nobody saw");
    assert!(!talk.client(GET));
    assert!(!talk.server(HINTS) && !talk.server("HTTP/1.1 102 Processing\r\n\r\n"), "these answer nothing");
    assert!(talk.server(OK));
    assert_eq!(talk.follower.seen()[0], GET.len() as u64);
    assert!(!talk.client(&GET[..20]), "one is on its way");
    assert!(!talk.client(&GET[20..]));
    talk.follower.restart();
    assert!(!talk.server(OK), "of what was before, nothing is known");
    assert!(!talk.client(GET));
    assert!(talk.server(OK));
}

#[test]
fn an_early_answer_frees_nobody_who_is_still_sending() {
    let mut talk = Talk::default();
    talk.client(&POST[..POST.len() - 5]);
    assert!(!talk.server(OK));
    assert!(talk.client(&POST[POST.len() - 5..]));
}

#[test]
fn a_body_that_ends_with_the_connection_and_a_stream_are_owed() {
    for head in
        ["HTTP/1.0 200 OK\r\n\r\nabc", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:\r\n"]
    {
        let mut talk = Talk::default();
        talk.client(GET);
        assert!(!talk.server(head), "{head}");
        assert!(!talk.server(""));
    }
    let mut talk = Talk::default();
    talk.client("GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    assert!(
        !talk.server("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    );
    assert!(!talk.client("\u{1}\u{5}hello") && !talk.server("\u{1}\u{5}hello"));
}

#[test]
fn of_who_pipelines_nothing_is_known() {
    let mut talk = Talk::default();
    talk.client(GET);
    talk.client(GET); // answers are not observed yet
    talk.follower.restart();
    talk.client(GET);
    assert!(talk.server(OK));
    talk.client(GET);
    talk.client(GET);
    assert!(!talk.server(OK) && !talk.server(OK));
    // Nor is it later, when he happens to ask for one thing at a time: there may be more on its way.
    talk.follower.restart();
    talk.client(GET);
    assert!(!talk.server(OK));
}

#[test]
fn what_was_not_copied_of_an_answer_is_passed_over_where_it_is_payload() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
    let mut talk = Talk::default();
    talk.client(GET);
    talk.says(true, head.as_bytes(), head.len() + 60_000);
    talk.says(true, b"xyz", 39_000);
    assert!(!talk.follower.owes_nothing());
    talk.says(true, b"xyz", 1000);
    assert!(talk.follower.owes_nothing());
    // Not all of a head: then the next exchange tells.
    talk.client(GET);
    talk.says(true, &head.as_bytes()[..10], 100);
    assert!(!talk.follower.owes_nothing() && !talk.server(OK));
    talk.client(GET);
    assert!(talk.server(OK));
}

#[test]
fn bytes_that_were_not_seen_make_nothing_known() {
    for is_answer in [false, true] {
        let mut talk = Talk::default();
        talk.client(GET);
        assert!(talk.server(OK));
        talk.at[usize::from(is_answer)] += 100; // a request with an interim answer, perhaps
        assert!(!talk.server(OK));
    }
}

mod http2 {
    use super::*;

    /// A frame with so many bytes of payload, all of them copied.
    fn frame(kind: u8, flags: u8, stream: u32, len: usize) -> Vec<u8> {
        let mut bytes = (len as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.resize(9 + len, b'x');
        bytes
    }

    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const END: u8 = 1;

    fn settings() -> Vec<u8> {
        frame(4, 0, 0, 12)
    }

    /// A connection on which no stream has been opened.
    fn fresh() -> Talk {
        let mut talk = Talk::default();
        assert!(!talk.client([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &*settings()].concat()));
        assert!(!talk.server([settings(), frame(4, 1, 0, 0), frame(8, 0, 0, 4)].concat()));
        talk
    }

    #[test]
    fn nothing_is_owed_when_every_stream_was_seen_to_end() {
        let mut talk = fresh();
        assert!(!talk.client([frame(HEADERS, 4, 1, 50), frame(DATA, END, 1, 10)].concat()));
        assert!(
            !talk.server([frame(4, 1, 0, 0), frame(6, 0, 0, 8), frame(8, 0, 0, 4)].concat()),
            "no answer"
        );
        assert!(!talk.client(frame(HEADERS, 4 | END, 3, 50)));
        assert!(!talk.server(
            [frame(HEADERS, 4, 1, 50), frame(DATA, 0, 1, 10), frame(HEADERS, 4 | END, 1, 9)].concat()
        ));
        assert!(talk.server(frame(HEADERS, 4 | END, 3, 20)));
        assert!(talk.client(frame(6, 0, 0, 8)), "a ping asks for nothing");
        assert!(!talk.client(frame(HEADERS, 4, 5, 50)));
        assert!(talk.client(frame(3, 0, 5, 4)), "it was taken back");
        assert!(!talk.client(&frame(HEADERS, 4 | END, 7, 50)[..20]));
    }

    #[test]
    fn of_streams_that_were_there_before_nothing_is_known() {
        let mut talk = Talk::default();
        talk.client(frame(HEADERS, 4 | END, 5, 50));
        assert!(!talk.server(frame(HEADERS, 4 | END, 5, 50)));
        let mut talk = fresh();
        talk.follower.restart();
        talk.client(frame(HEADERS, 4 | END, 1, 50));
        assert!(talk.server(frame(HEADERS, 4 | END, 1, 50)), "all of them have been seen");
    }

    #[test]
    fn frames_come_in_any_pieces_and_not_all_of_them_is_copied() {
        let request = [frame(HEADERS, 4, 1, 50), frame(DATA, END, 1, 100)].concat();
        let answer = [frame(HEADERS, 4, 1, 50), frame(DATA, END, 1, 9000)].concat();
        for cut in 1..60 {
            let mut talk = fresh();
            for piece in request.chunks(cut) {
                talk.client(piece);
            }
            for piece in answer[..200].chunks(cut) {
                talk.server(piece);
            }
            talk.says(true, &answer[200..300], answer.len() - 200);
            assert!(talk.follower.owes_nothing(), "{cut}");
            talk.client(frame(HEADERS, 4 | END, 3, 50));
            talk.says(true, &frame(HEADERS, 4, 3, 50)[..30], 200);
            assert!(!talk.server(frame(DATA, END, 3, 10)), "the end of another frame is not known");
        }
    }

    #[test]
    fn a_gap_and_a_farewell_make_nothing_known() {
        let mut talk = fresh();
        talk.at[1] += 9;
        talk.client(frame(HEADERS, 4 | END, 1, 50));
        assert!(!talk.server(frame(HEADERS, 4 | END, 1, 50)));
        let mut talk = fresh();
        talk.client(frame(HEADERS, 4 | END, 1, 50));
        assert!(!talk.server([frame(7, 0, 0, 8), frame(HEADERS, 4 | END, 1, 50)].concat()));
    }
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
    fn no_bytes_do_harm(packets in proptest::collection::vec((any::<bool>(), any::<u32>(), 0..9000_u32, proptest::collection::vec(any::<u8>(), 0..200)), 0..20)) {
        let mut follower = Follower::default();
        for (is_answer, seq, more, bytes) in &packets {
            let packet = Packet { seq: *seq, len: bytes.len() as u32 + more, copied: bytes };
            if *is_answer {
                follower.take_answer(packet);
            } else {
                follower.take_request(packet, |_| {});
            }
        }
        follower.owes_nothing();
    }

    /// However an exchange is cut, the connection owes the answer until its last byte.
    #[test]
    fn an_answer_is_owed_to_its_last_byte(cut in 1..200_usize, answer in 0..ANSWERS.len()) {
        let (request, answer) = ANSWERS[answer];
        let mut talk = Talk::default();
        talk.client(request);
        for piece in answer.as_bytes().chunks(cut) {
            prop_assert!(!talk.follower.owes_nothing());
            talk.says(true, piece, piece.len());
        }
        prop_assert!(talk.follower.owes_nothing());
    }
}
