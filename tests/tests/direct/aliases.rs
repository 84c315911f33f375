//! One client port, and connections from it to several ports of a pod: their clones are told apart.

use std::{net::SocketAddr, thread, time::Duration};

use byway_tests::{Agent, App, Http, Stage, needs_root};
use socket2::{Domain, Socket, Type};

use super::{KEYED, counter, name};

const PORTS: [u16; 2] = [Stage::PORT, Stage::PORT + 1];
/// Longer than a connection is remembered whose clone has gone.
const FORGOTTEN: Duration = Duration::from_secs(5);

struct Two {
    agent: Agent,
    stage: Stage,
    _apps: [App; 3],
}

fn two() -> Option<Two> {
    if needs_root() {
        return None;
    }
    let stage = Stage::new().unwrap();
    let other = |pod, says| App::start(pod, says, &format!("[::]:{}", PORTS[1])).unwrap();
    let apps = [stage.start_app().unwrap(), other(&stage.app, "STABLE"), other(&stage.preview, "PREVIEW")];
    let routes = stage.previews().target(&stage.app, &PORTS, &["demo/redesign"]);
    let agent = stage.agent().args(["--mode", "direct"]).start(&routes).unwrap();
    Some(Two { agent, stage, _apps: apps })
}

impl Two {
    /// Connections from one port of the client, one to each port of the app; nothing was said on them yet.
    fn connect(&self, from: u16) -> [Http; 2] {
        PORTS.map(|port| {
            let stream = self.stage.client.run(|| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                socket.set_reuse_address(true)?;
                socket.bind(&SocketAddr::new(self.stage.client.ipv4.into(), from).into())?;
                socket.connect(&SocketAddr::new(self.stage.app.ipv4.into(), port).into())?;
                Ok::<_, std::io::Error>(socket.into())
            });
            Http::new(stream.unwrap())
        })
    }

    fn asks(&self, http: &mut Http, headers: &[(&str, &str)], wanted: &str) {
        let answer = http.get("/", headers).unwrap_or_else(|e| panic!("{e:#}\n{}", self.agent.log()));
        assert_eq!(name(&answer.text()), wanted, "{}", self.agent.log());
    }

    fn is_asked_on(&self, http: &mut Http) {
        for (headers, wanted) in [(&KEYED[..], "PREVIEW"), (&[], "STABLE")] {
            self.asks(http, headers, wanted);
        }
    }

    fn were_taken(&self, connections: u64) {
        let counters = ["directTaken", "directMissed"].map(|name| counter(&self.stage, name));
        assert_eq!(counters, [connections, 0], "{}", self.agent.log());
    }
}

#[test]
fn both_are_taken_over_and_stay_so() {
    let Some(two) = two() else { return };
    let mut both = two.connect(20_000);
    both.iter_mut().for_each(|http| two.is_asked_on(http));
    thread::sleep(FORGOTTEN);
    both.iter_mut().for_each(|http| two.is_asked_on(http));
    two.were_taken(2);
}

#[test]
fn one_that_is_forgotten_takes_nothing_of_the_other() {
    let Some(two) = two() else { return };
    let [mut first, mut second] = two.connect(20_001);
    two.is_asked_on(&mut first);
    drop(first);
    // It has gone, and is remembered still.
    thread::sleep(Duration::from_millis(300));
    two.is_asked_on(&mut second);
    thread::sleep(FORGOTTEN);
    two.is_asked_on(&mut second);
    two.were_taken(2);
}
