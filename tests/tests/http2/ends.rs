//! Ends of connections, and sides that do not speak HTTP/2.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use byway_api::OnUnreachable;
use byway_tests::{End, Http, Pod, Raw, eventually};
use h2::Reason;
use http::Response;
use tokio::time::{sleep, timeout};

use crate::peer::{self, Answer, Client};
use crate::{KEY, PORT, SOON, Stage, decided, opaque, run};

const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// A server of HTTP/1.1 that refuses whatever is no GET, in a pod.
fn only_http1(pod: &Pod) -> TcpListener {
    let listener = pod.run(|| TcpListener::bind(("::", PORT))).unwrap();
    let ours = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        for stream in ours.incoming() {
            let _ = refuse(stream.unwrap());
        }
    });
    listener
}

const REFUSAL: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";

fn refuse(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    let n = stream.read(&mut bytes)?;
    let is_get = bytes[..n].starts_with(b"GET ");
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    stream.write_all(if is_get { ok } else { REFUSAL }.as_bytes())?;
    // What still comes is read, or the close would be a reset.
    stream.shutdown(std::net::Shutdown::Write)?;
    while stream.read(&mut bytes)? > 0 {}
    Ok(())
}

#[test]
fn an_app_that_does_not_speak_it_says_so_itself() {
    let Some(stage) = Stage::new() else { return };
    let _listener = only_http1(&stage.app);
    let agent = stage.agent();
    let mut raw = Raw::new(stage.client.connect(stage.to()).unwrap()).unwrap();
    raw.send([PREFACE.as_bytes(), SETTINGS].concat()).unwrap();
    let received = raw.receive(SOON);
    assert_eq!((String::from_utf8_lossy(&received.bytes).as_ref(), received.end), (REFUSAL, End::Fin));
    assert_eq!(opaque(&agent, "Http2"), 1.0);
}

#[test]
fn an_app_that_does_not_speak_it_gets_every_byte() {
    let Some(stage) = Stage::new() else { return };
    let listener = stage.app.run(|| TcpListener::bind(("::", PORT))).unwrap();
    let _agent = stage.proxying();
    let mut raw = Raw::new(stage.client.connect(stage.to()).unwrap()).unwrap();
    let sent = [PREFACE.as_bytes(), SETTINGS, b"and whatever follows"].concat();
    raw.send(&sent).unwrap();
    let mut app = Raw::new(listener.accept().unwrap().0).unwrap();
    // All that asks for nothing comes at once, the rest when the app has said what it speaks.
    let first = PREFACE.len() + SETTINGS.len();
    assert_eq!(app.receive_exact(first, SOON).bytes, sent[..first]);
    app.send("+OK something else\r\n").unwrap();
    assert_eq!(app.receive_exact(sent.len() - first, SOON).bytes, sent[first..]);
    assert_eq!(raw.receive_exact(20, SOON).bytes, b"+OK something else\r\n");
    raw.finish().unwrap();
    assert_eq!(app.receive(SOON).end, End::Fin);
}

#[test]
fn a_preview_that_does_not_speak_it_is_said() {
    let Some(stage) = Stage::new() else { return };
    let _app = stage.go(&stage.app, "APP");
    let _listener = only_http1(&stage.preview);
    let agent = stage.agent();
    let ask = async |grpc: bool| {
        let client = Client::connect(&stage).await;
        let headers = [KEY, ("content-type", if grpc { "application/grpc+proto" } else { "text/plain" })];
        let (response, _) = client.begin("POST", "/x.Y/Z", &headers, true).await;
        Answer::read(response).await.unwrap()
    };
    run(async {
        let answer = ask(false).await;
        assert_eq!((answer.status(), answer.header("x-byway-error")), (502, Some("not-http2")));
        let text = answer.text();
        assert!(
            text.contains("preview staging/redesign does not speak HTTP/2")
                && text.contains("\"HTTP/1.1 400 Bad"),
            "{text}"
        );
        let answer = ask(true).await;
        assert_eq!((answer.status(), answer.header("grpc-status")), (200, Some("14")));
        assert_eq!(answer.header("content-type"), Some("application/grpc"));
        assert!(answer.header("grpc-message").unwrap().contains("does not speak HTTP/2"));
        assert!(answer.body.is_empty() && answer.trailers.is_none());
    });
    // The other way round: HTTP/1 for a preview that speaks HTTP/2 only.
    drop(agent);
}

