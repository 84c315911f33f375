//! The exchanges. Nothing here is keyed, so nothing of it is the agent's business.
//!
//! Both ends have greeted each other, and stream 1 may have been somebody else's; a script begins there.

use crate::frames::{
    END, END_HEADERS, PADDED, PRIORITY, block, data, frame, goaway, headers, in_parts, reset, settings,
    string, window,
};

/// One connection, from its greeting to its end.
pub(crate) struct Exchange {
    pub(crate) name: String,
    pub(crate) script: Vec<Step>,
}

/// Who takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// One line of a script. The next one waits for what it causes.
#[derive(Clone, Debug)]
pub(crate) struct Step(pub(crate) Side, pub(crate) Act);

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Send(Vec<u8>),
    /// In pieces of so many bytes, each in a segment of its own.
    Drip(Vec<u8>, usize),
    /// Half-closes.
    Finish,
    Close,
    Reset,
}

/// Name and value.
type Field<'a> = (&'a [u8], &'a [u8]);

fn client(bytes: impl AsRef<[u8]>) -> Step {
    Step(Side::Client, Act::Send(bytes.as_ref().to_vec()))
}

fn server(bytes: impl AsRef<[u8]>) -> Step {
    Step(Side::Server, Act::Send(bytes.as_ref().to_vec()))
}

fn exchange(name: impl Into<String>, script: impl Into<Vec<Step>>) -> Exchange {
    Exchange { name: name.into(), script: script.into() }
}

const PROTOCOL_ERROR: u32 = 1;
const OK: &[u8] = &[0x88];

/// Of a plain request, behind which fields may follow.
fn get() -> Vec<u8> {
    // GET, http and / of the static table.
    [&[0x82, 0x86, 0x84][..], &block(&[(b":authority", b"app")])].concat()
}

fn get_with(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    [get(), block(fields)].concat()
}

/// A request that is answered, and another one behind it.
fn answered(name: impl Into<String>, request: impl AsRef<[u8]>) -> Exchange {
    let answer = |stream| server([headers(stream, 0, OK), data(stream, END, "ok")].concat());
    exchange(name, [client(request), answer(3), client(headers(5, END, &get())), answer(5)])
}

/// Something that the server takes for a reason to end the connection.
fn refused(name: impl Into<String>, sent: impl AsRef<[u8]>) -> Exchange {
    let end = server(goaway(3, PROTOCOL_ERROR, b"no"));
    exchange(name, [client(headers(3, 0, &get())), client(sent), end, Step(Side::Server, Act::Close)])
}

/// An answer, whatever the client makes of it.
fn said(name: impl Into<String>, answer: impl AsRef<[u8]>) -> Exchange {
    let ping = client(frame(6, 0, 0, b"12345678"));
    exchange(
        name,
        [client(headers(3, END, &get())), server(answer), ping, server(frame(6, 1, 0, b"12345678"))],
    )
}

/// All of them.
pub(crate) fn corpus() -> Vec<Exchange> {
    let groups = [requests(), blocks(), bodies(), answers(), connection(), refusals(), ends(), floods()];
    groups.into_iter().flatten().collect()
}

