//! Requests in which no framing is in doubt, though some servers refuse them: each server takes or refuses them as it
//! does without an agent, and a keyed one behind them on the same connection reaches its preview.

use std::time::Duration;

use byway_tests::Raw;

use crate::{KEY, clients::Asked};

/// How long a server may take.
const SOON: Duration = Duration::from_secs(20);

/// What stands in the target, and a header beside it.
pub(crate) type Request = (&'static [u8], &'static [u8]);

/// Browsers send the first unencoded.
pub(crate) const REQUESTS: [Request; 10] = [
    (b"/as-it-should-be?q=`a`", b""),
    (b"/as-it-should-be?q=\"a\"", b""),
    (b"/as-it-should-be?q=<a>", b""),
    (b"/as-it-should-be?q={a}|b^c\\d[e]", b""),
    (b"/as-it-should-be?q=\xc3\xa9", b""),
    (b"/as-it-should-be?q=\xe9", b""),
    (b"/as-it-should-be?%zz", b""),
    (b"/as-it-should-be#a", b""),
    (b"/as-it-should-be", b"x: \xe9\xff\r\n"),
    (b"/as-it-should-be", b"x: \x01\x1b\x7f\r\n"),
];

/// The first line of the answer, and whether a keyed request behind it on the same connection is answered by `name`.
pub(crate) fn taken(it: Asked<'_>, (target, header): Request, name: &str) -> (String, bool) {
    let mut raw = Raw::new(it.from.connect(it.to).unwrap()).unwrap();
    raw.send([b"GET ", target, b" HTTP/1.1\r\nhost: a\r\n", header, b"\r\n"].concat()).unwrap();
    let first = raw.receive_until(SOON, |bytes| bytes.ends_with(b"hello") || is_refusal(bytes));
    let line = String::from_utf8_lossy(&first.bytes).lines().next().unwrap_or_default().to_owned();
    let keyed = format!("GET /as-it-should-be HTTP/1.1\r\nhost: a\r\nx-byway-key: {KEY}\r\n\r\n");
    if !line.ends_with("200 OK") || raw.send(keyed).is_err() {
        return (line, false);
    }
    let second = raw.receive_until(SOON, |bytes| bytes.ends_with(b"hello")).bytes;
    (line, second.ends_with(b"hello") && String::from_utf8_lossy(&second).contains(name))
}

/// Of what is no 200 only the first line counts.
fn is_refusal(bytes: &[u8]) -> bool {
    bytes.contains(&b'\n') && !bytes.starts_with(b"HTTP/1.1 200")
}
