//! A port whose app does not listen refuses, as without an agent; one whose app listens is steered.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener};
use std::time::{Duration, Instant};

use byway_tests::{Agent, App, Http, Running, Stage, eventually, needs_root};

const SOON: Duration = Duration::from_secs(5);
const KEYED: [(&str, &str); 1] = [("x-byway-key", Stage::KEY)];

#[test]
fn refuses_before_the_app_starts_after_it_was_killed_and_never_once_it_is_back() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _agent = stage.start_agent().unwrap();
    refuses(&stage);
    for _ in 0..5 {
        let serve = "import sys,http.server as h; s=h.ThreadingHTTPServer; s.request_queue_size=64; \
            s.address_family=10; s(('::',8080),type('H',(h.BaseHTTPRequestHandler,),{'do_GET':lambda r:\
            (r.send_response(200),r.send_header('content-length','6'),r.end_headers(),r.wfile.write(b'STABLE')),\
            'protocol_version':'HTTP/1.1','log_message':lambda *a:0})).serve_forever()";
        let mut app = Running::spawn("app", stage.app.command("python3").args(["-c", serve])).unwrap();
        app.wait_listening(Stage::PORT).unwrap();
        // The very first connection is steered.
        for to in stage.addresses() {
            let answer = stage.ask(to, Some(Stage::KEY)).unwrap().text();
            assert!(answer.starts_with("PREVIEW"), "{to}: {answer}");
            assert_eq!(stage.ask(to, None).unwrap().text(), "STABLE");
        }
        app.kill(); // SIGKILL
        refuses(&stage);
    }
}

fn refuses(stage: &Stage) {
    for to in stage.addresses() {
        // A test beside this one may start a process: until its exec it holds all sockets of this one.
        let refused = eventually(Duration::from_secs(1), || {
            let begun = Instant::now();
            let error = stage.client.connect(to).err()?;
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{to}");
            assert!(begun.elapsed() < Duration::from_secs(1), "{to}: {:?}", begun.elapsed());
            Some(())
        });
        assert!(refused.is_some(), "{to}: nobody listens");
    }
}

#[test]
fn an_app_older_than_the_agent_on_a_port_that_the_kernel_chose() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let before = App::start(&stage.app, "STABLE", "[::]:0").unwrap();
    let old = before.port();
    let _preview_too = App::start(&stage.preview, "PREVIEW", &format!("[::]:{old}")).unwrap();
    let routes = stage.previews().target(&stage.app, &[old], &["demo/redesign"]);
    let _agent = Agent::start(&stage.net, &routes).unwrap();
    let to = SocketAddr::new(stage.app.ipv4.into(), old);
    assert!(stage.ask(to, Some(Stage::KEY)).unwrap().text().starts_with("PREVIEW"));
    // The port of a socket that was bound to 0 must be counted down when it closes.
    drop(before);
    let error = stage.client.connect(to).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let _again = App::start(&stage.app, "STABLE", &format!("0.0.0.0:{old}")).unwrap();
    assert!(stage.ask(to, Some(Stage::KEY)).unwrap().text().starts_with("PREVIEW"));
}

#[test]
fn a_port_counts_as_listening_until_its_last_listener_closes() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _agent = stage.start_agent().unwrap();
    for round in 0..20 {
        // All at once, on both processors: no count may be lost.
        let mut all: Vec<TcpListener> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| stage.app.run(|| (0..4).map(|_| reuseport()).collect::<Vec<_>>())))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        while all.len() > 1 {
            all.pop();
            if all.len() % 5 == 1 {
                // A listener that closes resets what waits in it, and a test beside this one that starts a process
                // keeps it open until its exec: the connection may be one of those.
                let answer = eventually(SOON, || {
                    let mut http = Http::new(stage.client.connect(stage.addresses()[0]).ok()?);
                    Some(http.get("/", &KEYED).ok()?.text())
                })
                .expect("an answer");
                assert!(answer.starts_with("PREVIEW"), "round {round}, {} listeners", all.len());
            }
        }
        drop(all);
        refuses(&stage);
    }
}

