//! `http_filter`: which requests. What it says becomes a match of the API, and every way through must name the key.

use byway_api::{Key, Match, MatchError, Matcher, PathMatch};
use serde_json::Value;

use super::walk::asks_for_nothing;
use super::{Reader, Section};

/// In a filter the key is put in by the agents.
const PLACE: &str = "{{ key }}";

/// The filters of which mirrord takes one.
const FILTERS: [&str; 5] = ["header_filter", "path_filter", "method_filter", "all_of", "any_of"];

/// The match, if there is a filter. What is wrong with it is said at its place.
pub(super) fn read(reader: &mut Reader<'_>, incoming: &Section<'_>) -> Option<Match> {
    let section = incoming.get("http_filter")?;
    if !matches!(section.value, Value::Object(_) | Value::Bool(_)) {
        reader.said.problem(&section.path, format!("is {}: write an object", section.what()));
    }
    let there: Vec<Section<'_>> = FILTERS.iter().filter_map(|name| section.get(name)).collect();
    if there.len() > 1 {
        reader.said.problem(&section.path, "has several filters: join them in one all_of or any_of");
    }
    let filter = there.first()?;
    let mut found = Match::default();
    match filter.path.rsplit('.').next().unwrap_or_default() {
        "all_of" => found.all = entries(reader, filter, &["header", "path", "method"]),
        // Each entry is a way through, and only a header has the key.
        "any_of" => found.any = entries(reader, filter, &["header"]),
        kind => {
            let matcher = matcher(reader, filter, kind.trim_end_matches("_filter"))?;
            found = Match {
                header_filter: matcher.header_filter,
                path: matcher.path,
                method: matcher.method,
                ..found
            };
        }
    }
    // An entry that is wrong is missing by now, so nothing can be said of the whole.
    let entries = filter.items().count();
    if entries == found.all.len() + found.any.len() {
        check(reader, filter, &found);
    }
    Some(found)
}

/// The matchers of a list, whose entries may be of these kinds.
fn entries(reader: &mut Reader<'_>, list: &Section<'_>, kinds: &[&'static str]) -> Vec<Matcher> {
    if list.items().next().is_none() {
        reader
            .said
            .problem(&list.path, "is no list of filters: write [ { \"header\": \"x-traffic: {{ key }}\" } ]");
    }
    let mut matchers = Vec::new();
    for item in list.items() {
        let there: Vec<_> = kinds.iter().filter_map(|kind| Some((kind, item.get(kind)?))).collect();
        match &there[..] {
            [(kind, section)] => matchers.extend(matcher(reader, section, kind)),
            // What it has instead is said already.
            [] if item.members().any(|(_, member)| !asks_for_nothing(member.value)) => {}
            _ => reader.said.problem(&item.path, format!("has not exactly one {}", kinds.join(" or "))),
        }
    }
    matchers
}

/// One filter; the second argument says of what.
fn matcher(reader: &mut Reader<'_>, section: &Section<'_>, kind: &str) -> Option<Matcher> {
    let text = reader.raw_text(section)?.replace(reader.mark, PLACE);
    let matcher = match kind {
        "header" => Matcher { header_filter: Some(text.clone()), ..Matcher::default() },
        "method" => Matcher { method: Some(text.to_ascii_uppercase()), ..Matcher::default() },
        _ => {
            if ["\\?", "[?]", "\\x3f", "\\x3F"].iter().any(|question| text.contains(question)) {
                reader.said.problem(
                    &section.path,
                    "looks at the query, but only the path before it is compared: take that part out, and send what tells them apart in a header",
                );
                return None;
            }
            // As it was written first, so that an error is told where it is.
            let plain = path(text.clone());
            if judge(reader, section, &plain) {
                return None;
            }
            return Some(path(format!("(?i){text}")));
        }
    };
    (!judge(reader, section, &matcher)).then_some(matcher)
}

fn path(regex: String) -> Matcher {
    Matcher { path: Some(PathMatch { regex: Some(regex), ..PathMatch::default() }), ..Matcher::default() }
}

/// Says what is wrong with one matcher; whether it has the key is a matter of all of them.
fn judge(reader: &mut Reader<'_>, section: &Section<'_>, matcher: &Matcher) -> bool {
    let alone = Match { all: vec![matcher.clone()], ..Match::default() };
    let key = any_key(reader);
    let error = alone.compile(&key, true).err();
    if let Some(error) = &error {
        let text = error.to_string();
        // The field is told by the place in the file.
        let said = text
            .strip_prefix("all[0].")
            .and_then(|rest| rest.split_once([':', ' ']))
            .map_or(text.as_str(), |(_, rest)| rest);
        reader.said.problem(&section.path, said.trim_start().to_owned());
    }
    error.is_some()
}

/// Every way through names the key.
fn check(reader: &mut Reader<'_>, filter: &Section<'_>, found: &Match) {
    let Err(error) = found.compile(&any_key(reader), false) else { return };
    let MatchError::Keyless { .. } = error else {
        reader.said.problem(&filter.path, error.to_string());
        return;
    };
    let example = "{ \"header\": \"x-traffic: {{ key }}\" }";
    let keyless = |matcher: &Matcher| matcher.header_filter.as_ref().is_none_or(|text| !names_the_key(text));
    if let Some(at) = found.any.iter().position(keyless) {
        let message = format!(
            "lets requests through without the key: a preview takes only what carries it, so each entry of any_of must be a header that names {PLACE}, e.g. {example}{}",
            suggestion(reader, found.any[at].header_filter.as_deref())
        );
        reader.said.problem(format!("{}[{at}]", filter.path), message);
        return;
    }
    let (header, form) = match (&found.header_filter, found.all.is_empty()) {
        (Some(text), _) => (Some(text.as_str()), format!("name {PLACE} in it, e.g. \"x-traffic: {PLACE}\"")),
        (None, false) => (
            found.all.iter().find_map(|matcher| matcher.header_filter.as_deref()),
            format!("add a header that names {PLACE}, e.g. {example}"),
        ),
        (None, true) => (None, format!("put it into all_of, beside {example}")),
    };
    let message = format!(
        "lets requests through without the key: a preview takes only what carries it, so {form}{}",
        suggestion(reader, header)
    );
    reader.said.problem(&filter.path, message);
}

/// Where the key itself was written, the same with its place.
fn suggestion(reader: &Reader<'_>, filter: Option<&str>) -> String {
    let with_key = reader.key.as_ref().zip(filter).filter(|(key, text)| key.is_token_of(text.as_bytes()));
    with_key
        .map(|(key, text)| format!("; here probably {:?}", text.replacen(key.as_str(), PLACE, 1)))
        .unwrap_or_default()
}

fn names_the_key(text: &str) -> bool {
    text.contains(PLACE) || text.contains("{{key}}")
}

/// The key if it is known, else one like any.
fn any_key(reader: &Reader<'_>) -> Key {
    reader.key.clone().unwrap_or_else(|| "key".parse().unwrap_or_else(|_| unreachable!("it is one")))
}
