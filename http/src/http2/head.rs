//! A request of HTTP/2 in the form that decisions are made on, so that there is one decision for both versions.
//!
//! HTTP/2 says three things in another way (RFC 9113, 8.3.1 and 8.2.3): the target is in pseudo-headers, `:authority`
//! stands for `Host`, and a cookie may come in pieces. All else is the same headers.

use super::Fields;
use crate::{Body, Header, RequestHead, RequestKind};

#[cfg(test)]
mod tests;

/// Calls `ask` with the head of a request of HTTP/2. How its body is framed is not part of it, and neither is a name that
/// is no text.
pub fn with_http2_head<T>(request: &Fields, ask: impl FnOnce(&RequestHead<'_, '_>) -> T) -> T {
    let cookie = joined_cookie(request);
    let (mut method, mut target, mut authority) = ("", &[][..], None);
    let mut headers = Vec::with_capacity(request.len() + 1);
    for field in request.iter() {
        match field.name {
            b":method" => method = std::str::from_utf8(field.value).unwrap_or_default(),
            // CONNECT has none, but for the extended one (RFC 8441, 4).
            b":path" => target = field.value,
            b":authority" => authority = Some(field.value),
            b":scheme" | b":protocol" => {}
            b"cookie" if cookie.is_some() => {}
            name => {
                if let Ok(name) = std::str::from_utf8(name) {
                    headers.push(Header { name, value: field.value });
                }
            }
        }
    }
    if let Some(value) = authority {
        headers.retain(|header| header.name != "host");
        headers.push(Header { name: "host", value });
    }
    if let Some(value) = &cookie {
        headers.push(Header { name: "cookie", value });
    }
    ask(&RequestHead {
        method,
        target,
        version: 2,
        headers: &headers,
        body: Body::Empty,
        kind: RequestKind::Other,
        expects_continue: false,
        upgrade: false,
        keep_alive: true,
    })
}

/// The cookie as one header, if it came as more than one.
fn joined_cookie(request: &Fields) -> Option<Vec<u8>> {
    let mut crumbs = request.iter().filter(|field| field.name == b"cookie").map(|field| field.value);
    let (first, second) = (crumbs.next()?, crumbs.next()?);
    let mut joined = [first, b"; ", second].concat();
    for crumb in crumbs {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb);
    }
    Some(joined)
}
