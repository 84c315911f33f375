//! The first screen: what a newcomer sees.

use std::net::SocketAddr;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context, Result, ensure};
use byway_tests::{Agent, Http, Response};

use super::load::{Counts, Load};
use super::stage::{HEADER, KEY, PORT, Stage, WRONG_KEY};
use crate::signals;

const RATE: u32 = 1_000;

/// Plays and shows everything.
pub(super) fn show(stage: &mut Stage) -> Result<()> {
    let paint = Paint::new();
    cast(stage, &paint);

    let routed = stage.agent().is_some();
    paint.title(if routed {
        "One keep-alive connection: each request goes where its key says"
    } else {
        "One keep-alive connection, without the agent: every request reaches the app"
    });
    let mut http = connect(stage)?;
    for key in [None, Some(KEY), None, Some(KEY), None] {
        let response = ask(stage, &mut http, key)?;
        paint.exchange(stage, key, &response, "");
        expect(stage, key, &response, if routed && key.is_some() { "PREVIEW" } else { "STABLE" })?;
        signals::check()?;
    }

    paint.title("A wrong key");
    let response = ask(stage, &mut http, Some(WRONG_KEY))?;
    let why = stage.agent().map_or_else(|| "nobody reads keys".to_owned(), |agent| reason(agent));
    paint.exchange(stage, Some(WRONG_KEY), &response, &why);
    expect(stage, Some(WRONG_KEY), &response, "STABLE")?;
    drop(http);

    if routed {
        paint.title("The routes, read from the kernel's maps (byway-agent debug routes)");
        routes(stage);
        kill_under_load(stage, &paint)?;
    }
    println!();
    Ok(())
}

/// How to go on by hand.
pub(super) fn invite(stage: &Stage) {
    let paint = Paint::new();
    let enter = format!("nsenter --net={} curl -s", stage.client.netns().display());
    let url = format!("http://{}:{PORT}/", stage.app.ipv4);
    paint.title("It stays up until Ctrl-C. Try, as root:");
    println!("  {enter} {url}");
    println!("  {enter} {url} -H '{HEADER}: {KEY}'");
    println!("  {enter} 'http://[{}]:{PORT}/' -H 'baggage: byway-key={KEY}'", stage.app.ipv6);
    if let Some(admin) = stage.describe()["admin"].as_str() {
        println!("  curl -s {admin}/metrics");
    }
    println!();
}

fn cast(stage: &mut Stage, paint: &Paint) {
    let agent = match stage.agent() {
        Some(agent) => format!("process {} on the node", agent.pid()),
        None => "none (--no-agent)".to_owned(),
    };
    println!();
    for (who, what) in [
        ("client", stage.client.ipv4.to_string()),
        ("app", format!("{}:{PORT}", stage.app.ipv4)),
        ("preview", format!("{}:{PORT}, key {KEY}", stage.preview.ipv4)),
        ("agent", agent),
    ] {
        println!("  {} {what}", paint.dim(&format!("{who:<8}")));
    }
}

fn kill_under_load(stage: &mut Stage, paint: &Paint) -> Result<()> {
    paint.title(&format!("kill -9 of the agent, under {RATE} new connections a second to the app"));
    let load = Load::start(&stage.client, app(stage), RATE);
    signals::sleep(Duration::from_millis(1_500))?;
    let before = load.counts();
    if let Some(agent) = stage.agent() {
        agent.sigkill();
    }
    signals::sleep(Duration::from_millis(2_000))?;
    let after = load.counts().since(before);
    drop(load);
    println!(
        "  {}",
        paint.dim("resets are connections that the agent had accepted; nobody is refused or kept waiting")
    );
    tally("before", before, paint);
    tally("from the kill on", after, paint);

    let mut http = connect(stage)?;
    let response = ask(stage, &mut http, Some(KEY))?;
    paint.exchange(stage, Some(KEY), &response, "no agent, no route: straight to the app");
    expect(stage, Some(KEY), &response, "STABLE")
}

