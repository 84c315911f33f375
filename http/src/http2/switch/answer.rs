//! What the agent says itself, in the place of a server: to a gRPC client as a status that its library understands,
//! to others as an HTTP status.

use std::fmt::Write;

use crate::http2::{
    fields::Fields,
    hpack::{Form, literal},
};

/// How a client has to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    is_grpc: bool,
    is_head: bool,
}

/// An answer of the agent.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Of HTTP.
    pub status: u16,
    /// What a gRPC client is told instead.
    pub grpc: GrpcStatus,
    /// The stable code.
    pub code: &'a str,
    /// A sentence.
    pub why: &'a str,
}

/// After how many seconds a client may try again that was told 503 (RFC 9110, 10.2.3).
pub const RETRY_AFTER: &str = "10";

/// Of <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
#[derive(Clone, Copy, Debug)]
pub enum GrpcStatus {
    /// Nobody has what was asked for.
    NotFound = 5,
    /// Who was asked cannot be reached.
    Unavailable = 14,
}

impl Asker {
    pub(super) fn of(request: &Fields) -> Self {
        let is_grpc = request.get(b"content-type").is_some_and(is_grpc);
        Self { is_grpc, is_head: request.get(b":method") == Some(b"HEAD") }
    }

    /// The field block of an answer, and its body.
    pub(super) fn write(self, answer: &Answer<'_>) -> (Vec<u8>, Vec<u8>) {
        let mut block = Vec::new();
        let mut add =
            |name: &str, value: &str| literal(&mut block, Form::Plain, name.as_bytes(), value.as_bytes());
        let text = format!("byway: {}", answer.why);
        if self.is_grpc {
            add(":status", "200");
            add("content-type", "application/grpc");
            add("x-byway-error", answer.code);
            add("grpc-status", &(answer.grpc as u32).to_string());
            add("grpc-message", &percent_encoded(&text));
            return (block, Vec::new());
        }
        let text = text + "\n";
        add(":status", &answer.status.to_string());
        add("content-type", "text/plain; charset=utf-8");
        add("x-byway-error", answer.code);
        if answer.status == 503 {
            add("retry-after", RETRY_AFTER);
        }
        add("content-length", &text.len().to_string());
        (block, if self.is_head { Vec::new() } else { text.into_bytes() })
    }
}

/// `application/grpc`, also with a format behind it, and not gRPC-Web, whose clients read HTTP.
fn is_grpc(kind: &[u8]) -> bool {
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
        let is = |kind: &str| is_grpc(kind.as_bytes());
        assert!(
            is("application/grpc") && is("application/grpc+proto") && is("application/grpc;charset=utf-8")
        );
        assert!(!is("application/grpc-web") && !is("application/json") && !is(""));
    }

    #[test]
    fn a_message_is_encoded_as_grpc_wants() {
        assert_eq!(percent_encoded("100% \"ü\"\n"), "100%25 \"%C3%BC\"%0A");
    }
}
