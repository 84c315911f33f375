//! Long bodies, and readers that are slow or never come: what the agent holds stays small, and nobody else waits.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use crate::peer::{self, Answer, Client, send_all};
use crate::{KEY, Stage, run};

const SIZE: usize = 64 << 20;
/// More than what is held each way, and what the allocator keeps of that.
const MOST_KIB: i64 = 10 << 10;

#[test]
fn a_slow_client_does_not_fill_the_agent() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let agent = stage.agent();
    run(async {
        // A client that has room for everything, so that only its reading is slow.
        let mut how = h2::client::Builder::new();
        how.initial_window_size(SIZE as u32).initial_connection_window_size(2 * SIZE as u32);
        for headers in [&[][..], &[KEY]] {
            let (socket, before) = (peer::socket(&stage), agent.resident_kib().unwrap());
            let (mut send, mut connection) = how.handshake::<_, Bytes>(socket).await.unwrap();
            let mut request = http::Request::get(format!("http://app/bytes?{SIZE}"));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (response, _) = send.send_request(request.body(()).unwrap(), true).unwrap();
            // The connection is looked at now and then only.
            let mut most = before;
            let mut answer = tokio::spawn(Answer::read(response));
            let mut rounds = 0;
            let answer = loop {
                tokio::select! {
                    biased;
                    answer = &mut answer => break answer.unwrap().unwrap(),
                    _ = &mut connection, if rounds % 2 == 1 || rounds > 100 => {}
                    () = sleep(Duration::from_millis(5)) => {}
                }
                rounds += 1;
                most = most.max(agent.resident_kib().unwrap());
            };
            assert_eq!(answer.body.len(), SIZE);
            assert!(most - before < MOST_KIB, "{before} KiB grew to {most}");
        }
    });
}

#[test]
fn a_slow_server_does_not_fill_the_agent() {
    let Some(stage) = Stage::new() else { return };
    run(async {
        let listeners = [peer::listen(&stage.app), peer::listen(&stage.preview)];
        let agent = stage.proxying();
        for listener in listeners {
            tokio::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let mut how = h2::server::Builder::new();
                how.initial_window_size(SIZE as u32).initial_connection_window_size(SIZE as u32);
                let mut connection = how.handshake::<_, Bytes>(stream).await.unwrap();
                let (request, mut respond) = connection.accept().await.unwrap().unwrap();
                let read = tokio::spawn(async move {
                    let bytes = peer::read(&mut request.into_body()).await.unwrap();
                    let mut to = respond.send_response(http::Response::new(()), false).unwrap();
                    to.send_data(bytes.len().to_string().into(), true).unwrap();
                });
                for rounds in 0.. {
                    tokio::select! {
                        next = connection.accept(), if rounds % 2 == 1 || rounds > 100 => assert!(next.is_none()),
                        () = sleep(Duration::from_millis(5)) => {}
                    }
                    if read.is_finished() && connection.accept().await.is_none() {
                        return;
                    }
                }
            });
        }
        let client = Client::connect(&stage).await;
        for headers in [&[][..], &[KEY]] {
            let before = agent.resident_kib().unwrap();
            let (response, mut to) = client.begin("POST", "/", headers, false).await;
            let upload = tokio::spawn(async move { send_all(&mut to, vec![7; SIZE].into(), true).await });
            let mut most = before;
            while !upload.is_finished() {
                sleep(Duration::from_millis(5)).await;
                most = most.max(agent.resident_kib().unwrap());
            }
            upload.await.unwrap().unwrap();
            assert_eq!(Answer::read(response).await.unwrap().text(), SIZE.to_string());
            assert!(most - before < MOST_KIB, "{before} KiB grew to {most}");
        }
    });
}

/// Whoever is slow to be read may be read on only by what the client says behind its own bodies.
#[test]
fn echoes_of_both_kinds_end_whichever_is_read_slowly() {
    const SIZE: usize = 1 << 20;
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let _agent = stage.agent();
    let body = |n: u32| -> Bytes {
        let words = (0..SIZE as u32 / 4).flat_map(|at| (at ^ n << 20).to_be_bytes());
        words.collect::<Vec<u8>>().into()
    };
    run(async {
        for slow in [0, 1] {
            let mut how = h2::client::Builder::new();
            how.initial_window_size(4 << 20).initial_connection_window_size(4 << 20);
            let client = Client::with(&stage, &how).await;
            let mut all = Vec::new();
            for n in 0..20 {
                let headers = if n % 2 == 1 { &[KEY][..] } else { &[] };
                let (response, mut to) = client.begin("POST", "/echo", headers, false).await;
                all.push(tokio::spawn(async move {
                    let upload = tokio::spawn(async move { send_all(&mut to, body(n), true).await });
                    let mut from = response.await.unwrap().into_body();
                    let mut got = Vec::new();
                    while let Some(data) = from.data().await {
                        let data = data.unwrap();
                        from.flow_control().release_capacity(data.len()).unwrap();
                        got.extend_from_slice(&data);
                        if n % 2 == slow {
                            sleep(Duration::from_millis(3)).await;
                        }
                    }
                    upload.await.unwrap().unwrap();
                    assert!(got == body(n), "{n}: {} bytes came back", got.len());
                }));
            }
            for one in all {
                one.await.unwrap();
            }
        }
    });
}

