//! The folder as restarts, crashes and strangers leave it.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::json;

use super::{MOST_BYTES, State};

/// A folder that is gone when dropped.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("byway-state-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.join("routes.json")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn soon(holds: impl Fn() -> bool) -> bool {
    (0..500).any(|_| {
        holds() || {
            std::thread::sleep(Duration::from_millis(10));
            false
        }
    })
}

#[test]
fn what_was_in_force_is_read_again_with_what_this_version_cannot_read() {
    let dir = Dir::new("again");
    let state = State::new(&dir.0, "node-1").unwrap();
    assert!(state.read().is_none());
    let spec = json!({ "previews": [{ "name": "a/b", "key": "k", "newer": 1 }] });
    state.write(Some(spec.clone()));
    assert!(soon(|| dir.file().exists()));
    let document = state.read().unwrap();
    assert_eq!(document.spec.previews[0].compile().unwrap_err().code(), "TooNew");
    assert_eq!(document.raw, Some(spec));
    assert!(State::new(&dir.0, "node-2").unwrap().read().is_none(), "of another node");
    state.write(None);
    assert!(soon(|| !dir.file().exists()));
}

#[test]
fn damage_is_passed_over() {
    let dir = Dir::new("damage");
    let state = State::new(&dir.0, "node-1").unwrap();
    let good = json!({ "apiVersion": "byway.dev/v1alpha1", "kind": "NodeTable", "metadata": { "name": "node-1" }, "spec": {} });
    let good = good.to_string();
    fs::write(dir.file(), &good).unwrap();
    assert!(state.read().is_some());
    let large = " ".repeat(MOST_BYTES as usize + 1);
    for bad in [
        "",
        "{",
        &good[..good.len() - 1],
        "[]",
        "null",
        &good.replace("v1alpha1", "v1"),
        &(good.clone() + &large),
    ] {
        fs::write(dir.file(), bad).unwrap();
        assert!(state.read().is_none(), "{bad:.80}");
    }
    fs::write(dir.file(), [0xff, 0xfe]).unwrap();
    assert!(state.read().is_none());
}
