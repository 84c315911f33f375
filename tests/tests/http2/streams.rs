//! What one stream may be, keyed or not.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::HeaderMap;

use crate::peer::{self, Answer, Client};
use crate::{KEY, NAME, PORT, SOON, Stage, decided, run};

/// Who is to answer, and what says so.
const SIDES: [(&str, &[(&str, &str)]); 2] = [("APP", &[]), ("PREVIEW", &[KEY])];

#[test]
fn the_app_sees_its_client_and_the_preview_says_its_name() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let agent = stage.agent();
    run(async {
        let stream = peer::socket(&stage);
        let here = stream.local_addr().unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        let client = Client { send, ended: tokio::spawn(connection) };
        for _ in 0..10 {
            let stable = client.get("/", &[]).await.unwrap();
            assert_eq!(stable.text(), format!("APP {here} HTTP/2.0"));
            assert_eq!(stable.header("x-byway-preview"), None);
            for carrier in [KEY, ("baggage", "a=b,byway-key=pr-1"), ("cookie", "byway-key=pr-1")] {
                let keyed = client.get("/", &[carrier]).await.unwrap();
                assert!(keyed.text().starts_with("PREVIEW ") && keyed.text().ends_with(" HTTP/2.0"));
                assert_eq!(keyed.header("x-byway-preview"), Some(NAME));
            }
            let crumbs =
                client.get("/", &[("cookie", "a=b"), ("cookie", "byway-key=pr-1"), ("cookie", "c=d")]);
            assert!(crumbs.await.unwrap().text().starts_with("PREVIEW "));
            let other = client.get("/", &[("x-byway-key", "pr-12")]).await.unwrap();
            assert_eq!(other.text(), format!("APP {here} HTTP/2.0"));
        }
    });
    assert_eq!((decided(&agent, "app"), decided(&agent, "preview")), (20.0, 40.0));
}

#[test]
fn a_match_narrows_by_path_and_method() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let matcher = serde_json::json!({ "all": [
        { "header": { "name": "x-traffic", "regex": "^user/{{ key }}$" } },
        { "path": { "prefix": "/api" } }, { "method": "GET" },
    ]});
    let matcher = serde_json::from_value(matcher).unwrap();
    let _agent =
        byway_tests::Agent::start(&stage.net, &stage.routes(|p| p.with(|p| p.match_ = Some(matcher))))
            .unwrap();
    run(async {
        let client = Client::connect(&stage).await;
        let key = ("x-traffic", "user/pr-1");
        for (path, headers, name) in [
            ("/api/x?y", &[key][..], "PREVIEW"),
            ("/apis", &[key], "APP"),
            ("/api", &[("x-traffic", "user/pr-12")], "APP"),
            ("/api", &[KEY], "APP"),
        ] {
            let answer = client.get(path, headers).await.unwrap();
            assert!(answer.text().starts_with(&format!("{name} ")), "{path} {headers:?}: {}", answer.text());
        }
    });
}

#[test]
fn both_ways_are_open_at_once() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let _agent = stage.agent();
    run(async {
        let client = Client::connect(&stage).await;
        for (_, headers) in SIDES {
            let (response, mut to) = client.begin("POST", "/echo", headers, false).await;
            // The head comes before anything of the body has been sent.
            let mut body = response.await.unwrap().into_body();
            for n in 0..50 {
                let ping = Bytes::from(format!("ping {n}"));
                to.send_data(ping.clone(), false).unwrap();
                let pong = body.data().await.unwrap().unwrap();
                body.flow_control().release_capacity(pong.len()).unwrap();
                assert_eq!(pong, ping);
            }
            to.send_data(Bytes::new(), true).unwrap();
            assert!(peer::read(&mut body).await.unwrap().is_empty());
        }
    });
}

