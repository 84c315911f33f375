//! What both sides may send before anything of it has been taken: the memory of a connection is bounded by this.

use std::time::Duration;

use byway_http::{Http2Settings, MAX_HEAD};
use h2::{client, server};

/// Bytes of one stream on their way, each way: at 1 ms between client and node 2 Gbit/s.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes of all streams of a connection on their way, each way. Many times that of a stream, so that a stream whose
/// reader has stalled holds up no other.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Bytes of one stream that have been taken from one side and not been written to the other.
const SEND_BUFFER: usize = 64 * 1024;
/// Bytes of all streams of a connection that wait like that: of a side that reads nothing, each stream would have its
/// own.
pub(super) const MOST_UNSENT: usize = 1024 * 1024;
/// Most streams at a time, also where the server sets no limit of its own.
const MAX_STREAMS: u32 = 1024;
/// Longest head of an answer. The client of a longer one sees a reset.
const MAX_ANSWER_HEAD: u32 = 256 * 1024;
/// Streams that were reset are remembered, so that what is still on its way for them is no offence.
const REMEMBERED: usize = 512;
const REMEMBERED_FOR: Duration = Duration::from_secs(3);
/// Requests that may be taken back before they have been looked at; with more the client is told to calm down.
const TAKEN_BACK: usize = 200;

/// How the agent speaks to a client, in the place of a server with these settings.
pub(super) fn for_client(server: &Http2Settings) -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_streams(
            server.max_streams.filter(|most| *most > 0).unwrap_or(MAX_STREAMS).min(MAX_STREAMS),
        )
        .max_header_list_size(server.max_head.unwrap_or(u32::MAX).min(MAX_HEAD as u32))
        .max_concurrent_reset_streams(REMEMBERED)
        .reset_stream_duration(REMEMBERED_FOR)
        .max_pending_accept_reset_streams(TAKEN_BACK);
    if server.connect_protocol {
        builder.enable_connect_protocol();
    }
    builder
}

/// How the agent speaks to a server.
pub(super) fn for_server() -> client::Builder {
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(MAX_ANSWER_HEAD)
        .max_concurrent_reset_streams(REMEMBERED)
        .reset_stream_duration(REMEMBERED_FOR);
    builder
}
