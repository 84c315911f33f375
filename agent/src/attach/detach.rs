//! The way out of a namespace, in the order that resets nobody.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Attachment;
use crate::{sock_diag::half_open, target::Phase};

/// A handshake that was steered before the program went still ends at the agent's listener: closing it at an empty
/// queue reset 350 connections in 20 detaches at 4 ms of round trip, after three seconds none.
const SETTLE: Duration = Duration::from_secs(3);
/// A SYN-ACK is sent again for 63 s (`tcp_synack_retries` 5); a half-open handshake that is older is nobody's.
const HALF_OPEN: Duration = Duration::from_secs(64);
const POLL: Duration = Duration::from_millis(200);

impl Attachment {
    /// Detaches the program. What comes back goes on accepting until no handshake is half open, and closes the
    /// listeners. Connections that were accepted go on.
    pub(crate) fn detach(&mut self) -> impl Future<Output = ()> + use<> {
        (self.program, self.link) = (None, None);
        if let Err(error) = self.stop_following() {
            tracing::warn!(%error, target = self.target.name, "new connections are followed on");
        }
        let (target, ports) = (self.target.clone(), self.ports.clone());
        let begun = Instant::now();
        async move {
            // What begins from now on is the app's, and under load there is always some of it.
            sleep(POLL).await;
            let under_way = || target.netns.run(|| half_open(&ports)).unwrap_or_default();
            let mut ours = under_way();
            while begun.elapsed() < HALF_OPEN && target.netns.is_current() {
                if begun.elapsed() >= SETTLE && ours.is_empty() {
                    break;
                }
                sleep(POLL).await;
                if !ours.is_empty() {
                    let now = under_way();
                    ours.retain(|handshake| now.contains(handshake));
                }
            }
            target.advance(Phase::Closed);
        }
    }

    /// Lets go of a pod that has gone.
    pub(crate) fn abandon(mut self) {
        (self.program, self.link) = (None, None);
        self.target.let_go();
    }
}
