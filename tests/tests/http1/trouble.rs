//! A preview that fails, in every way it can.

use std::io::Write;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use byway_api::OnUnreachable;
use byway_tests::{Agent, End, Preview};
use socket2::SockRef;

use crate::{GET, GET_KEYED, KEYED, NAME, SOON, Stage, server, until};

fn reset(stream: &TcpStream) -> bool {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
    stream.shutdown(std::net::Shutdown::Read).unwrap();
    false
}

#[test]
fn a_preview_that_refuses_is_named_and_the_connection_goes_on() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    let _agent = stage.agent();
    let mut http = stage.http();
    let app = server::first_served();
    for n in 0..5 {
        let refused = http.get("/", KEYED).unwrap();
        assert_eq!((refused.status, refused.header("x-byway-error")), (502, Some("unreachable")));
        assert!(refused.text().contains(NAME), "{}", refused.text());
        assert_eq!(http.get("/", &[]).unwrap().text(), format!("APP GET / 0 #{app}.{n}"));
    }
    // Where the next request begins cannot be known, so the connection ends.
    let with_body = http.request("POST", "/", KEYED, b"body").unwrap();
    assert_eq!((with_body.status, with_body.header("connection")), (502, Some("close")));
    assert!(http.get("/", &[]).is_err());
}

#[test]
fn who_asks_to_close_is_told_and_closed() {
    let Some(stage) = Stage::named() else { return };
    let _agent = stage.agent_with(Preview::new(NAME, "pr-1"));
    for (version, more) in [("1.1", "connection: close\r\n"), ("1.0", "")] {
        let mut raw = stage.raw();
        raw.send(format!("GET / HTTP/{version}\r\nhost: a\r\nx-byway-key: pr-1\r\n{more}\r\n")).unwrap();
        let told = raw.receive(SOON);
        let text = String::from_utf8_lossy(&told.bytes);
        assert!(text.starts_with("HTTP/1.1 502 ") && text.contains("connection: close\r\n"), "{text}");
        assert_eq!(told.end, End::Fin);
    }
}

/// It is not the preview's fault, and nobody waits for an answer.
#[test]
fn a_client_that_gives_up_its_upload_is_no_failure_of_the_preview() {
    let Some(stage) = Stage::named() else { return };
    let agent = stage.agent();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\ncontent-length: 500\r\n\r\nabc";
    for closes in [true, false] {
        let mut raw = stage.raw();
        raw.send(head).unwrap();
        if closes {
            drop(raw);
            // Until the preview has ended it, too.
            sleep(Duration::from_millis(300));
            continue;
        }
        raw.finish().unwrap();
        let told = raw.receive(SOON);
        assert_eq!((String::from_utf8_lossy(&told.bytes), told.end), ("".into(), End::Fin));
    }
    stage.http().get("/", KEYED).unwrap();
    let all = Agent::debug_routes();
    let (_, own) = all.split_once(&format!("agent {} ", agent.pid())).expect(&all);
    let route = own.lines().find(|line| line.contains(NAME)).expect(own);
    assert!(route.trim_end().ends_with(" 3"), "requests, and nothing else of them: {route}");
}

#[test]
fn a_preview_without_pods_is_named_too() {
    let Some(stage) = Stage::named() else { return };
    let _agent = stage.agent_with(Preview::new(NAME, "pr-1"));
    let refused = stage.http().get("/", KEYED).unwrap();
    assert_eq!(refused.status, 502);
    assert!(refused.text().contains(NAME) && refused.text().contains("no ready pod"), "{}", refused.text());
}

