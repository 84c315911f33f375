//! Exchanges that last: WebSockets, server-sent events, long polls, and bodies that are under way in both directions.
//! Whatever either side says arrives when it is said, of the app and of the preview alike.

mod early;
mod events;
mod silence;
mod upgrades;
mod websocket;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::TcpListener;
use std::time::Duration;

use byway_tests::{Agent, Net, Pod, Preview, Raw, Routes, needs_root};

const PORT: u16 = 8080;
/// Longer than anything takes on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// The name of the preview.
const NAME: &str = "demo/redesign";

/// A node with an app, its preview and a client.
struct Stage {
    net: Net,
    app: Pod,
    preview: Pod,
    client: Pod,
}

/// Who a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    App,
    Preview,
}

const SIDES: [Side; 2] = [Side::App, Side::Preview];

impl Side {
    fn other(self) -> Self {
        if self == Self::App { Self::Preview } else { Self::App }
    }

    /// A head, with the key if it is for the preview; `rest` ends each of its lines.
    fn head(self, method: &str, rest: &str) -> String {
        let key = if self == Self::Preview { "x-byway-key: pr-1\r\n" } else { "" };
        format!("{method} / HTTP/1.1\r\nhost: a\r\n{key}{rest}\r\n")
    }
}

impl Stage {
    fn new() -> Option<Self> {
        if needs_root() {
            return None;
        }
        let net = Net::new().unwrap();
        let [app, preview, client] = net.pods(["app", "preview", "client"]).unwrap();
        Some(Self { net, app, preview, client })
    }

    fn agent(&self) -> Agent {
        let routes = Routes::new().preview(Preview::new(NAME, "pr-1").backend(&self.preview)).target(
            &self.app,
            &[PORT],
            &[NAME],
        );
        Agent::start(&self.net, &routes).unwrap()
    }

    fn listen(&self) -> Servers {
        let listen = |pod: &Pod| pod.run(|| TcpListener::bind(("::", PORT))).unwrap();
        Servers { app: listen(&self.app), preview: listen(&self.preview), calls: RefCell::default() }
    }

    fn connect(&self) -> Raw {
        Raw::new(self.client.connect((self.app.ipv4, PORT)).unwrap()).unwrap()
    }
}

/// Both servers, which say what the test tells them.
struct Servers {
    app: TcpListener,
    preview: TcpListener,
    /// Connections to the app that came while another one was waited for, by the port of their client.
    calls: RefCell<HashMap<u16, Raw>>,
}

/// A connection of the client, and those that belong to it. The app's is there from the start.
struct Line {
    client: Raw,
    app: Raw,
    preview: Option<Raw>,
}

impl Servers {
    fn line(&self, stage: &Stage) -> Line {
        let client = stage.connect();
        let app = self.call_of(&client);
        Line { client, app, preview: None }
    }

    /// The app's end of the client's connection. Of one that the agent takes over there comes another one.
    fn call_of(&self, client: &Raw) -> Raw {
        let port = client.stream().local_addr().unwrap().port();
        if let Some(call) = self.calls.borrow_mut().remove(&port) {
            return call;
        }
        loop {
            let (stream, peer) = self.app.accept().unwrap();
            let call = Raw::new(stream).unwrap();
            if peer.port() == port {
                return call;
            }
            self.calls.borrow_mut().insert(peer.port(), call);
        }
    }
}

impl Line {
    /// Sends a request, and waits until the server that it is for has it.
    fn ask(&mut self, servers: &Servers, side: Side, head: &str) {
        self.client.send(head).unwrap();
        if side == Side::Preview && self.preview.is_none() {
            self.preview = Some(accept(&servers.preview));
        }
        let mut got = until(self.server(side), "\r\n\r\n");
        if got.is_empty() && side == Side::App && Agent::goes_straight() {
            // The agent has taken it over, and calls the app itself.
            self.app = servers.call_of(&self.client);
            got = until(&mut self.app, "\r\n\r\n");
        }
        assert_eq!(got, head, "{side:?}");
    }

    fn server(&mut self, side: Side) -> &mut Raw {
        match side {
            Side::App => &mut self.app,
            Side::Preview => self.preview.as_mut().expect("a request was sent to it"),
        }
    }

    /// The server says something, and the client has it before it says more.
    fn say(&mut self, side: Side, bytes: &str) {
        self.server(side).send(bytes).unwrap();
        assert_eq!(exactly(&mut self.client, bytes.len()), bytes, "{side:?}");
    }

    /// The other way.
    fn tell(&mut self, side: Side, bytes: &str) {
        self.client.send(bytes).unwrap();
        assert_eq!(exactly(self.server(side), bytes.len()), bytes, "{side:?}");
    }

    /// The server sends a head, of which the client gets all and, from a preview, its name.
    fn say_head(&mut self, side: Side, head: &str) {
        self.server(side).send(head).unwrap();
        let got = until(&mut self.client, "\r\n\r\n");
        let name = format!("x-byway-preview: {NAME}\r\n");
        assert_eq!(got.contains(&name), side == Side::Preview, "{got}");
        assert_eq!(got.replace(&name, ""), head, "{side:?}");
    }

    /// A request and its answer, as short as can be.
    fn exchange(&mut self, servers: &Servers, side: Side) {
        self.ask(servers, side, &side.head("GET", ""));
        self.say_head(side, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n");
        self.say(side, "ok");
    }
}

fn accept(listener: &TcpListener) -> Raw {
    Raw::new(listener.accept().unwrap().0).unwrap()
}

/// Everything up to `end`.
fn until(raw: &mut Raw, end: &str) -> String {
    let received = raw.receive_until(SOON, |bytes| bytes.ends_with(end.as_bytes()));
    String::from_utf8_lossy(&received.bytes).into_owned()
}

fn exactly(raw: &mut Raw, len: usize) -> String {
    String::from_utf8_lossy(&raw.receive_exact(len, SOON).bytes).into_owned()
}
