//! From bytes to a decision: is this HTTP, where does the message end, whose request is it?
//!
//! In the order that data flows: [`mod@detect`] looks at the first bytes of a connection, [`head`] finds the end of
//! a head, [`request`] and [`response`] read it, [`framing`] follows the body, [`carriers`] finds the key and
//! [`decide`] picks the route. [`http2`] does the same for the streams of one connection, and [`h2c`] is the way there
//! from HTTP/1. Everything is a function of values: no I/O by construction, no clock, and no allocation per request of
//! HTTP/1 unless a rare form demands it.
//!
//! The rule above all: two parsers that could disagree must never both act, for that is how request smuggling
//! starts. Whatever is not beyond doubt is a [`Doubt`], and the connection turns opaque: raw bytes to the app.
//! So this crate refuses much that a server would forgive, and never forgives what a server might refuse. An answer
//! is nobody's trick, and of it only that is in doubt which clients read differently. And [`loose`] forgives all,
//! since it acts on nothing: it finds keys that are lost to their previews, so that they can be counted. [`copies`] acts on
//! nothing either: it finds requests in copies of packets.
#![forbid(unsafe_code)]

pub mod carriers;
pub mod copies;
pub mod decide;
pub mod detect;
pub mod doubt;
mod facts;
pub mod framing;
pub mod h2c;
pub mod head;
pub mod http2;
pub mod loose;
mod near_miss;
pub mod request;
pub mod response;

pub use carriers::{Carried, Carrier, carried_key};
pub use decide::{AppReason, Decision, PreviewReason, Route, RouteTable, Verdict};
pub use detect::{Detected, detect};
pub use doubt::Doubt;
pub(crate) use framing::Sender;
pub use framing::{Body, BodyScan};
pub use head::{HeadScan, Header, HeaderSpace, MAX_ANSWER_HEAD, MAX_HEAD, MAX_HEADERS, header_space};
pub use http2::{ServerPreface, Switch, before_requests, server_preface, with_http2_head};
pub use loose::LooseScan;
pub use near_miss::NearMiss;
pub use request::{RequestHead, RequestKind, parse_request};
pub use response::{AnswerStart, ResponseHead, answer_start, parse_response};