fn requests() -> Vec<Exchange> {
    let authorities: [&[u8]; 6] = [
        b"extension/auth/authz",
        b"outbound|50051||x",
        b"%5Bfd00::1%5D:50051",
        b"",
        b"unix:/tmp/x.sock",
        b"user@host:80",
    ];
    let paths: [&[u8]; 8] = [b"/a\"b", b"/a>b", b"/`", b"/a b", b"/a#b", b"/\xc3\xa9\xff", b"*", b""];
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let request = |fields: &[(&[u8], &[u8])]| headers(3, END, &block(fields));
    let authority = |it: &&'static [u8]| {
        let fields = [
            (&b":method"[..], &b"POST"[..]),
            (b":scheme", b"http"),
            (b":path", b"/a.B/C"),
            (b":authority", *it),
        ];
        answered(format!("the authority \"{}\"", shown(it)), request(&fields))
    };
    let path = |it: &&'static [u8]| {
        let fields =
            [(&b":method"[..], &b"GET"[..]), (b":scheme", b"http"), (b":path", *it), (b":authority", b"a")];
        answered(format!("the path \"{}\"", shown(it)), request(&fields))
    };
    let odd: [(&str, &[Field]); 16] = [
        ("a header in capitals", &[(b"X-A", b"b")]),
        ("a header without a name", &[(b"", b"b")]),
        ("blanks around a value", &[(b"x-a", b" b\t")]),
        ("a line break in a value", &[(b"x-a", b"b\r\nx: y")]),
        ("a NUL in a value", &[(b"x-a", b"\0")]),
        ("bytes above 127", &[(b"x-\xff", b"\xfe\xff")]),
        ("a header of the connection", &[(b"connection", b"keep-alive"), (b"keep-alive", b"1")]),
        ("transfer-encoding", &[(b"transfer-encoding", b"chunked")]),
        ("te", &[(b"te", b"gzip")]),
        ("a host that is not the authority", &[(b"host", b"other")]),
        ("a pseudo-header behind a header", &[(b"x-a", b"b"), (b":path", b"/b")]),
        ("a pseudo-header twice", &[(b":method", b"POST")]),
        ("a pseudo-header that nobody knows", &[(b":what", b"b")]),
        ("a pseudo-header of answers", &[(b":status", b"200")]),
        ("cookies in pieces", &[(b"cookie", b"a=b"), (b"cookie", b"c=d"), (b"cookie", b"")]),
        ("a length that is none", &[(b"content-length", b"x")]),
    ];
    let mut all: Vec<Exchange> = authorities.iter().map(authority).chain(paths.iter().map(path)).collect();
    all.extend(odd.iter().map(|(name, fields)| answered(*name, headers(3, END, &get_with(fields)))));
    let tunnel: [(&[u8], &[u8]); 5] = [
        (b":method", b"CONNECT"),
        (b":protocol", b"websocket"),
        (b":scheme", b"http"),
        (b":path", b"/chat"),
        (b":authority", b"a"),
    ];
    all.push(answered("no fields at all", headers(3, END, &[])));
    all.push(answered(
        "CONNECT",
        headers(3, 0, &block(&[(b":method", b"CONNECT"), (b":authority", b"a:80")])),
    ));
    all.push(answered("extended CONNECT", headers(3, 0, &block(&tunnel))));
    all.push(answered("300 fields", headers(3, END, &get_with(&[(&b"x-a"[..], &b"b"[..]); 300]))));
    all.push(answered("byte by byte", headers(3, END, &get())));
    if let Some(Step(_, act)) = all.last_mut().and_then(|it| it.script.first_mut()) {
        *act = Act::Drip(headers(3, END, &get()), 1);
    }
    all
}

fn blocks() -> Vec<Exchange> {
    let long = |len: usize| [get(), block(&[(b"x-long", &vec![b'a'; len])])].concat();
    let table = [get(), vec![0x40], string(b"x-kept"), string(b"1")].concat();
    vec![
        answered("100 KiB of metadata", in_parts(3, END, &long(100 << 10), 16_384)),
        answered("300 KiB of metadata", in_parts(3, END, &long(300 << 10), 16_384)),
        answered(
            "300 KiB in a thousand fields",
            in_parts(3, END, &get_with(&[(&b"x-a"[..], &[b'v'; 290][..]); 1000]), 16_000),
        ),
        exchange(
            "a block that is begun and left",
            [
                client(frame(1, END, 3, &get())),
                server(goaway(1, PROTOCOL_ERROR, b"slow")),
                Step(Side::Server, Act::Close),
            ],
        ),
        exchange(
            "a block whose end comes late",
            [
                client(frame(1, END, 3, &table)),
                client(frame(9, END_HEADERS, 3, &block(&[(b"x-late", b"1")]))),
                server(headers(3, END, OK)),
                client(headers(5, END, &[get(), vec![0xbe]].concat())),
                server(headers(5, END, OK)),
            ],
        ),
        answered("a block in 20 frames", in_parts(3, END, &get(), 1)),
        answered(
            "empty CONTINUATIONs",
            [
                frame(1, END, 3, &get()),
                frame(9, 0, 3, b""),
                frame(9, 0, 3, b""),
                frame(9, END_HEADERS, 3, b""),
            ]
            .concat(),
        ),
        answered(
            "a block with padding",
            frame(1, END | END_HEADERS | PADDED, 3, &[&[3][..], &get(), &[0; 3]].concat()),
        ),
        answered(
            "priorities",
            frame(1, END | END_HEADERS | PRIORITY, 3, &[&[0x80, 0, 0, 0, 7][..], &get()].concat()),
        ),
        answered(
            "a stream that depends on itself",
            frame(1, END | END_HEADERS | PRIORITY, 3, &[&[0, 0, 0, 3, 7][..], &get()].concat()),
        ),
        answered("flags that mean nothing", frame(1, END | END_HEADERS | 0xd2, 3, &get())),
        answered(
            "a secret",
            headers(3, END, &[get(), vec![0x10], string(b"x-secret"), string(b"s")].concat()),
        ),
        exchange(
            "fields that are kept, and said again by index",
            [
                client(headers(3, END, &table)),
                client(headers(5, END, &[get(), vec![0xbe]].concat())),
                client(headers(7, END, &[get(), vec![0x7e], string(b"2"), vec![0xbe, 0xbf]].concat())),
                server(headers(3, END, &[OK, &[0x40], &string(b"x-b")[..], &string(b"c")].concat())),
                server(headers(7, END, &[OK, &[0xbe]].concat())),
                server(headers(5, END, &[0x88, 0xbe])),
            ],
        ),
        exchange(
            "a table of another size",
            [
                server(settings(&[(1, 100)])),
                client(frame(4, 1, 0, b"")),
                client(headers(3, END, &[&[0x3f, 69][..], &table].concat())),
                client(headers(5, END, &[get(), vec![0xbe]].concat())),
                server(headers(5, END, OK)),
            ],
        ),
        answered(
            "a size in the middle of a block",
            headers(3, END, &[get(), vec![0x20], block(&[(b"a", b"b")])].concat()),
        ),
        refused(
            "a table that is too large",
            headers(5, END, &[&[0x3f, 0xe1, 0xff, 0x7f][..], &get()].concat()),
        ),
        refused("an index that is none", headers(5, END, &[get(), vec![0x80]].concat())),
        refused("an index beyond the table", headers(5, END, &[get(), vec![0xff, 0x20]].concat())),
        refused("a block that breaks off", headers(5, END, &[get(), vec![0, 5, b'a']].concat())),
        refused(
            "a Huffman code that is none",
            headers(5, END, &[get(), vec![0, 0x84, 0xff, 0xff, 0xff, 0xff, 0]].concat()),
        ),
        answered(
            "a Huffman code",
            headers(3, END, &[get(), vec![0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 1, b'x']].concat()),
        ),
    ]
}

