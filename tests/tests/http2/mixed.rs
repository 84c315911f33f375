//! Users who share a connection do not see each other's version.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::sync::Semaphore;

use crate::peer::{Answer, Client, send_all};
use crate::{KEY, NAME, Stage, run};

/// A request: whether it is keyed, how long its body is, whether it is given up half-way.
type Shape = (bool, usize, bool);

#[test]
fn no_stream_of_thousands_gets_to_the_wrong_version() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let _agent = stage.agent();
    let shape =
        (any::<bool>(), prop_oneof![4 => 0..500_usize, 1 => 0..100_000_usize], prop::bool::weighted(0.05));
    let shapes = prop::collection::vec(shape, 500..1500);
    let mut runner = TestRunner::new(Config { cases: 6, failure_persistence: None, ..Config::default() });
    let all = runner.run(&shapes, |shapes| {
        let wrong: Vec<String> = run(ask_all(&stage, shapes));
        prop_assert!(wrong.is_empty(), "{wrong:?}");
        Ok(())
    });
    all.unwrap();
}

async fn ask_all(stage: &Stage, shapes: Vec<Shape>) -> Vec<String> {
    let client = Arc::new(Client::connect(stage).await);
    let turns = Arc::new(Semaphore::new(100));
    let mut asked = Vec::new();
    for shape in shapes {
        let turn = turns.clone().acquire_owned().await.unwrap();
        let client = client.clone();
        asked.push(tokio::spawn(async move {
            let wrong = ask(&client, shape).await;
            drop(turn);
            wrong
        }));
    }
    let mut wrong = Vec::new();
    for one in asked {
        wrong.extend(one.await.unwrap());
    }
    wrong
}

async fn ask(client: &Client, (keyed, len, gives_up): Shape) -> Option<String> {
    let headers = if keyed { &[KEY][..] } else { &[] };
    let (response, mut to) = client.begin("POST", "/count", headers, false).await;
    if gives_up {
        to.send_reset(h2::Reason::CANCEL);
        return None;
    }
    if len == 0 {
        to.send_data(Bytes::new(), true).unwrap();
    }
    send_all(&mut to, vec![7; len].into(), true).await.unwrap();
    let answer = match Answer::read(response).await {
        Ok(answer) => answer,
        Err(error) => return Some(error.to_string()),
    };
    let (name, preview) = if keyed { ("PREVIEW", Some(NAME)) } else { ("APP", None) };
    let right = answer.text() == format!("{name} {len}") && answer.header("x-byway-preview") == preview;
    (!right).then(|| format!("keyed {keyed}, {len} bytes: {}", answer.text()))
}
