//! Previews that are shown what their target gets: copies are the originals, none is half, what was dropped is counted,
//! and the app does not feel it.

mod ends;
mod recorder;
mod servers;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use byway_api::{Match, Matcher, PreviewRoute};
use byway_tests::{Agent, FarClient, Http, Net, Pod, Preview, Routes, Stage, eventually, needs_root};
use recorder::Recorder;

pub(crate) const NAME: &str = "demo/redesign";

/// The preview is shown all that comes to the app, or what `change` makes of that.
pub(crate) fn shown(stage: &Place, change: impl FnOnce(&mut PreviewRoute)) -> Routes {
    let preview = Preview::new(NAME, Stage::KEY).backend(&stage.preview).with(|route| {
        route.copies_percent = Some(100);
        change(route);
    });
    Routes::new().preview(preview).target(&stage.app, &[Stage::PORT], &[NAME])
}

/// Whatever the method is.
pub(crate) fn any_method(route: &mut PreviewRoute) {
    let method = |it: &str| Matcher { method: Some(it.to_owned()), ..Matcher::default() };
    let any = ["GET", "HEAD", "POST", "PUT", "DELETE"].map(method).to_vec();
    route.match_ = Some(Match { any, ..Match::default() });
}

/// A node with an app, a preview and a client; servers are the test's choice.
pub(crate) struct Place {
    pub(crate) app: Pod,
    pub(crate) preview: Pod,
    pub(crate) client: Pod,
    pub(crate) net: Net,
}

impl Place {
    pub(crate) fn addresses(&self) -> [SocketAddr; 2] {
        self.app.ips().map(|ip| SocketAddr::new(ip, Stage::PORT))
    }
}

pub(crate) fn stage() -> Option<Place> {
    if needs_root() {
        return None;
    }
    let net = Net::new().unwrap();
    let [app, preview, client] = net.pods(["app", "preview", "client"]).unwrap();
    Some(Place { app, preview, client, net })
}

/// An agent that copies all, however busy this machine is with other tests.
pub(crate) fn copying_all(stage: &Place, routes: &Routes) -> Agent {
    copying_with(stage, routes, &[])
}

fn copying_with(stage: &Place, routes: &Routes, args: &[&str]) -> Agent {
    let always = ["--copies-when-busy=1000000000"];
    Agent::builder(&stage.net).args(always).args(args).start(routes).unwrap()
}

/// How many copies were sent, dropped, and answered with another status.
pub(crate) fn copies(agent: &Agent) -> [u64; 3] {
    ["sent", "dropped", "status_differs"].map(|became| {
        agent.metric("byway_agent_copies_total", &format!("became=\"{became}\"")).unwrap() as u64
    })
}

/// Waits until so many have an end.
pub(crate) fn settled(agent: &Agent, count: u64) -> [u64; 3] {
    let mut last = [0; 3];
    let done = eventually(Duration::from_secs(40), || {
        last = copies(agent);
        (last[0] + last[1] >= count).then_some(())
    });
    assert!(done.is_some(), "{last:?} of {count}");
    last
}

pub(crate) fn address(stage: &Place) -> SocketAddr {
    SocketAddr::new(stage.app.ipv4.into(), Stage::PORT)
}

