//! Connections that begin with HTTP/1 and an offer to go on in HTTP/2 (`Upgrade: h2c`; RFC 7540, 3.2).

use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use byway_tests::{Raw, Running};

use crate::{KEY, NAME, PORT, SOON, Stage, opaque};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const ACK: &[u8] = &[0, 0, 0, 4, 1, 0, 0, 0, 0];
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
/// The answer of a server that has taken another offer.
const SWITCH_TO_OTHER: &[u8] =
    b"HTTP/1.1 101 switching protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
/// `:status: 200`, and the end of the stream.
const OK_1: &[u8] = &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88];

fn offer(method: &str, more: &str) -> Vec<u8> {
    let head = "HTTP/1.1\r\nhost: app\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n\
                http2-settings: AAMAAABkAAQAAP__\r\n";
    format!("{method} / {head}{more}\r\n").into_bytes()
}

/// A request as a frame. Its fields are literals.
fn ask(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x84]; // GET, http, /
    for (name, value) in [(":authority", "app")].iter().chain(more) {
        block.extend([0, name.len() as u8]);
        block.extend(name.as_bytes());
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    }
    let len = (block.len() as u32).to_be_bytes();
    [&len[1..], &[1, 5], &stream.to_be_bytes(), &block].concat()
}

/// Both take offers.
fn gos(stage: &Stage) -> [Running; 2] {
    [stage.go_with(&stage.app, "APP", &["upgrade"]), stage.go_with(&stage.preview, "PREVIEW", &["upgrade"])]
}

