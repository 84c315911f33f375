//! A request of HTTP/2 in the form that decisions are made on, so that there is one decision for both versions.
//!
//! HTTP/2 says three things in another way (RFC 9113, 8.3.1 and 8.2.3): the target is in pseudo-headers, `:authority`
//! stands for `Host`, and a cookie may come in pieces. All else is the same headers.

use crate::{Body, Header, RequestHead, RequestKind};
use http::{HeaderMap, header, request::Parts};

#[cfg(test)]
mod tests;

/// Calls `ask` with the head of a request of HTTP/2. How its body is framed is not part of it.
pub fn with_http2_head<T>(request: &Parts, ask: impl FnOnce(&RequestHead<'_, '_>) -> T) -> T {
    let cookie = joined_cookie(&request.headers);
    let authority = request.uri.authority().map(|it| Header { name: "host", value: it.as_str().as_bytes() });
    let mut headers = Vec::with_capacity(request.headers.len() + 1);
    headers.extend(authority);
    for (name, value) in &request.headers {
        let stands_elsewhere =
            (authority.is_some() && name == header::HOST) || (cookie.is_some() && name == header::COOKIE);
        if !stands_elsewhere {
            headers.push(Header { name: name.as_str(), value: value.as_bytes() });
        }
    }
    if let Some(cookie) = &cookie {
        headers.push(Header { name: "cookie", value: cookie });
    }
    // CONNECT has no path, but for the extended one (RFC 8441, 4).
    let target = request.uri.path_and_query().map_or(&[][..], |it| it.as_str().as_bytes());
    ask(&RequestHead {
        method: request.method.as_str(),
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
fn joined_cookie(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut crumbs = headers.get_all(header::COOKIE).iter().map(http::HeaderValue::as_bytes);
    let (first, second) = (crumbs.next()?, crumbs.next()?);
    let mut joined = [first, b"; ", second].concat();
    for crumb in crumbs {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb);
    }
    Some(joined)
}
