//! Inside a crate, files and folders that stand beside each other do not import each other in a circle. A file and the
//! folder of its name are one: what was split off may use what it was split off from.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The way to a module from the root of its crate.
type Module = Vec<String>;

/// Who imports whom, and what shows it: the whole ways of one such pair.
type Arrows = BTreeMap<Module, BTreeMap<Module, (Module, Module)>>;

#[test]
fn no_files_import_each_other_in_a_circle() {
    let crates = crates();
    assert!(crates.len() >= 11, "where are they? {crates:?}");
    for root in crates {
        let circles = Files::read(&root).circles();
        assert!(circles.is_empty(), "in {}, {}", root.display(), circles.join("\nand "));
    }
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let found = |files: &[(&str, &str)]| Files::of(files).circles();
    let circle = "a imports b (b), b imports c (c), c imports a (a::x)";
    for (a, b) in [
        ("use crate::b::B;", "use std::io;\npub use crate::{\n    c::{self, C as D},\n};"),
        ("fn f() -> crate::b::B {}", "fn f() { let a = super::c::C::<u8>::new(); }"),
        // By the name that the parent gives it.
        ("use super::B;", "use crate::c::*;"),
    ] {
        let root = ("lib.rs", "mod a; mod b; mod c;\npub(crate) use b::{B, other};");
        let c = ("c.rs", "use super::a::x::X;");
        assert_eq!(found(&[root, ("a.rs", a), ("a/x.rs", ""), ("b/mod.rs", b), c]), [circle]);
    }
    let inside =
        [("lib.rs", ""), ("a.rs", ""), ("a/x.rs", "use super::y::Y;"), ("a/y.rs", "use super::x::X;")];
    assert_eq!(found(&inside), ["a::x imports a::y (a::y), a::y imports a::x (a::x)"]);
    for innocent in [
        "use super::A;",
        "use byway_api::b;",
        "// crate::b\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}",
    ] {
        assert!(found(&[("lib.rs", ""), ("a.rs", innocent), ("b.rs", "use crate::a::A;")]).is_empty());
        assert!(found(&[("lib.rs", ""), ("a.rs", "use x::X;"), ("a/x.rs", innocent)]).is_empty());
    }
}

/// The files of a crate, as far as they are no tests.
struct Files(BTreeMap<Module, File>);

struct File {
    /// Every path in it that begins in the crate.
    paths: Vec<Vec<String>>,
    /// Names that it gives to what it imports: whoever is in it or below may use them.
    names: BTreeMap<String, Vec<String>>,
}

impl Files {
    fn read(root: &Path) -> Self {
        let (mut files, mut folders) = (Self(BTreeMap::new()), vec![root.to_owned()]);
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                let name = path.file_stem().unwrap().to_string_lossy();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|it| it == "rs")
                    && !["tests", "testing"].contains(&&*name)
                {
                    let below = path.strip_prefix(root).unwrap().to_str().unwrap();
                    files.add(below, &fs::read_to_string(&path).unwrap());
                }
            }
        }
        files
    }

    fn of(files: &[(&str, &str)]) -> Self {
        let mut all = Self(BTreeMap::new());
        files.iter().for_each(|(path, text)| all.add(path, text));
        all
    }

    fn add(&mut self, path: &str, text: &str) {
        let mut module: Module = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if ["lib", "main", "mod"].contains(&module[module.len() - 1].as_str()) {
            module.pop();
        }
        self.0.insert(module, File::read(text));
    }

    /// Each in words.
    fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let mut seen = BTreeSet::new();
        let mut circles = Vec::new();
        for from in arrows.keys() {
            let Some(circle) = back_to(from, &arrows) else { continue };
            if seen.insert(circle.iter().cloned().collect::<BTreeSet<_>>()) {
                let pairs = circle.iter().zip(circle.iter().cycle().skip(1));
                let words = pairs.map(|(from, to)| {
                    let (_, what) = &arrows[from][to];
                    format!("{} imports {} ({})", from.join("::"), to.join("::"), what.join("::"))
                });
                circles.push(words.collect::<Vec<_>>().join(", "));
            }
        }
        circles
    }

    fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (from, file) in &self.0 {
            for to in file.paths.iter().filter_map(|path| self.resolve(from, path, 0)) {
                let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                if common < from.len().min(to.len()) {
                    let (a, b) = (from[..=common].to_vec(), to[..=common].to_vec());
                    arrows.entry(a).or_default().entry(b).or_insert((from.clone(), to));
                }
            }
        }
        arrows
    }

    /// The module that a path leads to; nothing, if that is in another crate.
    fn resolve(&self, at: &[String], path: &[String], depth: usize) -> Option<Module> {
        let mut rest = path.iter();
        let mut here = match path.first()?.as_str() {
            "crate" => {
                rest.next();
                Module::new()
            }
            "self" | "super" => at.to_vec(),
            child => {
                let child = [at, &[child.to_owned()]].concat();
                self.0.contains_key(&child).then(|| at.to_vec())?
            }
        };
        while let Some(word) = rest.next() {
            match word.as_str() {
                "self" => continue,
                "super" => {
                    here.pop()?;
                    continue;
                }
                _ => here.push(word.clone()),
            }
            if !self.0.contains_key(&here) {
                here.pop();
                let name = self.0.get(&here).and_then(|file| file.names.get(word)).filter(|_| depth < 8);
                let meant = name.map(|it| it.iter().chain(rest).cloned().collect::<Vec<_>>());
                return Some(meant.and_then(|it| self.resolve(&here, &it, depth + 1)).unwrap_or(here));
            }
        }
        Some(here)
    }
}

