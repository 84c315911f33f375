//! The fixtures themselves: what a test may rely on.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use byway_api::OnUnreachable;

use crate::{End, Http, Net, Netns, Preview, Raw, Routes, Running, eventually, needs_root};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn pods_reach_each_other_by_both_families() {
    if needs_root() {
        return;
    }
    let net = Net::new().unwrap();
    let (app, client) = (net.pod("app").unwrap(), net.pod("client").unwrap());
    let listener = app.run(|| TcpListener::bind("[::]:8080")).unwrap();
    for ip in app.ips() {
        client.connect((ip, 8080)).unwrap();
        let (_, from) = listener.accept().unwrap();
        assert!(client.ips().contains(&from.ip().to_canonical()), "{from}");
        net.node().run(|| std::net::TcpStream::connect((ip, 8080))).unwrap();
        listener.accept().unwrap();
    }
    let refused = client.connect((app.ipv4, 8081)).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_node_full_of_pods_is_made_in_seconds_and_leaves_nothing() {
    if needs_root() {
        return;
    }
    let started = Instant::now();
    let net = Net::new().unwrap();
    let pods = net.pods::<110>(std::array::from_fn(|n| format!("pod-{n}"))).unwrap();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    eprintln!("110 pods in {took:?}");

    let last = pods.last().unwrap();
    let listener = last.run(|| TcpListener::bind("0.0.0.0:80")).unwrap();
    pods[0].connect((last.ipv4, 80)).unwrap();
    drop(listener);

    let paths: Vec<_> = pods.iter().map(|pod| pod.netns().to_owned()).collect();
    drop(pods);
    assert!(paths.iter().all(|path| !path.exists()));
}

#[test]
fn a_command_changes_only_its_network() {
    if needs_root() {
        return;
    }
    let netns = Netns::new("command").unwrap();
    let ns = |which: &str| fs::read_link(format!("/proc/self/ns/{which}")).unwrap();
    let mut readlink = netns.command("readlink");
    let links = readlink.args(["/proc/self/ns/net", "/proc/self/ns/cgroup", "/proc/self/ns/mnt"]);
    let out = String::from_utf8(out_of(links)).unwrap();
    let inode = fs::metadata(netns.path()).unwrap().ino();
    let expected =
        [format!("net:[{inode}]"), ns("cgroup").display().to_string(), ns("mnt").display().to_string()];
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);

    // And other programs find it by its path.
    let path = format!("--net={}", netns.path().display());
    let seen = out_of(Command::new("nsenter").args([path.as_str(), "readlink", "/proc/self/ns/net"]));
    assert_eq!(String::from_utf8(seen).unwrap().trim(), expected[0]);
}

#[test]
fn what_runs_is_ended_with_all_its_children() {
    if needs_root() {
        return;
    }
    let netns = Netns::new("children").unwrap();
    let mut shell = netns.command("sh");
    let running =
        Running::spawn("shell", shell.args(["-c", "sleep 1000 & echo $!; echo late >&2; wait"])).unwrap();
    let child = eventually(SOON, || running.log().lines().next().map(str::to_owned)).unwrap();
    assert!(Path::new("/proc").join(&child).exists());
    eventually(SOON, || running.log().contains("late").then_some(())).unwrap();
    let scratch = running.scratch().to_owned();
    drop(running);
    let state = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
    assert!(!scratch.exists());
}

#[test]
fn a_server_is_waited_for_without_touching_it() {
    if needs_root() {
        return;
    }
    let netns = Netns::new("server").unwrap();
    let script =
        "import socket,time; time.sleep(.2); s=socket.create_server(('127.0.0.1',8080)); time.sleep(99)";
    let mut server = Running::spawn("server", netns.command("python3").args(["-c", script])).unwrap();
    server.wait_listening(8080).unwrap();
    assert!(server.ended().unwrap().is_none());

    let mut failing = Running::spawn("failing", netns.command("sh").args(["-c", "echo no; exit 3"])).unwrap();
    let error = failing.wait_listening(8081).unwrap_err().to_string();
    assert!(error.contains("exit status: 3") && error.ends_with("no\n"), "{error}");
}

