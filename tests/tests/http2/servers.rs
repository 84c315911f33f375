//! Servers of other makers as the app and as the preview: streams with the key and without it on one connection.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use byway_tests::{Agent, Libraries, Pod, Running, eventually};
use tokio::time::sleep;

use crate::peer::{self, Answer, Client, send_all};
use crate::{KEY, NAME, PORT, SOON, Stage, decided, opaque, run};

const APPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/http2");
/// Who is to answer, what says so, and what the answer says of that.
type Side = (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>);
const SIDES: [Side; 2] = [("APP", &[], None), ("PREVIEW", &[KEY], Some(NAME))];

#[test]
fn node() {
    speaks_http(start_node);
}

fn start_node(pod: &Pod, name: &str) -> Running {
    let mut command = pod.command("node");
    command.arg(Path::new(APPS).join("server.js")).args([name, "::", &PORT.to_string()]);
    Running::spawn("node", &mut command).unwrap()
}

/// Node's server speaks first, and is hushed until the client has spoken. The connection of a client that waits for it goes
/// straight to the app before it is known what it is; where the port is said to speak HTTP/2 it goes through the agent.
#[test]
fn where_connections_go_straight_http2_is_heard_on_the_first_one() {
    let Some(stage) = Stage::new() else { return };
    let mut servers = [start_node(&stage.app, "APP"), start_node(&stage.preview, "PREVIEW")];
    servers.iter_mut().for_each(|server| server.wait_listening(PORT).unwrap());
    let ask = |waits: u64| {
        run(async {
            let socket = peer::socket(&stage);
            sleep(Duration::from_millis(waits)).await;
            let (send, connection) = h2::client::handshake(socket).await.unwrap();
            let client = Client { send, ended: tokio::spawn(connection) };
            client.get("/", &[KEY]).await.unwrap().header("x-byway-preview").map(str::to_owned)
        })
    };
    for (said, waits, first) in
        [(&[][..], 300, None), (&[], 0, Some(NAME)), (&[], 50, Some(NAME)), (&[PORT], 300, Some(NAME))]
    {
        let routes = stage.routes(|it| it).speaking_http2(&stage.app, said);
        // On a machine that is too busy the client may not speak in time: then once more, with an agent that knows nothing.
        let agent = (0..3).find_map(|_| {
            let agent = Agent::builder(&stage.net).args(["--mode", "direct"]).start(&routes).unwrap();
            (ask(waits).as_deref() == first).then_some(agent)
        });
        assert!(agent.is_some(), "{said:?} after {waits} ms: not {first:?}");
        let taken = || ask(0).is_some().then_some(());
        assert!(eventually(SOON, taken).is_some(), "{}", Agent::debug_routes());
        let said = || Agent::debug_routes().contains("through the agent (Http2)").then_some(());
        assert!(eventually(SOON, said).is_some(), "{}", Agent::debug_routes());
    }
}

#[test]
fn hypercorn() {
    speaks_http(|pod, name| {
        let mut command = pod.command("python3");
        command.args(["-m", "hypercorn", "--bind", &format!("[::]:{PORT}"), "app:app"]).env("NAME", name);
        command.env("PYTHONPATH", Libraries::Python.folder().unwrap());
        Running::spawn("hypercorn", command.current_dir(Path::new(APPS).join("python"))).unwrap()
    });
}