#[test]
fn streams_that_nobody_reads_hold_up_no_others() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let _agent = stage.agent();
    run(async {
        let mut how = h2::client::Builder::new();
        how.initial_connection_window_size(1 << 30);
        let client = Client::with(&stage, &how).await;
        let mut stalled = Vec::new();
        for n in 0..30 {
            let headers = if n % 2 == 0 { &[KEY][..] } else { &[] };
            let (response, _) = client.begin("GET", "/bytes?10000000", headers, true).await;
            stalled.push(response.await.unwrap());
        }
        sleep(Duration::from_millis(500)).await;
        for n in 0..50 {
            let (name, headers) = if n % 2 == 0 { ("PREVIEW", &[KEY][..]) } else { ("APP", &[][..]) };
            assert!(client.get("/", headers).await.unwrap().text().starts_with(name));
        }
        // And they go on where they stopped.
        for response in stalled {
            assert_eq!(peer::read(&mut response.into_body()).await.unwrap().len(), 10_000_000);
        }
    });
}

/// A thousand streams, of a client that has room for all of them and reads nothing, from a server that sets no limit.
#[test]
fn many_streams_that_nobody_reads_do_not_fill_the_agent() {
    const LEN: usize = 128 << 10;
    let Some(stage) = Stage::new() else { return };
    run(async {
        let listeners = [peer::listen(&stage.app), peer::listen(&stage.preview)];
        let agent = stage.proxying();
        for listener in listeners {
            tokio::spawn(async move {
                loop {
                    let mut connection = peer::accept(&listener).await;
                    while let Some(Ok((_, mut respond))) = connection.accept().await {
                        tokio::spawn(async move {
                            let mut to = respond.send_response(http::Response::new(()), false).unwrap();
                            let _ = send_all(&mut to, vec![7; LEN].into(), true).await;
                        });
                    }
                }
            });
        }
        let mut how = h2::client::Builder::new();
        how.initial_window_size(1 << 30).initial_connection_window_size(1 << 30).initial_max_send_streams(1);
        for headers in [&[][..], &[KEY]] {
            let (mut send, mut connection) = how.handshake::<_, Bytes>(peer::socket(&stage)).await.unwrap();
            let ask = |send: &mut h2::client::SendRequest<Bytes>| {
                let mut request = http::Request::get("http://app/");
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                send.send_request(request.body(()).unwrap(), true).unwrap().0
            };
            let first = Answer::read(ask(&mut send));
            tokio::select! {
                first = first => drop(first.unwrap()),
                ended = &mut connection => panic!("{ended:?}"),
            }
            let before = agent.resident_kib().unwrap();
            let most = 1000;
            let answers: Vec<_> = (0..most).map(|_| ask(&mut send)).collect();
            // The heads go out, and little comes in.
            for _ in 0..3 {
                poll_fn(|cx| Poll::Ready(Pin::new(&mut connection).poll(cx).is_ready())).await;
                sleep(Duration::from_millis(50)).await;
            }
            sleep(Duration::from_secs(2)).await;
            let held = agent.resident_kib().unwrap() - before;
            eprintln!("{most} streams hold {held} KiB");
            assert!(held < 40 << 10, "{most} streams hold {held} KiB");
            // And all of it comes in the end.
            let connection = tokio::spawn(connection);
            for answer in answers {
                assert_eq!(Answer::read(answer).await.unwrap().body.len(), LEN);
            }
            drop(send);
            connection.await.unwrap().unwrap();
        }
    });
}

#[test]
fn whole_bodies_arrive_both_ways() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let _agent = stage.agent();
    run(async {
        // It takes its time, and servers do not wait long for a client to speak.
        let body: Bytes = (0..20_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let client = Client::connect(&stage).await;
        for headers in [&[][..], &[KEY]] {
            let (response, mut to) = client.begin("POST", "/echo", headers, false).await;
            let sent = body.clone();
            let upload = tokio::spawn(async move { send_all(&mut to, sent, true).await });
            let answer = Answer::read(response).await.unwrap();
            upload.await.unwrap().unwrap();
            assert!(answer.body == body, "{} bytes came back", answer.body.len());
        }
    });
}

#[test]
fn an_idle_connection_and_an_open_stream_take_little() {
    const CONNECTIONS: i64 = 500;
    const STREAMS: i64 = 1000;
    let Some(stage) = Stage::new() else { return };
    run(async {
        let listeners = [peer::listen(&stage.app), peer::listen(&stage.preview)];
        let agent = stage.proxying();
        for listener in listeners {
            tokio::spawn(async move {
                loop {
                    let mut connection = peer::accept(&listener).await;
                    tokio::spawn(async move {
                        let mut open = Vec::new();
                        while let Some(Ok((request, mut respond))) = connection.accept().await {
                            let ends = request.uri().path() == "/";
                            open.push(respond.send_response(http::Response::new(()), ends).unwrap());
                        }
                    });
                }
            });
        }
        let warm = Client::connect(&stage).await;
        warm.get("/", &[]).await.unwrap();
        warm.get("/", &[KEY]).await.unwrap();
        let before = agent.resident_kib().unwrap();
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = Client::connect(&stage).await;
            client.get("/", &[]).await.unwrap();
            idle.push(client);
        }
        let each = (agent.resident_kib().unwrap() - before) * 1024 / CONNECTIONS;
        eprintln!("an idle connection takes {each} bytes");
        assert!(each < 16 << 10, "an idle connection takes {each} bytes");
        for headers in [&[][..], &[KEY]] {
            let before = agent.resident_kib().unwrap();
            let mut open = Vec::new();
            for _ in 0..STREAMS {
                let (response, to) = warm.begin("POST", "/open", headers, false).await;
                open.push((response.await.unwrap(), to));
            }
            let each = (agent.resident_kib().unwrap() - before) * 1024 / STREAMS;
            eprintln!("of {STREAMS} open streams, keyed {}, each takes {each} bytes", !headers.is_empty());
            assert!(each < 2 << 10, "a stream takes {each} bytes");
        }
    });
}
