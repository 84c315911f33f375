//! The agent's connection to a preview's pod, from the agent's own namespace: one known source for NetworkPolicies.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

mod pulse;

use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time::timeout};

pub(crate) use pulse::Pulse;

use crate::{snapshot::Preview, stream::Stream};

/// A pod that has gone does not answer at all.
const PATIENCE: Duration = Duration::from_secs(2);
/// A node that died says nothing either; the client waits for an answer. Of what is on its way, see [`Pulse`].
const KEEPALIVE: Duration = Duration::from_secs(15);
const PROBES: u32 = 3;
/// Backends tried for one request.
const TRIES: usize = 4;

/// Connects to the next backend that takes the connection, at the port that the client wanted, or where the preview listens
/// for it.
pub(crate) async fn connect(preview: Arc<Preview>, local: SocketAddr) -> io::Result<(Stream, SocketAddr)> {
    let (stream, address) = dial(&preview, local).await?;
    Ok((Stream::dialled(stream)?, address))
}

/// The same, for what nobody waits for.
pub(crate) async fn dial(preview: &Preview, local: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let backends = &preview.route.backends;
    let port = preview.listens_at(local.port());
    let first = preview.turn.fetch_add(1, Relaxed);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the preview has no ready pod");
    for n in 0..backends.len().min(TRIES) {
        let Some(ip) = backends.get((first + n) % backends.len()).and_then(|b| address(&b.ips, local)) else {
            continue;
        };
        let address = SocketAddr::new(ip, port);
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                let probes = TcpKeepalive::new()
                    .with_time(KEEPALIVE)
                    .with_interval(KEEPALIVE / 3)
                    .with_retries(PROBES);
                SockRef::from(&stream).set_tcp_keepalive(&probes)?;
                return Ok((stream, address));
            }
            Ok(Err(e)) => last = e,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
        tracing::debug!(preview = preview.route.name, %ip, error = %last, "a pod of the preview cannot be reached");
    }
    Err(last)
}

/// The address of the client's own family, else any.
fn address(ips: &[IpAddr], local: SocketAddr) -> Option<IpAddr> {
    ips.iter().find(|ip| ip.is_ipv4() == local.is_ipv4()).or(ips.first()).copied()
}
