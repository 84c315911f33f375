//! An agent that dies again and again, wherever it has come to: whoever comes anew is served at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

use byway_tests::{Http, Loaded, Outcome, Plan, Stage, agent_listens, eventually, netstat};

use crate::SOON;
use crate::clients::Told;

/// Nothing takes longer, however busy the machine is: a SYN that is lost costs one second, and the next one two.
const HANG: Duration = Duration::from_secs(5);
const LIVES: u32 = 30;
/// So many times longer an agent needs under load, which leaves less of the processors for it.
const SLOWER: u32 = 2;
/// Of connections that an agent had taken when it died, or that were on their way to it.
const RESET_BY_EACH: u64 = 20;

#[test]
fn a_crash_loop_never_touches_the_app() {
    if byway_tests::needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let app = stage.start_app().unwrap();
    let mut before = Http::new(stage.client.connect(stage.addresses()[0]).unwrap());
    let asks_before = |before: &mut Http| assert!(before.get("/", &[]).unwrap().text().starts_with("STABLE"));
    asks_before(&mut before);
    let probes = Probes::start(&stage);
    let outcome = die(&stage, || asks_before(&mut before));
    assert_eq!(outcome.of("STABLE"), outcome.total(), "{outcome:?}");
    probes.never_failed_twice();

    // All is as if there had never been an agent.
    assert!(eventually(SOON, || Loaded::on(stage.net.node_name()).is_empty().then_some(())).is_some());
    assert!(!agent_listens(&stage.app));
    for to in stage.addresses() {
        let (accepted, stream) = (app.accepted(), stage.client.connect(to).unwrap());
        let myself = stream.local_addr().unwrap();
        let answer = Http::new(stream).get("/", &[("x-byway-key", Stage::KEY)]).unwrap().text();
        assert_eq!(answer, format!("STABLE {myself}"));
        assert_eq!(app.accepted(), accepted + 1);
    }
    asks_before(&mut before);
}

/// A version that cannot live is to follow one that can.
#[test]
fn a_successor_in_a_crash_loop_leaves_its_predecessor_in_charge() {
    if byway_tests::needs_root() {
        return;
    }
    let stage = Stage::new().unwrap();
    let _app = stage.start_app().unwrap();
    let mut agent = stage.start_agent().unwrap();
    let probes = Probes::start(&stage);
    let mut kept = Http::new(stage.client.connect(stage.addresses()[0]).unwrap());
    let outcome = die(&stage, || {
        // The one that lives has kept its connections, and takes new ones again.
        assert!(kept.get("/", &[]).unwrap().text().starts_with("STABLE"));
        assert!(kept.get("/", &[("x-byway-key", Stage::KEY)]).unwrap().text().starts_with("PREVIEW"));
        stage.wait_answered_by("PREVIEW").unwrap();
    });
    assert_eq!(outcome.of("STABLE"), outcome.total(), "{outcome:?}");
    probes.never_failed_twice();
    drop(kept);
    assert!(agent.ended().unwrap().is_none());
    assert!(agent.stop().unwrap().success());
}

/// Agents live for a moment each, under load without a key: from nothing to half as long again as one needs to get
/// ready. `between` is done after each.
fn die(stage: &Stage, mut between: impl FnMut()) -> Outcome {
    let begun = Instant::now();
    stage.start_agent().unwrap().sigkill();
    let needs = begun.elapsed();
    let load = Plan::to(stage.addresses()).clients(3).pause(Duration::from_micros(300)).start(&stage.client);
    let mut attached = 0;
    for life in 0..LIVES {
        let mut agent = stage.agent().spawn(&stage.routes()).unwrap();
        // In an order of its own: short lives and long ones by turns.
        sleep(needs * SLOWER * (life * 7 % LIVES) * 3 / (LIVES * 2));
        attached += u32::from(agent_listens(&stage.app));
        agent.sigkill();
        between();
    }
    let outcome = load.stop();
    eprintln!("an agent needs {needs:?}; {attached} of {LIVES} had attached; {outcome:?}");
    assert_eq!((outcome.refused, outcome.late, outcome.wrong.len()), (0, 0, 0), "{outcome:?}");
    assert!(outcome.reset <= u64::from(LIVES) * RESET_BY_EACH, "{outcome:?}");
    assert!(outcome.slowest_connect < HANG && outcome.slowest < HANG, "{outcome:?}");
    assert_eq!(netstat(&stage.client, "TcpExt:", "TCPSynRetrans"), 0);
    assert!(attached > LIVES / 10, "{attached} of {LIVES} lives were long enough to attach");
    outcome
}

/// What a kubelet does, and more often: one failure is none, as long as the next probe succeeds.
struct Probes {
    told: Told,
    clients: crate::clients::Clients,
}

impl Probes {
    fn start(stage: &Stage) -> Self {
        let (told, in_a_row, to) = (Told::default(), Arc::new(AtomicU32::default()), stage.addresses());
        let clients = told.clients("probes", &stage.client, 1, move |_: &mut (), turn| {
            sleep(Duration::from_millis(100));
            match byway_tests::get(to[turn % 2], "/healthz", &[]) {
                Ok(response) if response.status == 200 => in_a_row.store(0, Relaxed),
                other => anyhow::ensure!(in_a_row.fetch_add(1, Relaxed) == 0, "twice: {other:?}"),
            }
            Ok(())
        });
        Self { told, clients }
    }

    fn never_failed_twice(self) {
        self.told.stop();
        self.clients.join(20);
        assert_eq!(self.told.complaints(), [""; 0]);
    }
}
