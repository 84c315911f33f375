//! The first moment of an agent.

use std::thread::sleep;
use std::time::Duration;

use byway_tests::{Agent, Preview};

use crate::clients::{Kept, Told, ask};
use crate::{KEY, NAME, PORT, Stage, server};

/// So many that it takes a while to write them.
const OTHERS: usize = 1000;

/// The connections that it takes are decided by routes from the first one on: its predecessor would have had them.
#[test]
fn a_successor_has_its_routes_before_its_first_connection() {
    let Some(stage) = Stage::new() else { return };
    stage.pods().into_iter().for_each(|(pod, name)| server::serve(pod, name));
    let others: Vec<String> = (0..OTHERS).map(|n| format!("staging/other-{n}")).collect();
    let other =
        |name: &String| Preview::new(name, name.split('/').next_back().unwrap()).backend(&stage.preview);
    let mut routes = others.iter().map(other).fold(byway_tests::Routes::new(), byway_tests::Routes::preview);
    routes = routes.preview(Preview::new(NAME, KEY).backend(&stage.preview));
    let names: Vec<&str> = others.iter().map(String::as_str).chain([NAME]).collect();
    let routes = routes.target(&stage.app, &[PORT], &names);
    // However many wait, none of them passes the agent by.
    let start = || Agent::builder(&stage.net).args(["--max-backlog", "4096"]).start(&routes).unwrap();

    let mut agents = vec![start()];
    let told = Told::default();
    let to = stage.to(PORT);
    let clients = told
        .clients("keyed", &stage.client, 4, move |_: &mut (), _| ask(&mut Kept::default(), to, true, &[]));
    for _ in 0..8 {
        agents.push(start());
        sleep(Duration::from_millis(100));
    }
    told.stop();
    clients.join(500);
    assert_eq!(told.complaints(), [""; 0]);
}
