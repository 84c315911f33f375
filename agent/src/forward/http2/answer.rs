//! What the agent says itself, in the place of a server: to a gRPC client as a status that its library understands,
//! to others as an HTTP status.

use std::fmt::Write;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};

/// How a client has to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    is_grpc: bool,
    is_head: bool,
}

/// An answer of the agent.
pub(super) struct Answer<'a> {
    pub(super) status: StatusCode,
    /// Of <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
    pub(super) grpc: GrpcStatus,
    /// The stable code.
    pub(super) code: &'a str,
    /// A sentence.
    pub(super) why: &'a str,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum GrpcStatus {
    NotFound = 5,
    Unavailable = 14,
}

impl Asker {
    pub(super) fn of(request: &Parts) -> Self {
        Self { is_grpc: is_grpc(&request.headers), is_head: request.method == Method::HEAD }
    }

    pub(super) fn answer(self, respond: &mut SendResponse<Bytes>, answer: &Answer<'_>) {
        let said = if self.is_grpc { say_grpc(respond, answer) } else { self.say(respond, answer) };
        if let Err(error) = said {
            tracing::debug!(%error, "the client did not wait for the agent's answer");
        }
    }

    fn say(self, respond: &mut SendResponse<Bytes>, answer: &Answer<'_>) -> Result<(), h2::Error> {
        let text = format!("byway: {}\n", answer.why);
        let mut head = head(answer.status, answer.code, "text/plain; charset=utf-8");
        head.headers_mut().insert(header::CONTENT_LENGTH, text.len().into());
        let mut body = respond.send_response(head, self.is_head)?;
        if self.is_head { Ok(()) } else { body.send_data(text.into(), true) }
    }
}

/// An answer that is nothing but trailers.
fn say_grpc(respond: &mut SendResponse<Bytes>, answer: &Answer<'_>) -> Result<(), h2::Error> {
    let mut head = head(StatusCode::OK, answer.code, "application/grpc");
    let message = percent_encoded(&format!("byway: {}", answer.why));
    head.headers_mut().insert("grpc-status", (answer.grpc as u32).into());
    head.headers_mut().insert("grpc-message", value(&message));
    respond.send_response(head, true).map(drop)
}

fn head(status: StatusCode, code: &str, content_type: &'static str) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = status;
    head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    head.headers_mut().insert("x-byway-error", value(code));
    head
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("?"))
}

/// `application/grpc`, also with a format behind it, and not gRPC-Web, whose clients read HTTP.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest = kind.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// `Status-Message` of gRPC over HTTP/2: printable ASCII but `%` as it is.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_told_by_its_content_type() {
        let is = |kind: &'static str| {
            is_grpc(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]))
        };
        assert!(
            is("application/grpc") && is("application/grpc+proto") && is("application/grpc;charset=utf-8")
        );
        assert!(!is("application/grpc-web") && !is("application/json") && !is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn a_message_is_encoded_as_grpc_wants() {
        assert_eq!(percent_encoded("100% \"ü\"\n"), "100%25 \"%C3%BC\"%0A");
    }
}
