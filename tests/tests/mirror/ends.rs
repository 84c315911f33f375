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
    /// With it the packet waits for more (send(2)), and is sent with the end.
    const MSG_MORE: i32 = 0x8000;
    let Some(stage) = stage() else { return };
    // One packet may be longer than a copy.
    let jumbo =
        "for link in $(ip -br link show type veth | cut -d@ -f1); do ip link set $link mtu 9000; done";
    for netns in [stage.net.node(), stage.app.as_netns(), stage.client.as_netns()] {
        assert!(netns.command("sh").args(["-c", jumbo]).status().unwrap().success());
    }
    let (app, preview) = (Recorder::start(&stage.app, "200 OK"), Recorder::start(&stage.preview, "200 OK"));
    let agent = copying_all(&stage, &shown(&stage, any_method));
    let client = stage.client.connect(address(&stage)).unwrap();
    let head = "POST /end HTTP/1.1\r\nhost: a\r\ncontent-length: 8000\r\n\r\n";
    let request = [head.as_bytes(), &[b'x'; 8000]].concat();
    assert_eq!(SockRef::from(&client).send_with_flags(&request, MSG_MORE).unwrap(), request.len());
    client.shutdown(Shutdown::Write).unwrap();
    preview.wait(1);
    assert!(app.requests(None) == preview.requests(Some(NAME)), "the copy is another");
    assert_eq!(settled(&agent, 1), [1, 0, 0]);
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
