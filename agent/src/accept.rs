//! Where a connection enters: accepted on the agent's listener in the pod's namespace, with the address that the
//! client wanted as its own local address; or taken over from the app. From here on both are one.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::UnboundedReceiver,
    task::JoinSet,
    time::sleep,
};

use crate::{
    admission::{Admission, Ticket, is_exhausted},
    direct::Taken,
    forward::{self, Connection},
    stream::Stream,
    target::{Counter, Phase, Target},
};

/// Accepts for one worker and one target until the target's phase says otherwise.
///
/// Dropping the set of connections drops their sockets at once, which is what a pod that has gone needs.
pub(crate) async fn serve(
    worker: u32,
    target: Arc<Target>,
    listener: std::net::TcpListener,
    mut taken: UnboundedReceiver<Taken>,
    admission: Arc<Admission>,
) {
    let mut listener = match TcpListener::from_std(listener) {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::error!(%error, target = target.name, "cannot watch the listener: connections reach the app");
            None
        }
    };
    let mut phase = target.phase();
    let mut connections = JoinSet::new();
    // While somebody may take one over there may be more.
    let mut is_taken_from = true;
    loop {
        match *phase.borrow_and_update() {
            Phase::Accepting => {}
            Phase::Closed if connections.is_empty() && !is_taken_from => return,
            Phase::Closed => listener = None,
            Phase::Gone => return,
        }
        tokio::select! {
            accepted = accept(listener.as_ref()) => match accepted {
                Ok((client, peer)) => {
                    let ticket = admission.admit(&client);
                    match prepare(worker, &target, client, peer, &admission) {
                        Ok(connection) => drop(connections.spawn(serve_one(connection, ticket))),
                        Err(error) => tracing::debug!(%error, "a connection ended before it was looked at"),
                    }
                }
                Err(error) => refused(&admission, &error).await,
            },
            one = taken.recv(), if is_taken_from => match one.map(|it| (TcpStream::from_std(it.client), it.peer, it.local)) {
                Some((Ok(client), peer, local)) => {
                    let ticket = admission.admit(&client);
                    let connection = connection(worker, &target, client, [peer, local], &admission);
                    connections.spawn(serve_one(connection, ticket));
                }
                Some((Err(error), ..)) => {
                    tracing::error!(%error, "cannot watch a connection that was taken over");
                }
                None => is_taken_from = false,
            },
            _ = phase.changed() => {}
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection ended by a fault of the agent");
                }
            }
        }
    }
}

async fn serve_one(connection: Connection, ticket: Ticket) {
    forward::forward(connection).await;
    drop(ticket);
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn refused(admission: &Admission, error: &io::Error) {
    if is_exhausted(error) {
        tracing::warn!(%error, "no room for a connection: new ones reach the app");
        admission.exhausted();
        sleep(Duration::from_millis(10)).await;
    }
}

fn prepare(
    worker: u32,
    target: &Arc<Target>,
    client: TcpStream,
    peer: SocketAddr,
    admission: &Arc<Admission>,
) -> io::Result<Connection> {
    let (peer, mut local) = (unmap(peer), unmap(client.local_addr()?));
    if let SocketAddr::V6(local) = &mut local
        && local.ip().is_unicast_link_local()
        && local.scope_id() == 0
    {
        // The kernel tells the interface only where the client's address is link-local, too.
        local.set_scope_id(target.netns.scope_of(*local.ip())?);
    }
    target.own(&client, local);
    Ok(connection(worker, target, client, [peer, local], admission))
}

fn connection(
    worker: u32,
    target: &Arc<Target>,
    client: TcpStream,
    [peer, local]: [SocketAddr; 2],
    admission: &Arc<Admission>,
) -> Connection {
    target.bear(&client, local.port());
    target.count(Counter::Accepted);
    target.count(Counter::Open);
    Connection {
        worker,
        target: target.clone(),
        client: Some(Stream::accepted(client)),
        peer,
        local,
        admission: admission.clone(),
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.target.counter(Counter::Open).fetch_sub(1, Relaxed);
    }
}

/// IPv4 as IPv4: the listener of both families says `::ffff:a.b.c.d`.
fn unmap(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address, // with its scope
    }
}