#[test]
fn trailers_and_early_hints_are_passed_on() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let _agent = stage.agent();
    run(async {
        let client = Client::connect(&stage).await;
        for (name, headers) in SIDES {
            let with_trailer = [headers, &[("trailer", "x-before")]].concat();
            let (response, mut to) = client.begin("POST", "/trailers", &with_trailer, false).await;
            to.send_data(Bytes::from_static(b"body"), false).unwrap();
            to.send_trailers(HeaderMap::from_iter([("x-before".parse().unwrap(), "!".parse().unwrap())]))
                .unwrap();
            let answer = Answer::read(response).await.unwrap();
            assert_eq!(answer.text(), "body");
            assert_eq!(answer.trailers.unwrap()["x-after"], format!("{name}!").as_str());

            let (mut response, _) = client.begin("GET", "/hints", headers, true).await;
            let hints = poll_fn(|cx| response.poll_informational(cx)).await.unwrap().unwrap();
            assert_eq!(
                (hints.status().as_u16(), &hints.headers()["link"]),
                (103, &"</style.css>; rel=preload".parse().unwrap())
            );
            assert_eq!(Answer::read(response).await.unwrap().text(), name);
        }
    });
}

#[test]
fn a_server_may_refuse_a_body_and_break_off() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let _agent = stage.agent();
    run(async {
        let client = Client::connect(&stage).await;
        for (name, headers) in SIDES {
            let (response, mut to) = client.begin("POST", "/early", headers, false).await;
            to.send_data(Bytes::from_static(&[7; 1000]), false).unwrap();
            let answer = Answer::read(response).await.unwrap();
            assert_eq!((answer.status(), answer.text()), (403, format!("{name} says no")));
            let reset = poll_fn(|cx| to.poll_reset(cx)).await.unwrap();
            assert_eq!(reset, Reason::NO_ERROR);

            let aborted = client.get("/abort", headers).await.err().unwrap();
            assert_eq!((aborted.is_reset(), aborted.reason()), (true, Some(Reason::INTERNAL_ERROR)));
        }
        assert!(client.get("/", &[]).await.is_ok(), "the connection goes on");
    });
}