fn speaks_http(start: impl Fn(&Pod, &str) -> Running) {
    let Some(stage) = Stage::new() else { return };
    let mut servers = [start(&stage.app, "APP"), start(&stage.preview, "PREVIEW")];
    servers.iter_mut().for_each(|server| server.wait_listening(PORT).unwrap());
    let agent = stage.agent();
    run(async {
        let client = Client::connect(&stage).await;
        for _ in 0..20 {
            for (name, headers, preview) in SIDES {
                let answer = client.get("/", headers).await.unwrap();
                assert_eq!((answer.text().as_str(), answer.header("x-byway-preview")), (name, preview));
            }
        }
        for (name, headers, _) in SIDES {
            let (response, to) = client.begin("GET", "/bytes?3000000", headers, true).await;
            assert_eq!(Answer::read(response).await.unwrap().body.len(), 3_000_000, "{name}");
            drop(to);
            let body: Bytes =
                (0..1_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let (response, mut to) = client.begin("POST", "/echo", headers, false).await;
            let sent = body.clone();
            let upload = tokio::spawn(async move { send_all(&mut to, sent, true).await });
            let answer = Answer::read(response).await.unwrap();
            upload.await.unwrap().unwrap();
            assert!(answer.body == body, "{name}: {} bytes came back", answer.body.len());
        }
        // Many at once, of which some are given up.
        let mut asked = Vec::new();
        for n in 0..90 {
            let (name, headers, _) = SIDES[n % 2];
            let (response, mut to) = client.begin("POST", "/count", headers, false).await;
            if n % 9 == 0 {
                to.send_reset(h2::Reason::CANCEL);
                continue;
            }
            let upload = async move { send_all(&mut to, vec![7; n * 500].into(), true).await };
            asked.push((tokio::spawn(upload), response, format!("{name} {}", n * 500)));
        }
        for (upload, response, expected) in asked {
            upload.await.unwrap().unwrap();
            assert_eq!(Answer::read(response).await.unwrap().text(), expected);
        }
    });
    let url = format!("http://{}/", stage.to());
    let key = format!("{}: {}", KEY.0, KEY.1);
    for (to, header) in [("app", "x: y"), ("preview", &key)] {
        let before = decided(&agent, to);
        let told = stage.run("h2load", &["-n", "1000", "-c", "4", "-m", "20", "-H", header, &url]);
        assert!(told.contains("1000 succeeded, 0 failed, 0 errored, 0 timeout"), "{told}");
        assert_eq!(decided(&agent, to) - before, 1000.0);
    }
    assert_eq!(opaque(&agent, "Http2"), 0.0);
}

const CALL: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

#[test]
fn grpc_java() {
    let Some(stage) = Stage::new() else { return };
    let start = |pod: &Pod, name| {
        let libraries = Libraries::Java.folder().unwrap();
        let path = format!("{0}:{0}/*", libraries.display());
        let mut command = pod.command("java");
        command.args(["-cp", &path, "Server", name, "::", &PORT.to_string()]);
        Running::spawn("java", &mut command).unwrap()
    };
    let mut servers = [start(&stage.app, "APP"), start(&stage.preview, "PREVIEW")];
    servers.iter_mut().for_each(|server| server.wait_listening(PORT).unwrap());
    let agent = stage.agent();
    run(async {
        let client = Client::connect(&stage).await;
        for round in 0..10 {
            for (name, headers, preview) in SIDES {
                let headers = [headers, &CALL].concat();
                // A message at a time, each answered before the next one, and then a long one.
                let (response, mut to) = client.begin("POST", "/a.B/Echo", &headers, false).await;
                let (mut body, mut seen, mut sent) = (None, Vec::new(), Vec::new());
                let mut response = Some(response);
                for n in 0..5 {
                    let text = if n == 4 { "x".repeat(30_000 * round) } else { format!("message {n}") };
                    send_all(&mut to, message(&text), false).await.unwrap();
                    sent.extend(message(&format!("{name} {text}")));
                    if let Some(response) = response.take() {
                        let answer = response.await.unwrap();
                        let by = answer.headers().get("x-byway-preview").map(|it| it.to_str().unwrap());
                        assert_eq!(by, preview);
                        body = Some(answer.into_body());
                    }
                    let body = body.as_mut().unwrap();
                    while seen.len() < sent.len() {
                        let data = body.data().await.unwrap().unwrap();
                        body.flow_control().release_capacity(data.len()).unwrap();
                        seen.extend(data);
                    }
                }
                assert!(seen == sent, "{name}: {} bytes, not {}", seen.len(), sent.len());
                to.send_data(Bytes::new(), true).unwrap();
                let mut body = body.unwrap();
                assert!(body.data().await.is_none());
                assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");

                let (response, mut to) = client.begin("POST", "/a.B/Echo", &headers, false).await;
                to.send_data(message("given up"), false).unwrap();
                to.send_reset(h2::Reason::CANCEL);
                drop(response);

                let (response, mut to) = client.begin("POST", "/a.B/Echo", &headers, false).await;
                to.send_data(message("fail"), true).unwrap();
                let failed = Answer::read(response).await.unwrap();
                let status = failed.trailers.as_ref().unwrap_or(failed.head.headers())["grpc-status"].clone();
                assert_eq!(status, "15", "{name}");
                assert_eq!(failed.header("x-byway-preview"), preview);
            }
        }
    });
    assert_eq!((decided(&agent, "app"), decided(&agent, "preview")), (30.0, 30.0));
    assert_eq!(opaque(&agent, "Http2"), 0.0);
}

/// As gRPC frames it.
fn message(text: &str) -> Bytes {
    [&[0][..], &(text.len() as u32).to_be_bytes(), text.as_bytes()].concat().into()
}
