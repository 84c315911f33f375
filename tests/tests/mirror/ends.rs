//! Connections that end: with all that was said, in the middle of it, or by the app.

use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::thread;
use std::time::Duration;

use byway_tests::{Http, Stage};
use socket2::SockRef;

use crate::recorder::Recorder;
use crate::{NAME, address, any_method, copying_all, settled, shown, stage};

#[test]
fn a_long_packet_that_ends_its_connection_is_shown_whole() {
    const COUNT: usize = 5;
    let Some(stage) = stage() else { return };
    let preview = Recorder::start(&stage.preview, "200 OK");
    let listener = stage.app.run(|| TcpListener::bind(("::", Stage::PORT))).unwrap();
    let agent = copying_all(&stage, &shown(&stage, any_method));
    let body = vec![b'x'; 200_000];
    let head = format!("POST /end HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
    // Nobody reads yet, so the rest waits at the client, together with the end.
    let clients = [(); COUNT].map(|()| {
        let mut client = stage.client.connect(address(&stage)).unwrap();
        SockRef::from(&client).set_send_buffer_size(1 << 20).unwrap();
        client.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        client
    });
    let app = Recorder::on(listener, "200 OK");
    preview.wait(COUNT);
    assert!(app.requests(None) == preview.requests(Some(NAME)), "the copies are others");
    assert_eq!(settled(&agent, COUNT as u64)[..2], [COUNT as u64, 0]);
    drop(clients);
}

#[test]
fn what_is_cut_off_or_too_long_is_never_half() {
    let Some(stage) = stage() else { return };
    let (_app, preview) = (Recorder::start(&stage.app, "200 OK"), Recorder::start(&stage.preview, "200 OK"));
    let agent = copying_all(&stage, &shown(&stage, any_method));
    let mut cut = stage.client.connect(address(&stage)).unwrap();
    cut.write_all(b"POST /cut HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
    thread::sleep(Duration::from_millis(100));
    drop(cut);
    let mut http = Http::new(stage.client.connect(address(&stage)).unwrap());
    http.request("POST", "/long", &[], &vec![b'x'; 40 << 20]).unwrap();
    http.get("/whole", &[]).unwrap();
    preview.wait(1);
    assert_eq!(preview.count(), 1);
    assert!(preview.requests(Some(NAME))[0].starts_with(b"GET /whole "));
    assert_eq!(settled(&agent, 3)[..2], [1, 2]);
}

#[test]
fn what_the_app_has_cut_off_is_counted_soon() {
    let Some(stage) = stage() else { return };
    let app = stage.app.run(|| TcpListener::bind(("::", Stage::PORT))).unwrap();
    let _preview = Recorder::start(&stage.preview, "200 OK");
    let agent = copying_all(&stage, &shown(&stage, any_method));
    let mut client = stage.client.connect(address(&stage)).unwrap();
    client.write_all(b"POST /cut HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
    let (served, _) = app.accept().unwrap();
    thread::sleep(Duration::from_millis(200));
    // What is not read makes it a reset, to which the client says nothing.
    drop(served);
    assert_eq!(settled(&agent, 1)[..2], [0, 1]);
    drop(client);
}