#[test]
fn a_client_that_gives_up_is_noticed() {
    let Some(stage) = Stage::new() else { return };
    let servers = stage.gos();
    let _agent = stage.agent();
    run(async {
        let client = Client::connect(&stage).await;
        for (server, (_, headers)) in servers.iter().zip(SIDES) {
            let (response, mut to) = client.begin("GET", "/wait", headers, true).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            to.send_reset(Reason::CANCEL);
            drop(response);
            let until = std::time::Instant::now() + SOON;
            while !server.log().contains("given up") {
                assert!(std::time::Instant::now() < until, "the server does not see it");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
}

/// The codes of resets, both ways, as they were sent.
#[test]
fn resets_keep_their_codes() {
    let Some(stage) = Stage::new() else { return };
    run(async {
        let listeners = [peer::listen(&stage.app), peer::listen(&stage.preview)];
        let _agent = stage.proxying();
        let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
        for listener in listeners {
            let told = told.clone();
            tokio::spawn(async move {
                let mut connection = peer::accept(&listener).await;
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let code = request.uri().path().trim_start_matches('/').parse::<u32>().unwrap();
                    let told = told.clone();
                    tokio::spawn(async move {
                        if code == 0 {
                            let reset = poll_fn(|cx| respond.poll_reset(cx)).await.unwrap();
                            told.send(reset).unwrap();
                        } else {
                            // Behind something of an answer, which must not be lost.
                            let mut to = respond.send_response(http::Response::new(()), false).unwrap();
                            to.send_data(Bytes::from_static(b"half"), false).unwrap();
                            tokio::time::sleep(Duration::from_millis(50)).await;
                            to.send_reset(Reason::from(code));
                        }
                    });
                }
            });
        }
        let client = Client::connect(&stage).await;
        for (_, headers) in SIDES {
            for code in [1, 2, 7, 8, 11, 0x1234] {
                let (response, mut to) = client.begin("GET", "/0", headers, true).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                to.send_reset(Reason::from(code));
                drop(response);
                assert_eq!(tell.recv().await.unwrap(), Reason::from(code));

                let (response, _) = client.begin("GET", &format!("/{code}"), headers, true).await;
                let mut body = response.await.unwrap().into_body();
                assert_eq!(body.data().await.unwrap().unwrap(), "half");
                let error = body.data().await.unwrap().unwrap_err();
                assert_eq!(error.reason(), Some(Reason::from(code)), "{error}");
            }
        }
    });
}

#[test]
fn a_caller_of_the_environment_needs_no_key() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let routes = stage.routes(|preview| preview).environment(KEY.1, &[&stage.client]);
    let _agent = byway_tests::Agent::start(&stage.net, &routes).unwrap();
    run(async {
        let client = Client::connect(&stage).await;
        for _ in 0..5 {
            let by_origin = client.get("/", &[]).await.unwrap();
            assert!(by_origin.text().starts_with("PREVIEW "), "{}", by_origin.text());
            assert_eq!(by_origin.header("x-byway-preview"), Some(NAME));
            let other = client.get("/", &[("x-byway-key", "pr-2")]).await.unwrap();
            assert!(other.text().starts_with("APP "), "{}", other.text());
            assert_eq!(other.header("x-byway-preview"), None);
        }
    });
}

/// An armed target: its clients connect, and the first preview starts later.
#[test]
fn a_connection_older_than_all_previews_gets_the_first_one() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let routes = stage.routes(|preview| preview);
    let mut armed = routes.clone();
    armed.0.targets[0].armed = true;
    armed.0.targets[0].previews.clear();
    let agent = byway_tests::Agent::start(&stage.net, &armed).unwrap();
    run(async {
        let client = Client::connect(&stage).await;
        for headers in [&[][..], &[KEY]] {
            assert!(
                client.get("/", headers).await.unwrap().text().starts_with("APP "),
                "there is no route yet"
            );
        }
        for (routes, name) in [(&routes, "PREVIEW "), (&armed, "APP ")] {
            agent.write_routes(routes).unwrap();
            let until = std::time::Instant::now() + SOON;
            while !client.get("/", &[KEY]).await.unwrap().text().starts_with(name) {
                assert!(std::time::Instant::now() < until, "{name} does not answer");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(client.get("/", &[]).await.unwrap().text().starts_with("APP "));
        }
    });
}

#[test]
fn a_pod_that_is_its_own_preview_answers_its_key_alone() {
    let Some(stage) = Stage::new() else { return };
    let _server = stage.go(&stage.app, "OWN");
    let mut routes = stage.routes(|preview| preview);
    routes.0.targets[0].unkeyed = byway_api::Unkeyed::NotFound;
    let agent = byway_tests::Agent::start(&stage.net, &routes).unwrap();
    run(async {
        let client = Client::connect(&stage).await;
        for _ in 0..3 {
            let own = client.get("/", &[KEY]).await.unwrap();
            assert!(own.text().starts_with("OWN "), "{}", own.text());
            assert_eq!(own.header("x-byway-preview"), Some(NAME));
            let nobody = client.get("/", &[]).await.unwrap();
            assert_eq!((nobody.status(), nobody.header("x-byway-error")), (404, Some("NoKey")));
            let call = [("content-type", "application/grpc"), ("x-byway-key", "pr-2")];
            let (response, mut to) = client.begin("POST", "/a.B/C", &call, false).await;
            to.send_data(Bytes::from_static(b"ignored"), false).unwrap();
            let nobody = Answer::read(response).await.unwrap();
            let said = (nobody.header("grpc-status"), nobody.header("x-byway-error"));
            assert_eq!(said, (Some("5"), Some("UnknownKey")));
        }
    });
    assert_eq!(decided(&agent, "nobody"), 6.0);
}

#[test]
fn with_many_previews_the_connections_in_use_are_kept() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let previews: Vec<(String, String)> =
        (0..12).map(|n| (format!("staging/p{n}"), format!("pr-{n}"))).collect();
    let routes = previews.iter().fold(byway_tests::Routes::new(), |routes, (name, key)| {
        routes.preview(byway_tests::Preview::new(name, key).backend(&stage.preview))
    });
    let names: Vec<&str> = previews.iter().map(|(name, _)| name.as_str()).collect();
    let routes = routes.target(&stage.app, &[PORT], &names);
    let _agent = byway_tests::Agent::start(&stage.net, &routes).unwrap();
    run(async {
        let client = Client::connect(&stage).await;
        // It names the connection that it was asked over.
        let ask = async |n: usize| {
            let key = [("x-byway-key", previews[n].1.as_str())];
            client.get("/", &key).await.unwrap().text()
        };
        let first = ask(0).await;
        assert!(first.starts_with("PREVIEW "), "{first}");
        for n in 1..12 {
            assert_ne!(ask(n).await, first);
            assert_eq!(ask(0).await, first, "after {n} others");
        }
    });
}
