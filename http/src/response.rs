//! Reads a complete response head: the status, and how the body is framed in answer to a request.
//!
//! Must be given exactly what [`HeadScan`](crate::HeadScan) found.

use memchr::memchr;

use crate::framing::Body;
use crate::request::Facts;
use crate::{Doubt, RequestKind, header_space};

#[cfg(test)]
mod tests;

/// A response head that is beyond doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// 100 to 999.
    pub status: u16,
    /// Bytes of the status line with its CRLF: where a header can be put in.
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
    let mut space = header_space();
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, head, &mut space)
        .map_err(|_| Doubt::ResponseHead)?;
    let (Some(status @ 100..), Some(version), Some(line_end)) =
        (response.code, response.version, memchr(b'\n', head))
    else {
        return Err(Doubt::ResponseHead);
    };
    if parsed != httparse::Status::Complete(head.len()) {
        return Err(Doubt::ResponseHead);
    }
    let facts = Facts::read(head, response.headers).map_err(|_| Doubt::ResponseFraming)?;
    let declared = facts.lengths.body(version).map_err(|_| Doubt::ResponseFraming)?;
    let body = body(status, kind, declared)?;
    Ok(ResponseHead {
        status,
        status_line: line_end + 1,
        body,
        keep_alive: facts.keep_alive(version) && !matches!(body, Body::UntilClose | Body::Tunnel),
        interim: (100..200).contains(&status) && status != 101,
    })
}

/// RFC 9112, 6.3, with doubt where it says what a recipient should make of an error.
fn body(status: u16, kind: RequestKind, declared: Option<Body>) -> Result<Body, Doubt> {
    match (status, kind) {
        (101, RequestKind::Upgrade) => Ok(Body::Tunnel),
        (101, _) => Err(Doubt::ResponseFraming),
        // These cannot have a body, but say so wrongly: what follows may be one all the same.
        (100..200 | 204, _) if !matches!(declared, None | Some(Body::Length(0))) => {
            Err(Doubt::ResponseFraming)
        }
        (200..300, RequestKind::Connect) => Ok(Body::Tunnel),
        (100..200 | 204 | 304, _) | (_, RequestKind::Head) => Ok(Body::Empty),
        _ => Ok(declared.unwrap_or(Body::UntilClose)),
    }
}
