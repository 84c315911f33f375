//! Keyed HTTP/1.1, request by request: the real agent between a client, an app and a preview that do what the test
//! tells them.

mod ends;
mod killed;
mod lifetime;
mod lost;
mod messages;
mod odd_answers;
mod pieces;
mod routes;
mod server;
mod trouble;
mod tunnels;
mod vanished;

use std::time::Duration;

use byway_tests::{Agent, Http, Net, Pod, Preview, Raw, Routes};
use server::PORT;

/// Longer than anything takes on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// The name of the preview.
const NAME: &str = "staging/redesign";
const KEYED: &[(&str, &str)] = &[("x-byway-key", "pr-1")];
const GET: &str = "GET /app HTTP/1.1\r\nhost: a\r\n\r\n";
const GET_KEYED: &str = "GET /keyed HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\n\r\n";

/// A node with an app, a preview, another preview and a client.
struct Stage {
    net: Net,
    app: Pod,
    preview: Pod,
    other: Pod,
    client: Pod,
}

impl Stage {
    fn new() -> Option<Self> {
        if byway_tests::needs_root() {
            return None;
        }
        let net = Net::new().unwrap();
        let [app, preview, other, client] = net.pods(["app", "preview", "other", "client"]).unwrap();
        Some(Self { app, preview, other, client, net })
    }

    /// With servers that say their names.
    fn named() -> Option<Self> {
        let stage = Self::new()?;
        server::named(&stage.app, "APP");
        server::named(&stage.preview, "PREVIEW");
        server::named(&stage.other, "OTHER");
        Some(stage)
    }

    fn preview(&self) -> Preview {
        Preview::new(NAME, "pr-1").backend(&self.preview)
    }

    fn routes(&self, preview: Preview) -> Routes {
        Routes::new().preview(preview).target(&self.app, &[PORT], &[NAME])
    }

    fn agent(&self) -> Agent {
        Agent::start(&self.net, &self.routes(self.preview())).unwrap()
    }

    fn agent_with(&self, preview: Preview) -> Agent {
        Agent::start(&self.net, &self.routes(preview)).unwrap()
    }

    fn http(&self) -> Http {
        Http::new(self.client.connect((self.app.ipv4, PORT)).unwrap())
    }

    fn raw(&self) -> Raw {
        Raw::new(self.client.connect((self.app.ipv4, PORT)).unwrap()).unwrap()
    }
}

/// Everything up to `end`.
fn until(raw: &mut Raw, end: &str) -> String {
    let received = raw.receive_until(SOON, |bytes| bytes.ends_with(end.as_bytes()));
    String::from_utf8_lossy(&received.bytes).into_owned()
}
