//! HTTP/2 (RFC 9113), as far as it has to be known between a client and its servers: frames that go on as they came, and
//! streams that leave the way.
//!
//! [`switch`](mod@switch) is the whole of it. [`frame`] finds frames in bytes, [`hpack`] reads and writes field blocks,
//! [`fields`] holds what was in one, [`head`] puts a request into the form that decisions are made on, and [`settings`]
//! tells by its first bytes whether a server speaks HTTP/2.

mod fields;
pub(crate) mod frame;
mod head;
pub(crate) mod hpack;
mod settings;
pub mod switch;

pub use fields::{Field, Fields};
pub use frame::before_requests;
pub use head::with_http2_head;
pub use settings::{ServerPreface, server_preface};
pub use switch::Switch;
