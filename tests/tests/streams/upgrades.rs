//! Upgrades that are refused, and protocols other than WebSocket.

use byway_tests::End;

use crate::{SIDES, SOON, Stage};

#[test]
fn a_request_behind_a_refused_upgrade_goes_where_its_key_says() {
    let Some(stage) = Stage::new() else { return };
    let servers = stage.listen();
    let agent = stage.agent();
    let upgrade = "upgrade: websocket\r\nconnection: keep-alive, Upgrade\r\nsec-websocket-version: 13\r\n";
    let refusals = [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 426 Upgrade Required\r\nconnection: upgrade\r\nupgrade: TLS/1.2\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\ntransfer-encoding: chunked\r\n\r\n",
    ];
    let mut line = servers.line(&stage);
    for side in SIDES {
        for refusal in refusals {
            line.ask(&servers, side, &side.head("GET", upgrade));
            line.say_head(side, refusal);
            line.say(side, if refusal.contains("chunked") { "2\r\nno\r\n0\r\n\r\n" } else { "no" });
            line.exchange(&servers, side.other());
            line.exchange(&servers, side);
        }
    }
    // Refused, it may be asked for again, of either side.
    for side in SIDES {
        line.ask(&servers, side, &side.head("GET", upgrade));
        line.say_head(side, "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
    }
    line.ask(&servers, crate::Side::Preview, &crate::Side::Preview.head("GET", upgrade));
    line.say_head(crate::Side::Preview, "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n");
    line.tell(crate::Side::Preview, &crate::Side::App.head("GET", ""));
    assert_eq!(agent.metric("byway_agent_connections_opaque_total", "").unwrap(), 0.0);
}

#[test]
fn every_protocol_that_is_agreed_on_is_a_tunnel() {
    let Some(stage) = Stage::new() else { return };
    let servers = stage.listen();
    let _agent = stage.agent();
    let binary = "\0\u{1}\r\n\r\nGET / HTTP/1.1\r\nx-byway-key: pr-1\r\n\r\n\u{7f}";
    for side in SIDES {
        for (protocol, method, more) in [
            ("SPDY/3.1", "POST", "content-length: 0\r\n"),
            ("tcp", "POST", ""),
            ("TLS/1.0", "OPTIONS", ""),
            ("websocket, other/1", "GET", "x-more: a\r\n"),
            ("connect-ip", "GET", "capsule-protocol: ?1\r\n"),
            ("PTTH/1.0", "POST", ""),
        ] {
            let mut line = servers.line(&stage);
            line.exchange(&servers, side.other());
            let head =
                side.head(method, &format!("upgrade: {protocol}\r\nconnection: Upgrade, X-More\r\n{more}"));
            line.ask(&servers, side, &head);
            let agreed = protocol.split(',').next().unwrap();
            let switch = format!(
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: {agreed}\r\nconnection: upgrade\r\n\r\n"
            );
            line.say_head(side, &switch);
            for _ in 0..3 {
                line.say(side, binary);
                line.tell(side, binary);
            }
            // Each way ends by itself.
            line.server(side).finish().unwrap();
            assert_eq!(line.client.receive(SOON).end, End::Fin, "{side:?} {protocol}");
            line.tell(side, "last words");
            line.client.finish().unwrap();
            assert_eq!(line.server(side).receive(SOON).end, End::Fin, "{side:?} {protocol}");
        }
    }
}

/// A body before the upgrade belongs to the request.
#[test]
fn an_upgrade_with_a_body_is_followed_to_its_end() {
    let Some(stage) = Stage::new() else { return };
    let servers = stage.listen();
    let _agent = stage.agent();
    for side in SIDES {
        let mut line = servers.line(&stage);
        line.ask(
            &servers,
            side,
            &side.head("POST", "upgrade: x\r\nconnection: upgrade\r\ncontent-length: 5\r\n"),
        );
        line.tell(side, "hello");
        line.say_head(side, "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n");
        line.say(side, "first");
        line.tell(side, "second");
    }
}