impl File {
    fn read(text: &str) -> Self {
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let text: String =
            text.lines().flat_map(|line| [line.split("//").next().unwrap_or(line), "\n"]).collect();
        let (mut imports, mut paths) = (Vec::new(), Vec::new());
        for (at, _) in text.match_indices("use ") {
            let before = text[..at].rsplit('\n').next().unwrap_or_default().trim_start();
            if before.is_empty() || before.starts_with("pub") {
                tree(&text[at + 4..], &[], &mut imports);
            }
        }
        for (at, _) in ["crate::", "super::"].into_iter().flat_map(|word| text.match_indices(word)) {
            // Neither in the middle of a path nor in a macro that is for other crates.
            if !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_:$".contains(c)) {
                tree(&text[at..], &[], &mut paths);
            }
        }
        let names = imports.into_iter().map(|(path, name)| (name, path)).collect();
        Self { paths: paths.into_iter().map(|(path, _)| path).collect(), names }
    }
}

/// Reads a path, or a tree of them, with the name that each gets here. Returns what follows.
fn tree<'a>(text: &'a str, before: &[String], found: &mut Vec<(Vec<String>, String)>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        while !rest.trim_start().starts_with('}') && !rest.is_empty() {
            let behind = tree(rest, before, found);
            let behind = behind.trim_start().strip_prefix(',').unwrap_or(behind);
            rest = if behind.len() < rest.len() { behind } else { "" };
        }
        return rest.trim_start().strip_prefix('}').unwrap_or_default();
    }
    let word = |text: &'a str| {
        text.split_at(text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len()))
    };
    let (name, rest) = word(text);
    let path = if name.is_empty() { before.to_vec() } else { [before, &[name.to_owned()]].concat() };
    if let Some(rest) = rest
        .strip_prefix("::")
        .filter(|rest| rest.starts_with(|c: char| c.is_alphabetic() || "_{*".contains(c)))
    {
        return tree(rest, &path, found);
    }
    let (name, rest) = rest.strip_prefix(" as ").map_or((name, rest), word);
    let name = if name == "self" {
        path.iter().rev().find(|it| *it != "self").cloned().unwrap_or_default()
    } else {
        name.to_owned()
    };
    found.push((path, name));
    rest.strip_prefix('*').unwrap_or(rest)
}

/// The folders that have a crate's root, of the workspace and beside it.
fn crates() -> Vec<PathBuf> {
    let below = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir() && !path.ends_with("target")).collect::<Vec<_>>()
    };
    let outer = below(Path::new(ROOT));
    let inner = outer.iter().flat_map(|folder| below(folder));
    let roots = inner.flat_map(|folder| if folder.ends_with("src") { vec![folder] } else { below(&folder) });
    let roots = roots.filter(|it| it.ends_with("src"));
    roots.filter(|it| it.join("lib.rs").is_file() || it.join("main.rs").is_file()).collect()
}

/// The shortest way round.
fn back_to(from: &Module, arrows: &Arrows) -> Option<Vec<Module>> {
    let mut came: BTreeMap<&Module, &Module> = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(here) = next.pop_front() {
        for to in arrows.get(here).into_iter().flat_map(BTreeMap::keys) {
            if to == from {
                let mut way = vec![here.clone()];
                while way.last() != Some(from) {
                    way.push(came[&way[way.len() - 1]].clone());
                }
                way.reverse();
                return Some(way);
            }
            if !came.contains_key(to) {
                came.insert(to, here);
                next.push_back(to);
            }
        }
    }
    None
}
