//! The same over HTTP/2.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, server};
use http::{Method, Request, Response};

use super::form;
use crate::users::{Version, content};

pub(super) fn run(listener: TcpListener, version: Version, used: &Arc<AtomicUsize>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let used = used.clone();
            tokio::spawn(async move {
                let mut connection = server::handshake(stream).await?;
                let mut first = true;
                while let Some(next) = connection.accept().await {
                    let (request, respond) = next?;
                    if std::mem::take(&mut first) {
                        used.fetch_add(1, Relaxed);
                    }
                    // A user who gave up is no news.
                    tokio::spawn(answer(version, request, respond));
                }
                Ok::<_, h2::Error>(())
            });
        }
    });
}

async fn answer(
    version: Version,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let (form, repeat) = form(head.uri.path());
    let id = head.headers["x-id"].to_str().unwrap();
    let sent = if form == "early" { Vec::new() } else { whole(&mut body).await? };
    if form == "slow" {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let text = if sent.is_empty() { content(version, id, repeat) } else { sent };
    let bare = form == "none" || head.method == Method::HEAD;
    let status = if form == "none" { 204 } else { 200 };
    let mut response =
        Response::builder().status(status).header("x-version", format!("{version:?}")).header("x-id", id);
    if form != "none" && form != "chunked" {
        response = response.header("content-length", text.len());
    }
    let mut to = respond.send_response(response.body(()).unwrap(), bare)?;
    if !bare {
        for piece in text.chunks(text.len() / 3 + 1) {
            to.send_data(Bytes::copy_from_slice(piece), false)?;
        }
        to.send_data(Bytes::new(), true)?;
    }
    whole(&mut body).await?;
    Ok(())
}

async fn whole(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        text.extend_from_slice(&data);
    }
    Ok(text)
}