fn bodies() -> Vec<Exchange> {
    let begin = |stream| client(headers(stream, 0, &get()));
    let ok = |stream| server(headers(stream, END, OK));
    vec![
        exchange("a body", [begin(3), client(data(3, 0, "a body")), client(data(3, END, "")), ok(3)]),
        exchange("a body of 60,000 bytes", [begin(3), client(data(3, 0, vec![1; 15_000]).repeat(4)), ok(3)]),
        exchange(
            "a body in drops",
            [begin(3), Step(Side::Client, Act::Drip(data(3, END, vec![1; 100]), 3)), ok(3)],
        ),
        exchange(
            "a body with padding",
            [
                begin(3),
                client(data(3, 0, "x")),
                client(frame(0, END | PADDED, 3, b"\x04body\0\0\0\0")),
                ok(3),
            ],
        ),
        exchange(
            "more than was said",
            [
                client(headers(3, 0, &get_with(&[(b"content-length", b"2")]))),
                client(data(3, END, "four")),
                ok(3),
            ],
        ),
        exchange(
            "less than was said",
            [
                client(headers(3, 0, &get_with(&[(b"content-length", b"9")]))),
                client(data(3, END, "four")),
                ok(3),
            ],
        ),
        exchange(
            "trailers",
            [begin(3), client(data(3, 0, "x")), client(headers(3, END, &block(&[(b"x-end", b"1")]))), ok(3)],
        ),
        exchange(
            "trailers that do not end it",
            [begin(3), client(headers(3, 0, &block(&[(b"x-end", b"1")]))), server(reset(3, PROTOCOL_ERROR))],
        ),
        exchange(
            "trailers with a pseudo-header",
            [
                begin(3),
                client(headers(3, END, &block(&[(b":path", b"/")]))),
                server(reset(3, PROTOCOL_ERROR)),
            ],
        ),
        exchange(
            "room for a stream",
            [begin(3), client(window(3, 1000)), server(window(3, 70_000)), client(data(3, END, "x")), ok(3)],
        ),
        exchange("no room at all", [begin(3), client(window(3, 0)), server(reset(3, PROTOCOL_ERROR))]),
        exchange("too much room", [begin(3), client(window(3, 0x7fff_ffff)), server(reset(3, 3))]),
        exchange("broken off by the client", [begin(3), client(reset(3, 8)), begin(5), ok(5)]),
        exchange(
            "broken off with a code that nobody knows",
            [begin(3), client(reset(3, 0xbeef)), begin(5), server(reset(5, 0xdead_beef))],
        ),
        exchange("refused", [begin(3), server(reset(3, 7)), begin(5), ok(5)]),
        exchange(
            "answered before it ends",
            [begin(3), ok(3), server(reset(3, 0)), client(data(3, END, "late")), begin(5), ok(5)],
        ),
        exchange(
            "a priority of its own",
            [
                begin(3),
                client(frame(2, 0, 3, &[0, 0, 0, 0, 9])),
                client(frame(2, 0, 9, &[0, 0, 0, 3, 1])),
                ok(3),
            ],
        ),
        exchange(
            "an older stream again",
            [begin(7), client(headers(5, END, &get())), server(goaway(7, PROTOCOL_ERROR, b""))],
        ),
        exchange(
            "a stream after its end",
            [client(headers(3, END, &get())), ok(3), client(data(3, 0, "x")), server(reset(3, 5))],
        ),
    ]
}