#[test]
fn http1_for_a_preview_that_speaks_http2_only_is_said() {
    let Some(stage) = Stage::new() else { return };
    let _app = stage.go(&stage.app, "APP");
    let listener = stage.preview.run(|| TcpListener::bind(("::", PORT))).unwrap();
    let _agent = stage.agent();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(SETTINGS).unwrap();
        let _ = stream.read(&mut [0; 4096]);
    });
    let mut http = Http::new(stage.client.connect(stage.to()).unwrap());
    let answer = http.get("/", &[KEY]).unwrap();
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("speaks HTTP/2 only"), "{}", answer.text());
    assert!(http.get("/", &[]).unwrap().text().starts_with("APP "));
}

#[test]
fn http1_for_a_preview_that_speaks_http2_only_may_fall_back() {
    let Some(stage) = Stage::new() else { return };
    let _app = stage.go(&stage.app, "APP");
    let listener = stage.preview.run(|| TcpListener::bind(("::", PORT))).unwrap();
    let routes = stage.routes(|p| p.with(|p| p.on_unreachable = OnUnreachable::Stable));
    let _agent = byway_tests::Agent::start(&stage.net, &routes).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(SETTINGS).unwrap();
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    let mut http = Http::new(stage.client.connect(stage.to()).unwrap());
    for headers in [&[KEY][..], &[], &[KEY]] {
        assert!(http.get("/", headers).unwrap().text().starts_with("APP "));
    }
    // What has gone there of a body is kept nowhere.
    assert_eq!(http.request("POST", "/echo", &[KEY], b"body").unwrap().status, 502);
}

