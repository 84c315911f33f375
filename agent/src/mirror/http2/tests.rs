use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use byway_http::copies::{Copied, Found, Reader};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};

use super::*;
use crate::mirror::testing::{PORT, preview};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Fields as a client sends them, each of them in full (RFC 7541, 6.2.2).
fn fields(all: &[(&str, &str)]) -> Fields {
    let mut block = Vec::new();
    for (name, value) in all {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    // HEADERS of the first stream, whole and the last ones.
    let head = [&(block.len() as u32).to_be_bytes()[1..], &[1, 5, 0, 0, 0, 1]].concat();
    let mut found = None;
    let bytes = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &head, &block].concat();
    Reader::new().take(&bytes, |it| found = Some(it));
    let Some(Found::Whole(Copied::Http2 { fields, .. })) = found else { panic!("{found:?}") };
    fields
}

/// A pod of a preview that counts what it is asked.
async fn pod() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    count.fetch_add(1, Relaxed);
                    respond.send_response(http::Response::new(()), true).unwrap();
                }
            });
        }
    });
    (port, asked)
}

#[test]
fn a_kept_connection_serves_only_where_it_would_go_now() {
    runtime().block_on(async {
        let ([one, other], pool) = ([pod().await, pod().await], Pool::default());
        let get = fields(&[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]);
        for _ in 0..2 {
            pool.ask(&preview("127.0.0.1", one.0), PORT, &get, b"", None).await.unwrap();
        }
        // It listens elsewhere now; and then that pod is none of the preview's any more.
        pool.ask(&preview("127.0.0.1", other.0), PORT, &get, b"", None).await.unwrap();
        assert!(pool.ask(&preview("127.0.0.2", other.0), PORT, &get, b"", None).await.is_err());
        assert_eq!([one, other].map(|(_, asked)| asked.load(Relaxed)), [2, 1]);
    });
}

/// What a server gets of a request with such fields: its URI and `host`.
async fn came(all: &[(&str, &str)]) -> (String, String) {
    let (client, server) = tokio::io::duplex(1 << 16);
    let serve = async {
        let mut connection = h2::server::handshake(server).await.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        respond.send_response(http::Response::new(()), true).unwrap();
        tokio::spawn(async move { connection.accept().await.is_none() });
        request
    };
    let ask = async {
        let (send, connection) = h2::client::handshake(client).await.unwrap();
        tokio::spawn(connection);
        let request = request(&preview("127.0.0.1", 1), &fields(all)).unwrap();
        let (response, _) = send.ready().await.unwrap().send_request(request, true).unwrap();
        response.await.unwrap();
    };
    let (request, ()) = tokio::join!(serve, ask);
    assert_eq!(request.headers()["x-byway-mirrored"], "demo/redesign");
    let host = request.headers().get("host").map_or("", |it| it.to_str().unwrap());
    (request.uri().to_string(), host.to_owned())
}

#[test]
fn whosever_name_says_so_a_request_goes_on_as_it_was() {
    let get = [(":method", "GET"), (":scheme", "https"), (":path", "/a?b")];
    for (more, uri, host) in [
        (&[(":authority", "app")][..], "https://app/a?b", ""),
        (&[(":authority", "app"), ("host", "app")], "https://app/a?b", "app"),
        (&[("host", "app")], "/a?b", "app"),
        (&[(":authority", ""), ("host", "app")], "/a?b", "app"),
        (&[], "/a?b", ""),
    ] {
        let came = runtime().block_on(came(&[&get, more].concat()));
        assert_eq!(came, (uri.to_owned(), host.to_owned()), "{more:?}");
    }
    let all = [(":method", "OPTIONS"), (":scheme", "http"), (":authority", "app"), (":path", "*")];
    assert!(runtime().block_on(came(&all)).0.contains('*'));
}
