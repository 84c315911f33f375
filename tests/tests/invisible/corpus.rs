//! The exchanges. Nothing here is keyed, so nothing of it is the agent's business.
//!
//! A script reads from top to bottom, whoever's turn it is: `C.send(..)` waits until the server has it all.

use super::play::Side::{Client as C, Server as S};
use super::play::Step;

/// One connection, from its first byte to its end.
pub(crate) struct Exchange {
    pub(crate) name: &'static str,
    pub(crate) script: Vec<Step>,
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BAD: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const EXPECT: &str = "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
const CONNECT: &str = "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n";

/// All of them.
pub(crate) fn corpus() -> Vec<Exchange> {
    let groups = [
        plain(),
        framed(),
        odd_requests(),
        smuggling(),
        odd_responses(),
        interim(),
        tunnels(),
        other_protocols(),
        silence(),
        ends_of_the_client(),
        ends_of_the_server(),
        large(),
    ];
    groups.into_iter().flatten().collect()
}

fn exchange(name: &'static str, script: impl Into<Vec<Step>>) -> Exchange {
    Exchange { name, script: script.into() }
}

/// A request that the server refuses and closes after.
fn refused(name: &'static str, request: impl AsRef<[u8]>) -> Exchange {
    exchange(name, [C.send(request), S.send(BAD), S.close()])
}

/// A request that the server answers, and then another one on the same connection.
fn answered(name: &'static str, request: impl AsRef<[u8]>) -> Exchange {
    exchange(name, [C.send(request), S.send(OK), C.send(GET), S.send(OK)])
}

fn plain() -> Vec<Exchange> {
    vec![
        answered("a request and another", GET),
        exchange("closed by the client", [C.send(GET), S.send(OK), C.close(), S.close()]),
        exchange("closed by the server", [C.send(GET), S.send(OK), S.close(), C.close()]),
        exchange(
            "HTTP/1.0",
            [C.send("GET / HTTP/1.0\r\n\r\n"), S.send("HTTP/1.0 200 OK\r\n\r\nall"), S.close()],
        ),
        exchange(
            "HTTP/1.0 with keep-alive",
            [
                C.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"),
                S.send("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok"),
                C.send("GET /2 HTTP/1.0\r\n\r\n"),
                S.send("HTTP/1.0 200 OK\r\n\r\nok"),
                S.close(),
            ],
        ),
        refused("HTTP/0.9", "GET /\r\n"),
        exchange(
            "Connection: close",
            [
                C.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
                S.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"),
                S.close(),
            ],
        ),
        exchange(
            "more after Connection: close",
            [
                C.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
                S.send(OK),
                C.send(GET),
                S.send(OK),
            ],
        ),
        exchange(
            "pipelined",
            [C.send(GET.repeat(5)), S.send(OK.repeat(2)), S.send(OK.repeat(3)), C.send(GET), S.send(OK)],
        ),
        exchange(
            "pipelined, cut in the middle of a head",
            [
                C.post(&GET[..9]),
                C.post([&GET[9..], GET, &GET[..20]].concat()),
                C.send(&GET[20..]),
                S.send(OK.repeat(3)),
            ],
        ),
        exchange("byte by byte", [C.drip(1, GET), S.drip(1, OK), C.drip(1, GET), S.drip(1, OK)]),
        exchange("in pieces of 7", [C.drip(7, GET.repeat(3)), S.drip(7, OK.repeat(3))]),
        answered(
            "lower-case names and odd values",
            "GET /%zz?a=b#\x00 HTTP/1.1\r\nhost:a\r\nx:\t y \t\r\n\r\n",
        ),
        answered("an absolute target", "GET http://a/b HTTP/1.1\r\nhost: a\r\n\r\n"),
        answered(
            "a target that is not of the grammar",
            "GET /`a`?b=\"c\"&<d>|{e}^\\ HTTP/1.1\r\nhost: a\r\n\r\n",
        ),
        answered("a target in Latin-1", b"GET /\xe9?\xff HTTP/1.1\r\nhost: a\r\n\r\n"),
        answered("a target without a slash", "GET a/b HTTP/1.1\r\nhost: a\r\n\r\n"),
        answered("control characters in a value", "GET / HTTP/1.1\r\nhost: a\r\nx: \x01\x1b\x7f\r\n\r\n"),
        answered("OPTIONS *", "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"),
        answered("an unknown method", "BREW /pot HTTP/1.1\r\nhost: a\r\n\r\n"),
        answered("bytes above 127", b"GET /\xc3\xa9 HTTP/1.1\r\nhost: a\r\nx: \xe9\xff\r\n\r\n"),
        answered("127 headers", many_headers(127)),
        answered("a head of 60 KiB", long_head(60 << 10)),
    ]
}

fn framed() -> Vec<Exchange> {
    vec![
        answered("a body", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"),
        exchange("a body in pieces", [
            C.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n"),
            C.send("hello"),
            C.send("world"),
            S.send(OK),
            C.send(GET),
            S.send(OK),
        ]),
        answered("a body that looks like a keyed request", [
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 44\r\n\r\n",
            "GET / HTTP/1.1\r\nx-byway-key: pr-1\r\nhost: a\r\n\r\n\r\n",
        ]
        .concat()),
        answered("chunks", "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        exchange("chunks with extensions and trailers", [
            C.drip(3, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0;z\r\nt: u\r\n\r\n"),
            S.drip(3, [CHUNKED, "2;x=y\r\nok\r\n00\r\nT: u\r\n\r\n"].concat()),
            C.send(GET),
            S.send(OK),
        ]),
        exchange("a chunked answer", [
            C.send(GET),
            S.send(CHUNKED),
            S.send("2\r\nok\r\n"),
            S.send("0\r\n\r\n"),
            C.send(GET),
            S.send(OK),
        ]),
        exchange("an answer that ends with the connection", [
            C.send(GET),
            S.send("HTTP/1.1 200 OK\r\n\r\n"),
            S.send("until"),
            S.send(" the end"),
            S.close(),
        ]),
        exchange("a request behind an answer that ends with the connection", [
            C.send(GET),
            S.send("HTTP/1.1 200 OK\r\n\r\n"),
            S.send("until"),
            C.send(GET),
            S.send(" the end"),
            S.close(),
        ]),
        exchange("HEAD", [
            C.send(HEAD),
            S.send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"),
            C.send(GET),
            S.send(OK),
        ]),
        exchange("HEAD, chunked", [C.send(HEAD), S.send(CHUNKED), C.send(GET), S.send(OK)]),
        exchange("HEAD answered with a body", [C.send(HEAD), S.send(OK), C.send(GET), S.send(OK)]),
        exchange("204", [C.send(GET), S.send("HTTP/1.1 204 No Content\r\n\r\n"), C.send(GET), S.send(OK)]),
        exchange("204 with a length", [
            C.send(GET),
            S.send("HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok"),
            C.send(GET),
            S.send(OK),
        ]),
        exchange("304 with a length", [
            C.send(GET),
            S.send("HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n"),
            C.send(GET),
            S.send(OK),
        ]),
        exchange("304 with a body", [
            C.send(GET),
            S.send("HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\nok"),
            C.send(GET),
            S.send(OK),
        ]),
    ]
}

fn odd_requests() -> Vec<Exchange> {
    vec![
        answered("bare LF", "GET / HTTP/1.1\nhost: a\n\n"),
        answered("bare LF in the headers", "GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n"),
        answered("bare CR", "GET / HTTP/1.1\r\nhost: a\rx: y\r\n\r\n"),
        answered("CR before CRLF", "GET / HTTP/1.1\r\nhost: a\r\r\n\r\n"),
        refused("only CR", "GET / HTTP/1.1\rhost: a\r\r"),
        refused("NUL in a value", "GET / HTTP/1.1\r\nhost: a\0b\r\n\r\n"),
        refused("NUL in the target", "GET /\0 HTTP/1.1\r\nhost: a\r\n\r\n"),
        answered("a folded line", "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n"),
        refused("a folded first line", "GET / HTTP/1.1\r\n host: a\r\n\r\n"),
        refused("a blank before the colon", "GET / HTTP/1.1\r\nhost : a\r\n\r\n"),
        refused("a line without a colon", "GET / HTTP/1.1\r\nhost\r\n\r\n"),
        refused("an empty name", "GET / HTTP/1.1\r\n: a\r\n\r\n"),
        answered("empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        answered("an empty line between", [GET, "\r\n", GET].concat()),
        refused("two blanks in the request line", "GET  / HTTP/1.1\r\nhost: a\r\n\r\n"),
        refused("a tab in the request line", "GET\t/\tHTTP/1.1\r\nhost: a\r\n\r\n"),
        refused("HTTP/1.2", "GET / HTTP/1.2\r\nhost: a\r\n\r\n"),
        refused("HTTP/3.0", "GET / HTTP/3.0\r\nhost: a\r\n\r\n"),
        refused("http/1.1 in lower case", "GET / http/1.1\r\nhost: a\r\n\r\n"),
        refused("no target", "GET HTTP/1.1\r\nhost: a\r\n\r\n"),
        refused("a method of 40 letters", format!("{} / HTTP/1.1\r\n\r\n", "M".repeat(40))),
        refused("300 headers", many_headers(300)),
        refused("a head of 100 KiB", long_head(100 << 10)),
        refused("a head of 1 MiB", long_head(1 << 20)),
        refused("a request line of 200 KiB", format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(200 << 10))),
        refused("a head that never ends", [b"GET / HTTP/1.1\r\nx: ".as_slice(), &[b'a'; 70_000]].concat()),
        exchange(
            "an odd request behind a good one",
            [
                C.send(GET),
                S.send(OK),
                C.send("GET / HTTP/1.1\nhost: a\n\n"),
                S.send(OK),
                C.send(GET),
                S.send(OK),
            ],
        ),
        exchange(
            "an odd request pipelined behind a good one",
            [C.send([GET, "GET / HTTP/1.1\nhost: a\n\n", GET].concat()), S.send(OK.repeat(3))],
        ),
    ]
}

/// Requests that two parsers read differently. What follows them must reach the app, whatever it says.
fn smuggling() -> Vec<Exchange> {
    const KEYED: &str = "GET /smuggled HTTP/1.1\r\nx-byway-key: pr-1\r\nhost: a\r\n\r\n";
    let post =
        |headers: &str, body: &str| format!("POST / HTTP/1.1\r\nhost: a\r\n{headers}\r\n{body}{KEYED}");
    let both = |name, headers: &str, body: &str| {
        exchange(name, [C.send(post(headers, body)), S.send(OK), C.send(KEYED), S.send(OK)])
    };
    const CHUNKS: &str = "transfer-encoding: chunked\r\n";
    const END: &str = "0\r\n\r\n";
    vec![
        both("CL.TE", "content-length: 6\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\nG"),
        both("TE.CL", "transfer-encoding: chunked\r\ncontent-length: 4\r\n", "5c\r\n"),
        both("TE.TE", "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", END),
        both("TE with a list", "transfer-encoding: gzip, chunked\r\n", END),
        both("TE with a tab", "transfer-encoding:\tchunked\r\n", END),
        both("TE with a tab behind it", "transfer-encoding: chunked\t\r\n", END),
        both("TE with a blank behind it", "transfer-encoding: chunked \r\n", END),
        both("TE in quotes", "transfer-encoding: \"chunked\"\r\n", END),
        both("TE with a vertical tab", "transfer-encoding: \x0bchunked\r\n", END),
        both("TE unknown", "transfer-encoding: xchunked\r\n", END),
        both("TE with a blank before the colon", "transfer-encoding : chunked\r\n", END),
        both("TE with an underscore", "transfer_encoding: chunked\r\n", END),
        both("TE folded", "transfer-encoding:\r\n chunked\r\n", END),
        both("CL twice, different", "content-length: 5\r\ncontent-length: 0\r\n", "hello"),
        both("CL twice, the same", "content-length: 5\r\ncontent-length: 5\r\n", "hello"),
        both("CL with a list", "content-length: 5, 5\r\n", "hello"),
        both("CL with a sign", "content-length: +5\r\n", "hello"),
        both("CL negative", "content-length: -1\r\n", ""),
        both("CL hexadecimal", "content-length: 0x5\r\n", "hello"),
        both("CL empty", "content-length:\r\n", ""),
        both("CL beyond 64 bits", "content-length: 99999999999999999999\r\n", "hello"),
        both("CL with an underscore", "content_length: 5\r\n", "hello"),
        both("a chunk size with a sign", CHUNKS, "+5\r\nhello\r\n0\r\n\r\n"),
        both("a chunk size with 0x", CHUNKS, "0x5\r\nhello\r\n0\r\n\r\n"),
        both("a chunk size with a blank", CHUNKS, "5 \r\nhello\r\n0\r\n\r\n"),
        both("a chunk size of 17 digits", CHUNKS, "00000000000000005\r\nhello\r\n0\r\n\r\n"),
        both("a chunk size that overflows", CHUNKS, "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        both("no chunk size", CHUNKS, "\r\nhello\r\n0\r\n\r\n"),
        both("a chunk line with a bare LF", CHUNKS, "5\nhello\r\n0\r\n\r\n"),
        both("a chunk that is longer than it says", CHUNKS, "5\r\nhello!\r\n0\r\n\r\n"),
        both("chunks that end with bare LFs", CHUNKS, "5\r\nhello\r\n0\n\n"),
        both("a chunk extension with a bare LF", CHUNKS, "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        both(
            "a chunk extension of 8 KiB",
            CHUNKS,
            &format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(8 << 10)),
        ),
        both("a trailer that is no header", CHUNKS, "0\r\nnothing\r\n\r\n"),
        both("trailers of 20 KiB", CHUNKS, &format!("0\r\nt: {}\r\n\r\n", "a".repeat(20 << 10))),
        both("GET with a body", "content-length: 0\r\nx: y\r\ncontent-length: 0\r\n", ""),
        exchange(
            "chunks in HTTP/1.0",
            [
                C.send("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
                S.send("HTTP/1.0 400 Bad Request\r\n\r\n"),
                S.close(),
            ],
        ),
    ]
    .into_iter()
    .collect()
}

fn odd_responses() -> Vec<Exchange> {
    const CHUNKS: &str = "2\r\nok\r\n0\r\n\r\n";
    let odd = |name, answer: &str| exchange(name, [C.send(GET), S.send(answer), C.send(GET), S.send(OK)]);
    let said = |lines: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}");
    vec![
        odd("an answer with bare LFs", "HTTP/1.1 200 OK\ncontent-length: 2\n\nok"),
        odd("an answer that is no HTTP", "hello there\r\n"),
        odd("an answer without a reason", "HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok"),
        odd("an answer with a folded line", "HTTP/1.1 200 OK\r\nx: y\r\n z\r\ncontent-length: 2\r\n\r\nok"),
        odd("an answer of status 99", "HTTP/1.1 099 No\r\ncontent-length: 2\r\n\r\nok"),
        odd("an answer of status 999", "HTTP/1.1 999 No\r\ncontent-length: 2\r\n\r\nok"),
        odd("an answer of HTTP/2.0", "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        odd(
            "an answer with both lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        odd(
            "an answer with two lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        ),
        odd("an answer with bad chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"),
        odd("an answer longer than it says", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more"),
        odd("two answers to one request", &OK.repeat(2)),
        odd("an empty line behind an answer", &[OK, "\r\n"].concat()),
        odd("an answer with 300 headers", &["HTTP/1.1 200 OK\r\n", &"x: y\r\n".repeat(300), "\r\n"].concat()),
        odd(
            "an answer with a head of 200 KiB",
            &format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(200 << 10)),
        ),
        odd("a 101 that nobody asked for", &[SWITCH, "tunnel"].concat()),
        exchange(
            "an upgrade with a head that is not of the grammar",
            [
                C.send(UPGRADE),
                S.send(SWITCH.replace(": ", " : ")),
                C.send("hello"),
                S.send("hello"),
                C.close(),
            ],
        ),
        odd("an answer with a length twice", &said("content-length: 2\r\ncontent-length: 2\r\n", "ok")),
        odd("an answer with a list of lengths", &said("content-length: 2, 2\r\n", "ok")),
        odd(
            "an answer chunked twice",
            &said("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", CHUNKS),
        ),
        odd("an answer chunked, chunked", &said("transfer-encoding: chunked, chunked\r\n", CHUNKS)),
        odd("an answer with a tab before a length", &said("content-length:\t2\r\n", "ok")),
        odd("an answer with a tab before chunked", &said("transfer-encoding:\tchunked\r\n", CHUNKS)),
        odd("an answer with a tab behind chunked", &said("transfer-encoding: chunked\t\r\n", CHUNKS)),
        odd("an answer with a blank before a colon", &said("content-length : 2\r\n", "ok")),
        odd("an answer with a line without a colon", &said("PHP Warning\r\ncontent-length: 2\r\n", "ok")),
        odd("an answer with a name that is none", &said("x[\u{e9}]: y\r\ncontent-length: 2\r\n", "ok")),
        odd("an answer with control characters", &said("x: \x01\x1b\x7f\r\ncontent-length: 2\r\n", "ok")),
        odd(
            "an answer with 140 cookies",
            &said(&("set-cookie: a=b\r\n".repeat(140) + "content-length: 2\r\n"), "ok"),
        ),
        odd(
            "an answer with a head of 70 KiB",
            &said(&format!("x: {}\r\ncontent-length: 2\r\n", "a".repeat(70 << 10)), "ok"),
        ),
        odd(
            "an answer with a head of 300 KiB",
            &said(&format!("x: {}\r\ncontent-length: 2\r\n", "a".repeat(300 << 10)), "ok"),
        ),
        odd(
            "an answer with blanks behind a chunk size",
            &said("transfer-encoding: chunked\r\n", "2  \r\nok\r\n0 \r\n\r\n"),
        ),
        odd("an answer with bare LFs in its chunks", &said("transfer-encoding: chunked\r\n", "2\nok\n0\n\n")),
        odd(
            "an answer of HTTP/1.0 in chunks",
            &said("transfer-encoding: chunked\r\n", CHUNKS).replace("1.1", "1.0"),
        ),
        odd("a 204 in chunks", "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        odd("an empty line before an answer", &["\r\n", OK].concat()),
        odd("an answer of a radio station", "ICY 200 OK\r\nicy-name: a\r\n\r\nmusic"),
        odd("an answer that is a page", "<html>hello</html>\n"),
        exchange(
            "an early answer, then the body",
            [
                C.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n"),
                C.send("hello"),
                S.send(OK),
                C.send("world"),
                C.send(GET),
                S.send(OK),
            ],
        ),
        exchange(
            "an early answer, and closed",
            [
                C.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n"),
                S.send(BAD),
                S.close(),
                C.post("hello"),
            ],
        ),
        exchange(
            "an answer in halves",
            [C.send(GET), S.send(&OK[..20]), S.send(&OK[20..]), C.send(GET), S.send(OK)],
        ),
        exchange("half an answer, and closed", [C.send(GET), S.send(&OK[..20]), S.close()]),
        exchange("half a body, and closed", [C.send(GET), S.send(&OK[..OK.len() - 1]), S.close()]),
        exchange(
            "408 before it closes",
            [
                C.send(GET),
                S.send(OK),
                S.send("HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n"),
                S.close(),
            ],
        ),
        exchange(
            "408 to a silent client",
            [S.send("HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n"), S.close()],
        ),
        exchange(
            "408 to half a head",
            [
                C.post("GET / HTTP/1.1\r\nho"),
                S.send("HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n"),
                S.sleep(100),
                S.finish(),
            ],
        ),
        exchange(
            "an answer before the request is complete",
            [C.post("GET / HTTP/1.1\r\nho"), S.send(OK), C.send("st: a\r\n\r\n"), S.send(OK)],
        ),
    ]
}

fn interim() -> Vec<Exchange> {
    const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    vec![
        exchange(
            "100, the body, the answer",
            [C.send(EXPECT), S.send(CONTINUE), C.send("body"), S.send(OK), C.send(GET), S.send(OK)],
        ),
        exchange(
            "417 instead of 100, and closed",
            [
                C.send(EXPECT),
                S.send("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n"),
                S.close(),
            ],
        ),
        exchange(
            "a refusal instead of 100, then another request",
            [
                C.send(EXPECT),
                S.send("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n"),
                C.send(GET),
                S.send(OK),
            ],
        ),
        exchange(
            "the body without waiting for 100",
            [C.send([EXPECT, "body"].concat()), S.send([CONTINUE, OK].concat()), C.send(GET), S.send(OK)],
        ),
        exchange(
            "103 before the answer",
            [
                C.send(GET),
                S.send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
                S.send(OK),
                C.send(GET),
                S.send(OK),
            ],
        ),
        exchange(
            "three 102, byte by byte",
            [
                C.send(GET),
                S.drip(1, "HTTP/1.1 102 Processing\r\n\r\n".repeat(3)),
                S.send(OK),
                C.send(GET),
                S.send(OK),
            ],
        ),
        exchange("100 that nobody asked for", [S.send(CONTINUE), C.send(GET), S.send(OK)]),
    ]
}

fn tunnels() -> Vec<Exchange> {
    vec![
        exchange("an upgrade", [
            C.send(UPGRADE),
            S.send(SWITCH),
            C.send(b"\x81\x05hello"),
            S.send(b"\x81\x05hello\0\r\n"),
            C.send("GET / HTTP/1.1\r\nx-byway-key: pr-1\r\n\r\n"),
            C.finish(),
            S.send("last"),
            S.close(),
        ]),
        exchange("an upgrade with bytes right behind the 101", [
            C.send(UPGRADE),
            S.send([SWITCH, "hello"].concat()),
            C.send("hello"),
            S.close(),
            C.close(),
        ]),
        exchange("an upgrade refused", [C.send(UPGRADE), S.send(OK), C.send(GET), S.send(OK)]),
        exchange("an upgrade ignored, and pipelined behind", [
            C.post([UPGRADE, GET].concat()),
            S.send(OK),
            S.send(OK),
            C.send(GET),
            S.send(OK),
        ]),
        exchange("early bytes behind an upgrade", [C.send([UPGRADE, "early"].concat()), S.send(SWITCH), S.send("hello")]),
        exchange("h2c", [
            C.send("GET / HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"),
            S.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
            C.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        ]),
        exchange("CONNECT", [
            C.send(CONNECT),
            S.send("HTTP/1.1 200 OK\r\n\r\n"),
            C.send("anything"),
            S.send("at all"),
            S.finish(),
            C.send("more"),
            C.close(),
        ]),
        exchange("CONNECT with a length in its answer", [
            C.send(CONNECT),
            S.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokmore"),
            C.send("anything"),
        ]),
        exchange("CONNECT refused", [
            C.send(CONNECT),
            S.send("HTTP/1.1 405 No\r\ncontent-length: 0\r\n\r\n"),
            C.send(GET),
            S.send(OK),
        ]),
        exchange("early bytes behind CONNECT", [
            C.send([CONNECT, "early"].concat()),
            S.send("HTTP/1.1 200 OK\r\n\r\n"),
            S.send("hello"),
        ]),
        exchange("a tunnel reset by the client", [C.send(UPGRADE), S.send(SWITCH), C.send("x"), C.reset()]),
        exchange("a tunnel reset by the server", [C.send(UPGRADE), S.send(SWITCH), S.send("x"), S.reset()]),
    ]
}

fn other_protocols() -> Vec<Exchange> {
    let hello = [b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03".as_slice(), &[7; 37]].concat();
    vec![
        exchange(
            "TLS",
            [
                C.send(&hello),
                S.send(b"\x16\x03\x03\x00\x02\x02\x00"),
                C.drip(1, &hello),
                S.send(b"\x15\x03\x03\0\x02\x02\x28"),
                S.close(),
            ],
        ),
        exchange(
            "TLS, its hello in pieces",
            [C.drip(1, &hello), S.send(b"\x15\x03\x03\0\x02\x02\x28"), C.close()],
        ),
        exchange(
            "SSH",
            [
                S.send("SSH-2.0-OpenSSH_9.2\r\n"),
                C.send("SSH-2.0-client\r\n"),
                S.send([0, 0, 1, 20]),
                C.send([0, 0, 1, 20]),
            ],
        ),
        exchange("SSH, the client first", [C.send("SSH-2.0-client\r\n"), S.send("SSH-2.0-OpenSSH_9.2\r\n")]),
        exchange(
            "SMTP",
            [
                S.send("220 a ESMTP\r\n"),
                C.send("EHLO b\r\n"),
                S.send("250 a\r\n"),
                C.send("QUIT\r\n"),
                S.send("221 bye\r\n"),
                S.close(),
            ],
        ),
        exchange(
            "Redis",
            [C.send("*1\r\n$4\r\nPING\r\n"), S.send("+PONG\r\n"), C.send("PING\r\n"), S.send("+PONG\r\n")],
        ),
        exchange("Redis, inline first", [C.send("PING\r\n"), S.send("+PONG\r\n")]),
        exchange(
            "memcached",
            [C.send("get a\r\n"), S.send("END\r\n"), C.send("version\r\n"), S.send("VERSION 1\r\n")],
        ),
        exchange(
            "Postgres",
            [
                C.send(b"\0\0\0\x08\x04\xd2\x16\x2f"),
                S.send("N"),
                C.send(b"\0\0\0\x0c\0\x03\0\0user"),
                S.send("R\0\0\0\x08\0\0\0\0"),
            ],
        ),
        exchange(
            "MySQL",
            [
                S.send(b"\x0a\0\0\0\x0a8.0.0\0"),
                C.send(b"\x20\0\0\x01"),
                S.send(b"\x07\0\0\x02\0\0\0\x02\0\0\0"),
            ],
        ),
        exchange("MQTT", [C.send(b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0"), S.send(b"\x20\x02\0\0")]),
        // Who does speak it is met otherwise: see tests/http2.
        exchange(
            "HTTP/2 for a server that does not speak it",
            [
                C.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
                S.send("HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-length: 0\r\n\r\n"),
                C.send(b"\0\0\0\x04\0\0\0\0\0"),
                S.close(),
            ],
        ),
        exchange(
            "HTTP/2, byte by byte, for a server that says something else",
            [
                C.drip(1, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
                S.send(b"\0\0\x05\x04\0\0\0\0\0"),
                C.send("more"),
                S.send("and more"),
                C.close(),
            ],
        ),
        exchange("nearly HTTP/2", [C.send("PRI * HTTP/2.0\r\n\r\nXX"), S.send("no"), S.close()]),
        exchange(
            "PROXY protocol",
            [
                C.send(["PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", GET].concat()),
                S.send(OK),
                C.send(GET),
                S.send(OK),
            ],
        ),
        exchange(
            "PROXY protocol, version 2",
            [C.send(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"), C.send(GET), S.send(OK)],
        ),
        exchange(
            "SIP, which looks like HTTP",
            [C.send("OPTIONS sip:a SIP/2.0\r\n"), S.send("SIP/2.0 200 OK\r\n\r\n")],
        ),
        exchange("one line, which looks like HTTP", [C.send("HELO there\r\n"), S.send("250 hi\r\n")]),
        exchange("zeros", [C.send([0; 100]), S.send([0; 100]), C.close()]),
        exchange(
            "the server speaks, then HTTP",
            [S.send("hello"), C.send(GET), S.send(OK), C.send(GET), S.send(OK)],
        ),
        exchange("both at once", [C.post("hello "), S.post("hi "), C.send("there"), S.send("there")]),
    ]
}

fn silence() -> Vec<Exchange> {
    vec![
        exchange("nobody says anything", [C.sleep(300)]),
        exchange("a client that comes and goes", [C.close()]),
        exchange("a client that comes and half-closes", [C.finish(), S.close()]),
        exchange("a client that comes and resets", [C.reset()]),
        exchange("a server that closes at once", [S.close()]),
        exchange("a server that half-closes at once", [S.finish(), C.send(GET), C.close()]),
        exchange("a server that resets at once", [S.reset()]),
        exchange("a late request", [C.sleep(500), C.send(GET), S.sleep(500), S.send(OK)]),
        // The rest waits for the agent to give up on the head: 5 seconds.
        exchange(
            "a slow head",
            [C.send("GET / HTTP/1.1\r\nho"), C.send("st: a\r\n\r\n"), S.send(OK), C.send(GET), S.send(OK)],
        ),
        exchange("a slow method", [C.send("GE"), C.send("T / HTTP/1.1\r\n\r\n"), S.send(OK)]),
        exchange(
            "a slow second head",
            [C.send(GET), S.send(OK), C.send(&GET[..7]), C.send(&GET[7..]), S.send(OK)],
        ),
        exchange("a slow head in single bytes", [C.drip(1, "GET / HTTP/1.1\r\nho"), S.send(BAD), S.close()]),
    ]
}

fn ends_of_the_client() -> Vec<Exchange> {
    const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello";
    const CHUNK: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel";
    vec![
        exchange("half-closed behind a request", [C.post(GET), C.finish(), S.send(OK), S.close()]),
        exchange(
            "half-closed, then two answers",
            [C.post(GET.repeat(2)), C.finish(), S.send(OK), S.send(OK), S.close()],
        ),
        exchange("half-closed in a head", [C.post(&GET[..20]), C.finish(), S.send(BAD), S.close()]),
        exchange("half-closed in a method", [C.post("GE"), C.finish(), S.send(BAD), S.close()]),
        exchange(
            "half-closed in the second head",
            [C.post([GET, &GET[..20]].concat()), C.finish(), S.send(OK), S.send(BAD), S.close()],
        ),
        exchange("half-closed in a body", [C.post(POST), C.finish(), S.send(BAD), S.close()]),
        exchange("half-closed in a chunk", [C.post(CHUNK), C.finish(), S.send(BAD), S.close()]),
        exchange("half-closed between", [C.send(GET), S.send(OK), C.finish(), S.close()]),
        exchange(
            "half-closed in an answer",
            [C.send(GET), S.send(&OK[..30]), C.finish(), S.send(&OK[30..]), S.close()],
        ),
        exchange(
            "half-closed behind an upgrade",
            [C.post(UPGRADE), C.finish(), S.send(SWITCH), S.send("hello"), S.close()],
        ),
        exchange("half-closed, and the server stays", [C.send(GET), C.finish(), S.send(OK)]),
        exchange("closed in a head", [C.post(&GET[..20]), C.close()]),
        exchange("closed behind a request", [C.post(GET), C.close()]),
        exchange("closed in a body", [C.post(POST), C.close()]),
        exchange(
            "closed in an answer, which goes on",
            [C.send(GET), S.send(&OK[..30]), C.close(), S.post(&OK[30..]), S.sleep(50), S.post("more")],
        ),
        exchange("closed with the answer unread", [C.send(GET), S.post(OK), C.lets_it_lie(), C.close()]),
        exchange(
            "closed with bytes of a tunnel unread",
            [C.send(UPGRADE), S.send(SWITCH), S.post("hello"), C.lets_it_lie(), C.close()],
        ),
        exchange("reset in a head", [C.post(&GET[..20]), C.sleep(50), C.reset()]),
        exchange("reset in a method", [C.post("GE"), C.sleep(50), C.reset()]),
        exchange(
            "reset in the second head",
            [C.send(GET), S.send(OK), C.post(&GET[..20]), C.sleep(50), C.reset()],
        ),
        exchange("reset behind a request", [C.send(GET), C.reset()]),
        exchange("reset in a body", [C.send(POST), C.reset()]),
        exchange("reset in a chunk", [C.send(CHUNK), C.reset()]),
        exchange("reset between", [C.send(GET), S.send(OK), C.reset()]),
        exchange("reset in an answer", [C.send(GET), S.send(&OK[..30]), C.reset()]),
        exchange("reset in an odd request", [C.send("GET / HTTP/1.1\nho"), C.reset()]),
        exchange("half-closed, then reset", [C.send(GET), C.finish(), S.send(&OK[..30]), C.reset()]),
        exchange(
            "half-closed in raw bytes, then reset",
            [C.send("PING\r\n"), C.finish(), S.send("+PO"), C.reset()],
        ),
    ]
}

fn ends_of_the_server() -> Vec<Exchange> {
    const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello";
    vec![
        exchange(
            "half-closed by the server behind an answer",
            [C.send(GET), S.send(OK), S.finish(), C.send(GET), C.finish()],
        ),
        exchange(
            "half-closed by the server in a body",
            [C.send(POST), S.finish(), C.send("world"), C.close()],
        ),
        exchange(
            "half-closed by the server in raw bytes",
            [C.send("PING\r\n"), S.finish(), C.send("PING\r\n"), C.close()],
        ),
        exchange("reset by the server behind a request", [C.send(GET), S.reset()]),
        exchange("reset by the server between", [C.send(GET), S.send(OK), S.reset()]),
        exchange("reset by the server in a head", [C.post(&GET[..20]), S.sleep(50), S.reset()]),
        exchange("reset by the server in an answer's head", [C.send(GET), S.send(&OK[..10]), S.reset()]),
        exchange("reset by the server in an answer", [C.send(GET), S.send(&OK[..OK.len() - 1]), S.reset()]),
        exchange(
            "reset by the server in a chunked answer",
            [C.send(GET), S.send(CHUNKED), S.send("5\r\nhel"), S.reset()],
        ),
        exchange(
            "reset by the server in an answer without an end",
            [C.send(GET), S.send("HTTP/1.1 200 OK\r\n\r\nhel"), S.reset()],
        ),
        exchange("reset by the server in raw bytes", [C.send("PING\r\n"), S.send("+PO"), S.reset()]),
        exchange("half-closed by both, the server last", [C.send(GET), C.finish(), S.send(OK), S.finish()]),
        exchange("half-closed by both, the client last", [C.send(GET), S.send(OK), S.finish(), C.finish()]),
        exchange("closed by the server with a request unread", [C.post(GET), S.lets_it_lie(), S.close()]),
        exchange(
            "closed by the server with a body unread",
            [C.send(&POST[..POST.len() - 5]), C.post("hello"), S.lets_it_lie(), S.close()],
        ),
        exchange(
            "answered and closed with a body unread",
            [C.send(&POST[..POST.len() - 5]), C.post("hello"), S.lets_it_lie(), S.send(BAD)],
        ),
        exchange(
            "closed by the server, and the client sends on",
            [C.send(GET), S.send(OK), S.close(), C.post(GET)],
        ),
        exchange(
            "closed by the server, and the client sends twice",
            [C.send(GET), S.send(OK), S.close(), C.post(GET), C.sleep(100), C.post(GET)],
        ),
        exchange(
            "closed by the server in raw bytes, and the client sends on",
            [C.send("PING\r\n"), S.close(), C.post("PING\r\n")],
        ),
        exchange(
            "closed by the server in a body, and the client sends on",
            [C.send(POST), S.close(), C.post("wo"), C.sleep(100), C.post("rld")],
        ),
        exchange(
            "closed by the server in a tunnel, and the client sends on",
            [C.send(UPGRADE), S.send(SWITCH), S.close(), C.post("hello")],
        ),
        exchange("half-closed by the server, then reset", [C.send(GET), S.send(OK), S.finish(), S.reset()]),
        exchange(
            "half-closed by the server in raw bytes, then reset",
            [C.send("PING\r\n"), S.finish(), S.reset()],
        ),
        exchange(
            "half-closed by the client, then reset by the server",
            [C.send(GET), C.finish(), S.send(&OK[..30]), S.reset()],
        ),
    ]
}

fn large() -> Vec<Exchange> {
    let mib = |n: usize| -> Vec<u8> { (0..n << 20).map(|i| (i % 251) as u8).collect() };
    let with_length = |first: &str, n: usize| {
        [format!("{first}content-length: {}\r\n\r\n", n << 20).as_bytes(), &mib(n)].concat()
    };
    let chunks: Vec<u8> = mib(4)
        .chunks(70_001)
        .flat_map(|c| [format!("{:x}\r\n", c.len()).as_bytes(), c, b"\r\n"].concat())
        .collect();
    vec![
        exchange(
            "8 MiB down",
            [C.send(GET), S.send(with_length("HTTP/1.1 200 OK\r\n", 8)), C.send(GET), S.send(OK)],
        ),
        exchange(
            "8 MiB up",
            [C.send(with_length("PUT / HTTP/1.1\r\nhost: a\r\n", 8)), S.send(OK), C.send(GET), S.send(OK)],
        ),
        exchange(
            "8 MiB down to the end of the connection",
            [C.send(GET), S.send([b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &mib(8)].concat()), S.close()],
        ),
        exchange("8 MiB of raw bytes both ways", [C.send([0]), S.send(mib(8)), C.send(mib(8)), S.close()]),
        exchange(
            "4 MiB in chunks both ways",
            [
                C.send(
                    [
                        b"PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".as_slice(),
                        &chunks,
                        b"0\r\n\r\n",
                    ]
                    .concat(),
                ),
                S.send([CHUNKED.as_bytes(), &chunks, b"0\r\n\r\n"].concat()),
                C.send(GET),
                S.send(OK),
            ],
        ),
        exchange(
            "8 MiB in a tunnel",
            [C.send(UPGRADE), S.send(SWITCH), S.send(mib(8)), C.send(mib(4)), C.close()],
        ),
        exchange(
            "8 MiB, and half-closed at once",
            [
                C.send(GET),
                S.post(&OK[..10]),
                S.send(&OK[10..]),
                C.send(with_length("PUT / HTTP/1.1\r\nhost: a\r\n", 8)),
                C.finish(),
                S.send(OK),
                S.close(),
            ],
        ),
        exchange(
            "5,000 pipelined",
            [C.send(GET.repeat(5000)), S.send(OK.repeat(5000)), C.send(GET), S.send(OK)],
        ),
        exchange(
            "1,000 pipelined, and half-closed at once",
            [C.post(GET.repeat(1000)), C.finish(), S.send(OK.repeat(1000)), S.close()],
        ),
        exchange(
            "reset by the server behind 1 MiB",
            [C.send(GET), S.send(with_length("HTTP/1.1 200 OK\r\n", 1)), S.reset()],
        ),
        exchange(
            "closed by the server behind 1 MiB",
            [C.send(GET), S.send(with_length("HTTP/1.1 200 OK\r\n", 1)), S.close()],
        ),
    ]
}

fn many_headers(n: usize) -> String {
    format!("GET / HTTP/1.1\r\n{}\r\n", (0..n).map(|i| format!("x-{i}: y\r\n")).collect::<String>())
}

fn long_head(n: usize) -> String {
    format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "a".repeat(n))
}
