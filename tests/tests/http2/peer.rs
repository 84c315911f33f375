//! A client that sends what it is told, and servers in the test's own process.

use std::future::poll_fn;
use std::net::TcpListener;

use bytes::Bytes;
use byway_tests::Pod;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;

use crate::{PORT, Stage};

/// A connection of the client, and the task that drives it.
pub(crate) struct Client {
    pub(crate) send: SendRequest<Bytes>,
    pub(crate) ended: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    pub(crate) async fn connect(stage: &Stage) -> Self {
        Self::with(stage, &h2::client::Builder::new()).await
    }

    pub(crate) async fn with(stage: &Stage, how: &h2::client::Builder) -> Self {
        let (send, connection) = how.handshake(socket(stage)).await.unwrap();
        Self { send, ended: tokio::spawn(connection) }
    }

    /// Sends a request, and leaves the rest to the caller.
    pub(crate) async fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        end: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut request = Request::builder().method(method).uri(format!("http://app{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut send = self.send.clone().ready().await.unwrap();
        send.send_request(request.body(()).unwrap(), end).unwrap()
    }

    /// Opens a WebSocket (RFC 8441).
    pub(crate) fn chat(&mut self, headers: &[(&str, &str)]) -> (ResponseFuture, SendStream<Bytes>) {
        let mut request = Request::connect("http://app/chat");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
        self.send.send_request(request, false).unwrap()
    }

    /// A whole GET: head, body and trailers of the answer.
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, h2::Error> {
        let (response, _) = self.begin("GET", path, headers, true).await;
        Answer::read(response).await
    }
}

pub(crate) fn socket(stage: &Stage) -> TcpStream {
    let stream = stage.client.connect(stage.to()).unwrap();
    stream.set_nonblocking(true).unwrap();
    TcpStream::from_std(stream).unwrap()
}

pub(crate) struct Answer {
    pub(crate) head: Response<()>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) async fn read(response: ResponseFuture) -> Result<Self, h2::Error> {
        let (head, mut body) = response.await?.into_parts();
        let bytes = read(&mut body).await?;
        let trailers = body.trailers().await?;
        Ok(Self { head: Response::from_parts(head, ()), body: bytes, trailers })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status().as_u16()
    }
}

/// Everything of a body.
pub(crate) async fn read(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Sends all of it, as the other side takes it.
pub(crate) async fn send_all(
    to: &mut SendStream<Bytes>,
    mut data: Bytes,
    end: bool,
) -> Result<(), h2::Error> {
    while !data.is_empty() {
        to.reserve_capacity(data.len());
        let room = to.capacity() > 0 || poll_fn(|cx| to.poll_capacity(cx)).await.transpose()?.is_some();
        if !room {
            return Err(poll_fn(|cx| to.poll_reset(cx)).await?.into());
        }
        let now = data.split_to(to.capacity().min(data.len()));
        to.send_data(now, end && data.is_empty())?;
    }
    Ok(())
}

/// The listener of a server in a pod.
pub(crate) fn listen(pod: &Pod) -> tokio::net::TcpListener {
    let listener = pod.run(|| TcpListener::bind(("::", PORT))).unwrap();
    listener.set_nonblocking(true).unwrap();
    tokio::net::TcpListener::from_std(listener).unwrap()
}

/// The next connection of a server.
pub(crate) async fn accept(listener: &tokio::net::TcpListener) -> h2::server::Connection<TcpStream, Bytes> {
    let (stream, _) = listener.accept().await.unwrap();
    h2::server::handshake(stream).await.unwrap()
}
