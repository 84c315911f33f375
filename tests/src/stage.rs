//! What most datapath tests need: a client, an app, a preview of it, and the routes that say so.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::{Agent, AgentBuilder, App, Http, Net, Pod, Preview, Response, Routes};

/// A node with three pods. The app's server is the test's choice; the preview's says `PREVIEW`.
#[derive(Debug)]
pub struct Stage {
    /// The preview's server.
    pub preview_app: App,
    /// Who asks.
    pub client: Pod,
    /// The target.
    pub app: Pod,
    /// The preview's pod.
    pub preview: Pod,
    /// The node.
    pub net: Net,
}

impl Stage {
    /// The port of both servers.
    pub const PORT: u16 = 8080;
    /// The preview's key.
    pub const KEY: &str = "pr-1";

    /// Makes it.
    ///
    /// # Errors
    ///
    /// Without root.
    pub fn new() -> Result<Self> {
        let net = Net::new()?;
        let (client, app, preview) = (net.pod("client")?, net.pod("app")?, net.pod("preview")?);
        let preview_app = App::start(&preview, "PREVIEW", "[::]:8080")?;
        Ok(Self { preview_app, client, app, preview, net })
    }

    /// Starts a fast server in the app's pod, which says `STABLE`.
    ///
    /// # Errors
    ///
    /// When the port is in use.
    pub fn start_app(&self) -> Result<App> {
        App::start(&self.app, "STABLE", "[::]:8080")
    }

    /// The app is the preview's target.
    pub fn routes(&self) -> Routes {
        self.previews().target(&self.app, &[Self::PORT], &["demo/redesign"])
    }

    /// The preview without a target.
    pub fn previews(&self) -> Routes {
        Routes::new().preview(Preview::new("demo/redesign", Self::KEY).backend(&self.preview))
    }

    /// Starts an agent with [`Stage::routes`].
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub fn start_agent(&self) -> Result<Agent> {
        Agent::start(&self.net, &self.routes())
    }

    /// To start one with other arguments.
    pub fn agent(&self) -> AgentBuilder<'_> {
        Agent::builder(&self.net)
    }

    /// The app's addresses with its port: IPv4 and IPv6.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        self.app.ips().map(|ip| SocketAddr::new(ip, Self::PORT))
    }

    /// One request on a connection of its own.
    ///
    /// # Errors
    ///
    /// When there is no complete response.
    pub fn ask(&self, to: SocketAddr, key: Option<&str>) -> Result<Response> {
        let keyed = key.map(|key| ("x-byway-key", key));
        Http::new(self.client.connect(to)?).get("/", keyed.as_slice())
    }

    /// Waits until a keyed request is answered so, by both families.
    ///
    /// # Errors
    ///
    /// When that does not happen within ten seconds.
    pub fn wait_answered_by(&self, name: &str) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(10);
        for to in self.addresses() {
            loop {
                let answer = self.ask(to, Some(Self::KEY)).map(|r| r.text());
                if answer.as_ref().is_ok_and(|text| text.starts_with(name)) {
                    break;
                }
                ensure!(Instant::now() < until, "{to} is not answered by {name}: {answer:?}");
                thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }
}
