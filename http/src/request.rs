//! Reads a complete request head: the request line, the headers, and how the body is framed.
//!
//! Must be given exactly what [`HeadScan`](crate::HeadScan) found: the checks of that one are not repeated here.

use byway_api::matching::is_token_char;
use memchr::memchr;

use crate::facts::Facts;
use crate::framing::Body;
use crate::head::lines;
use crate::{Doubt, Header, HeaderSpace, Sender};

#[cfg(test)]
mod tests;

/// A request head that is beyond doubt. Borrows the bytes and the caller's header space.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'b, 'h> {
    /// The method, case and all.
    pub method: &'b str,
    /// The request target as it was sent, in whatever encoding.
    pub target: &'b [u8],
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
    Upgrade {
        /// By HEAD: another answer has no body.
        head: bool,
    },
    /// Anything else.
    Other,
}

impl RequestHead<'_, '_> {
    /// The path of the target, without the query: as it was sent, neither decoded nor normalised. `*` for
    /// `OPTIONS *`, empty for CONNECT.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        path_of(self.target)
    }
}

/// Reads exactly one complete head, found by [`HeadScan`](crate::HeadScan).
pub fn parse_request<'b, 'h>(
    head: &'b [u8],
    space: &'h mut HeaderSpace<'b>,
) -> Result<RequestHead<'b, 'h>, Doubt> {
    let mut lines = lines(head);
    let (method, target, version) = request_line(lines.next().ok_or(Doubt::BadHead)?)?;
    let mut facts = Facts::of(Sender::Client);
    for line in lines {
        let header = facts.line(line).ok_or(Doubt::BadHead)?;
        space.try_push(header).map_err(|_| Doubt::HeadTooLong)?;
    }
    let body = facts.lengths.body(version)?.unwrap_or(Body::Empty);
    let upgrade = facts.upgrade && facts.connection_upgrade && version == 1;
    let kind = match method {
        // What follows a CONNECT is the tunnel, so a body cannot be told from it (RFC 9110, 9.3.6).
        "CONNECT" if body != Body::Empty && body != Body::Length(0) => return Err(Doubt::BadLength),
        "CONNECT" => RequestKind::Connect,
        _ if upgrade => RequestKind::Upgrade { head: method == "HEAD" },
        "HEAD" => RequestKind::Head,
        _ => RequestKind::Other,
    };
    Ok(RequestHead {
        method,
        target,
        version,
        headers: space,
        body,
        kind,
        expects_continue: facts.expects_continue && version == 1,
        upgrade,
        keep_alive: facts.keep_alive(version),
    })
}

/// Method, target and version. Of the target nothing is asked but that it is one word: what a server makes of it is its
/// own matter, and changes nothing in where the request ends. Clients send `"`, `<`, `|`, backticks and all encodings.
fn request_line(line: &[u8]) -> Result<(&str, &[u8], u8), Doubt> {
    let word = |text: &'_ [u8]| memchr(b' ', text).filter(|end| *end > 0).ok_or(Doubt::BadHead);
    let (method, rest) = line.split_at(word(line)?);
    let (target, rest) = rest[1..].split_at(word(&rest[1..])?);
    let version = match &rest[1..] {
        b"HTTP/1.0" => 0,
        b"HTTP/1.1" => 1,
        other if other.is_empty() || other.contains(&b' ') => return Err(Doubt::BadHead),
        _ => return Err(Doubt::BadVersion),
    };
    if target.iter().any(u8::is_ascii_control) {
        return Err(Doubt::BadTarget);
    }
    let method = std::str::from_utf8(method).ok().filter(|it| it.bytes().all(is_token_char));
    Ok((method.ok_or(Doubt::BadHead)?, target, version))
}

/// Without the scheme and the authority of an absolute target; one without a path means the root.
fn path_of(target: &[u8]) -> &[u8] {
    let path = match target {
        [b'/', ..] | b"*" => target,
        _ => match absolute(target) {
            Some(rest) => {
                let at =
                    rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
                if rest.get(at) == Some(&b'/') { &rest[at..] } else { b"/" }
            }
            None => &[],
        },
    };
    // No client sends a fragment; who gets one cuts it off.
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
    &path[..end]
}

/// What follows `http://` or `https://`.
fn absolute(target: &[u8]) -> Option<&[u8]> {
    [b"http://".as_slice(), b"https://"].into_iter().find_map(|scheme| {
        let (found, rest) = target.split_at_checked(scheme.len())?;
        found.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}