/// Why the agent sent the last request to the app, from its log.
fn reason(agent: &Agent) -> String {
    const SAID: &str = "to the app: ";
    let find = || {
        let log = agent.log();
        let line = log.lines().rev().find_map(|line| line.split_once(SAID))?.1;
        Some(line.split(" target=").next().unwrap_or(line).to_owned())
    };
    byway_tests::eventually(Duration::from_secs(2), find)
        .unwrap_or_else(|| "the agent gives no reason".to_owned())
}

fn tally(when: &str, counts: Counts, paint: &Paint) {
    let failed = format!("{} failed", counts.failed());
    let failed = if counts.failed() == 0 { paint.green(&failed) } else { paint.bold(&failed) };
    let Counts { answered, refused, reset, late } = counts;
    println!("  {when:<18}{answered:>6} answered  {failed}  (refused {refused}, reset {reset}, late {late})");
}

fn routes(stage: &Stage) {
    let Some(output) = stage.routes() else { return };
    let said = output.map_or_else(|e| e.to_string().into_bytes(), |o| [o.stdout, o.stderr].concat());
    for line in String::from_utf8_lossy(&said).lines() {
        println!("  {line}");
    }
}

fn app(stage: &Stage) -> SocketAddr {
    (stage.app.ipv4, PORT).into()
}

fn connect(stage: &Stage) -> Result<Http> {
    let stream = stage.client.connect(app(stage)).context("the app does not accept a connection")?;
    Ok(Http::new(stream))
}

/// Asks on the connection that is there; a server of the user's own may not keep it.
fn ask(stage: &Stage, http: &mut Http, key: Option<&str>) -> Result<Response> {
    let headers: Vec<_> = key.map(|key| (HEADER, key)).into_iter().collect();
    let response = http.get("/", &headers);
    if response.is_ok() || stage.own_servers {
        return response;
    }
    *http = connect(stage)?;
    http.get("/", &headers)
}

/// A demo that shows something else than it says must not end well.
fn expect(stage: &Stage, key: Option<&str>, response: &Response, who: &str) -> Result<()> {
    let answered = answered_by(stage, response);
    // A preview of the user's own may have its header turned off, so only our own answers are proof.
    ensure!(
        !stage.own_servers || answered == who,
        "a request with {} was answered by {answered}, not by {who}",
        key.map_or_else(|| "no key".to_owned(), |key| format!("the key {key}"))
    );
    Ok(())
}

fn answered_by(stage: &Stage, response: &Response) -> String {
    if stage.own_servers {
        response.text().split(' ').next().unwrap_or_default().to_owned()
    } else if response.header("x-byway-preview").is_some() {
        "PREVIEW".to_owned()
    } else {
        "STABLE".to_owned()
    }
}

/// Colours, if somebody sees them.
struct Paint(bool);

impl Paint {
    fn new() -> Self {
        Self(AutoStream::choice(&std::io::stdout()) != ColorChoice::Never)
    }

    fn title(&self, text: &str) {
        println!("\n{}", self.bold(text));
    }

    /// One line: what was asked, who answered, and what the answer says.
    fn exchange(&self, stage: &Stage, key: Option<&str>, response: &Response, why: &str) {
        let asked = key.map_or_else(String::new, |key| format!("{HEADER}: {key}"));
        let body = response.text();
        let line = body.lines().next().unwrap_or_default();
        let who = answered_by(stage, response);
        let says = if stage.own_servers { line.split_once(' ').map_or("", |(_, says)| says) } else { line };
        let painted = format!("{who:<8}");
        let painted = if who == "PREVIEW" { self.magenta(&painted) } else { self.green(&painted) };
        let says: String = says.chars().take(60).collect();
        let why = if why.is_empty() { String::new() } else { format!("  {}", self.dim(why)) };
        println!("  GET /  {asked:<20} {painted} {}  {says}{why}", response.status);
    }

    fn bold(&self, text: &str) -> String {
        self.style("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.style("2", text)
    }

    fn green(&self, text: &str) -> String {
        self.style("32", text)
    }

    fn magenta(&self, text: &str) -> String {
        self.style("1;35", text)
    }

    fn style(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
