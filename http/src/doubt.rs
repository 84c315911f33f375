//! Why a connection turns opaque: from there on raw bytes, both ways, between the client and the app.
//!
//! The values index a counter array that other processes read, so they never change; new ones are added at
//! the end, below 48.

/// A reason to stop reading and pass bytes on as they are.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// The first bytes cannot begin an HTTP/1 request.
    NotHttp = 0,
    /// A TLS handshake.
    Tls = 1,
    /// A client of HTTP/2, and a server that does not speak it.
    Http2 = 2,
    /// A head of a request beyond 64 KiB, or with more than 128 headers.
    HeadTooLong = 3,
    /// A head that was not complete in time.
    SlowHead = 4,
    /// The app sent something before the client did.
    ServerSpokeFirst = 5,
    /// CR without LF.
    BareCr = 6,
    /// LF without CR.
    BareLf = 7,
    /// A header line folded onto the next one.
    ObsFold = 8,
    /// NUL in a head.
    NulByte = 9,
    /// A request head that is not of RFC 9112's grammar.
    BadHead = 10,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    BadVersion = 11,
    /// Content-Length and Transfer-Encoding.
    BothLengths = 12,
    /// A Content-Length that is repeated, signed, a list, or no number.
    BadLength = 13,
    /// A Transfer-Encoding other than exactly `chunked` in HTTP/1.1.
    TransferEncoding = 14,
    /// A chunk or a trailer that is not of RFC 9112's grammar, or too long.
    BadChunk = 15,
    /// A response head that is not of RFC 9112's grammar.
    ResponseHead = 16,
    /// A response whose length is in doubt.
    ResponseFraming = 17,
    /// Bytes of the app while no request waits for an answer.
    UnexpectedResponse = 18,
    /// An empty line before the request line.
    EmptyLine = 19,
    /// A request target with a control character, which servers refuse or read differently.
    BadTarget = 20,
    /// A header whose name some servers take for a framing header, such as `Content_Length`.
    LookalikeHeader = 21,
    /// The client sent more before the answer to its Upgrade or CONNECT.
    EarlyTunnelData = 22,
    /// A head in HTTP/2 that is too long to be decoded, and so all later ones of its connection.
    BlockTooLong = 23,
}

impl Doubt {
    /// All, in the order of their values.
    pub const ALL: [Self; 24] = [
        Self::NotHttp,
        Self::Tls,
        Self::Http2,
        Self::HeadTooLong,
        Self::SlowHead,
        Self::ServerSpokeFirst,
        Self::BareCr,
        Self::BareLf,
        Self::ObsFold,
        Self::NulByte,
        Self::BadHead,
        Self::BadVersion,
        Self::BothLengths,
        Self::BadLength,
        Self::TransferEncoding,
        Self::BadChunk,
        Self::ResponseHead,
        Self::ResponseFraming,
        Self::UnexpectedResponse,
        Self::EmptyLine,
        Self::BadTarget,
        Self::LookalikeHeader,
        Self::EarlyTunnelData,
        Self::BlockTooLong,
    ];

    /// The stable code, as in metrics, logs and `debug routes`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotHttp => "NotHttp",
            Self::Tls => "Tls",
            Self::Http2 => "Http2",
            Self::HeadTooLong => "HeadTooLong",
            Self::SlowHead => "SlowHead",
            Self::ServerSpokeFirst => "ServerSpokeFirst",
            Self::BareCr => "BareCr",
            Self::BareLf => "BareLf",
            Self::ObsFold => "ObsFold",
            Self::NulByte => "NulByte",
            Self::BadHead => "BadHead",
            Self::BadVersion => "BadVersion",
            Self::BothLengths => "BothLengths",
            Self::BadLength => "BadLength",
            Self::TransferEncoding => "TransferEncoding",
            Self::BadChunk => "BadChunk",
            Self::ResponseHead => "ResponseHead",
            Self::ResponseFraming => "ResponseFraming",
            Self::UnexpectedResponse => "UnexpectedResponse",
            Self::EmptyLine => "EmptyLine",
            Self::BadTarget => "BadTarget",
            Self::LookalikeHeader => "LookalikeHeader",
            Self::EarlyTunnelData => "EarlyTunnelData",
            Self::BlockTooLong => "BlockTooLong",
        }
    }

    /// One sentence for a human.
    #[must_use]
    pub const fn explain(self) -> &'static str {
        match self {
            Self::NotHttp => "The connection does not speak HTTP/1, so its bytes go to the app as they are.",
            Self::Tls => "The connection is TLS, so no key can be read in it; it goes to the app as it is.",
            Self::Http2 => "The client speaks HTTP/2, and the app does not answer in it.",
            Self::HeadTooLong => "A head is longer than 64 KiB or has more than 128 headers.",
            Self::SlowHead => "A head was not complete within 5 seconds.",
            Self::ServerSpokeFirst => "The app spoke before the client did, as HTTP never does.",
            Self::BareCr => "A carriage return stands without its line feed, which servers read differently.",
            Self::BareLf => "A line ends without a carriage return, which servers read differently.",
            Self::ObsFold => "A header line is folded onto the next one, which servers read differently.",
            Self::NulByte => "A head contains a NUL byte.",
            Self::BadHead => "A request head does not have the form that RFC 9112 demands.",
            Self::BadVersion => "The request names a version other than HTTP/1.0 and HTTP/1.1.",
            Self::BothLengths => "A message has both Content-Length and Transfer-Encoding.",
            Self::BadLength => "A Content-Length is repeated or is not a plain number.",
            Self::TransferEncoding => {
                "A Transfer-Encoding is something other than exactly `chunked` in HTTP/1.1."
            }
            Self::BadChunk => "A chunked body does not have the form that RFC 9112 demands.",
            Self::ResponseHead => "The app's response head does not have the form that RFC 9112 demands.",
            Self::ResponseFraming => "The end of the app's response is in doubt.",
            Self::UnexpectedResponse => "The app sent something while no request was waiting for an answer.",
            Self::EmptyLine => "An empty line precedes the request line, which servers read differently.",
            Self::BadTarget => "The request target contains a control character.",
            Self::LookalikeHeader => "A header's name differs from a framing header only in `_` for `-`.",
            Self::EarlyTunnelData => "The client sent more bytes before its Upgrade or CONNECT was answered.",
            Self::BlockTooLong => {
                "A head in HTTP/2 is longer than 512 KiB, so no later one of its connection can be read."
            }
        }
    }
}

const _: () = {
    let mut i = 0;
    while i < Doubt::ALL.len() {
        assert!(Doubt::ALL[i] as usize == i, "ALL is in the order of the values");
        i += 1;
    }
    assert!(Doubt::ALL.len() <= 48, "the agent's counters have 48 places");
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_for_any_of_them_is_said_in_words() {
        for doubt in Doubt::ALL {
            let known = byway_api::loss(doubt.code());
            assert!(known.is_some(), "{}: add it to api/src/losses.rs", doubt.code());
        }
    }
}
