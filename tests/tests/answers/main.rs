//! Answers that are not as they should be, of servers as they come: a client reads from a preview, and from the app, what
//! it reads without an agent.

mod clients;
mod early;
mod requests;
mod servers;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use byway_tests::{Agent, Net, Pod, Preview, Routes, Running, needs_root};
use clients::{Asked, curl, python, raw};

const PORT: u16 = 8080;
const KEY: &str = "pr-1";
const NAME: &str = "staging/redesign";
/// Answers that are asked for at the same time: a client that waits for what does not come takes its time.
const LANES: usize = 4;

#[test]
fn nginx() {
    behaves(
        &servers::nginx,
        &["the-length-twice", "both-lengths", "204-in-chunks", "140-cookies", "a-head-of-70-KiB"],
    );
}

#[test]
fn php() {
    behaves(
        &servers::php,
        &[
            "a-line-without-a-colon",
            "a-blank-before-a-colon",
            "the-length-twice",
            "a-tab-before-the-length",
            "chunked-twice",
            "both-lengths",
            "140-cookies",
            "a-head-of-70-KiB",
            "204-with-a-body",
        ],
    );
}

#[test]
fn python_and_its_own_server() {
    behaves(
        &servers::python,
        &[
            "chunks-in-HTTP-1.0",
            "the-length-twice",
            "both-lengths",
            "two-different-lengths",
            "blanks-behind-a-chunk-size",
            "a-blank-behind-chunked",
            "control-characters",
            "an-odd-name",
            "140-cookies",
            "a-head-of-70-KiB",
            "204-in-chunks",
        ],
    );
}

#[test]
fn node() {
    behaves(
        &servers::node,
        &[
            "the-length-twice",
            "chunked-twice",
            "both-lengths",
            "204-with-a-length",
            "204-in-chunks",
            "140-cookies",
            "a-head-of-70-KiB",
            "bare-LFs",
            "bare-LFs-in-chunks",
            "an-empty-line-first",
            "a-folded-line",
            "a-tab-before-chunked",
            "a-list-of-codings",
        ],
    );
}

#[test]
fn go() {
    behaves(
        &servers::go,
        &[
            "the-length-twice",
            "a-tab-before-the-length",
            "a-tab-before-chunked",
            "both-lengths",
            "bare-LFs",
            "a-radio-station",
            "a-head-that-is-cut-off",
            "HTTP-1.2",
            "blanks-behind-a-chunk-size",
            "140-cookies",
            "a-head-of-70-KiB",
        ],
    );
}

#[test]
fn java_and_its_own_server() {
    behaves(
        &servers::java,
        &["both-lengths", "chunked-twice", "204-in-chunks", "140-cookies", "a-head-of-70-KiB"],
    );
}

/// A node whose app and preview are the same program.
struct Stage {
    app: Pod,
    preview: Pod,
    client: Pod,
}

fn behaves(start: &dyn Fn(&Pod) -> Running, answers: &[&str]) {
    if needs_root() {
        return;
    }
    let (stage, _running) = Stage::new(start);
    let answers = [answers, &["as-it-should-be"]].concat();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        let [without, app, preview] = stage.ways().map(|way| {
            scope.spawn({
                let answers = &answers;
                move || python(way, answers)
            })
        });
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(answer) = answers.get(next.fetch_add(1, Relaxed)) {
                    let found = stage.differences(answer);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
        for request in requests::REQUESTS {
            wrong.lock().unwrap().extend(stage.refuses(request));
        }
        let [without, app, preview] = [without, app, preview].map(|it| it.join().unwrap());
        assert!(without.len() == answers.len() && without.contains(&"200 hello".to_owned()), "{without:?}");
        assert_eq!((&app, &preview), (&without, &without), "what Python makes of {answers:?}");
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Stage {
    /// With what runs in it.
    fn new(start: &dyn Fn(&Pod) -> Running) -> (Self, (Net, [Running; 2], Agent)) {
        let net = Net::new().unwrap();
        let [app, preview, client] = net.pods(["app", "preview", "client"]).unwrap();
        let mut servers = [&app, &preview].map(start);
        servers.iter_mut().for_each(|server| server.wait_listening(PORT).unwrap());
        let route = Preview::new(NAME, KEY).backend(&preview);
        let routes = Routes::new().preview(route).target(&app, &[PORT], &[NAME]);
        // This is about bytes: a machine that is too busy for heartbeats must not end it.
        let agent = Agent::builder(&net).args(["--no-watchdog"]).start(&routes).unwrap();
        (Self { app, preview, client }, (net, servers, agent))
    }

    /// Without an agent, to the app, and to the preview.
    fn ways(&self) -> [Asked<'_>; 3] {
        let way = |to: &Pod, key| Asked { from: &self.client, to: (to.ipv4, PORT).into(), key };
        // The preview's pod is no target: whoever calls it meets no agent.
        [way(&self.preview, ""), way(&self.app, ""), way(&self.app, KEY)]
    }

    /// How a request is not taken as it is without an agent, in words.
    fn refuses(&self, request: requests::Request) -> Option<String> {
        let [without, app, _] = self.ways();
        let wanted = requests::taken(without, request, "");
        let mut through = requests::taken(app, request, NAME);
        // As below.
        for _ in 0..10 {
            if through == wanted {
                return None;
            }
            through = requests::taken(app, request, NAME);
        }
        let request = [request.0, request.1].map(<[u8]>::escape_ascii);
        Some(format!("{} {}\n  without {wanted:?}\n  through {through:?}", request[0], request[1]))
    }

    /// Where an answer is read otherwise than it is without an agent, in words.
    fn differences(&self, answer: &str) -> Vec<String> {
        let [without, app, preview] = self.ways();
        let mut wrong = Vec::new();
        let mut compare = |what: &str, is: &str, should: &str| {
            if is != should {
                wrong.push(format!("{answer}, {what}\n  without {should}\n  through {is}"));
            }
        };
        let wanted = curl(without, answer);
        compare("curl, of the app", &curl(app, answer), &wanted);
        compare("curl, of the preview", &curl(preview, answer), &wanted);
        let wanted = raw(without, answer);
        compare("every byte of the app", &raw(app, answer), &wanted);
        let named = format!("x-byway-preview: {NAME}\\r\\n");
        // On a machine so busy that a heartbeat is late, the kernel passes some on to the app, as it should.
        let keyed = (0..10).map(|_| raw(preview, answer)).find(|it| it.contains(&named));
        let keyed = keyed.unwrap_or_default().replacen(&named, "", 1);
        let keyed = keyed.replacen("connection: close\\r\\n", "", 1);
        // How the connection ends is the agent's matter.
        let bytes = |text: &str| text.rsplit_once(", then ").unwrap_or_default().0.to_owned();
        compare("every byte of the preview", &bytes(&keyed), &bytes(&wanted));
        wrong
    }
}