#[test]
fn a_preview_that_is_away_is_said_or_the_app_answers() {
    let Some(stage) = Stage::new() else { return };
    let _app = stage.go(&stage.app, "APP");
    let agent = stage.agent();
    run(async {
        let client = Client::connect(&stage).await;
        let answers = (0..20).map(|_| client.get("/", &[KEY])).collect::<Vec<_>>();
        for answer in answers {
            let answer = answer.await.unwrap();
            assert_eq!((answer.status(), answer.header("x-byway-error")), (502, Some("unreachable")));
        }
        let head = client.begin("HEAD", "/", &[KEY], true).await.0;
        let head = Answer::read(head).await.unwrap();
        assert_eq!((head.status(), head.body.len()), (502, 0));
        assert!(client.get("/", &[]).await.unwrap().text().starts_with("APP "));
        agent.write_routes(&stage.routes(|p| p.with(|p| p.on_unreachable = OnUnreachable::Stable))).unwrap();
        loop {
            // On the same connection: each stream is decided by the newest routes.
            if client.get("/", &[KEY]).await.unwrap().text().starts_with("APP ") {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn a_server_may_speak_first_or_wait_for_the_first_request() {
    let Some(stage) = Stage::new() else { return };
    run(async {
        let listener = peer::listen(&stage.app);
        let agent = stage.proxying();
        // Its SETTINGS are sent when the connection is there.
        let first = tokio::spawn(async move {
            for speaks_first in [true, false] {
                let (stream, _) = listener.accept().await.unwrap();
                if speaks_first {
                    sleep(Duration::from_millis(50)).await;
                } else {
                    while stream.peek(&mut [0; 256]).await.unwrap() < 45 {
                        sleep(Duration::from_millis(5)).await;
                    }
                }
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    respond.send_response(Response::new(()), true).unwrap();
                }
            }
        });
        for _ in 0..2 {
            let stream = peer::socket(&stage);
            sleep(Duration::from_millis(100)).await;
            let (send, connection) = h2::client::handshake(stream).await.unwrap();
            let client = Client { send, ended: tokio::spawn(connection) };
            assert_eq!(client.get("/", &[]).await.unwrap().status(), 200);
            assert_eq!(client.get("/", &[KEY]).await.unwrap().status(), 502);
        }
        first.await.unwrap();
        assert_eq!(decided(&agent, "app"), 2.0);
    });
}

#[test]
fn a_server_that_goes_away_is_passed_on() {
    let Some(stage) = Stage::new() else { return };
    run(async {
        let listener = peer::listen(&stage.app);
        let _preview = stage.go(&stage.preview, "PREVIEW");
        let _agent = stage.proxying();
        let server = tokio::spawn(async move {
            let mut connection = peer::accept(&listener).await;
            let (_, mut slow) = connection.accept().await.unwrap().unwrap();
            connection.graceful_shutdown();
            let mut late = 0;
            tokio::spawn(async move {
                sleep(Duration::from_millis(500)).await;
                slow.send_response(Response::new(()), true).unwrap();
            });
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                late += 1;
                respond.send_response(Response::new(()), true).unwrap();
            }
            late
        });
        let mut client = Client::connect(&stage).await;
        let (slow, _) = client.begin("GET", "/", &[], true).await;
        // Told while the first is under way, which ends well.
        let told = timeout(SOON, async {
            while client.send.clone().ready().await.is_ok() {
                sleep(Duration::from_millis(10)).await;
            }
        });
        told.await.unwrap();
        assert_eq!(slow.await.unwrap().status(), 200);
        timeout(SOON, &mut client.ended).await.unwrap().unwrap().unwrap();
        assert_eq!(server.await.unwrap(), 0);
    });
}

/// Frame by frame: takes two requests, says that it has looked at the first one only, and answers that.
fn looks_at_the_first_only(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(SETTINGS)?;
    stream.read_exact(&mut [0; PREFACE.len()])?;
    let mut heads = 0;
    while heads < 2 {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; len as usize])?;
        heads += usize::from(head[3] == 1);
    }
    // GOAWAY, last stream 1, no error.
    stream.write_all(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0")?;
    std::thread::sleep(Duration::from_millis(300));
    // HEADERS of stream 1, the last frame of it: `:status: 200`.
    stream.write_all(b"\0\0\x01\x01\x05\0\0\0\x01\x88")?;
    let _ = stream.read(&mut [0; 4096])?;
    Ok(())
}

#[test]
fn what_a_server_has_not_looked_at_may_be_sent_again() {
    let Some(stage) = Stage::new() else { return };
    let listener = stage.app.run(|| TcpListener::bind(("::", PORT))).unwrap();
    let _agent = stage.proxying();
    std::thread::spawn(move || looks_at_the_first_only(listener.accept().unwrap().0).unwrap());
    run(async {
        let client = Client::connect(&stage).await;
        let (first, _) = client.begin("GET", "/", &[], true).await;
        let (second, _) = client.begin("POST", "/", &[], true).await;
        let refused = second.await.unwrap_err();
        assert!(refused.is_go_away() && refused.is_remote(), "{refused}");
        assert_eq!(first.await.unwrap().status(), 200);
        let _ = timeout(SOON, client.ended).await.expect("the connection ends");
    });
}

/// Whether that is too much is for the servers to say.
#[test]
fn a_flood_of_requests_that_are_taken_back_harms_nobody_else() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let agent = stage.agent();
    run(async {
        for headers in [&[][..], &[KEY]] {
            let mut how = h2::client::Builder::new();
            how.initial_max_send_streams(100_000).max_concurrent_reset_streams(100_000);
            let mut client = Client::with(&stage, &how).await;
            let before = agent.resident_kib().unwrap();
            for _ in 0..5000 {
                let mut request = http::Request::get("http://app/");
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                let Ok((_, mut to)) = client.send.send_request(request.body(()).unwrap(), true) else {
                    break;
                };
                to.send_reset(Reason::CANCEL);
            }
            let other = Client::connect(&stage).await;
            assert!(other.get("/", &[]).await.unwrap().text().starts_with("APP "));
            assert!(other.get("/", &[KEY]).await.unwrap().text().starts_with("PREVIEW "));
            // It is over with all of them, or has been told to calm down.
            let after = timeout(SOON, client.get("/", headers)).await.unwrap();
            assert!(after.is_ok_and(|it| it.status() == 200) || client.ended.await.unwrap().is_err());
            let grown = agent.resident_kib().unwrap() - before;
            assert!(grown < 8 << 10, "{grown} KiB more");
        }
    });
}

#[test]
fn why_a_server_goes_away_is_passed_on() {
    let Some(stage) = Stage::new() else { return };
    run(async {
        let listener = peer::listen(&stage.app);
        let _agent = stage.proxying();
        tokio::spawn(async move {
            let mut connection = peer::accept(&listener).await;
            let _held = connection.accept().await.unwrap().unwrap();
            connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            while connection.accept().await.is_some() {}
        });
        let client = Client::connect(&stage).await;
        let (response, _) = client.begin("GET", "/", &[], true).await;
        assert!(response.await.is_err());
        let ended = timeout(SOON, client.ended).await.unwrap().unwrap().unwrap_err();
        assert_eq!((ended.is_go_away(), ended.reason()), (true, Some(Reason::ENHANCE_YOUR_CALM)), "{ended}");
    });
}

#[test]
fn an_app_that_dies_takes_its_connection_with_it_and_no_preview() {
    let Some(stage) = Stage::new() else { return };
    run(async {
        let _preview = stage.go(&stage.preview, "PREVIEW");
        for kept in [false, true] {
            let mut app = stage.go(&stage.app, "APP");
            let _agent = stage.agent();
            let mut client = Client::connect(&stage).await;
            let (response, _) = client.begin("GET", "/wait", &[], true).await;
            let mut keyed = None;
            if kept {
                let (response, to) = client.begin("POST", "/echo", &[KEY], false).await;
                keyed = Some((response.await.unwrap().into_body(), to));
            }
            sleep(Duration::from_millis(200)).await;
            app.kill();
            if let Some((mut body, mut to)) = keyed {
                let lost = timeout(SOON, response).await.unwrap().unwrap_err();
                assert_eq!(lost.reason(), Some(Reason::INTERNAL_ERROR), "{lost}");
                to.send_data(Bytes::from_static(b"still there"), true).unwrap();
                assert_eq!(peer::read(&mut body).await.unwrap(), b"still there");
            } else {
                assert!(timeout(Duration::from_secs(5), response).await.unwrap().is_err());
            }
            let _ = timeout(SOON, &mut client.ended).await.expect("the connection ends");
        }
    });
}

#[test]
fn a_draining_agent_lets_streams_end() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let mut agent = stage.agent();
    run(async {
        let mut client = Client::connect(&stage).await;
        let mut open = Vec::new();
        for headers in [&[][..], &[KEY]] {
            let (response, to) = client.begin("POST", "/echo", headers, false).await;
            open.push((response.await.unwrap().into_body(), to));
        }
        let idle = Client::connect(&stage).await;
        assert_eq!(idle.get("/", &[]).await.unwrap().status(), 200);
        agent.sigterm().unwrap();
        let told = timeout(SOON, async {
            while client.send.clone().ready().await.is_ok() {
                sleep(Duration::from_millis(10)).await;
            }
        });
        told.await.unwrap();
        timeout(SOON, idle.ended).await.unwrap().unwrap().unwrap();
        for (mut body, mut to) in open {
            to.send_data(Bytes::from_static(b"the end"), true).unwrap();
            assert_eq!(peer::read(&mut body).await.unwrap(), b"the end");
        }
        timeout(SOON, &mut client.ended).await.unwrap().unwrap().unwrap();
    });
    let ended = eventually(SOON, || agent.ended().unwrap());
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
}

