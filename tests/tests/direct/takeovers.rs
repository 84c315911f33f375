//! Servers as they come: none notices a takeover, and no client does. `BYWAY_TAKEOVERS` says how many of each.

use std::{
    env,
    io::Write as _,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use byway_tests::{Agent, FarClient, Http, Server, Stage, eventually, needs_root};

use super::{CLOSE_WAIT, KEYED, LAST_ACK, agent, counter, name, sockets, start};

const CLIENTS: usize = 8;

/// How the keyed head comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Case {
    /// After up to three others.
    Later,
    /// First.
    First,
    /// Torn at some byte.
    Torn,
}

#[test]
fn nginx() {
    takes_over(Server::Nginx);
}

#[test]
fn node() {
    takes_over(Server::Node);
}

#[test]
fn python_with_blocking_sockets() {
    takes_over(Server::Python);
}

#[test]
fn go_with_its_mptcp_listener() {
    takes_over(Server::Go);
}

#[test]
fn java() {
    takes_over(Server::Java);
}

#[test]
fn ruby() {
    takes_over(Server::Ruby);
}

#[test]
fn over_a_slow_and_lossy_link() {
    if needs_root() {
        return;
    }
    for server in [Server::Nginx, Server::Go] {
        let stage = Stage::new().unwrap();
        let _app = start(&stage, server);
        let agent = agent(&stage);
        let far = FarClient::new(&stage.net, Duration::from_millis(4), 10).unwrap();
        let connect = |to| far.netns().run(move || std::net::TcpStream::connect(to).unwrap());
        for case in [Case::Later, Case::First, Case::Torn] {
            play_all(&agent, &stage, server, case, count() / 2, &connect);
        }
        leaves_nothing(&stage, &agent);
    }
}

fn takes_over(server: Server) {
    if needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let app = start(&stage, server);
    let said = app.log();
    let agent = agent(&stage);
    let connect = |to| stage.client.connect(to).unwrap();
    for case in [Case::Later, Case::First, Case::Torn] {
        play_all(&agent, &stage, server, case, count(), &connect);
    }
    leaves_nothing(&stage, &agent);
    if server != Server::Nginx {
        assert_eq!(app.log(), said, "the app noticed something");
    }
}

fn count() -> usize {
    env::var("BYWAY_TAKEOVERS").ok().and_then(|it| it.parse().ok()).unwrap_or(64)
}

fn leaves_nothing(stage: &Stage, agent: &Agent) {
    assert_eq!(counter(stage, "directMissed"), 0, "{}\n{}", agent.log(), Agent::debug_routes());
    let left = || sockets(&stage.app, Stage::PORT).iter().all(|it| it != CLOSE_WAIT && it != LAST_ACK);
    let gone = eventually(Duration::from_secs(10), || left().then_some(()));
    assert!(gone.is_some(), "{:?}", sockets(&stage.app, Stage::PORT));
}

fn play_all(
    agent: &Agent,
    stage: &Stage,
    server: Server,
    case: Case,
    count: usize,
    connect: &(dyn Fn(SocketAddr) -> std::net::TcpStream + Sync),
) {
    let before = counter(stage, "directTaken");
    let times = thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|client| {
            scope.spawn(move || {
                let mine = (client..count).step_by(CLIENTS);
                let play = |n: usize| {
                    let to = stage.addresses()[n % 2];
                    let played = play(connect(to), server, case, n as u64);
                    played.unwrap_or_else(|e| {
                        panic!("{server:?} {case:?} {n}: {e:#}\n{}\n{}", agent.log(), Agent::debug_routes())
                    })
                };
                mine.map(play).collect::<Vec<Duration>>()
            })
        });
        let clients: Vec<_> = clients.collect();
        let mut times: Vec<Duration> = clients.into_iter().flat_map(|it| it.join().unwrap()).collect();
        times.sort_unstable();
        times
    });
    // On a machine that is too busy to run the agent in time, some go its way from the start.
    let taken = counter(stage, "directTaken") - before;
    assert!(taken > count as u64 * 9 / 10, "{server:?} {case:?}\n{}\n{}", agent.log(), Agent::debug_routes());
    eprintln!(
        "{server:?} {case:?}: first keyed {:?} (median), {:?} (most)",
        times[count / 2],
        times[count - 1]
    );
}

/// One connection; says how long the first keyed answer took.
fn play(stream: std::net::TcpStream, server: Server, case: Case, seed: u64) -> anyhow::Result<Duration> {
    let mut dice = Dice(seed);
    let mut http = Http::new(stream);
    if case == Case::Later {
        for _ in 0..dice.roll(4) {
            ask(&mut http, server, false, &mut dice)?;
        }
    }
    let begun = Instant::now();
    if case == Case::Torn {
        let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx-byway-key: {}\r\naccept: */*\r\n\r\n", Stage::KEY);
        let at = 1 + dice.roll(head.len() as u64 - 1) as usize;
        http.stream().write_all(&head.as_bytes()[..at])?;
        thread::sleep(Duration::from_millis(dice.roll(3)));
        http.stream().write_all(&head.as_bytes()[at..])?;
        let answer = http.response("GET")?.text();
        anyhow::ensure!(name(&answer) == "PREVIEW", "torn at {at}: {answer}");
    } else {
        ask(&mut http, server, true, &mut dice)?;
    }
    let took = begun.elapsed();
    for _ in 0..4 {
        let keyed = dice.roll(2) == 1;
        ask(&mut http, server, keyed, &mut dice)?;
    }
    Ok(took)
}

fn ask(http: &mut Http, server: Server, keyed: bool, dice: &mut Dice) -> anyhow::Result<()> {
    let headers = if keyed { &KEYED[..] } else { &[] };
    if dice.roll(10) < 3 {
        // A body that looks like what it is not.
        let fake = format!("GET / HTTP/1.1\r\nhost: fake\r\nx-byway-key: {}\r\n\r\n", Stage::KEY);
        let body = fake.repeat(1 + dice.roll(1200) as usize).into_bytes();
        let path = if keyed { "/" } else { server.echo() };
        let response = http.request("POST", path, headers, &body)?;
        anyhow::ensure!(response.body == body, "{} of {} bytes came back", response.body.len(), body.len());
        return Ok(());
    }
    let answer = http.get("/", headers)?.text();
    let wanted = if keyed { "PREVIEW" } else { "STABLE" };
    anyhow::ensure!(name(&answer) == wanted, "{answer} in place of {wanted}");
    Ok(())
}

/// The same numbers each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % sides.max(1)
    }
}
