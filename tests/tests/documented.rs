//! Every reason that a Preview's conditions can have is told in `docs/conditions.md`, and the pages can be read: in a
//! terminal, from the reader's question on, and from link to link.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

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

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
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

/// Most characters of a line.
const WIDE: usize = 110;

#[test]
fn lines_fit_a_terminal() {
    let mut long = Vec::new();
    for (page, text) in pages() {
        let lines = prose(&text).into_iter().filter(|(_, line)| !line.starts_with('|'));
        let wide = lines.filter(|(_, line)| without_targets(line).chars().count() > WIDE);
        long.extend(wide.map(|(number, _)| format!("{}:{number}", page.display())));
    }
    assert!(long.is_empty(), "more than {WIDE} characters, outside of tables, code and links: {long:#?}");
}

#[test]
fn links_between_pages_lead_somewhere() {
    let pages = pages();
    let anchors: BTreeMap<PathBuf, BTreeSet<String>> =
        pages.iter().map(|(page, text)| (real(page), anchors(text))).collect();
    let mut broken = Vec::new();
    for (page, text) in &pages {
        for target in links(text).into_iter().filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target.as_str(), ""));
            let folder = page.parent().unwrap();
            let there = if file.is_empty() { real(page) } else { real(&folder.join(file)) };
            let has_anchor = || anchors.get(&there).is_none_or(|all| all.contains(anchor));
            if !there.exists() || !(anchor.is_empty() || has_anchor()) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// In the title, or in the first paragraph.
#[test]
fn pages_begin_with_the_readers_question() {
    let docs = pages().into_iter().filter(|(page, _)| page.starts_with("docs"));
    let begins = |text: &str| text.split("\n\n").take(2).any(|part| part.contains('?'));
    let silent: Vec<_> = docs.filter(|(_, text)| !begins(text)).map(|(page, _)| page).collect();
    assert!(silent.is_empty(), "what does who comes to these pages want to know? {silent:#?}");
}

#[test]
fn code_and_targets_of_links_are_no_prose() {
    let page =
        "# A `b`: c\n\ntext [x](a.md#b)\n\n    [code](c.md)\n\n```\n# no\n```\n- d `[e](f)`\n  [g\n  h](i)\n";
    let numbers: Vec<_> =
        prose(page).into_iter().filter(|(_, line)| !line.is_empty()).map(|(n, _)| n).collect();
    assert_eq!(numbers, [1, 3, 10, 11, 12]);
    assert_eq!(links(page), ["a.md#b", "i"]);
    assert_eq!(anchors(page), BTreeSet::from(["a-b-c".to_owned()]));
    assert_eq!(without_targets("see [x](https://example.com) and [y](z)"), "see [x] and [y]");
    assert_eq!(without_targets("  <https://example.com/long>."), " ");
}

/// All of the tree, by their paths in it. What xtask makes pages of is none yet.
fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(ROOT).join(&folder)).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let path = folder.join(&name);
            let is_folder = entry.file_type().unwrap().is_dir();
            if is_folder
                && !name.starts_with('.')
                && !["target", "src", "node_modules"].contains(&name.as_str())
            {
                folders.push(path);
            } else if !is_folder && name.ends_with(".md") {
                pages.push((path.clone(), read(path.to_str().unwrap())));
            }
        }
    }
    assert!(pages.len() > 20, "where are they? {pages:?}");
    pages
}

/// The lines outside of blocks of code, with their numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let (mut fenced, mut indented, mut after_blank) = (false, false, true);
    let mut lines = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        let blank = line.trim().is_empty();
        indented = (indented || after_blank) && (line.starts_with("    ") || (indented && blank));
        after_blank = blank;
        if !fence && !fenced && !indented {
            lines.push((i + 1, line));
        }
    }
    lines
}

/// A line as it is read: a link's target cannot be broken.
fn without_targets(line: &str) -> String {
    let mut parts = line.split("](");
    let mut read = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        read.push(']');
        read.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    let words = read.split(' ').filter(|word| !word.contains("://"));
    words.collect::<Vec<_>>().join(" ")
}

/// Targets of links, which may begin on the line before.
fn links(text: &str) -> Vec<String> {
    let prose: String = prose(text).iter().flat_map(|(_, line)| [*line, "\n"]).collect();
    // Every other part is between backticks.
    let plain: String = prose.split('`').step_by(2).collect();
    let targets = plain.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// What headings can be linked by, as GitHub makes it.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).into_iter().filter(|(_, line)| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |line: &str| {
        let heading = without_targets(line.trim_start_matches('#').trim()).to_lowercase();
        heading.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(|(_, line)| anchor(line)).collect()
}

/// Where a path in the tree is on the disk.
fn real(path: &Path) -> PathBuf {
    let path = Path::new(ROOT).join(path);
    path.canonicalize().unwrap_or(path)
}
