//! Every reason that a Preview's conditions can have is told in `docs/conditions.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where reasons are defined, and what stands before each.
const SOURCES: [(&str, &str); 8] = [
    ("api/src/conditions.rs", ": &str = "),
    ("api/src/preview/problems.rs", " => "),
    ("plan/src/clone/refuse.rs", " => "),
    ("plan/src/clone/warn.rs", "reason: "),
    ("plan/src/clone/ordinal.rs", "reason: "),
    ("agent/src/kernel/node.rs", " => "),
    ("agent/src/steering.rs", "map_or("),
    ("agent/src/source.rs", "CODE: &str = "),
];

fn read(path: &str) -> String {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn every_reason_is_documented() {
    let page = read("docs/conditions.md");
    let mut missing = BTreeSet::new();
    for (path, before) in SOURCES {
        let source = read(path);
        let codes: Vec<_> = source.split(before).skip(1).filter_map(code).collect();
        assert!(!codes.is_empty(), "{path} has no reasons any more: where are they?");
        let absent = codes.into_iter().filter(|code| !page.contains(&format!("`{code}`")));
        missing.extend(absent.map(|code| format!("{code} ({path})")));
    }
    assert!(missing.is_empty(), "docs/conditions.md does not tell {missing:?}");
}

/// The word that a text begins with, if it is a literal that looks like a reason.
fn code(text: &str) -> Option<&str> {
    let (word, _) = text.strip_prefix('"')?.split_once('"')?;
    let is_word =
        word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(|c| c.is_ascii_alphanumeric());
    is_word.then_some(word)
}
