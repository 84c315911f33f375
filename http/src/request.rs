//! Reads a complete request head: the request line, the headers, and how the body is framed.
//!
//! Must be given exactly what [`HeadScan`](crate::HeadScan) found: the checks of that one are not repeated here.

use httparse::Header;

use crate::framing::{Body, Lengths};
use crate::{Doubt, HeaderSpace};

#[cfg(test)]
mod tests;

/// A request head that is beyond doubt. Borrows the bytes and the caller's header space.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'b, 'h> {
    /// The method, case and all.
    pub method: &'b str,
    /// The request target as it was sent.
    pub target: &'b str,
    /// 0 or 1, of HTTP/1.x; 2 of [HTTP/2](crate::http2).
    pub version: u8,
    /// The headers, in order; values without blanks around them.
    pub headers: &'h [Header<'b>],
    /// How the body is framed: [`Body::Empty`], [`Body::Length`] or [`Body::Chunked`].
    pub body: Body,
    /// What the response's framing depends on.
    pub kind: RequestKind,
    /// The client waits for a 100 before it sends the body.
    pub expects_continue: bool,
    /// The client asks for another protocol, by `Upgrade` and `Connection: upgrade`.
    pub upgrade: bool,
    /// Another request may follow.
    pub keep_alive: bool,
}

/// All that response framing needs to know of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// HEAD: the response has no body, whatever its headers say.
    Head,
    /// CONNECT: after a 2xx a tunnel.
    Connect,
    /// Asks for another protocol: after a 101 a tunnel.
    Upgrade,
    /// Anything else.
    Other,
}

impl RequestHead<'_, '_> {
    /// The path of the target, without the query: as it was sent, neither decoded nor normalised. `*` for
    /// `OPTIONS *`, empty for CONNECT.
    #[must_use]
    pub fn path(&self) -> &str {
        path_of(self.target)
    }
}

/// Reads exactly one complete head, found by [`HeadScan`](crate::HeadScan).
pub fn parse_request<'b, 'h>(
    head: &'b [u8],
    space: &'h mut HeaderSpace<'b>,
) -> Result<RequestHead<'b, 'h>, Doubt> {
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(head, space).map_err(|error| match error {
        httparse::Error::Version => Doubt::BadVersion,
        httparse::Error::TooManyHeaders => Doubt::HeadTooLong,
        _ => Doubt::BadHead,
    })?;
    if parsed != httparse::Status::Complete(head.len()) {
        return Err(Doubt::BadHead);
    }
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(Doubt::BadHead);
    };
    let headers: &'h [Header<'b>] = request.headers;
    check_target(method, target)?;
    let facts = Facts::read(head, headers)?;
    let body = facts.lengths.body(version)?.unwrap_or(Body::Empty);
    let upgrade = facts.upgrade && facts.connection_upgrade && version == 1;
    let kind = match method {
        "HEAD" => RequestKind::Head,
        // What follows a CONNECT is the tunnel, so a body cannot be told from it (RFC 9110, 9.3.6).
        "CONNECT" if body != Body::Empty && body != Body::Length(0) => return Err(Doubt::BadLength),
        "CONNECT" => RequestKind::Connect,
        _ if upgrade => RequestKind::Upgrade,
        _ => RequestKind::Other,
    };
    Ok(RequestHead {
        method,
        target,
        version,
        headers,
        body,
        kind,
        expects_continue: facts.expects_continue && version == 1,
        upgrade,
        keep_alive: facts.keep_alive(version),
    })
}

/// What the headers say about framing and the connection, gathered in one pass.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) lengths: Lengths,
    pub(crate) upgrade: bool,
    pub(crate) connection_upgrade: bool,
    close: bool,
    keep: bool,
    expects_continue: bool,
}