#[test]
fn curl_gets_the_version_of_its_key_before_and_after() {
    let Some(stage) = Stage::new() else { return };
    let agent = stage.agent();
    let url = format!("http://{}/", stage.to());
    let key = format!("{}: {}", KEY.0, KEY.1);
    let written = "\n%{http_version} %{num_connects}\n";
    let plain = ["-sS", "--http2", "-w", written, &url];
    let keyed = ["-sS", "--http2", "-w", written, "-H", &key, &url];
    let ask = |requests: &[&[&str]]| {
        let all = requests.join(&"--next");
        stage.run("curl", &all).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let _servers = gos(&stage);
    let told = ask(&[&plain, &keyed, &plain, &keyed]);
    let names: Vec<&str> = told.iter().step_by(2).map(|line| line.get(..3).unwrap_or(line)).collect();
    assert_eq!(names, ["APP", "PRE", "APP", "PRE"], "{told:?}");
    // One connection, and HTTP/2 from the first answer on.
    assert_eq!([&*told[1], &*told[3], &*told[5], &*told[7]], ["2 1", "2 0", "2 0", "2 0"], "{told:?}");
    // A keyed request goes on without the offer, and the next one makes it again.
    let told = ask(&[&keyed, &plain, &keyed]);
    let names: Vec<&str> = told.iter().step_by(2).map(|line| line.get(..3).unwrap_or(line)).collect();
    assert_eq!(names, ["PRE", "APP", "PRE"], "{told:?}");
    assert_eq!([&*told[1], &*told[3], &*told[5]], ["1.1 1", "2 0", "2 0"], "{told:?}");
    assert_eq!(opaque(&agent, "Http2"), 0.0);
}

#[test]
fn java_whose_client_offers_by_itself() {
    let Some(stage) = Stage::new() else { return };
    let _servers = gos(&stage);
    let _agent = stage.agent();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/http2/Upgrade.java");
    let url = format!("http://{}", stage.to());
    for (first, version, says) in [
        ("GET", "HTTP_2", "APP "),
        ("POST", "HTTP_2", "sent back"),
        ("HEAD", "HTTP_2", "\n"),
        ("keyedGET", "HTTP_1_1", "PREVIEW "),
        ("keyedPOST", "HTTP_1_1", "sent back"),
        ("keyedHEAD", "HTTP_1_1", "\n"),
    ] {
        let told = stage.run("java", &["-XX:TieredStopAtLevel=1", source, &url, KEY.1, first]);
        let told_first = told.strip_prefix(&format!("first {version} 200 "));
        assert!(told_first.is_some_and(|rest| rest.starts_with(says)), "{first}: {told}");
        assert!(
            told.contains("\nwrong 0 [HTTP_2]") || version == "HTTP_1_1" && told.contains("\nwrong 0 ["),
            "{first}: {told}"
        );
    }
}

/// What each side got, of a client and a server that say this in turn.
struct Heard {
    by_server: Vec<u8>,
    by_client: Vec<u8>,
}

/// Who speaks next, and what.
enum Turn {
    Client(Vec<u8>),
    Server(Vec<u8>),
    ClientEnds,
}

/// Plays it to the app, on a connection of its own.
fn play(stage: &Stage, listener: &TcpListener, turns: &[Turn]) -> Heard {
    let mut client = Raw::new(stage.client.connect(stage.to()).unwrap()).unwrap();
    let mut server = Raw::new(listener.accept().unwrap().0).unwrap();
    let mut heard = Heard { by_server: Vec::new(), by_client: Vec::new() };
    for turn in turns {
        match turn {
            Turn::Client(bytes) => {
                client.send(bytes).unwrap();
                heard.by_server.extend(server.receive_exact(bytes.len(), SOON).bytes);
            }
            Turn::Server(bytes) => {
                server.send(bytes).unwrap();
                heard.by_client.extend(client.receive_exact(bytes.len(), SOON).bytes);
            }
            Turn::ClientEnds => {
                client.finish().unwrap();
                assert!(server.receive(SOON).bytes.is_empty());
            }
        }
    }
    client.finish().unwrap();
    heard.by_server.extend(server.receive(SOON).bytes);
    drop(server);
    heard.by_client.extend(client.receive(SOON).bytes);
    heard
}

/// Whoever has no key gets and sends what it would without the agent, whatever becomes of the offer.
#[test]
fn unkeyed_it_is_as_without_the_agent() {
    use Turn::{Client, ClientEnds, Server};
    let Some(stage) = Stage::new() else { return };
    let listener = stage.app.run(|| TcpListener::bind(("::", PORT))).unwrap();
    let _agent = stage.proxying();
    let ping = |ack: u8| [&[0, 0, 8, 6, ack, 0, 0, 0, 0][..], b"12345678"].concat();
    let begun = [PREFACE, SETTINGS].concat();
    let answer =
        |text: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).into_bytes();
    let early = |body: &str| offer("POST", &format!("content-length: {}\r\n", body.len()));
    for turns in [
        vec![Client(offer("GET", "")), Server([SWITCH, SETTINGS, OK_1].concat()), Client(begun.clone())],
        vec![
            Client(offer("GET", "")),
            Server(SWITCH.to_vec()),
            Client(begun.clone()),
            Server([SETTINGS, ACK].concat()),
            Client([ACK, &ask(3, &[]), &ping(0)].concat()),
            Server([ping(1), OK_1.to_vec()].concat()),
            ClientEnds,
        ],
        // An answer to HEAD, and one to nobody's offer.
        vec![Client(offer("HEAD", "")), Server([SWITCH, SETTINGS, OK_1].concat()), Client(begun.clone())],
        vec![
            Client(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()),
            Server(SWITCH.to_vec()),
            Client(begun.clone()),
        ],
        // The offer is not taken, in three ways, and the next one is.
        vec![
            Client(offer("GET", "")),
            Server(answer("plain")),
            Client(offer("HEAD", "")),
            Server(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".to_vec()),
            Client(offer("GET", "upgrade: websocket\r\n")),
            Server(SWITCH_TO_OTHER.to_vec()),
            Client(b"\x81\x01a".to_vec()),
        ],
        vec![
            Client(offer("GET", "")),
            Server(answer("plain")),
            Client(offer("GET", "")),
            Server([SWITCH, SETTINGS].concat()),
            Client(begun.clone()),
            Server(OK_1.to_vec()),
        ],
        // It is taken before the body has come.
        vec![
            Client([early("0123456789"), b"01234".to_vec()].concat()),
            Server(SWITCH.to_vec()),
            Client([b"56789", PREFACE].concat()),
            Server([SETTINGS, OK_1].concat()),
            Client([SETTINGS, &ask(3, &[])].concat()),
        ],
        // What follows is no HTTP/2, or ends in the middle of the preface.
        vec![
            Client(offer("GET", "")),
            Server(SWITCH.to_vec()),
            Client(b"PRI * HTTP/1.1\r\n\r\n".to_vec()),
            Server(b"what?".to_vec()),
        ],
        vec![
            Client(offer("GET", "")),
            Server(SWITCH.to_vec()),
            Client(PREFACE[..9].to_vec()),
            ClientEnds,
            Server(b"what?".to_vec()),
        ],
        vec![Client(offer("GET", "")), ClientEnds, Server([SWITCH, SETTINGS, OK_1].concat())],
    ] {
        let heard = play(&stage, &listener, &turns);
        let said = |of_client: bool| {
            let mine = turns.iter().filter_map(|turn| match turn {
                Client(bytes) if of_client => Some(bytes.as_slice()),
                Server(bytes) if !of_client => Some(bytes.as_slice()),
                _ => None,
            });
            mine.collect::<Vec<_>>().concat()
        };
        assert_eq!(heard.by_server.escape_ascii().to_string(), said(true).escape_ascii().to_string());
        assert_eq!(heard.by_client.escape_ascii().to_string(), said(false).escape_ascii().to_string());
    }
}

/// The first frame of a server that has taken an offer has to be its SETTINGS, whoever answers first.
#[test]
fn no_preview_speaks_before_the_app() {
    let Some(stage) = Stage::new() else { return };
    let listener = stage.app.run(|| TcpListener::bind(("::", PORT))).unwrap();
    let _preview = stage.go(&stage.preview, "PREVIEW");
    let _agent = stage.proxying();
    let mut client = Raw::new(stage.client.connect(stage.to()).unwrap()).unwrap();
    let mut app = Raw::new(listener.accept().unwrap().0).unwrap();
    client.send(offer("GET", "")).unwrap();
    app.receive_until(SOON, |bytes| bytes.ends_with(b"\r\n\r\n"));
    app.send(SWITCH).unwrap();
    assert_eq!(client.receive_exact(SWITCH.len(), SOON).bytes, SWITCH);
    client.send([PREFACE, SETTINGS, &ask(3, &[KEY])].concat()).unwrap();
    assert_eq!(app.receive_exact(PREFACE.len() + 9, SOON).bytes, [PREFACE, SETTINGS].concat());
    // Long enough for the preview.
    thread::sleep(Duration::from_millis(500));
    assert!(client.receive(Duration::from_millis(1)).bytes.is_empty());
    app.stream().write_all(SETTINGS).unwrap();
    let said = client.receive_until(SOON, |bytes| bytes.windows(7).any(|it| it == b"PREVIEW")).bytes;
    let answer = said.strip_prefix(SETTINGS).expect("the app's SETTINGS come first");
    assert_eq!((answer[3], answer[8]), (1, 3), "{}", said.escape_ascii());
    assert!(answer.windows(NAME.len()).any(|it| it == NAME.as_bytes()), "{}", said.escape_ascii());
}