#[test]
fn what_the_app_allows_is_announced() {
    let Some(stage) = Stage::new() else { return };
    run(async {
        let listener = peer::listen(&stage.app);
        let _preview = stage.go(&stage.preview, "PREVIEW");
        let _agent = stage.proxying();
        tokio::spawn(async move {
            for speaks_it in [false, true] {
                let (stream, _) = listener.accept().await.unwrap();
                let mut how = h2::server::Builder::new();
                how.max_concurrent_streams(17);
                if speaks_it {
                    how.enable_connect_protocol();
                }
                let mut connection = how.handshake::<_, Bytes>(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let protocol = request.extensions().get::<h2::ext::Protocol>();
                    let is_chat = protocol.is_some_and(|p| p.as_str() == "websocket")
                        && request.uri().path() == "/chat";
                    let mut to = respond.send_response(Response::new(()), false).unwrap();
                    tokio::spawn(async move {
                        let said = peer::read(&mut request.into_body()).await.unwrap();
                        to.send_data(format!("{is_chat} {}", said.len()).into(), true).unwrap();
                    });
                }
            }
        });
        for speaks_it in [false, true] {
            let mut client = Client::connect(&stage).await;
            assert_eq!(client.get("/", &[]).await.unwrap().status(), 200);
            assert_eq!(client.send.current_max_send_streams(), 17);
            assert_eq!(client.send.is_extended_connect_protocol_enabled(), speaks_it);
            if speaks_it {
                for (headers, wanted) in [
                    (&[][..], "true 5"),
                    (&[KEY], "byway: preview staging/redesign does not take extended CONNECT\n"),
                ] {
                    let (response, mut to) = client.chat(headers);
                    to.send_data(Bytes::from_static(b"hello"), true).unwrap();
                    assert_eq!(Answer::read(response).await.unwrap().text(), wanted);
                }
            }
        }
    });
}

