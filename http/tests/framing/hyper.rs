//! Our framing never disagrees with hyper's on what it accepts: the same messages, the same payload, the same
//! boundaries. What we doubt, hyper may read as it likes, since we never act on it.
//!
//! Hyper refuses characters that change nothing in the framing, and that others take: it is given others for them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use byway_api::matching::is_token_char;
use byway_http::RequestKind;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{
    inputs,
    invariants::{self, Transcript},
};

const INPUTS: usize = 40_000;

#[test]
fn requests() {
    let accepted = each_input(true, |runtime, bytes| {
        let ours = invariants::requests(bytes, None);
        let theirs = runtime.block_on(served_by_hyper(&plain(bytes, &ours)));
        for (i, message) in ours.messages.iter().enumerate() {
            let (method, target) = &message.line;
            let wanted = (method.clone(), path_and_query(&plain_target(target)), message.payload.clone());
            assert_eq!(theirs.get(i), Some(&wanted), "message {i} of {ours:?}");
        }
        let all_read = ours.messages.last().is_some_and(|it| it.end == bytes.len());
        assert!(!all_read || theirs.len() == ours.messages.len(), "hyper read more: {theirs:?}");
        ours.messages.len()
    });
    assert!(accepted > INPUTS / 8, "only {accepted} messages were compared");
}

#[test]
fn responses() {
    let accepted = each_input(false, |runtime, bytes| {
        let mut compared = 0;
        for (kind, method) in [(RequestKind::Other, Method::GET), (RequestKind::Head, Method::HEAD)] {
            let ours = invariants::responses(bytes, kind, None);
            let Some(last) = ours.messages.last().filter(|it| it.last) else {
                continue;
            };
            let theirs = runtime.block_on(read_by_hyper(&plain(bytes, &ours), method));
            let wanted = Ok((last.line.0.clone(), last.payload.clone()));
            assert_eq!(theirs, wanted, "{ours:?}");
            compared += 1;
        }
        compared
    });
    assert!(accepted > INPUTS / 10, "only {accepted} messages were compared");
}

fn each_input(request: bool, compare: impl Fn(&tokio::runtime::Runtime, &[u8]) -> usize) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let seeds = inputs::seeds();
    let mut rng = inputs::Rng(2);
    let mut accepted = 0;
    for i in 0..INPUTS {
        let input = match i {
            _ if i < seeds.len() => seeds[i][1..].to_vec(),
            _ if i % 2 == 0 => inputs::mutated(&mut rng, &seeds)[1..].to_vec(),
            _ => inputs::built(&mut rng, request),
        };
        let bytes = input.as_slice();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| compare(&runtime, bytes)));
        accepted += result.unwrap_or_else(|panic| {
            eprintln!("the input was b\"{}\"", bytes.escape_ascii());
            std::panic::resume_unwind(panic)
        });
    }
    accepted
}

/// The stream with characters that hyper takes, wherever the framing does not depend on them.
fn plain(bytes: &[u8], ours: &Transcript) -> Vec<u8> {
    let mut plain = bytes.to_vec();
    for message in &ours.messages {
        let head = &mut plain[message.start..message.body];
        let target = plain_target(&message.line.1);
        let at = message.line.0.len() + 1;
        if !target.is_empty() {
            head[at..at + target.len()].copy_from_slice(&target);
        }
        for line in head.split_mut(|byte| *byte == b'\n').skip(1) {
            plain_name(line);
        }
        let odd = |byte: u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | b'\n');
        head.iter_mut().filter(|byte| odd(**byte)).for_each(|byte| *byte = b'x');
    }
    plain
}

/// A target of the same length that hyper takes: the same one, if it does.
fn plain_target(target: &[u8]) -> Vec<u8> {
    let taken = ::hyper::Uri::try_from(target).is_ok_and(|uri| uri.path_and_query().is_some());
    let same = taken || target.is_empty();
    if same { target.to_vec() } else { [b"/".as_slice(), &vec![b'x'; target.len() - 1]].concat() }
}

/// Of an answer's header.
fn plain_name(line: &mut [u8]) {
    let name = line.iter().take_while(|byte| **byte != b':').count();
    match line {
        [first, second, ..] if name == 0 => (*first, *second) = (b'x', b':'),
        _ if name < line.len() => {
            line[..name].iter_mut().filter(|byte| !is_token_char(**byte)).for_each(|byte| *byte = b'x');
        }
        _ => {}
    }
}

/// The target as hyper shows it.
fn path_and_query(target: &[u8]) -> String {
    let uri = ::hyper::Uri::try_from(target).unwrap();
    uri.path_and_query().map(ToString::to_string).unwrap_or_default()
}

type Seen = (String, String, Vec<u8>);

/// What a hyper server makes of `bytes`: the requests that it read to their end.
async fn served_by_hyper(bytes: &[u8]) -> Vec<Seen> {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let service = ::hyper::service::service_fn(|request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let (head, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
                seen.lock().unwrap().push((head.method.to_string(), path, body.to_bytes().to_vec()));
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let connection = ::hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .max_headers(byway_http::MAX_HEADERS)
        .serve_connection(TokioIo::new(server), service);
    // How the connection ends is not compared: hyper may refuse what follows.
    let _ended = connection.await;
    let seen = seen.lock().unwrap();
    seen.clone()
}

/// What a hyper client makes of `bytes` as the answer to a request: status and payload.
async fn read_by_hyper(bytes: &[u8], method: Method) -> Result<(String, Vec<u8>), String> {
    let (client, server) = tokio::io::duplex(1 << 20);
    let (mut sender, connection) = ::hyper::client::conn::http1::Builder::new()
        .max_headers(byway_http::MAX_HEADERS)
        .handshake(TokioIo::new(client))
        .await
        .map_err(|error| error.to_string())?;
    let request = Request::builder().method(method).uri("/").body(Empty::<Bytes>::new()).unwrap();
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16().to_string();
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes().to_vec()))
    };
    let (result, _ended, ()) = tokio::join!(exchange, connection, answer(server, bytes));
    result
}

async fn answer(mut server: DuplexStream, bytes: &[u8]) {
    let mut request = [0; 1024];
    let read = server.read(&mut request).await.unwrap();
    assert!(read > 0, "the request came");
    server.write_all(bytes).await.unwrap();
    server.shutdown().await.unwrap();
}