fn answers() -> Vec<Exchange> {
    let ok_with = |fields: &[(&[u8], &[u8])]| [OK, &block(fields)].concat();
    let status = |status: &[u8]| block(&[(b":status", status)]);
    vec![
        said("a line break in grpc-message", headers(3, END, &ok_with(&[(b"grpc-message", b"a\nb")]))),
        said("an answer with a header in capitals", headers(3, END, &ok_with(&[(b"X-A", b"b")]))),
        said("an answer without a status", headers(3, END, &block(&[(b"x-a", b"b")]))),
        said("a status that is none", headers(3, END, &status(b"abc"))),
        said("101", headers(3, END, &status(b"101"))),
        said(
            "early hints",
            [headers(3, 0, &status(b"103")), headers(3, 0, &status(b"103")), headers(3, END, OK)].concat(),
        ),
        said(
            "trailers of an answer",
            [headers(3, 0, OK), data(3, 0, "x"), headers(3, END, &block(&[(b"grpc-status", b"0")]))].concat(),
        ),
        said(
            "more than the answer said",
            [headers(3, 0, &ok_with(&[(b"content-length", b"1")])), data(3, END, "four")].concat(),
        ),
        said(
            "less than the answer said",
            [headers(3, 0, &ok_with(&[(b"content-length", b"8")])), data(3, END, "four")].concat(),
        ),
        said(
            "300 KiB in an answer's head",
            in_parts(3, END, &ok_with(&[(b"x-long", &vec![b'a'; 300 << 10])]), 16_384),
        ),
        said(
            "an answer's head in 20 frames",
            in_parts(3, END, &ok_with(&[(b"x-a", b"0123456789abcdef")]), 1),
        ),
        said(
            "an answer with padding",
            [headers(3, 0, OK), frame(0, END | PADDED, 3, b"\x02ok\0\0")].concat(),
        ),
        said("an answer to nobody", headers(9, END, OK)),
        said("a body without a head", data(3, END, "x")),
        said("a body for a stream that is none", data(99, 0, "x")),
        said(
            "a promise",
            [
                frame(5, END_HEADERS, 3, &[&[0, 0, 0, 2][..], &get()].concat()),
                headers(2, END, OK),
                headers(3, END, OK),
            ]
            .concat(),
        ),
        said("a block that cannot be decoded", headers(3, END, &[0x88, 0xff, 0x20])),
        said(
            "more than the client takes",
            [&headers(3, 0, OK)[..], &data(3, 0, vec![2; 16_384]).repeat(5)].concat(),
        ),
        said("an answer in drops", headers(3, END, OK)),
        said(
            "an origin and an alternative",
            [frame(0xc, 0, 0, b"\0\x03a.b"), frame(0xa, 0, 0, b"\0\0h2=\":8\""), headers(3, END, OK)]
                .concat(),
        ),
    ]
}