/// As of a WebSocket. An app that was silent when it was greeted tells later that it takes them.
#[test]
fn a_tunnel_of_extended_connect_goes_both_ways() {
    let Some(stage) = Stage::new() else { return };
    run(async {
        let listeners = [(peer::listen(&stage.app), "APP"), (peer::listen(&stage.preview), "PREVIEW")];
        let _agent = stage.proxying();
        for (listener, name) in listeners {
            tokio::spawn(async move {
                for is_late in [false, true] {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(async move {
                        if is_late && name == "APP" {
                            sleep(Duration::from_millis(500)).await;
                        }
                        let mut how = h2::server::Builder::new();
                        how.enable_connect_protocol();
                        let mut connection = how.handshake::<_, Bytes>(stream).await.unwrap();
                        while let Some(Ok((request, mut respond))) = connection.accept().await {
                            let mut to = respond.send_response(Response::new(()), false).unwrap();
                            tokio::spawn(async move {
                                let mut body = request.into_body();
                                while let Some(Ok(data)) = body.data().await {
                                    body.flow_control().release_capacity(data.len()).unwrap();
                                    let said = if data.is_empty() { "" } else { name };
                                    to.send_data([said.as_bytes(), &data].concat().into(), false).unwrap();
                                }
                                to.send_data("bye".into(), true).unwrap();
                            });
                        }
                    });
                }
            });
        }
        for _ in 0..2 {
            let mut client = Client::connect(&stage).await;
            assert_eq!(client.get("/", &[]).await.unwrap().text(), "bye");
            let until = std::time::Instant::now() + SOON;
            while !client.send.is_extended_connect_protocol_enabled() {
                assert!(std::time::Instant::now() < until, "the client is not told");
                sleep(Duration::from_millis(10)).await;
            }
            for (name, headers) in [("APP", &[][..]), ("PREVIEW", &[KEY])] {
                let (response, mut to) = client.chat(headers);
                let mut body = response.await.unwrap().into_body();
                for n in 0..20 {
                    to.send_data(format!(" {n}").into(), false).unwrap();
                    assert_eq!(body.data().await.unwrap().unwrap(), format!("{name} {n}"));
                }
                to.send_data(Bytes::new(), true).unwrap();
                assert_eq!(peer::read(&mut body).await.unwrap(), b"bye");
            }
        }
    });
}
