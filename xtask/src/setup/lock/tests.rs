use std::fs::{self, File};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use byway_tests::Scratch;

use super::{Lock, holder};

#[test]
fn the_second_waits_for_the_first_who_says_its_name() {
    let folder = Scratch::new("lock").unwrap();
    let first = Lock::take(folder.path()).unwrap();
    let said = fs::read_to_string(folder.path().join("set-up.lock")).unwrap();
    assert!(said.starts_with(&format!("process {}, `cargo xtask ", std::process::id())), "{said}");

    let (sender, taken) = mpsc::channel();
    thread::scope(|threads| {
        threads.spawn(|| {
            let second = Lock::take(folder.path()).unwrap();
            sender.send(()).unwrap();
            drop(second);
        });
        assert!(taken.recv_timeout(Duration::from_millis(300)).is_err(), "it waits");
        drop(first);
        taken.recv_timeout(Duration::from_secs(5)).expect("and goes on");
    });
}

#[test]
fn what_a_holder_leaves_keeps_nobody_out() {
    let folder = Scratch::new("lock").unwrap();
    let said = "process 1, `cargo xtask a very long command that was here before, and is gone`";
    fs::write(folder.path().join("set-up.lock"), said.repeat(4)).unwrap();
    let _lock = Lock::take(folder.path()).unwrap();
    let now = fs::read_to_string(folder.path().join("set-up.lock")).unwrap();
    assert!(!now.contains("process 1,") && now.ends_with('`'), "{now}");
}

#[test]
fn a_holder_that_says_its_name_a_moment_later_is_named() {
    let folder = Scratch::new("lock").unwrap();
    let path = folder.path().join("set-up.lock");
    fs::write(&path, "").unwrap();
    let mut file = File::open(&path).unwrap();
    thread::scope(|threads| {
        threads.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            fs::write(&path, "process 1").unwrap();
        });
        assert_eq!(holder(&mut file).unwrap(), "process 1");
    });
}