#[test]
fn what_a_killed_process_left_is_removed() {
    if needs_root() {
        return;
    }
    // Beyond the largest process id that Linux gives out, so nobody's.
    let path = Path::new("/run/netns/bw-4194305-0-stale");
    fs::create_dir_all("/run/netns").unwrap();
    fs::write(path, "").unwrap();
    out_of(Command::new("unshare").args(["--net", "mount", "--bind", "/proc/self/ns/net"]).arg(path));
    let in_it = format!("--net={}", path.display());
    let mut left = Command::new("nsenter").args([in_it.as_str(), "sleep", "1000"]).spawn().unwrap();
    let inode = fs::metadata(path).unwrap().ino();
    eventually(SOON, || {
        let ns = fs::metadata(format!("/proc/{}/ns/net", left.id())).ok()?;
        (ns.ino() == inode).then_some(())
    })
    .unwrap();

    crate::netns::remove_stale();
    assert!(!path.exists());
    assert!(!left.wait().unwrap().success());
}

#[test]
fn the_raw_client_tells_the_ends_apart() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = listener.local_addr().unwrap();
    let connect = || {
        let client = Raw::new(std::net::TcpStream::connect(to).unwrap()).unwrap();
        (client, Raw::new(listener.accept().unwrap().0).unwrap())
    };

    let (mut client, mut server) = connect();
    client.send_pieces(["he", "llo"], Duration::from_millis(1)).unwrap();
    assert_eq!(server.receive_exact(5, SOON).bytes, b"hello");
    client.finish().unwrap();
    assert_eq!(server.receive(SOON).end, End::Fin);
    server.send("bye").unwrap();
    drop(server);
    let received = client.receive(SOON);
    assert_eq!((received.bytes.as_slice(), received.end), (b"bye".as_slice(), End::Fin));

    let (mut client, server) = connect();
    server.reset().unwrap();
    assert_eq!(client.receive(SOON).end, End::Reset);

    let (mut client, _server) = connect();
    assert_eq!(client.receive(Duration::from_millis(20)).end, End::Timeout);
}

#[test]
fn the_http_client_reads_every_framing() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to: SocketAddr = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let answers = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\
            HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\nX-A: b\r\n\r\n\
            3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nt: u\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\
            HTTP/1.1 204 No Content\r\n\r\n\
            HTTP/1.1 200 OK\r\n\r\nto the end";
        stream.write_all(answers.as_bytes()).unwrap();
        // Read what was asked, or closing would reset.
        let _ = Raw::new(stream.try_clone().unwrap()).map(|mut s| s.receive(Duration::from_millis(300)));
    });
    let mut http = Http::new(std::net::TcpStream::connect(to).unwrap());
    assert_eq!(http.get("/", &[]).unwrap().text(), "ok");
    let chunked = http.request("POST", "/", &[], b"body").unwrap();
    assert_eq!((chunked.status, chunked.text().as_str(), chunked.header("x-a")), (201, "abcd", Some("b")));
    assert_eq!(http.request("HEAD", "/", &[], b"").unwrap().body, b"");
    assert_eq!(http.get("/", &[]).unwrap().status, 204);
    assert_eq!(http.get("/", &[]).unwrap().text(), "to the end");
    assert!(http.get("/", &[]).is_err());
    server.join().unwrap();
}

#[test]
fn the_routes_document_names_pods_as_the_agent_expects() {
    if needs_root() {
        return;
    }
    let net = Net::new().unwrap();
    let (app, preview) = (net.pod("app").unwrap(), net.pod("preview").unwrap());
    let routes = Routes::new()
        .preview(
            Preview::new("redesign", "pr-1")
                .backend(&preview)
                .with(|p| p.on_unreachable = OnUnreachable::Stable),
        )
        .environment("pr-1", &[&preview])
        .target(&app, &[8080], &["redesign"]);
    let document = serde_json::to_value(routes).unwrap();
    assert_eq!(document["kind"], "NodeTable");
    assert_eq!(document["spec"]["previews"][0]["onUnreachable"], "stable");
    assert_eq!(document["spec"]["previews"][0]["backends"][0]["ips"][0], preview.ipv4.to_string());
    assert_eq!(document["spec"]["targets"][0]["netns"], app.netns().to_str().unwrap());
    assert_eq!(document["spec"]["environments"][0]["ips"][1], preview.ipv6.to_string());
}

fn out_of(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
