//! Templates, rendered before the text is parsed, as mirrord does: by Tera, with `key`, `git_branch` and `get_env`.
//!
//! The key may stand in the file itself, and in a filter it must stay `{{ key }}`, which is for the agents to fill in. So a
//! mark is put in its place here: a character that the file does not have. So it is for a branch that is not known, where
//! the key that is made of it is given in another way.

use std::collections::HashMap;
use std::error::Error as _;

use tera::{Context, Tera, Value};

use super::Outside;
use super::parse::Unreadable;

#[cfg(test)]
mod tests;

/// What to do where there is none.
pub(super) const NO_BRANCH: &str = "{{ git_branch }} is not known, since no branch is checked out here (this is no git repository, or HEAD is detached, as mostly in CI): set MIRRORD_BRANCH_NAME; where only the key is made of it, --key does as well";

/// Most characters of a line that is shown.
const LONGEST_LINE: usize = 160;

/// Filters that leave a mark where it is.
const LEAVING_MARKS: [&str; 7] = ["safe", "regex_escape", "replace", "lower", "upper", "trim", "truncate"];

/// A text without templates.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rendered {
    pub(super) text: String,
    /// Where `{{ key }}` was.
    pub(super) mark: char,
    /// Where `{{ git_branch }}` was, if there is none.
    pub(super) no_branch: Option<char>,
}

impl Rendered {
    /// Why it cannot be read. Its lines are not those of the file where templates put something in: then the one that is
    /// meant is shown.
    pub(super) fn explain(&self, file: &str, wrong: &Unreadable) -> String {
        if self.text == file {
            return wrong.message.clone();
        }
        let message = self.for_people(&wrong.message);
        let line =
            wrong.line.and_then(|number| Some((number, self.text.lines().nth(number.checked_sub(1)?)?)));
        let shown = line.map(|(number, line)| {
            let line: String = self.for_people(line.trim()).chars().take(LONGEST_LINE).collect();
            (number, line)
        });
        match shown {
            Some((number, line)) if !message.contains(&line) => {
                format!("{message} (once its templates are rendered; line {number} is then: {line})")
            }
            _ => format!("{message} (once its templates are rendered)"),
        }
    }

    /// With what the marks stand for.
    fn for_people(&self, text: &str) -> String {
        let text = text.replace(self.mark, "{{ key }}");
        self.no_branch.map_or(text.clone(), |mark| text.replace(mark, "{{ git_branch }}"))
    }
}

/// `key_is_given`: then what the file's key is made of does not matter.
pub(super) fn render(text: &str, outside: &Outside, key_is_given: bool) -> Result<Rendered, String> {
    let mut marks = ('\u{E000}'..='\u{F8FF}').filter(|mark| !text.contains(*mark));
    let (Some(mark), Some(of_branch)) = (marks.next(), marks.next()) else {
        return Err("the file has every character that is for private use: take two of them out".to_owned());
    };
    if !["{{", "{%", "{#"].iter().any(|opening| text.contains(opening)) {
        return Ok(Rendered { text: text.to_owned(), mark, no_branch: None });
    }
    if let Some(tag) = tags(text).into_iter().find(|tag| misuses_the_key(tag)) {
        return Err(format!(
            "in `{tag}`, the key is more than put in: only `{{{{ key }}}}` alone is understood"
        ));
    }
    let mut tera = Tera::default();
    let own = outside.clone();
    tera.register_function("get_env", move |args: &HashMap<String, Value>| get_env(args, &own));
    tera.register_filter("regex_escape", |value: &Value, _: &HashMap<_, _>| regex_escape(value));
    // It is for feature.fs, which is not looked at; what it gives has only to leave the file readable.
    tera.register_filter("path_pattern", |_: &Value, _: &HashMap<_, _>| Ok(Value::from("")));
    let mut context = Context::new();
    context.insert("key", &mark);
    let branch = outside.branch();
    let no_branch = (branch.is_none() && key_is_given && only_prints_the_branch(text)).then_some(of_branch);
    if let Some(branch) = branch.clone().or(no_branch.map(String::from)) {
        context.insert("git_branch", &branch);
    }
    match tera.render_str(text, &context) {
        Ok(text) => Ok(Rendered { text, mark, no_branch }),
        Err(error) => match causes(&error) {
            causes if branch.is_none() && causes.contains("`git_branch`") => Err(NO_BRANCH.to_owned()),
            causes => Err(format!("the template is wrong: {causes}")),
        },
    }
}

