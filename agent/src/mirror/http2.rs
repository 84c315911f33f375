//! Asks a preview with a copy of HTTP/2, over one connection to each of its pods.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use byway_http::http2::Fields;
use h2::client::SendRequest;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use tokio::sync::Mutex;

use super::http1::called;
use crate::{backend, snapshot::Preview};

/// Most connections.
const KEPT: usize = 16;

/// The connections to one port of a preview, whose turn it is first.
#[derive(Default)]
pub(super) struct Pool(Mutex<VecDeque<(SendRequest<Bytes>, SocketAddr)>>);

impl Pool {
    /// The status of the answer, once it has ended.
    pub(super) async fn ask(
        &self,
        preview: &Arc<Preview>,
        port: u16,
        fields: &Fields,
        body: &[u8],
        trailers: Option<&Fields>,
    ) -> io::Result<u16> {
        let request = request(preview, fields)?;
        let mut send = self.connection(preview, port).await?;
        let is_whole = body.is_empty() && trailers.is_none();
        let (response, mut upload) = send.send_request(request, is_whole).map_err(io::Error::other)?;
        if !body.is_empty() {
            let body = Bytes::copy_from_slice(body);
            upload.send_data(body, trailers.is_none()).map_err(io::Error::other)?;
        }
        if let Some(trailers) = trailers {
            upload.send_trailers(headers(trailers)?).map_err(io::Error::other)?;
        }
        let (head, mut body) = response.await.map_err(io::Error::other)?.into_parts();
        while let Some(data) = body.data().await {
            let data = data.map_err(io::Error::other)?;
            body.flow_control().release_capacity(data.len()).map_err(io::Error::other)?;
        }
        Ok(head.status.as_u16())
    }

    /// The one whose turn it is, or a new one.
    async fn connection(&self, preview: &Arc<Preview>, port: u16) -> io::Result<SendRequest<Bytes>> {
        let mut kept = self.0.lock().await;
        kept.retain(|(_, pod)| preview.is_reached_at(*pod, port));
        while kept.len() >= preview.route.backends.len().min(KEPT)
            && let Some((send, pod)) = kept.pop_front()
        {
            if let Ok(send) = send.ready().await {
                kept.push_back((send.clone(), pod));
                return Ok(send);
            }
        }
        let (stream, pod) = backend::dial(preview, called(port)).await?;
        let (send, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            // Whoever asks over it hears of its end.
            let _ = connection.await;
        });
        kept.push_back((send.clone(), pod));
        send.ready().await.map_err(io::Error::other)
    }
}

fn request(preview: &Preview, fields: &Fields) -> io::Result<Request<()>> {
    let text = |name: &str| std::str::from_utf8(fields.get(name.as_bytes()).unwrap_or_default()).ok();
    let part = |name: &str| text(name).ok_or_else(|| io::Error::other(format!("{name} is no text")));
    let method: Method = part(":method")?.parse().map_err(io::Error::other)?;
    let mut uri = Uri::builder().path_and_query(part(":path")?);
    // Where there is none, `host` says whose it is, if anything does (RFC 9113, 8.3.1). That goes on as a header.
    if fields.get(b":authority").is_some_and(|it| !it.is_empty()) {
        uri = uri.scheme(part(":scheme")?).authority(part(":authority")?);
    }
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri.build().map_err(io::Error::other)?;
    *request.headers_mut() = headers(fields)?;
    let name = HeaderValue::from_str(&preview.route.name).map_err(io::Error::other)?;
    request.headers_mut().insert("x-byway-mirrored", name);
    Ok(request)
}

/// Without pseudo-headers.
fn headers(fields: &Fields) -> io::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for field in fields.iter().filter(|field| !field.name.starts_with(b":")) {
        let name = HeaderName::from_bytes(field.name).map_err(io::Error::other)?;
        let mut value = HeaderValue::from_bytes(field.value).map_err(io::Error::other)?;
        value.set_sensitive(field.never);
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