fn reuseport() -> TcpListener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&SocketAddr::from(([0, 0, 0, 0], Stage::PORT)).into()).unwrap();
    socket.listen(64).unwrap();
    socket.into()
}

#[test]
fn one_address_may_listen_while_another_does_not() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _agent = stage.start_agent().unwrap();
    let [v4, v6] = stage.addresses();
    let only_v6 = App::start(&stage.app, "STABLE", &v6.to_string()).unwrap();
    assert!(stage.ask(v6, Some(Stage::KEY)).unwrap().text().starts_with("PREVIEW"));
    assert_eq!(stage.client.connect(v4).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    drop(only_v6);
    let _only_v4 = App::start(&stage.app, "STABLE", &v4.to_string()).unwrap();
    assert!(stage.ask(v4, Some(Stage::KEY)).unwrap().text().starts_with("PREVIEW"));
    assert_eq!(stage.client.connect(v6).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn ports_can_be_added_and_taken_away() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let (_a, _b) = (stage.start_app().unwrap(), App::start(&stage.app, "SECOND", "[::]:8081").unwrap());
    let _preview = App::start(&stage.preview, "PREVIEW", "[::]:8081").unwrap();
    let agent = stage.start_agent().unwrap();
    let second = SocketAddr::new(stage.app.ipv6.into(), 8081);
    let keyed = || stage.ask(second, Some(Stage::KEY)).unwrap().text();
    assert!(keyed().starts_with("SECOND"));
    let both = stage.previews().target(&stage.app, &[8080, 8081], &["demo/redesign"]);
    agent.write_routes(&both).unwrap();
    assert!(eventually(SOON, || keyed().starts_with("PREVIEW").then_some(())).is_some());
    agent.write_routes(&stage.routes()).unwrap();
    assert!(eventually(SOON, || keyed().starts_with("SECOND").then_some(())).is_some());
    stage.wait_answered_by("PREVIEW").unwrap();
    // Ports that cannot be are refused, and what was steered stays.
    let wrong = stage.previews().target(&stage.app, &[0], &["demo/redesign"]);
    agent.write_routes(&wrong).unwrap();
    let refused = || agent.get("/status").ok()?.text().contains("BadPorts").then_some(());
    assert!(eventually(SOON, refused).is_some(), "{}", agent.log());
    stage.wait_answered_by("PREVIEW").unwrap();
}

/// By a link-local address, which is reached from its own interface only.
#[test]
fn ipv6_link_local_is_steered() {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let _agent = stage.start_agent().unwrap();
    // "fe80... 02 40 20 80 eth0": address, interface, prefix, scope, flags, name; proc_pid_net(5), if_inet6.
    let table = stage.app.run(|| std::fs::read_to_string("/proc/thread-self/net/if_inet6")).unwrap();
    let line = table.lines().find(|line| line.starts_with("fe80") && line.ends_with("eth0")).unwrap();
    let ip = Ipv6Addr::from(u128::from_str_radix(&line[..32], 16).unwrap());
    let table = stage.client.run(|| std::fs::read_to_string("/proc/thread-self/net/if_inet6")).unwrap();
    let line = table.lines().find(|line| line.ends_with("eth0")).unwrap();
    let scope = u32::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
    let to = SocketAddrV6::new(ip, Stage::PORT, 0, scope);
    // The address may still be checked for duplicates.
    let stream =
        eventually(SOON, || stage.client.connect(to).ok()).expect("a connection to a link-local address");
    let here = stream.local_addr().unwrap();
    let mut http = Http::new(stream);
    let answer = http.get("/", &[]).unwrap().text();
    assert!(answer.starts_with(&format!("STABLE [{}", here.ip())), "{answer}");
    assert!(http.get("/", &KEYED).unwrap().text().starts_with("PREVIEW"));
}
