//! Holds every key of a configuration against the table of those that are known.

use std::collections::BTreeMap;

use serde_json::Value;

use super::keys::{self, Fate};
use super::template::NO_BRANCH;
use super::{Outside, Overrides, Said, Section};

/// Says what is not known, what is refused, and what is ignored.
pub(super) fn walk(value: &Value, overrides: &Overrides, outside: &Outside, said: &mut Said) {
    let mut walk = Walk { overrides, outside, said, ignored: BTreeMap::new() };
    walk.members(&Section::root(value), "");
    for (why, mut paths) in walk.ignored {
        let last = paths.pop().unwrap_or_default();
        let (paths, are) = match paths.len() {
            0 => (last, "is"),
            _ => (format!("{} and {last}", paths.join(", ")), "are"),
        };
        said.warnings.push(format!("{paths} {are} ignored: {why}"));
    }
}

/// Says where a branch is needed that is not known: anywhere but in the key, for which there is another one.
pub(super) fn branchless(value: &Value, mark: char, said: &mut Said) {
    let root = Section::root(value);
    let mut rest: Vec<_> = root.members().filter(|(name, _)| *name != "key").map(|(_, it)| it).collect();
    while let Some(section) = rest.pop() {
        if section.value.as_str().is_some_and(|text| text.contains(mark)) {
            said.problem(&section.path, NO_BRANCH);
        }
        rest.extend(section.members().map(|(_, it)| it));
        rest.extend(section.items());
    }
}

struct Walk<'a> {
    overrides: &'a Overrides,
    outside: &'a Outside,
    said: &'a mut Said,
    /// Keys that have no bearing, by the reason.
    ignored: BTreeMap<&'static str, Vec<String>>,
}

impl Walk<'_> {
    /// `known` is the section's path as it is in the table.
    fn members(&mut self, section: &Section<'_>, known: &str) {
        for (name, member) in section.members() {
            let known = if known.is_empty() { name.to_owned() } else { format!("{known}.{name}") };
            self.member(&member, &known);
        }
    }

    fn member(&mut self, section: &Section<'_>, known: &str) {
        let Some(entry) = keys::find(known) else {
            let message = match keys::nearest(known) {
                Some(nearest) => format!("is not known: did you mean {nearest}?"),
                None => {
                    "is not known: correct it or leave it out (docs/mirrord.md lists the keys that are known)"
                        .to_owned()
                }
            };
            self.said.problem(&section.path, message);
            return;
        };
        if asks_for_nothing(section.value) && !matches!(entry.fate, Fate::Honoured(_)) {
            return;
        }
        match entry.fate {
            Fate::Honoured(_) if keys::has_members(known) => {
                self.members(section, known);
                for item in section.items() {
                    self.members(&item, &format!("{known}[]"));
                }
            }
            Fate::Honoured(_) => {}
            Fate::Refused { why, instead } => {
                self.said.problem(&section.path, format!("is not available: {why}; {instead}"));
            }
            Fate::Renamed(today) => {
                self.said.problem(&section.path, format!("is the name of older versions: write {today}"));
            }
            Fate::Flag { flag } => self.flag(section, flag),
            Fate::Ignored(why) => self.ignored.entry(why).or_default().push(section.path.clone()),
        }
    }

    /// What only a flag chooses.
    fn flag(&mut self, section: &Section<'_>, flag: &str) {
        match self.given(flag) {
            Some((_, value)) if self.is_same(section, flag, &value) => {}
            None if flag == "--kubeconfig" && self.is_same(section, flag, "~/.kube/config") => {}
            Some((by, value)) => self
                .said
                .warnings
                .push(format!("{} is {}, and {by} {value} goes before it", section.path, section.value)),
            None => {
                let message = format!(
                    "a file does not choose the cluster here: say {flag}{}, which goes before it",
                    section.value.as_str().map(|value| format!(" {value}")).unwrap_or_default()
                );
                self.said.problem(&section.path, message);
            }
        }
    }

    /// Whether the file says what is in force anyway. A path may be written in several ways.
    fn is_same(&self, section: &Section<'_>, flag: &str, value: &str) -> bool {
        let said = section.value.as_str();
        said.is_some_and(|said| match flag {
            "--kubeconfig" => self.outside.place(said) == self.outside.place(value),
            _ => said == value,
        })
    }

    /// By what the cluster is chosen, and which.
    fn given(&self, flag: &str) -> Option<(&'static str, String)> {
        if flag == "--context" {
            return self.overrides.context.clone().map(|it| ("--context", it));
        }
        let of_flag = self.overrides.kubeconfig.as_ref().map(|it| ("--kubeconfig", it.display().to_string()));
        of_flag.or_else(|| self.outside.var("KUBECONFIG").map(|it| ("KUBECONFIG", it)))
    }
}

/// Whether a value says no more than its absence would.
pub(super) fn asks_for_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