/// Whether a mark can stand for the branch: nothing is decided by it, and nothing is put in its place.
fn only_prints_the_branch(text: &str) -> bool {
    tags(text).into_iter().filter(|tag| tag.contains("git_branch")).all(|tag| {
        let mut parts = tag[2..tag.len() - 2].trim_matches('-').split('|').map(str::trim);
        let filter = |it: &str| LEAVING_MARKS.contains(&it.split('(').next().unwrap_or_default());
        tag.starts_with("{{") && parts.next() == Some("git_branch") && parts.all(filter)
    })
}

fn get_env(args: &HashMap<String, Value>, outside: &Outside) -> tera::Result<Value> {
    let name = args.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| tera::Error::msg("get_env needs a name, e.g. get_env(name=\"USER\")"))?;
    match (outside.var(name), args.get("default")) {
        (Some(value), _) => Ok(Value::from(value)),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(tera::Error::msg(format!(
            "the variable {name} is not set: set it, or write get_env(name=\"{name}\", default=\"...\")"
        ))),
    }
}

/// Makes a regex that matches a text, without a character that a file would have to escape.
fn regex_escape(value: &Value) -> tera::Result<Value> {
    let text = value.as_str().ok_or_else(|| tera::Error::msg("regex_escape is for texts"))?;
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '{' | '}' | '$' | '#' | '&' | '-' | '~' => {
                escaped.extend(['[', c, ']']);
            }
            '[' | ']' | '^' | '\\' | '"' | '\'' => {
                return Err(tera::Error::msg(format!(
                    "regex_escape does not know {c:?}: write the regex out"
                )));
            }
            c if c.is_control() => {
                return Err(tera::Error::msg(format!("regex_escape: {c:?} cannot be in a file's text")));
            }
            c => escaped.push(c),
        }
    }
    Ok(Value::from(escaped))
}

/// What stands in `{{ }}` and `{% %}`, with its braces.
fn tags(text: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    let mut rest = text;
    while let Some(start) = [rest.find("{{"), rest.find("{%")].into_iter().flatten().min() {
        let closing = if rest[start..].starts_with("{{") { "}}" } else { "%}" };
        let Some(end) = rest[start + 2..].find(closing) else { break };
        let end = start + 2 + end + 2;
        tags.push(&rest[start..end]);
        rest = &rest[end..];
    }
    tags
}

/// Whether an expression has `key` in it and is not just that: the mark could then be compared, cut or measured.
fn misuses_the_key(tag: &str) -> bool {
    let inner = &tag[2..tag.len() - 2];
    let bare: String = inner.trim_matches('-').chars().filter(|c| !c.is_whitespace()).collect();
    if tag.starts_with("{{") && ["key", "key|safe", "key|regex_escape"].contains(&bare.as_str()) {
        return false;
    }
    let mut outside_quotes = String::new();
    let mut quote = None;
    for c in inner.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None => outside_quotes.push(c),
        }
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    outside_quotes.match_indices("key").any(|(at, word)| {
        let before = outside_quotes[..at].chars().next_back();
        let after = outside_quotes[at + word.len()..].trim_start();
        let next = outside_quotes[at + word.len()..].chars().next();
        let argument = after.starts_with('=') && !after.starts_with("==");
        !before.is_some_and(|c| is_word(c) || c == '.') && !next.is_some_and(is_word) && !argument
    })
}

fn causes(error: &tera::Error) -> String {
    let mut causes = Vec::new();
    let mut next: Option<&dyn std::error::Error> = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}
