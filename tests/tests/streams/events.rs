//! Server-sent events: each arrives before the next one is sent, and a client that leaves is noticed.

use byway_tests::End;

use crate::{SIDES, SOON, Stage};

const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n";

#[test]
fn chunked_events_arrive_one_by_one() {
    let Some(stage) = Stage::new() else { return };
    let servers = stage.listen();
    let _agent = stage.agent();
    let mut line = servers.line(&stage);
    for side in [SIDES, SIDES].concat() {
        line.ask(&servers, side, &side.head("GET", "accept: text/event-stream\r\n"));
        line.say_head(side, &format!("{EVENTS}transfer-encoding: chunked\r\n\r\n"));
        for n in 0..50 {
            let event = format!("id: {n}\ndata: tick {n}\n\n");
            line.say(side, &format!("{:x}\r\n{event}\r\n", event.len()));
        }
        // An event in pieces, none of which is whole, not even as a chunk.
        for piece in [
            "1",
            "2",
            "\r",
            "\n",
            "data: ",
            "slowly",
            "\n\n",
            "more",
            "\r",
            "\n",
            "a;note=",
            "1\r\n",
            ": anybody?\r\n",
        ] {
            line.say(side, piece);
        }
        // Then it ends, and the connection goes on.
        line.say(side, "0\r\n\r\n");
        line.exchange(&servers, side.other());
    }
}

#[test]
fn events_that_end_with_their_connection_arrive_one_by_one() {
    let Some(stage) = Stage::new() else { return };
    let servers = stage.listen();
    let _agent = stage.agent();
    for side in SIDES {
        let mut line = servers.line(&stage);
        line.exchange(&servers, side.other());
        line.ask(&servers, side, &side.head("GET", ""));
        line.say_head(side, &format!("{EVENTS}connection: close\r\n\r\n"));
        for n in 0..50 {
            line.say(side, &format!("data: {n}\n\n"));
        }
        line.server(side).send("data: last\n\n").unwrap();
        line.server(side).finish().unwrap();
        let received = line.client.receive(SOON);
        assert_eq!(
            (received.bytes.as_slice(), received.end),
            (b"data: last\n\n".as_slice(), End::Fin),
            "{side:?}"
        );
    }
}

#[test]
fn a_client_that_leaves_is_noticed_by_the_server() {
    let Some(stage) = Stage::new() else { return };
    let servers = stage.listen();
    let _agent = stage.agent();
    for side in SIDES {
        for resets in [false, true] {
            let mut line = servers.line(&stage);
            line.ask(&servers, side, &side.head("GET", ""));
            line.say_head(side, &format!("{EVENTS}transfer-encoding: chunked\r\n\r\n"));
            line.say(side, "3\r\n:\n\n\r\n");
            let crate::Line { client, mut app, preview } = line;
            if resets {
                client.reset().unwrap();
            } else {
                drop(client);
            }
            if let Some(mut preview) = preview {
                assert_ne!(preview.receive(SOON).end, End::Timeout, "{side:?}, {resets}");
                // Nobody is there for what comes now.
                let _ = preview.send("3\r\n:\n\n\r\n");
            } else {
                assert_ne!(app.receive(SOON).end, End::Timeout, "{side:?}, {resets}");
                let _ = app.send("3\r\n:\n\n\r\n");
            }
            assert_ne!(app.receive(SOON).end, End::Timeout, "the app's connection, {side:?}, {resets}");
        }
    }
}

/// As `nc` does, and clients that say all they have to say.
#[test]
fn a_client_that_half_closes_still_gets_every_event() {
    let Some(stage) = Stage::new() else { return };
    let servers = stage.listen();
    let _agent = stage.agent();
    for side in SIDES {
        let mut line = servers.line(&stage);
        line.ask(&servers, side, &side.head("GET", ""));
        line.say_head(side, &format!("{EVENTS}transfer-encoding: chunked\r\n\r\n"));
        line.client.finish().unwrap();
        assert_eq!(line.server(side).receive(SOON).end, End::Fin, "{side:?}");
        for _ in 0..50 {
            line.say(side, "6\r\n: ok\n\n\r\n");
        }
        line.say(side, "0\r\n\r\n");
    }
}
