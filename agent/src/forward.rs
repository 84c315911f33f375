//! From an accepted connection to its end: dial, read heads, decide per request, forward.

mod away;
mod connection;
mod count;
mod ending;
mod exchange;
mod http2;
mod lost;
mod not_found;
mod outbox;
mod refuse;
mod request;
mod response;
mod splice;
mod tunnel;
mod unframed;
mod unreachable;

use crate::target::Counter;
pub(crate) use connection::Connection;
use exchange::Exchange;

/// Serves the connection to its end.
pub(crate) async fn forward(mut connection: Connection) {
    let Some(mut client) = connection.client.take() else { return };
    let (place, home) = match connection.dial_home().await {
        Ok(home) => home,
        Err(error) => {
            tracing::debug!(%error, target = connection.target.name, "the dial was refused: passed on as a reset");
            connection.target.count(Counter::DialFailed);
            client.reset();
            return;
        }
    };
    let http2 = Exchange::new(&connection, client, place, home).run().await;
    if let Some(start) = http2 {
        // Apart, so that a connection of HTTP/1 has no room for it.
        Box::pin(http2::serve(connection, start)).await;
    }
}