#[test]
fn the_app_answers_where_the_preview_wants_so() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    let _agent = stage.agent_with(stage.preview().with(|p| p.on_unreachable = OnUnreachable::Stable));
    let mut http = stage.http();
    let app = server::first_served();
    for n in 0..3 {
        assert_eq!(http.get("/", KEYED).unwrap().text(), format!("APP GET / 0 #{app}.{}", 4 * n));
        assert_eq!(http.get("/", &[]).unwrap().text(), format!("APP GET / 0 #{app}.{}", 4 * n + 1));
        let body = http.request("POST", "/", KEYED, &[b'x'; 300_000]).unwrap();
        assert_eq!(
            (body.text(), body.header("x-byway-preview")),
            (format!("APP POST / 300000 #{app}.{}", 4 * n + 2), None)
        );
        assert_eq!(http.get("/", &[]).unwrap().text(), format!("APP GET / 0 #{app}.{}", 4 * n + 3));
    }
}

#[test]
fn an_answer_that_is_no_http_becomes_a_502() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    server::serve(&stage.preview, |_, stream| stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").is_ok());
    let _agent = stage.agent();
    let mut http = stage.http();
    let odd = http.get("/", KEYED).unwrap();
    assert_eq!(odd.status, 502);
    assert!(odd.text().contains(NAME), "{}", odd.text());
    assert!(http.get("/", &[]).unwrap().text().starts_with("APP"));
}

#[test]
fn a_preview_that_closes_without_an_answer_becomes_a_502() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    server::serve(&stage.preview, |request, stream| match request.path.as_str() {
        "/reset" => reset(stream),
        _ => false,
    });
    let _agent = stage.agent();
    let mut http = stage.http();
    for path in ["/close", "/reset"] {
        assert_eq!(http.get(path, KEYED).unwrap().status, 502, "{path}");
        assert!(http.get("/", &[]).unwrap().text().starts_with("APP"), "{path}");
    }
}

#[test]
fn a_reset_in_the_middle_of_an_answer_is_a_reset() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    server::serve(&stage.preview, |request, stream| {
        let head =
            if request.path == "/keyed" { "content-length: 1000" } else { "transfer-encoding: chunked" };
        write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhel").unwrap();
        sleep(Duration::from_millis(100));
        reset(stream)
    });
    let _agent = stage.agent();
    for path in ["/keyed", "/chunked"] {
        let mut raw = stage.raw();
        raw.send(GET_KEYED.replace("/keyed", path)).unwrap();
        let received = raw.receive(SOON);
        assert!(received.bytes.ends_with(b"\r\n\r\n5\r\nhel"), "{received:?}");
        assert_eq!(received.end, End::Reset, "{path}");
    }
}

#[test]
fn a_kept_connection_that_was_closed_meanwhile_is_no_failure() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    // Closes after each answer, and says so too late: after its answer, or when the next request has come.
    server::serve(&stage.preview, |request, stream| {
        let late = request.path == "/late";
        if late && request.number == 1 {
            return false;
        }
        server::ok(stream, &format!("PREVIEW #{}", request.connection)) && late
    });
    let _agent = stage.agent();
    let mut http = stage.http();
    for n in 0..6 {
        let path = if n % 2 == 0 { "/late" } else { "/" };
        let answer = http.get(path, KEYED).unwrap();
        assert_eq!(answer.status, 200, "{n}: {}", answer.text());
        assert!(http.get("/", &[]).unwrap().text().starts_with("APP"));
    }
    for n in 0..6 {
        assert_eq!(http.get("/late", KEYED).unwrap().status, 200, "{n}");
    }
    // What is not idempotent does not go out twice.
    assert_eq!(http.request("POST", "/late", KEYED, b"").unwrap().status, 502);
}

#[test]
fn a_slow_head_goes_to_the_app_as_it_came() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.preview, "PREVIEW");
    let listener = server::listen(&stage.app);
    let agent = stage.agent();
    let mut raw = stage.raw();
    let (a, b) = GET_KEYED.split_at(20);
    raw.send(a).unwrap();
    let mut app = server::served(&listener);
    assert_eq!(until(&mut app, a), a);
    raw.send([b, GET].concat()).unwrap();
    assert_eq!(until(&mut app, GET), [b, GET].concat());
    assert_eq!(agent.metric("byway_agent_connections_opaque_total", "SlowHead").unwrap(), 1.0);
}