impl Facts {
    /// `headers` are slices of `head`.
    pub(crate) fn read(head: &[u8], headers: &[Header<'_>]) -> Result<Self, Doubt> {
        let mut facts = Self::default();
        for header in headers {
            // The length of a name decides which few it can be, so that most headers cost one comparison.
            match header.name.len() {
                6 if header.name.eq_ignore_ascii_case("expect") => {
                    facts.expects_continue |= header.value.eq_ignore_ascii_case(b"100-continue");
                }
                7 if header.name.eq_ignore_ascii_case("upgrade") => facts.upgrade = true,
                10 if header.name.eq_ignore_ascii_case("connection") => facts.connection(header.value),
                14 if is_or_looks_like(header.name, "content-length")? => {
                    check_tabs(head, header.value, Doubt::BadLength)?;
                    facts.lengths.content_length(header.value)?;
                }
                17 if is_or_looks_like(header.name, "transfer-encoding")? => {
                    check_tabs(head, header.value, Doubt::TransferEncoding)?;
                    facts.lengths.transfer_encoding(header.value)?;
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    /// RFC 9112, 9.3.
    pub(crate) fn keep_alive(&self, version: u8) -> bool {
        !self.close && (version == 1 || self.keep)
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|b| *b == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep |= option.eq_ignore_ascii_case(b"keep-alive");
            self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }
}

/// Whether `name` is `known`. Gateways that turn headers into variables (CGI, WSGI) read `_` as `-`: an app
/// behind one would see a framing header where nobody else does.
fn is_or_looks_like(name: &str, known: &str) -> Result<bool, Doubt> {
    if name.eq_ignore_ascii_case(known) {
        return Ok(true);
    }
    let same = |(a, b): (u8, u8)| a.eq_ignore_ascii_case(&b) || (a == b'_' && b == b'-');
    if name.bytes().zip(known.bytes()).all(same) { Err(Doubt::LookalikeHeader) } else { Ok(false) }
}

/// Tabs around a framing header's value: allowed (RFC 9110, 5.6.3), but there are servers that do not take them
/// for blanks, and then see another header value, or none. Nobody sends them but to get past somebody.
fn check_tabs(head: &[u8], value: &[u8], doubt: Doubt) -> Result<(), Doubt> {
    let start = (value.as_ptr() as usize).wrapping_sub(head.as_ptr() as usize);
    let (before, from) = head.split_at_checked(start).ok_or(doubt)?;
    let behind = from.get(value.len()..).ok_or(doubt)?;
    let before = before.iter().rev().take_while(|b| **b != b':');
    let mut around = before.chain(behind.iter().take_while(|b| **b != b'\r'));
    if around.any(|b| *b == b'\t') { Err(doubt) } else { Ok(()) }
}

/// RFC 9112, 3.2: which form goes with which method. Characters are not held to RFC 3986, since clients send
/// `{`, `|` and UTF-8, and servers take them; but what servers refuse or cut off (`#`) is in doubt.
fn check_target(method: &str, target: &str) -> Result<(), Doubt> {
    let odd = |b: u8| matches!(b, 0..=b' ' | b'"' | b'#' | b'<' | b'>' | b'`' | 0x7f);
    if target.bytes().any(odd) {
        return Err(Doubt::BadTarget);
    }
    let fits = match (method, target) {
        ("CONNECT", authority) => is_authority(authority) && authority.contains(':'),
        ("OPTIONS", "*") => true,
        (_, target) if target.starts_with('/') => true,
        (_, target) => absolute(target).is_some_and(|rest| {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            is_authority(&rest[..end])
        }),
    };
    if fits { Ok(()) } else { Err(Doubt::BadTarget) }
}

/// `host`, `host:port`, `[address]:port`; no user information.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else {
                return false;
            };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (address, port.strip_prefix(':').or(port.is_empty().then_some("0")))
        }
        None => text.split_once(':').map_or((text, Some("0")), |(host, port)| (host, Some(port))),
    };
    let host_char = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':');
    !host.is_empty()
        && host.bytes().all(host_char)
        && port.is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

/// What follows `http://` or `https://`.
fn absolute(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(rest)
}

fn path_of(target: &str) -> &str {
    let path_and_query = if target.starts_with('/') || target == "*" {
        target
    } else if let Some(rest) = absolute(target) {
        // An absolute target without a path means the root.
        match rest.find(['/', '?']) {
            Some(at) if rest[at..].starts_with('/') => &rest[at..],
            _ => "/",
        }
    } else {
        ""
    };
    path_and_query.split('?').next().unwrap_or_default()
}
