//! Real servers under the load of real clients, with all that they get copied.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use byway_tests::{App, Peers, Pod, Running, Server, Stage, eventually};

use crate::{copies, copying_all, settled, shown, stage};

/// How many requests a client says that it has made.
fn asked(said: &str) -> u64 {
    let line = |word: &str| said.lines().find(|line| line.contains(word)).map(str::to_owned);
    if let Some(line) = line("requests in") {
        return line.split_whitespace().next().unwrap().parse().unwrap();
    }
    // h2load: `requests: 1000 total, 1000 started, 1000 done, 1000 succeeded, ...`
    let line = line("requests: ").unwrap_or_else(|| panic!("{said}"));
    line.split(", ").find_map(|part| part.strip_suffix(" succeeded")).unwrap().trim().parse().unwrap()
}

fn run(pod: &Pod, program: &str, args: &[&str]) -> String {
    let output = pod.command(program).args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn under_wrk_what_was_sent_and_dropped_is_what_was_asked() {
    for server in [Server::Nginx, Server::Go, Server::Node] {
        let Some(stage) = stage() else { return };
        let address = "[::]:8080".parse().unwrap();
        let mut app = server.start(&stage.app, "STABLE", address, &[]).unwrap();
        app.wait_listening(Stage::PORT).unwrap();
        let _preview = App::start(&stage.preview, "PREVIEW", "[::]:8080").unwrap();
        let agent = copying_all(&stage, &shown(&stage, |_| {}));
        let url = format!("http://{}/", stage.addresses()[0]);
        let mut all = 0;
        for args in [&["-c8", "-t2", "-d2s"][..], &["-c8", "-t2", "-d1s", "-H", "connection: close"]] {
            let said = run(&stage.client, "wrk", &[args, &[&url]].concat());
            assert!(!said.contains("Non-2xx"), "{said}");
            all += asked(&said);
        }
        // Those that were on their way when wrk ended it does not count: one of each connection at most, twice.
        let [sent, dropped, _] = settled(&agent, all);
        let most = all + 16;
        assert!((all..=most).contains(&(sent + dropped)), "{server:?}: {sent} + {dropped} of {all}");
        eprintln!("{server:?}: {sent} sent, {dropped} dropped of {all}");
        assert!(sent > 500, "{server:?}: {sent} of {all}");
    }
}

/// A server of HTTP/2 that answers all with this status.
fn answering(pod: &Pod, status: u16) {
    let listener = pod.run(|| TcpListener::bind(("::", Stage::PORT))).unwrap();
    listener.set_nonblocking(true).unwrap();
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let answer = http::Response::builder().status(status).body(()).unwrap();
                    respond.send_response(answer, true).unwrap();
                }
            });
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    thread::spawn(move || runtime.block_on(serve));
}

#[test]
fn statuses_of_http2_are_compared() {
    let Some(stage) = stage() else { return };
    let program = Peers::Http2.program("http2-server").unwrap();
    let mut app =
        Running::spawn("STABLE", stage.app.command(&program).args(["STABLE", "[::]:8080"])).unwrap();
    app.wait_listening(Stage::PORT).unwrap();
    answering(&stage.preview, 404);
    let agent = copying_all(&stage, &shown(&stage, |_| {}));
    let url = format!("http://{}/", stage.addresses()[0]);
    let ask = |path: &str| {
        run(&stage.client, "curl", &["-sS", "--http2-prior-knowledge", &format!("{url}{path}")]);
    };
    // That HTTP/2 is spoken there is learned from the first connection.
    ask("");
    settled(&agent, 1);
    for path in ["", "bytes?300000", "hints"] {
        ask(path);
    }
    assert_eq!(settled(&agent, 4)[..2], [4, 0]);
    assert!(eventually(Duration::from_secs(5), || (copies(&agent)[2] >= 3).then_some(())).is_some());
}

#[test]
fn requests_on_a_connection_of_http2_that_was_open_are_counted() {
    let Some(stage) = stage() else { return };
    answering(&stage.app, 200);
    answering(&stage.preview, 200);
    let stream = stage.client.connect(stage.addresses()[0]).unwrap();
    stream.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async { tokio::net::TcpStream::from_std(stream) }).unwrap();
    let (client, connection) = runtime.block_on(h2::client::handshake(stream)).unwrap();
    let connection = runtime.spawn(connection);
    let ask = |count: usize| {
        runtime.block_on(async {
            for n in 0..count {
                let request = http::Request::get(format!("http://app/{n}")).header("x-name", "value");
                let mut client = client.clone().ready().await.unwrap();
                let (answer, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
                assert_eq!(answer.await.unwrap().status(), 200);
            }
        });
    };
    ask(3);
    let agent = copying_all(&stage, &shown(&stage, |_| {}));
    ask(5);
    assert_eq!(settled(&agent, 5)[..2], [0, 5]);
    connection.abort();
}

#[test]
fn http2_and_grpc_are_copied_stream_by_stream() {
    let Some(stage) = stage() else { return };
    let program = Peers::Http2.program("http2-server").unwrap();
    let start = |pod: &Pod, name: &str| {
        let mut server = Running::spawn(name, pod.command(&program).args([name, "[::]:8080"])).unwrap();
        server.wait_listening(Stage::PORT).unwrap();
        server
    };
    let (_app, _preview) = (start(&stage.app, "STABLE"), start(&stage.preview, "PREVIEW"));
    let agent = copying_all(&stage, &shown(&stage, crate::any_method));
    let url = format!("http://{}/", stage.addresses()[0]);
    let said = run(&stage.client, "h2load", &["-n", "2000", "-c", "4", "-m", "10", &url]);
    assert_eq!(asked(&said), 2000);
    let [sent, dropped, _] = settled(&agent, 2000);
    assert_eq!(sent + dropped, 2000);
    assert!(sent > 1000, "{sent}");
    // Bodies and what is asked of them: the preview counts the bytes that came.
    let body = stage.net.node().run(|| std::env::temp_dir().join("byway-mirror-body"));
    std::fs::write(&body, vec![b'x'; 200_000]).unwrap();
    let data = format!("@{}", body.display());
    let curl = ["-sS", "--http2-prior-knowledge", "--data-binary", &data, &format!("{url}count")];
    // The preview had too much to do just now, so that less is shown for a moment.
    let mut asked = 2000;
    let is_sent = eventually(Duration::from_secs(30), || {
        let before = copies(&agent)[0];
        assert_eq!(run(&stage.client, "curl", &curl), "STABLE 200000");
        asked += 1;
        (settled(&agent, asked)[0] > before).then_some(())
    });
    assert!(is_sent.is_some(), "{asked}");
    std::fs::remove_file(body).unwrap();
}
