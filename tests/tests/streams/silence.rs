//! Long polls: a side that says nothing for long is waited for, whatever the connection is in the middle of.

use std::thread;
use std::time::Duration;

use byway_tests::End;

use crate::{SIDES, SOON, Stage};

/// Longer than any patience of the agent, its keep-alive probes of previews included.
const SILENCE: Duration = Duration::from_secs(35);
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
const CHUNKED: &str = "transfer-encoding: chunked\r\n";

#[test]
fn nobody_is_cut_for_being_silent() {
    let Some(stage) = Stage::new() else { return };
    let servers = stage.listen();
    let agent = stage.agent();
    // All wait at the same time.
    let mut lines: Vec<_> = SIDES
        .into_iter()
        .map(|side| {
            let [mut poll, mut half_closed, mut body, mut events, mut idle, mut tunnel] =
                std::array::from_fn(|_| servers.line(&stage));
            poll.ask(&servers, side, &side.head("GET", ""));
            half_closed.ask(&servers, side, &side.head("GET", ""));
            half_closed.client.finish().unwrap();
            body.ask(&servers, side, &side.head("POST", CHUNKED));
            body.tell(side, "5\r\nhello\r\n");
            events.ask(&servers, side, &side.head("GET", ""));
            events.say_head(side, &format!("HTTP/1.1 200 OK\r\n{CHUNKED}\r\n"));
            events.say(side, "5\r\nhello\r\n");
            idle.exchange(&servers, side);
            idle.exchange(&servers, side.other());
            tunnel.ask(&servers, side, &side.head("GET", "upgrade: websocket\r\nconnection: upgrade\r\n"));
            let switch =
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
            tunnel.say_head(side, switch);
            (side, poll, half_closed, body, events, idle, tunnel)
        })
        .collect();
    thread::sleep(SILENCE);
    for (side, poll, half_closed, body, events, idle, tunnel) in &mut lines {
        let side = *side;
        for line in [poll, half_closed] {
            line.say_head(side, OK);
            line.say(side, "ok");
        }
        body.tell(side, "5\r\nagain\r\n0\r\n\r\n");
        body.say_head(side, OK);
        body.say(side, "ok");
        body.exchange(&servers, side.other());
        events.say(side, "5\r\nagain\r\n0\r\n\r\n");
        events.exchange(&servers, side);
        idle.exchange(&servers, side);
        idle.exchange(&servers, side.other());
        tunnel.tell(side, "from the client");
        tunnel.say(side, "from the server");
        tunnel.client.finish().unwrap();
        assert_eq!(tunnel.server(side).receive(SOON).end, End::Fin);
    }
    assert_eq!(agent.metric("byway_agent_connections_opaque_total", "").unwrap(), 0.0);
}
