//! Why keyed requests, and whole connections, went to the app although their preview was there: what is said of each
//! reason, and what to do.
//!
//! The reasons are stable codes of the agent, which an older or newer reader may not know.

/// What is known of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The stable code.
    pub code: &'static str,
    /// What was the matter, to be put behind "since".
    pub why: &'static str,
    /// What to do about it.
    pub fix: &'static str,
}

/// What is known of the reason with this code.
#[must_use]
pub fn loss(code: &str) -> Option<&'static Loss> {
    LOSSES.iter().find(|it| it.code == code)
}

/// What is known of the reason, with this code, why an agent does not take a connection, or reads no further in it.
#[must_use]
pub fn passed_on(code: &str) -> Option<&'static Loss> {
    PASSED_ON.iter().find(|it| it.code == code).or_else(|| loss(code))
}

const FRAMING: &str = "have the client, or the proxy that it comes through, send one plain Content-Length or exactly \
                       `Transfer-Encoding: chunked` in HTTP/1.1";
const HEAD: &str = "have the client, or the proxy that it comes through, send heads as RFC 9112 has them";
const ANSWER: &str = "correct the app's answers, or call it over another connection";

/// All that are known.
pub const LOSSES: &[Loss] = &[
    Loss {
        code: "NotHttp",
        why: "their connection began with something other than a request of HTTP/1",
        fix: "send plain HTTP to the target: without the PROXY protocol, for example",
    },
    Loss { code: "Tls", why: "their connection was TLS", fix: "end TLS before the target" },
    Loss {
        code: "Http2",
        why: "their client spoke HTTP/2, and the app did not answer in it",
        fix: "speak HTTP/1.1 to the target",
    },
    Loss {
        code: "HeadTooLong",
        why: "a head on their connection was longer than 64 KiB or had more than 128 headers",
        fix: "send fewer and shorter headers: most of a long head are cookies, as a rule",
    },
    Loss {
        code: "SlowHead",
        why: "a head on their connection was not complete within 5 seconds",
        fix: "have the client send the head of a request at once",
    },
    Loss {
        code: "ServerSpokeFirst",
        why: "the app spoke on their connection before the client did, as HTTP never does",
        fix: ANSWER,
    },
    Loss {
        code: "BareCr",
        why: "a head on their connection had a carriage return without its line feed",
        fix: HEAD,
    },
    Loss {
        code: "BareLf",
        why: "a head on their connection had a line that ended without a carriage return",
        fix: HEAD,
    },
    Loss { code: "ObsFold", why: "a head on their connection had a folded line", fix: HEAD },
    Loss { code: "NulByte", why: "a head on their connection had a NUL byte", fix: HEAD },
    Loss { code: "BadHead", why: "a head on their connection was malformed", fix: HEAD },
    Loss {
        code: "BadVersion",
        why: "a request on their connection named neither HTTP/1.0 nor HTTP/1.1",
        fix: HEAD,
    },
    Loss {
        code: "BothLengths",
        why: "a request on their connection had both Content-Length and Transfer-Encoding",
        fix: FRAMING,
    },
    Loss {
        code: "BadLength",
        why: "a request on their connection had a Content-Length that was repeated or no plain number",
        fix: FRAMING,
    },
    Loss {
        code: "TransferEncoding",
        why: "a request on their connection had a Transfer-Encoding other than exactly `chunked` in HTTP/1.1",
        fix: FRAMING,
    },
    Loss {
        code: "BadChunk",
        why: "a chunked body on their connection was malformed",
        fix: "have the client, or the proxy that it comes through, send chunks as RFC 9112 has them",
    },
    Loss {
        code: "ResponseHead",
        why: "the app had answered on their connection with a head that cannot be read beyond doubt",
        fix: ANSWER,
    },
    Loss {
        code: "ResponseFraming",
        why: "the app had answered on their connection, and the end of the answer was in doubt",
        fix: ANSWER,
    },
    Loss {
        code: "UnexpectedResponse",
        why: "the app had sent something on their connection that no request had asked for",
        fix: ANSWER,
    },
    Loss { code: "EmptyLine", why: "an empty line stood before a request on their connection", fix: HEAD },
    Loss {
        code: "BadTarget",
        why: "the target of a request on their connection had a control character in it",
        fix: "have the client encode the path and the query",
    },
    Loss {
        code: "LookalikeHeader",
        why: "a request on their connection had a header that differs from a framing header only in `_` for `-`",
        fix: "leave that header out, or give it another name",
    },
    Loss {
        code: "EarlyTunnelData",
        why: "the client had sent more on their connection before its Upgrade or CONNECT was answered",
        fix: "have the client wait for that answer",
    },
    Loss {
        code: "BlockTooLong",
        why: "a head on them was longer than 512 KiB, or of a table above 64 KiB, and no later one can be read",
        fix: "send less metadata, or what needs as much on a connection of its own",
    },
];

const LEAVING: &str =
    "nothing, if an agent was just replaced; otherwise look at the log of the agent of that node";

/// All why an agent does not take a new connection.
pub const PASSED_ON: &[Loss] = &[
    Loss {
        code: "Stale",
        why: "the agent had no processor for 250 ms, or hung",
        fix: "raise the agent's request of CPU, or take load from that node",
    },
    Loss {
        code: "Full",
        why: "the agent had as many connections as its memory, its open files or --max-connections allow",
        fix: "raise the agent's limit of memory",
    },
    Loss {
        code: "Backlog",
        why: "more of them came at once than the agent accepts in that time",
        fix: "have clients keep connections or open fewer at once, raise the agent's request of CPU or its --max-backlog",
    },
    Loss {
        code: "Gap",
        why: "a packet on them was missing for eight seconds or came in IP fragments, and no later head can be found for \
              certain",
        fix: "look for packets that are lost or cut into fragments between that node and its clients",
    },
    Loss { code: "NoListener", why: "the agent was just leaving", fix: LEAVING },
    Loss { code: "AssignFailed", why: "the agent was just leaving", fix: LEAVING },
];
