//! What has to be known of HTTP/2 outside the library that speaks it: whether a server does, and whose request a
//! head is.

mod head;
mod settings;

pub use head::with_http2_head;
pub use settings::{Http2Settings, ServerPreface, server_preface};