fn connection() -> Vec<Exchange> {
    let pong = |payload: &[u8]| frame(6, 1, 0, payload);
    vec![
        exchange(
            "PING, both ways",
            [
                client(frame(6, 0, 0, b"12345678")),
                server(pong(b"12345678")),
                server(frame(6, 0, 0, b"abcdefgh")),
                client(pong(b"abcdefgh")),
            ],
        ),
        exchange("a PING that is not answered", [client(frame(6, 0, 0, b"12345678"))]),
        exchange("an answer to no PING", [client(pong(b"12345678")), server(pong(b"87654321"))]),
        exchange(
            "settings, both ways",
            [
                client(settings(&[(3, 5), (4, 70_000), (6, 4096), (0x9, 1)])),
                server(frame(4, 1, 0, b"")),
                server(settings(&[(3, 1), (4, 0), (5, 20_000), (6, 100), (8, 1)])),
                client(frame(4, 1, 0, b"")),
            ],
        ),
        exchange(
            "settings that nobody knows",
            [client(settings(&[(0xabcd, 7), (0, 0), (0x10, 1)])), server(frame(4, 1, 0, b""))],
        ),
        exchange(
            "room on the connection",
            [
                client(window(0, 1 << 20)),
                server(window(0, 1 << 20)),
                client(headers(3, END, &get())),
                server(headers(3, END, OK)),
            ],
        ),
        exchange(
            "frames that nobody knows",
            [
                client(
                    [
                        frame(0xbb, 0xff, 0, b"what"),
                        frame(0x10, 0, 0, b"\0\0\0\x03u=1"),
                        frame(0xee, 0, 3, &[7; 1000]),
                    ]
                    .concat(),
                ),
                server([frame(0xbb, 1, 0, b"else"), frame(0xcc, 0, 99, b"")].concat()),
            ],
        ),
        exchange(
            "the bit that means nothing",
            [
                client(frame(1, END | END_HEADERS, 0x8000_0003, &get())),
                server(frame(1, END | END_HEADERS, 0x8000_0003, OK)),
            ],
        ),
        exchange(
            "a longer frame, where that is allowed",
            [
                server(settings(&[(5, 1 << 20)])),
                client(frame(4, 1, 0, b"")),
                client(headers(3, 0, &get())),
                client(data(3, END, vec![3; 40_000])),
                server(headers(3, END, OK)),
            ],
        ),
    ]
}

