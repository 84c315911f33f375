//! Real servers under the load of real clients, with all that they get copied.

use byway_tests::{Agent, App, Peers, Pod, Running, Server, Stage};

use crate::{copies, settled, shown, stage};

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
        let agent = Agent::start(&stage.net, &shown(&stage, |_| {})).unwrap();
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
    let agent = Agent::start(&stage.net, &shown(&stage, crate::any_method)).unwrap();
    let url = format!("http://{}/", stage.addresses()[0]);
    let said = run(&stage.client, "h2load", &["-n", "2000", "-c", "4", "-m", "10", &url]);
    assert_eq!(asked(&said), 2000);
    let [sent, dropped, _] = settled(&agent, 2000);
    assert_eq!(sent + dropped, 2000);
    assert!(sent > 1000, "{sent}");
    // Bodies and what is asked of them: the preview counts the bytes that came.
    let body = stage.net.node().run(|| std::env::temp_dir().join("byway-mirror-body"));
    std::fs::write(&body, vec![b'x'; 200_000]).unwrap();
    let before = copies(&agent);
    let data = format!("@{}", body.display());
    let curl = ["-sS", "--http2-prior-knowledge", "--data-binary", &data, &format!("{url}count")];
    assert_eq!(run(&stage.client, "curl", &curl), "STABLE 200000");
    assert_eq!(settled(&agent, 2001)[0], before[0] + 1);
    std::fs::remove_file(body).unwrap();
}
