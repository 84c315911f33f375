//! The server: two threads that share nothing but the port.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use socket2::{Domain, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
};

use super::{UNARY, WHO, message};

/// Serves all ports for as long as the process lives, under this name.
pub(super) fn serve(name: &str, ports: &[u16]) -> Result<()> {
    let mut threads = Vec::new();
    for _ in 0..2 {
        let listeners = ports.iter().map(|port| Ok((listen(*port)?, format!("{name} {port}").into())));
        let listeners: Vec<(_, Arc<str>)> = listeners.collect::<Result<_>>()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        threads.push(thread::spawn(move || {
            runtime.block_on(async move {
                for (listener, name) in listeners {
                    tokio::spawn(async move { accept(TcpListener::from_std(listener)?, name).await });
                }
                std::future::pending::<()>().await;
            });
        }));
    }
    threads.pop().context("no thread")?.join().ok().context("a thread has ended")
}

fn listen(port: u16) -> Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

async fn accept(listener: TcpListener, name: Arc<str>) -> Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(connection(socket, name.clone()));
    }
}

async fn connection(socket: TcpStream, name: Arc<str>) -> Result<()> {
    let mut connection = h2::server::Builder::new().max_concurrent_streams(1024).handshake(socket).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        tokio::spawn(answer(request, respond, name.clone()));
    }
    Ok(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    name: Arc<str>,
) -> Result<()> {
    let (head, mut body) = request.into_parts();
    let mut whole = Vec::new();
    let path = head.uri.path();
    if path == WHO || path == UNARY {
        while let Some(data) = body.data().await {
            whole.extend_from_slice(&take(&mut body, data?)?);
        }
        if path == WHO {
            whole = message(name.as_bytes());
        }
    }
    let head = Response::builder().header(CONTENT_TYPE, "application/grpc").body(())?;
    let mut to = respond.send_response(head, false)?;
    if !whole.is_empty() {
        to.send_data(whole.into(), false)?;
    }
    while let Some(data) = body.data().await {
        let data = take(&mut body, data?)?;
        // The end of a stream may come as nothing; too much of nothing is an attack to some proxies.
        if !data.is_empty() {
            to.send_data(data, false)?;
        }
    }
    to.send_trailers(HeaderMap::from_iter([("grpc-status".parse()?, HeaderValue::from_static("0"))]))?;
    Ok(())
}

/// Makes room for as much as came.
pub(super) fn take(body: &mut RecvStream, data: Bytes) -> Result<Bytes> {
    body.flow_control().release_capacity(data.len())?;
    Ok(data)
}
