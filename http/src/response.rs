//! Reads a complete response head: the status, and how the body is framed in answer to a request.
//!
//! Must be given exactly what [`HeadScan::of_answers`](crate::HeadScan::of_answers) found.
//!
//! An answer in doubt is an answer all the same, which the client may well read: [`answer_start`] tells it from
//! what nobody takes for one.

use memchr::memchr;

use crate::facts::Facts;
use crate::framing::Body;
use crate::head::lines;
use crate::{Doubt, RequestKind, Sender};

#[cfg(test)]
mod tests;

/// A response head that is beyond doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// 100 to 999.
    pub status: u16,
    /// Bytes of the status line with its end: where a header can be put in.
    pub status_line: usize,
    /// How the body is framed.
    pub body: Body,
    /// Another response may follow on the connection.
    pub keep_alive: bool,
    /// 1xx other than 101: the final response is still to come.
    pub interim: bool,
}

/// Reads exactly one complete head, in answer to a request of `kind`.
pub fn parse_response(head: &[u8], kind: RequestKind) -> Result<ResponseHead, Doubt> {
    let line_end = memchr(b'\n', head).ok_or(Doubt::ResponseHead)?;
    let mut lines = lines(head);
    let (version, status) = lines.next().and_then(status_line).ok_or(Doubt::ResponseHead)?;
    // No header changes where a tunnel begins.
    let is_tunnel =
        matches!((status, kind), (101, RequestKind::Upgrade { .. }) | (200..300, RequestKind::Connect));
    let mut facts = Facts::of(Sender::Server);
    for line in lines {
        if facts.line(line).is_none() && !is_tunnel {
            return Err(Doubt::ResponseHead);
        }
    }
    let declared = facts.lengths.body(version).map_err(|_| Doubt::ResponseFraming);
    let body = if is_tunnel { Body::Tunnel } else { body(status, kind, declared)? };
    Ok(ResponseHead {
        status,
        status_line: line_end + 1,
        body,
        keep_alive: facts.keep_alive(version) && !matches!(body, Body::UntilClose | Body::Tunnel),
        interim: (100..200).contains(&status) && status != 101,
    })
}

/// Version and status.
fn status_line(line: &[u8]) -> Option<(u8, u16)> {
    let (version, rest) = match line.strip_prefix(b"HTTP/1.")? {
        [b'0', rest @ ..] => (0, rest),
        [b'1', rest @ ..] => (1, rest),
        _ => return None,
    };
    let [b' ', digits @ ..] = rest else { return None };
    let (digits, reason) = digits.split_at_checked(3)?;
    let status = std::str::from_utf8(digits).ok().filter(|it| it.bytes().all(|b| b.is_ascii_digit()))?;
    let status = status.parse().ok().filter(|status| *status >= 100)?;
    matches!(reason, [] | [b' ', ..]).then_some((version, status))
}

/// Of what is no tunnel: RFC 9112, 6.3, with doubt where it says what a recipient should make of an error.
fn body(status: u16, kind: RequestKind, declared: Result<Option<Body>, Doubt>) -> Result<Body, Doubt> {
    match (status, kind) {
        (101, _) => Err(Doubt::ResponseFraming),
        (_, RequestKind::Head | RequestKind::Upgrade { head: true }) | (304, _) => Ok(Body::Empty),
        // These cannot have a body, but say so wrongly: what follows may be one all the same, and clients differ.
        (100..200 | 204, _) => match declared? {
            None | Some(Body::Length(0)) => Ok(Body::Empty),
            Some(_) => Err(Doubt::ResponseFraming),
        },
        _ => Ok(declared?.unwrap_or(Body::UntilClose)),
    }
}

/// What the first bytes of a server, which was asked, are to its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerStart {
    /// Nothing certain yet.
    NeedMore,
    /// No client takes them for an answer.
    Other,
    /// An answer, of which the first line is not complete.
    Begun,
    /// An answer, with its first line up to here: where a header can be put in.
    Line(usize),
}

/// Judges the first bytes of what should be an answer, as forgivingly as any client: empty lines may come before it,
/// and of its first line only the beginning counts. What was decided stays so with more.
#[must_use]
pub fn answer_start(bytes: &[u8]) -> AnswerStart {
    let empty = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let line = &bytes[empty..];
    // The second is that of radio stations.
    let starts = [b"HTTP/".as_slice(), b"ICY "].map(|start| {
        let (found, wanted) = (&line[..line.len().min(start.len())], &start[..line.len().min(start.len())]);
        found.eq_ignore_ascii_case(wanted).then_some(line.len() >= start.len())
    });
    if starts.contains(&Some(true)) {
        memchr(b'\n', line).map_or(AnswerStart::Begun, |end| AnswerStart::Line(empty + end + 1))
    } else if starts.contains(&Some(false)) {
        AnswerStart::NeedMore
    } else {
        AnswerStart::Other
    }
}
