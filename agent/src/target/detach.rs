//! The way out of a namespace, in the order that resets nobody.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Attachment, Phase, listening};

/// A handshake that was steered before the program went still ends at the agent's listener: closing it at an empty
/// queue reset 350 connections in 20 detaches at 4 ms of round trip, after three seconds none.
const SETTLE: Duration = Duration::from_secs(3);
/// A SYN-ACK is sent again for 63 s (`tcp_synack_retries` 5); a half-open handshake that is older is nobody's.
const HALF_OPEN: Duration = Duration::from_secs(64);
const POLL: Duration = Duration::from_millis(200);

impl Attachment {
    /// Detaches the program, goes on accepting until no handshake is half open, and closes the listeners.
    /// Connections that were accepted go on.
    pub(crate) async fn detach(self) {
        let Self { target, ports, link } = self;
        drop(link);
        let begun = Instant::now();
        while begun.elapsed() < HALF_OPEN && target.netns.is_current() {
            sleep(POLL).await;
            let half_open = target.netns.run(|| listening::any_half_open(&ports)).unwrap_or(false);
            if begun.elapsed() >= SETTLE && !half_open {
                break;
            }
        }
        target.advance(Phase::Closed);
    }

    /// Lets go of a pod that has gone: every socket is closed at once, for each would keep the namespace alive.
    pub(crate) fn abandon(self) {
        drop(self.link);
        self.target.advance(Phase::Gone);
    }
}
