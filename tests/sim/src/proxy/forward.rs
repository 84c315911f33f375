//! Passes requests on, and answers back.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::HOST;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::{Kill, State, Write};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

pub(super) async fn serve(listener: TcpListener, client: Client, state: Arc<State>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, client.clone(), state.clone()));
        }
    }
}

async fn connection(stream: TcpStream, client: Client, state: Arc<State>) {
    let _ = stream.set_nodelay(true); // slower, else, and no worse
    let mut cut = state.cut.subscribe();
    let service = service_fn(|request| exchange(request, client.clone(), state.clone()));
    tokio::select! {
        // A controller that was killed ends it in the middle.
        _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {}
        _ = cut.changed() => {}
    }
}

async fn exchange(request: Request<Incoming>, client: Client, state: Arc<State>) -> Result<Answer, BoxError> {
    let (mut head, body) = request.into_parts();
    head.headers.remove(HOST);
    let request = Request::from_parts(head, Body::from(body.collect().await?.to_bytes().to_vec()));
    while_frozen(&state).await;
    let refusal = state.refusal(&format!("{} {}", request.method(), request.uri().path()));
    let is_watch = request.uri().query().is_some_and(|it| it.contains("watch=true"));
    let write = Write::of(request.method().as_str(), request.uri().path());
    let is_write = write.is_some();
    let number = write.and_then(|write| state.came(write));
    if let Some(status) = refusal {
        return refuse(status);
    }
    if !is_write {
        return pass(client.send(request).await, &state, is_watch);
    }
    if number.is_some_and(|n| state.kill_if(Kill::Before(n))) {
        return Err("its sender was killed".into());
    }
    // The API server goes on with what it was sent, whatever becomes of the sender.
    let sent = tokio::spawn(async move { client.send(request).await });
    let answer = sent.await?;
    if number.is_some_and(|n| state.kill_if(Kill::After(n))) {
        return Err("its sender was killed".into());
    }
    while_frozen(&state).await;
    pass(answer, &state, false)
}

fn pass(
    answer: kube::Result<Response<Body>>,
    state: &Arc<State>,
    is_watch: bool,
) -> Result<Answer, BoxError> {
    let (head, body) = match answer {
        Ok(answer) => answer.into_parts(),
        Err(error) => {
            let text = Full::new(Bytes::from(error.to_string())).map_err(|never| match never {});
            let mut answer = Response::new(text.boxed_unsync());
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            return Ok(answer);
        }
    };
    let [mut expired, after] = [state.expired.subscribe(), state.expired.subscribe()];
    let state = state.clone();
    // What is on its way stays so while all is frozen.
    let frames = BodyStream::new(body).then(move |frame| {
        let state = state.clone();
        async move {
            while_frozen(&state).await;
            frame.map_err(BoxError::from)
        }
    });
    if !is_watch {
        return Ok(Response::from_parts(head, StreamBody::new(frames).boxed_unsync()));
    }
    let expire = async move { drop(expired.changed().await) };
    let last = stream::once(async move { after.has_changed().is_ok_and(|it| it) })
        .filter_map(async |expired| expired.then(|| Ok(Frame::data(gone()))));
    let frames = frames.take_until(expire).chain(last);
    Ok(Response::from_parts(head, StreamBody::new(frames).boxed_unsync()))
}

/// The event that ends a watch whose version is no longer known.
fn gone() -> Bytes {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410, "reason": "Expired",
        "message": "too old resource version",
    });
    Bytes::from(format!("{}\n", json!({ "type": "ERROR", "object": status })))
}

/// As an API server does it.
fn refuse(status: u16) -> Result<Answer, BoxError> {
    let status = StatusCode::from_u16(status)?;
    let reason = status.canonical_reason().unwrap_or_default().replace(' ', "");
    let said = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status.as_u16(), "reason": reason,
        "message": "a test does not want it",
    });
    let text = Full::new(Bytes::from(said.to_string())).map_err(|never| match never {});
    Ok(Response::builder().status(status).body(text.boxed_unsync())?)
}

async fn while_frozen(state: &State) {
    let mut frozen = state.frozen.subscribe();
    let _ = frozen.wait_for(|frozen| !frozen).await; // its sender lives as long as the state
}