fn refusals() -> Vec<Exchange> {
    vec![
        refused("a longer frame than is allowed", data(3, 0, vec![3; 16_385])),
        refused("DATA on no stream", data(0, 0, "x")),
        refused("DATA on a stream to come", data(9, 0, "x")),
        refused("DATA with more padding than payload", frame(0, PADDED, 5, b"\x09x")),
        refused("HEADERS on no stream", headers(0, END, &get())),
        refused("HEADERS on a stream of the server's", headers(4, END, &get())),
        refused("HEADERS with more padding than payload", frame(1, END | END_HEADERS | PADDED, 5, b"\xffx")),
        refused("CONTINUATION without HEADERS", frame(9, END_HEADERS, 3, &get())),
        refused("DATA in the middle of a block", [frame(1, END, 5, &get()), data(3, 0, "x")].concat()),
        refused(
            "PING in the middle of a block",
            [frame(1, END, 5, &get()), frame(6, 0, 0, b"12345678")].concat(),
        ),
        refused(
            "another stream's CONTINUATION",
            [frame(1, END, 5, &get()), frame(9, END_HEADERS, 7, b"")].concat(),
        ),
        refused(
            "a frame that nobody knows in a block",
            [frame(1, END, 5, &get()), frame(0xbb, 0, 0, b"x")].concat(),
        ),
        refused("PRIORITY of 4 bytes", frame(2, 0, 3, &[0; 4])),
        refused("PRIORITY on no stream", frame(2, 0, 0, &[0; 5])),
        refused("RST_STREAM of 3 bytes", frame(3, 0, 3, &[0; 3])),
        refused("RST_STREAM on a stream to come", reset(9, 8)),
        refused("RST_STREAM on no stream", reset(0, 8)),
        refused("SETTINGS of 5 bytes", frame(4, 0, 0, &[0; 5])),
        refused("SETTINGS on a stream", frame(4, 0, 3, &[])),
        refused("an acknowledgement with settings", frame(4, 1, 0, &[0; 6])),
        refused("ENABLE_PUSH of 2", settings(&[(2, 2)])),
        refused("a window that is too large", settings(&[(4, 0x8000_0000)])),
        refused("a frame size that is too small", settings(&[(5, 10)])),
        refused("a promise of the client's", frame(5, END_HEADERS, 3, &[&[0, 0, 0, 2][..], &get()].concat())),
        refused("PING of 7 bytes", frame(6, 0, 0, b"1234567")),
        refused("PING on a stream", frame(6, 0, 3, b"12345678")),
        refused("GOAWAY on a stream", frame(7, 0, 3, &[0; 8])),
        refused("WINDOW_UPDATE of 3 bytes", frame(8, 0, 0, &[0; 3])),
        refused("no room on the connection", window(0, 0)),
        refused("too much room on the connection", window(0, 0x7fff_ffff)),
        refused("room on a stream to come", window(9, 1)),
        refused("another preface", crate::frames::PREFACE),
        refused("HTTP/1.1", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
    ]
}

fn ends() -> Vec<Exchange> {
    let finish = |side| Step(side, Act::Finish);
    let close = |side| Step(side, Act::Close);
    let (c, s) = (Side::Client, Side::Server);
    let begin = || client(headers(3, END, &get()));
    vec![
        exchange("the client ends", [begin(), server(headers(3, END, OK)), close(c), close(s)]),
        exchange("the client half-closes", [begin(), finish(c), server(headers(3, END, OK)), close(s)]),
        exchange("the client says why", [client(goaway(0, 0, b"bye")), finish(c), close(s)]),
        exchange("the client resets", [begin(), Step(c, Act::Reset)]),
        exchange("the server ends", [begin(), server(headers(3, END, OK)), close(s), close(c)]),
        exchange("the server ends in the middle", [begin(), server(headers(3, 0, OK)), close(s), close(c)]),
        exchange("the server resets", [begin(), Step(s, Act::Reset)]),
        exchange(
            "the server goes, and answers first",
            [
                begin(),
                server(goaway(0x7fff_ffff, 0, b"")),
                client(headers(5, END, &get())),
                server([goaway(5, 0, b""), headers(3, END, OK), headers(5, END, OK)].concat()),
                close(s),
                close(c),
            ],
        ),
        exchange(
            "the server goes, and has not looked at all",
            [
                begin(),
                client(headers(5, END, &get())),
                server([goaway(3, 0, b"why"), headers(3, END, OK)].concat()),
                close(s),
                close(c),
            ],
        ),
        exchange(
            "the server says that it is enough",
            [begin(), server(goaway(3, 11, b"too_many_pings")), close(s)],
        ),
        exchange("in the middle of a frame", [client(&data(3, 0, "0123456789")[..12]), finish(c), close(s)]),
        exchange("in the middle of a head", [client(&headers(3, END, &get())[..5]), finish(c), close(s)]),
        exchange("in the middle of a block", [client(&headers(3, END, &get())[..12]), finish(c), close(s)]),
        exchange(
            "the server's, in the middle of a frame",
            [begin(), server(&headers(3, END, &[0x88; 20])[..14]), close(s)],
        ),
        exchange(
            "the server's, in the middle of a head",
            [begin(), server(&headers(3, END, OK)[..4]), close(s)],
        ),
    ]
}

fn floods() -> Vec<Exchange> {
    let many = |n: u32, one: &dyn Fn(u32) -> Vec<u8>| (0..n).flat_map(one).collect::<Vec<u8>>();
    let begin = || client(headers(3, 0, &get()));
    let ends = || server(goaway(3, 11, b"calm down"));
    vec![
        exchange("2,000 empty frames of a body", [begin(), client(many(2000, &|_| data(3, 0, ""))), ends()]),
        exchange(
            "1,000 PINGs",
            [client(many(1000, &|n| frame(6, 0, 0, &u64::from(n).to_be_bytes()))), ends()],
        ),
        exchange("1,000 settings", [client(many(1000, &|n| settings(&[(4, 65_535 + n)]))), ends()]),
        exchange(
            "1,000 priorities",
            [begin(), client(many(1000, &|n| frame(2, 0, 3, &[0, 0, 0, 0, n as u8]))), ends()],
        ),
        exchange(
            "300 requests that are taken back",
            [client(many(300, &|n| [headers(3 + 2 * n, END, &get()), reset(3 + 2 * n, 8)].concat())), ends()],
        ),
        exchange(
            "300 requests at once",
            [
                client(many(300, &|n| headers(3 + 2 * n, END, &get()))),
                server(many(300, &|n| headers(3 + 2 * n, END, OK))),
            ],
        ),
        exchange(
            "1,000 rooms of a byte",
            [begin(), client(many(1000, &|_| [window(0, 1), window(3, 1)].concat())), ends()],
        ),
        exchange(
            "2,000 empty frames of an answer",
            [begin(), server([headers(3, 0, OK), many(2000, &|_| data(3, 0, ""))].concat())],
        ),
        exchange("1,000 resets by the server", [begin(), server(many(1000, &|n| reset(3 + 2 * n, 2)))]),
    ]
}
