//! Whether a pod has rules of netfilter, and whether they let the agent reach the app.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::{
    direct::{Direct, mode::Why},
    target::{Target, addresses},
};

/// How long what was seen is taken for what is.
const SEEN_FOR: Duration = Duration::from_secs(1);
/// How long rules that block the agent are taken for such: to try is a connection that the app sees.
const BLOCKED_FOR: Duration = Duration::from_secs(30);
/// Over loopback it takes microseconds, unless it is dropped.
const PATIENCE: Duration = Duration::from_millis(250);

/// What is known of one target's.
#[derive(Default)]
pub(super) struct Netfilter {
    seen: Option<Instant>,
    is_met: bool,
    tried: Option<Instant>,
    is_blocked: bool,
}

impl Netfilter {
    /// Why connections cannot go straight, if rules are in the way.
    pub(super) fn look(&mut self, direct: &Direct, target: &Target, ports: &[u16]) -> Result<(), Why> {
        if self.seen.is_none_or(|at| at.elapsed() >= SEEN_FOR) {
            self.seen = Some(Instant::now());
            let was_met = std::mem::replace(&mut self.is_met, direct.is_filtered(&target.netns));
            let is_old = self.tried.is_none_or(|at| at.elapsed() >= BLOCKED_FOR);
            if !self.is_met {
                self.is_blocked = false;
            } else if !was_met || self.is_blocked && is_old {
                self.tried = Some(Instant::now());
                self.is_blocked = is_blocked(target, ports).unwrap_or(true);
            }
        }
        match (self.is_met, self.is_blocked) {
            (false, _) => Ok(()),
            (true, false) => Err(Why::Netfilter),
            (true, true) => Err(Why::Blocked),
        }
    }
}

/// Whether nothing comes of a connection from the pod to itself, as the agent makes one for each that it serves.
fn is_blocked(target: &Target, ports: &[u16]) -> io::Result<bool> {
    target.netns.run(|| {
        // A dial goes where the client's connection went.
        let own: Vec<_> = addresses()?.into_iter().filter(|ip| !ip.is_loopback()).collect();
        let mut to = own.iter().flat_map(|ip| ports.iter().map(|port| SocketAddr::new(*ip, *port)));
        Ok(to.any(|to| {
            let tried = TcpStream::connect_timeout(&to, PATIENCE);
            tried.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
        }))
    })
}
