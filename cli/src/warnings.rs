//! The warnings of a Preview, each by itself.

use byway_api::{Preview, conditions};

use crate::words;

/// Most characters of one that is to be short.
const SHORT: usize = 160;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A stable word.
    pub reason: String,
    /// What is to be known, and often what to do.
    pub message: String,
}

impl Warning {
    /// On one line: what is to be known, without what to do.
    #[must_use]
    pub fn short(&self) -> String {
        let line = self.message.lines().next().unwrap_or_default();
        let first = line.split("; ").next().unwrap_or_default();
        let short: String = first.chars().take(SHORT).collect();
        if short == self.message { short } else { format!("{} …", short.trim_end()) }
    }
}

/// All of them. `CODE: message; CODE: message` is how the condition joins several.
#[must_use]
pub fn warnings(preview: &Preview) -> Vec<Warning> {
    let Some(it) = words::condition(preview, conditions::WARNINGS).filter(|it| it.status == "True") else {
        return Vec::new();
    };
    match &*it.reason {
        conditions::reason::SEVERAL => several(&it.message),
        one => vec![Warning { reason: one.to_owned(), message: it.message.clone() }],
    }
}

fn several(message: &str) -> Vec<Warning> {
    let mut parts: Vec<Warning> = Vec::new();
    for part in message.split("; ") {
        let is_code = |code: &str| {
            !code.is_empty()
                && code.chars().all(|c| c.is_ascii_alphanumeric())
                && code.starts_with(|c: char| c.is_ascii_uppercase())
        };
        match part.split_once(": ") {
            Some((code, message)) if is_code(code) => {
                parts.push(Warning { reason: code.to_owned(), message: message.to_owned() });
            }
            // A message may have a semicolon of its own.
            _ => match parts.last_mut() {
                Some(last) => last.message = format!("{}; {part}", last.message),
                None => parts.push(Warning {
                    reason: conditions::reason::SEVERAL.to_owned(),
                    message: part.to_owned(),
                }),
            },
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_one_says_that_there_is_more() {
        let short = |message: &str| Warning { reason: "A".into(), message: message.into() }.short();
        assert_eq!(short("it is shared: both write"), "it is shared: both write");
        assert_eq!(short("it is shared; take another one"), "it is shared …");
        assert_eq!(short("a\nb"), "a …");
        assert_eq!(short(&"ä".repeat(SHORT)), "ä".repeat(SHORT));
        assert_eq!(short(&"ä".repeat(SHORT + 1)), format!("{} …", "ä".repeat(SHORT)));
    }

    #[test]
    fn several_are_told_apart() {
        let found = several("ClaimShared: one; two; DaprAppId: three: four");
        let found: Vec<_> = found.iter().map(|it| (it.reason.as_str(), it.message.as_str())).collect();
        assert_eq!(found, [("ClaimShared", "one; two"), ("DaprAppId", "three: four")]);
    }
}
