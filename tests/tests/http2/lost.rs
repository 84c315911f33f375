//! Keyed requests that go to the app since they cannot be decided: the preview is told, with why. And a client that
//! begins a head and says no more is the app's to judge.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use byway_tests::{Agent, eventually};
use serde_json::{Value, json};

use crate::{KEY, NAME, PORT, SOON, Stage, decided};

fn status(agent: &Agent) -> Value {
    serde_json::from_slice(&agent.get("/status").unwrap().body).unwrap()
}

/// What the agent tells of the preview.
fn lost(agent: &Agent) -> BTreeMap<String, u64> {
    let told = status(agent)["requests"].as_array().cloned().unwrap_or_default();
    let told = told.iter().find(|it| it["preview"] == NAME).map(|it| it["lost"].clone());
    told.and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default()
}

/// Waits for the first loss of a kind: mere numbers are told later.
fn is_lost(agent: &Agent, code: &str) {
    let told = eventually(SOON, || lost(agent).contains_key(code).then_some(()));
    assert!(told.is_some(), "{code}: {:?}", lost(agent));
    assert_eq!(lost(agent).len(), 1);
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let head = [&(payload.len() as u32).to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A literal that is put into no table; its value is below 128 KiB.
fn field(name: &str, value: &str) -> Vec<u8> {
    let len = |text: &str| match text.len() {
        len @ ..127 => vec![len as u8],
        len => {
            let rest = len - 127;
            vec![127, rest as u8 | 128, (rest >> 7) as u8 | 128, (rest >> 14) as u8]
        }
    };
    [vec![0], len(name), name.as_bytes().to_vec(), len(value), value.as_bytes().to_vec()].concat()
}

/// GET, http and / of the static table.
const GET: &[u8] = &[0x82, 0x86, 0x84];
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const END_BOTH: u8 = 5;

/// An end that sends what it is told.
struct Raw {
    stream: TcpStream,
    got: Vec<u8>,
}

impl Raw {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(SOON)).unwrap();
        Self { stream, got: Vec::new() }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Reads until `wanted` has come.
    fn wait(&mut self, wanted: &[u8]) {
        let mut buffer = [0; 1 << 16];
        while !self.got.windows(wanted.len()).any(|part| part == wanted) {
            match self.stream.read(&mut buffer).unwrap() {
                0 => panic!("it ended after {}", self.got.escape_ascii()),
                n => self.got.extend_from_slice(&buffer[..n]),
            }
        }
    }
}

/// A client, and the app's end of its connection, after they have greeted each other.
fn ends(stage: &Stage, listener: &TcpListener) -> (Raw, Raw) {
    let mut client = Raw::new(stage.client.connect(stage.to()).unwrap());
    client.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &SETTINGS[..]].concat());
    let mut app = Raw::new(listener.accept().unwrap().0);
    app.wait(&SETTINGS);
    app.send(SETTINGS);
    client.wait(&SETTINGS);
    (client, app)
}

/// The whole answer on a stream.
fn answer(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_BOTH, stream, &[0x88])
}

/// A head that begins with these fields, in frames of the longest that are usual.
fn long_head(stream: u32, block: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = block.chunks(16_384).collect();
    let frames = parts.iter().enumerate().flat_map(|(i, part)| {
        let kind = if i == 0 { HEADERS } else { CONTINUATION };
        let ends = (if i == 0 { 1 } else { 0 }) | (if i + 1 == parts.len() { END_HEADERS } else { 0 });
        frame(kind, ends, stream, part)
    });
    frames.collect()
}

/// It goes on as it came, and so does all that follows: that is told of the target.
#[test]
fn behind_a_head_that_is_too_long_to_decode_no_key_is_read() {
    let Some(stage) = Stage::new() else { return };
    let listener = stage.app.run(|| TcpListener::bind(("::", PORT))).unwrap();
    let agent = stage.proxying();
    let (mut client, mut app) = ends(&stage, &listener);
    let padding: Vec<u8> = (0..6).flat_map(|n| field(&format!("x-{n}"), &"a".repeat(100_000))).collect();
    let keyed = [GET, &field(KEY.0, KEY.1)].concat();
    for (stream, block) in [(1, [GET, &padding].concat()), (3, keyed)] {
        let frames = long_head(stream, &block);
        client.send(&frames);
        app.wait(&frames);
        app.send(answer(stream));
        client.wait(&answer(stream));
    }
    let told = eventually(SOON, || {
        let passed_on = &status(&agent)["targets"][0]["passedOn"];
        (*passed_on == json!({ "BlockTooLong": 1 })).then_some(())
    });
    assert!(told.is_some(), "{}", status(&agent));
}

#[test]
fn a_keyed_head_that_is_too_long_is_told_with_its_reason() {
    let Some(stage) = Stage::new() else { return };
    let listener = stage.app.run(|| TcpListener::bind(("::", PORT))).unwrap();
    let _preview = stage.go(&stage.preview, "PREVIEW");
    let agent = stage.proxying();
    let (mut client, mut app) = ends(&stage, &listener);
    let padding: Vec<u8> = (0..3).flat_map(|n| field(&format!("x-{n}"), &"a".repeat(100_000))).collect();
    for (n, key) in ["pr-2", KEY.1].into_iter().enumerate() {
        assert!(lost(&agent).is_empty(), "nobody's loss");
        let stream = 2 * n as u32 + 1;
        let block = [GET, &field(KEY.0, key), &padding].concat();
        let frames = long_head(stream, &block);
        client.send(&frames);
        app.wait(&frames); // byte for byte
        app.send(answer(stream));
        client.wait(&answer(stream));
    }
    is_lost(&agent, "HeadTooLong");
    // The next one is decided as ever.
    client.send(frame(HEADERS, END_BOTH, 5, &[GET, &field(KEY.0, KEY.1)].concat()));
    client.wait(b"x-byway-preview");
    assert_eq!(decided(&agent, "preview"), 1.0);
}

#[test]
fn a_head_that_is_slow_reaches_the_app_as_far_as_it_has_come() {
    let Some(stage) = Stage::new() else { return };
    let listener = stage.app.run(|| TcpListener::bind(("::", PORT))).unwrap();
    let _preview = stage.go(&stage.preview, "PREVIEW");
    let agent = stage.proxying();
    let keyed = [GET, &field(KEY.0, KEY.1)].concat();
    thread::scope(|scope| {
        // Cut between two frames, and in the middle of one.
        for cut in [10, 5] {
            let (mut client, mut app) = ends(&stage, &listener);
            let keyed = &keyed;
            scope.spawn(move || {
                let frames =
                    [frame(HEADERS, 1, 1, &keyed[..10]), frame(CONTINUATION, END_HEADERS, 1, &keyed[10..])]
                        .concat();
                let (now, then) = frames.split_at(9 + cut);
                let begun = Instant::now();
                client.send(now);
                app.wait(now);
                let waited = begun.elapsed();
                assert!(waited > Duration::from_secs(4) && waited < Duration::from_secs(9), "{waited:?}");
                client.send(then);
                app.wait(then);
                app.send(answer(1));
                client.wait(&answer(1));
                // The next one is decided as ever.
                client.send(frame(HEADERS, END_BOTH, 3, keyed));
                client.wait(b"x-byway-preview");
            });
        }
    });
    is_lost(&agent, "SlowHead");
    assert_eq!(decided(&agent, "preview"), 2.0);
}