#[test]
fn what_is_in_doubt_is_counted() {
    let Some(stage) = Stage::named() else { return };
    let agent = stage.agent();
    let cases = [
        ("BareLf", "GET / HTTP/1.1\nhost: a\n\n"),
        (
            "BothLengths",
            "POST / HTTP/1.1\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("ObsFold", "GET / HTTP/1.1\r\nhost: a\r\n x: y\r\n\r\n"),
        ("NulByte", "GET / HTTP/1.1\r\nhost: \0\r\n\r\n"),
        ("Tls", "\x16\x03\x01\0\x05hello"),
        ("Http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("NotHttp", "*1\r\n$4\r\nPING\r\n"),
        ("EarlyTunnelData", "GET / HTTP/1.1\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nearly"),
    ];
    for (reason, bytes) in cases {
        stage.raw().send(bytes).unwrap();
        let counted = byway_tests::eventually(SOON, || {
            let count =
                agent.metric("byway_agent_connections_opaque_total", &format!("\"{reason}\"")).ok()?;
            (count == 1.0).then_some(())
        });
        assert!(counted.is_some(), "{reason}:\n{}", agent.get("/metrics").unwrap().text());
    }
}

#[test]
fn the_agents_own_answer_to_a_head_has_no_body() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    let _agent = stage.agent();
    let mut http = stage.http();
    let app = server::first_served();
    for n in 0..2 {
        assert_eq!(http.request("HEAD", "/", KEYED, b"").unwrap().status, 502);
        assert_eq!(http.get("/", &[]).unwrap().text(), format!("APP GET / 0 #{app}.{n}"));
    }
}

#[test]
fn nothing_behind_a_bad_chunk_reaches_the_preview() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    let preview = server::listen(&stage.preview);
    let _agent = stage.agent();
    let mut raw = stage.raw();
    raw.send(
        b"POST /keyed HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\ntransfer-encoding: chunked\r\n\r\n\
          3 \r\nabc\r\n0\r\n\r\nGET /unkeyed HTTP/1.1\r\nhost: a\r\n\r\n",
    )
    .unwrap();
    let told = raw.receive(SOON);
    let answer = String::from_utf8_lossy(&told.bytes).into_owned();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("x-byway-error: BadChunk"), "{answer}");
    let mut came = byway_tests::Raw::new(preview.accept().unwrap().0).unwrap();
    let came = String::from_utf8_lossy(&came.receive(SOON).bytes).into_owned();
    assert!(!came.contains("/unkeyed"), "{came}");
}

#[test]
fn half_a_head_is_not_lost_when_the_connection_turns_opaque() {
    let Some(stage) = Stage::new() else { return };
    server::named(&stage.app, "APP");
    let preview = server::listen(&stage.preview);
    // The caller belongs to the environment, so the heads of all answers get the preview's name.
    let routes = stage.routes(stage.preview()).environment("pr-1", &[&stage.client]);
    let agent = Agent::start(&stage.net, &routes).unwrap();
    let mut raw = stage.raw();
    raw.send(GET).unwrap();
    let mut server = byway_tests::Raw::new(preview.accept().unwrap().0).unwrap();
    assert_eq!(until(&mut server, GET), GET);
    server.send("HTTP/1.1 200 OK\r\nconte").unwrap();
    sleep(Duration::from_millis(100));
    raw.send("GET / HTTP/1.1\n").unwrap();
    assert_eq!(until(&mut server, "\n"), "GET / HTTP/1.1\n");
    assert_eq!(agent.metric("byway_agent_connections_opaque_total", "BareLf").unwrap(), 1.0);
    server.send("nt-length: 2\r\n\r\nok").unwrap();
    assert_eq!(until(&mut raw, "ok"), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
}