/// Requests of all kinds: over kept connections and others, with bodies short, long and in chunks.
fn ask(connect: &dyn Fn() -> Http, size: usize) -> usize {
    let mut kept = connect();
    let long = vec![b'x'; size];
    let mut count = 0;
    for n in 0..20 {
        let path = format!("/kept/{n}?a=b");
        assert_eq!(kept.get(&path, &[("x-odd", "\u{e4}  b")]).unwrap().status, 200);
        assert_eq!(kept.request("POST", "/post", &[], format!("body {n}").as_bytes()).unwrap().status, 200);
        let mut once = connect();
        assert_eq!(once.get("/once", &[("cookie", &"c".repeat(700))]).unwrap().status, 200);
        count += 3;
    }
    for _ in 0..5 {
        assert_eq!(kept.request("PUT", "/long", &[], &long).unwrap().status, 200);
        kept.send(b"POST /chunks HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
            .unwrap();
        thread::sleep(Duration::from_millis(5));
        kept.send(b"3\r\nyou\r\n0\r\n\r\n").unwrap();
        assert_eq!(kept.response("POST").unwrap().status, 200);
        assert_eq!(kept.request("HEAD", "/head", &[], b"").unwrap().status, 200);
        count += 3;
    }
    // Several at once.
    let pipeline = "GET /piped HTTP/1.1\r\nhost: a\r\n\r\n".repeat(10);
    kept.send(pipeline.as_bytes()).unwrap();
    for _ in 0..10 {
        kept.response("GET").unwrap();
    }
    count + 10
}

#[test]
fn copies_are_the_originals() {
    copies_are_originals(&[]);
}

#[test]
fn where_there_is_no_tcx_they_are_too() {
    copies_are_originals(&["--clsact"]);
}

fn copies_are_originals(args: &[&str]) {
    let Some(stage) = stage() else { return };
    let (app, preview) = (Recorder::start(&stage.app, "200 OK"), Recorder::start(&stage.preview, "200 OK"));
    let agent = copying_with(&stage, &shown(&stage, any_method), args);
    let mut count = 0;
    for to in stage.addresses() {
        count += ask(&|| Http::new(stage.client.connect(to).unwrap()), 300 << 10);
    }
    assert_eq!(app.count(), count);
    preview.wait(count);
    assert!(app.requests(None) == preview.requests(Some(NAME)), "the copies are others");
    assert_eq!(settled(&agent, count as u64), [count as u64, 0, 0]);
}

#[test]
fn over_a_lossy_link_they_are_too() {
    let Some(stage) = stage() else { return };
    let far = FarClient::new(&stage.net, Duration::from_millis(2), 10).unwrap();
    let (app, preview) = (Recorder::start(&stage.app, "200 OK"), Recorder::start(&stage.preview, "200 OK"));
    let _agent = copying_all(&stage, &shown(&stage, any_method));
    let count =
        ask(&|| Http::new(far.netns().run(|| TcpStream::connect(address(&stage))).unwrap()), 60 << 10);
    assert_eq!(app.count(), count);
    preview.wait(count);
    assert!(app.requests(None) == preview.requests(Some(NAME)), "the copies are others");
}

#[test]
fn only_what_is_asked_for_is_copied() {
    let Some(stage) = stage() else { return };
    let (app, preview) = (Recorder::start(&stage.app, "200 OK"), Recorder::start(&stage.preview, "503 No"));
    let agent = copying_all(&stage, &shown(&stage, |_| {}));
    let mut http = Http::new(stage.client.connect(address(&stage)).unwrap());
    for method in ["POST", "GET", "PUT", "HEAD", "DELETE"] {
        http.request(method, "/", &[], b"").unwrap();
    }
    // Who has the key is answered by the app as well.
    assert_eq!(http.get("/keyed", &[("x-byway-key", Stage::KEY)]).unwrap().text(), "ok");
    preview.wait(3);
    let methods = |of: &Recorder, mark| {
        let first = |it: &Vec<u8>| String::from_utf8_lossy(it).split(' ').next().unwrap().to_owned();
        of.requests(mark).iter().map(first).collect::<Vec<_>>()
    };
    assert_eq!(methods(&preview, Some(NAME)), ["GET", "GET", "HEAD"]);
    assert_eq!(app.count(), 6);
    assert_eq!(settled(&agent, 3), [3, 0, 3], "all with another status");
    // A connection of twenty, all of its requests or none.
    agent
        .write_routes(&shown(&stage, |route| {
            route.revision = "2".to_owned();
            route.copies_percent = Some(20);
        }))
        .unwrap();
    thread::sleep(Duration::from_secs(1));
    let before = preview.count();
    for _ in 0..200 {
        let mut http = Http::new(stage.client.connect(address(&stage)).unwrap());
        (0..3).for_each(|_| drop(http.get("/", &[]).unwrap()));
    }
    thread::sleep(Duration::from_secs(1));
    let sampled = preview.count() - before;
    assert!(sampled % 3 == 0 && (60..180).contains(&sampled), "{sampled} of 600");
    // And nothing once the route has gone.
    agent.write_routes(&Routes::new()).unwrap();
    thread::sleep(Duration::from_secs(1));
    let before = preview.count();
    Http::new(stage.client.connect(address(&stage)).unwrap()).get("/", &[]).unwrap();
    thread::sleep(Duration::from_millis(500));
    assert_eq!(preview.count(), before);
}

#[test]
fn what_another_preview_answers_is_not_shown() {
    let Some(stage) = stage() else { return };
    let other = stage.net.pod("other").unwrap();
    let [app, preview, answers] =
        [&stage.app, &stage.preview, &other].map(|pod| Recorder::start(pod, "200 OK"));
    let mut routes = shown(&stage, |_| {});
    let steals = Preview::new("demo/other", "pr-2").backend(&other);
    routes = routes.preview(steals);
    routes.0.targets[0].previews.push("demo/other".to_owned());
    let agent = copying_all(&stage, &routes);
    let mut http = Http::new(stage.client.connect(address(&stage)).unwrap());
    for _ in 0..3 {
        http.get("/apps", &[]).unwrap();
        http.get("/others", &[("x-byway-key", "pr-2")]).unwrap();
    }
    preview.wait(3);
    assert_eq!([app.count(), preview.count(), answers.count()], [3, 3, 3]);
    assert!(preview.requests(Some(NAME)) == app.requests(None));
    assert_eq!(settled(&agent, 3), [3, 0, 0]);
}

#[test]
fn each_port_is_shown_to_that_port() {
    const OTHER: u16 = Stage::PORT + 1;
    let Some(stage) = stage() else { return };
    let at = |pod: &Pod| [Stage::PORT, OTHER].map(|port| Recorder::at(pod, port, "200 OK"));
    let (apps, previews) = (at(&stage.app), at(&stage.preview));
    let mut routes = shown(&stage, |_| {});
    routes.0.targets[0].ports.push(OTHER);
    let _agent = copying_all(&stage, &routes);
    let mut both = [Stage::PORT, OTHER]
        .map(|port| Http::new(stage.client.connect(SocketAddr::new(stage.app.ipv4.into(), port)).unwrap()));
    for n in 0..20 {
        for (http, name) in both.iter_mut().zip(["one", "other"]) {
            http.get(&format!("/{name}/{n}"), &[]).unwrap();
        }
    }
    for (app, preview) in apps.iter().zip(&previews) {
        preview.wait(20);
        assert!(app.requests(None) == preview.requests(Some(NAME)), "they are mixed");
    }
}

#[test]
fn a_connection_that_was_open_is_joined_at_its_next_request() {
    let Some(stage) = stage() else { return };
    let (_app, preview) = (Recorder::start(&stage.app, "200 OK"), Recorder::start(&stage.preview, "200 OK"));
    let mut http = Http::new(stage.client.connect(address(&stage)).unwrap());
    http.get("/before", &[]).unwrap();
    let agent = copying_all(&stage, &shown(&stage, |_| {}));
    for n in 0..5 {
        http.get(&format!("/{n}"), &[]).unwrap();
    }
    preview.wait(5);
    assert_eq!(settled(&agent, 5)[0], 5);
}

#[test]
fn a_preview_that_hangs_or_dies_costs_the_app_nothing_and_is_counted() {
    let Some(stage) = stage() else { return };
    let app = Recorder::start(&stage.app, "200 OK");
    // Takes connections, and says nothing.
    let _hanging = stage.preview.run(|| TcpListener::bind(("::", Stage::PORT))).unwrap();
    let agent = copying_all(&stage, &shown(&stage, |_| {}));
    let before = agent.resident_kib().unwrap();
    let mut http = Http::new(stage.client.connect(address(&stage)).unwrap());
    const COUNT: u64 = 3000;
    for _ in 0..COUNT {
        assert_eq!(http.get("/", &[]).unwrap().text(), "ok");
    }
    assert_eq!(app.count() as u64, COUNT);
    // At once, but for those that wait and are asked: these have ten seconds.
    let dropped = || (copies(&agent)[1] >= COUNT - 1024 - 16).then_some(());
    assert!(eventually(Duration::from_secs(8), dropped).is_some(), "{:?}", copies(&agent));
    assert_eq!(copies(&agent)[0], 0);
    let grown = agent.resident_kib().unwrap() - before;
    assert!(grown < 40 << 10, "{grown} KiB more");
    // Nobody is there at all.
    let mut routes = shown(&stage, |route| route.revision = "2".to_owned());
    routes.0.previews[0].backends.clear();
    agent.write_routes(&routes).unwrap();
    thread::sleep(Duration::from_secs(1));
    let before = copies(&agent)[1];
    http.get("/", &[]).unwrap();
    assert!(eventually(Duration::from_secs(20), || (copies(&agent)[1] > before).then_some(())).is_some());
}

#[test]
fn while_the_processors_have_no_time_left_only_a_few_are_shown() {
    let Some(stage) = stage() else { return };
    let (_app, preview) = (Recorder::start(&stage.app, "200 OK"), Recorder::start(&stage.preview, "200 OK"));
    let agent = Agent::start(&stage.net, &shown(&stage, |_| {})).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let connect = || Http::new(stage.client.connect(address(&stage)).unwrap());
        // Ends the others, also if an assertion fails.
        let over = Over(&is_over);
        for _ in 0..thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        thread::sleep(Duration::from_millis(500));
        // What is next to nothing is shown.
        let mut http = connect();
        for _ in 0..60 {
            http.get("/few", &[]).unwrap();
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(settled(&agent, 60)[..2], [60, 0]);
        // What is a lot is not.
        let begun = Instant::now();
        let mut many = 0;
        while begun.elapsed() < Duration::from_secs(2) {
            let mut http = connect();
            (0..100).for_each(|_| drop(http.get("/many", &[]).unwrap()));
            many += 100;
        }
        drop(over);
        let [sent, dropped, _] = settled(&agent, 60 + many);
        assert!(dropped > 0, "{sent} of {many} sent");
    });
    // With time left it is as before.
    let shown_again = || {
        let before = preview.count();
        Http::new(stage.client.connect(address(&stage)).unwrap()).get("/again", &[]).unwrap();
        thread::sleep(Duration::from_millis(100));
        (preview.count() > before).then_some(())
    };
    assert!(eventually(Duration::from_secs(30), shown_again).is_some());
}

/// Says so when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
