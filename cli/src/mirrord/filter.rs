//! `http_filter`: which requests. What it says becomes a match of the API, and every way through must name the key.

use byway_api::{Key, Match, Matcher, Mode, PathMatch};
use serde_json::Value;

use super::walk::asks_for_nothing;
use super::{Reader, Section};

/// In a filter the key is put in by the agents.
const PLACE: &str = "{{ key }}";

/// The filters of which mirrord takes one.
const FILTERS: [&str; 5] = ["header_filter", "path_filter", "method_filter", "all_of", "any_of"];

/// The match, if there is a filter. What is wrong with it is said at its place: with each part of it, and with the whole.
/// Unless requests are only copied: that takes them from nobody.
pub(super) fn read(reader: &mut Reader<'_>, incoming: &Section<'_>, mode: Mode) -> Option<Match> {
    let section = incoming.get("http_filter")?;
    if !matches!(section.value, Value::Object(_) | Value::Bool(_)) {
        reader.said.problem(&section.path, format!("is {}: write an object", section.what()));
    }
    let there: Vec<Section<'_>> = FILTERS.iter().filter_map(|name| section.get(name)).collect();
    if there.len() > 1 {
        reader.said.problem(&section.path, "has several filters: join them in one all_of or any_of");
    }
    let mut found = Match::default();
    for filter in &there {
        match kind(filter) {
            "all_of" => found.all = entries(reader, filter, &["header", "path", "method"]),
            // Each entry is a way through, and only a header has the key.
            "any_of" => found.any = entries(reader, filter, &["header"]),
            kind => {
                let matcher = matcher(reader, filter, kind.trim_end_matches("_filter")).unwrap_or_default();
                found.header_filter = matcher.header_filter.or(found.header_filter);
                found.path = matcher.path.or(found.path);
                found.method = matcher.method.or(found.method);
            }
        }
    }
    match &there[..] {
        [] => return None,
        _ if mode == Mode::Mirror => {}
        [filter] => check_key(reader, filter),
        // How they are meant together is not known; at least one must have it.
        several if several.iter().any(|filter| headers(filter).any(|it| names_the_key(reader, &it))) => {}
        [first, ..] => check_key(reader, first),
    }
    // What is wrong in a part is missing by now, so the whole is asked for its size alone.
    if let Err(error @ byway_api::MatchError::TooMany { .. }) = found.compile(&any_key(reader), true) {
        reader.said.problem(&section.path, error.to_string());
    }
    Some(found)
}

fn kind<'s>(filter: &'s Section<'_>) -> &'s str {
    filter.path.rsplit('.').next().unwrap_or_default()
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
        matchers.extend(there.iter().filter_map(|(kind, section)| matcher(reader, section, kind)));
        // What it has instead is said already.
        let has_others = item.members().any(|(_, member)| !asks_for_nothing(member.value));
        if there.len() > 1 || (there.is_empty() && !has_others) {
            reader.said.problem(&item.path, format!("has not exactly one {}", kinds.join(" or ")));
        }
    }
    matchers
}

/// One filter; the last argument says of what.
fn matcher(reader: &mut Reader<'_>, section: &Section<'_>, kind: &str) -> Option<Matcher> {
    let text = reader.raw_text(section)?.replace(reader.mark, PLACE);
    let matcher = match kind {
        "header" => Matcher { header_filter: Some(text), ..Matcher::default() },
        "method" => Matcher { method: Some(text.to_ascii_uppercase()), ..Matcher::default() },
        _ => {
            let of_query = ["\\?", "[?]", "\\x3f", "\\x3F"].iter().any(|question| text.contains(question));
            if of_query {
                reader.said.problem(
                    &section.path,
                    "looks at the query, but only the path before it is compared: take that part out, and send what tells them apart in a header",
                );
            }
            // As it was written first, so that an error is told where it is.
            let is_wrong = judge(reader, section, &path(text.clone()));
            return (!is_wrong && !of_query).then(|| path(format!("(?i){text}")));
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

/// Every way through names the key: asked of the texts, so that a regex that is wrong besides is told that, too.
fn check_key(reader: &mut Reader<'_>, filter: &Section<'_>) {
    let example = format!("{{ \"header\": \"x-traffic: {PLACE}\" }}");
    let headers: Vec<Section<'_>> = headers(filter).collect();
    if kind(filter) == "any_of" {
        for header in headers {
            if names_the_key(reader, &header) {
                continue;
            }
            let message = format!(
                "lets requests through without the key: a preview takes only what carries it, so each entry of any_of must be a header that names {PLACE}, e.g. {example}{}",
                suggestion(reader, Some(&header))
            );
            let entry = header.path.trim_end_matches(".header");
            reader.said.problem(entry, message);
        }
        return;
    }
    if headers.iter().any(|header| names_the_key(reader, header)) {
        return;
    }
    let form = match kind(filter) {
        "header_filter" => format!("name {PLACE} in it, e.g. \"x-traffic: {PLACE}\""),
        "all_of" => format!("add a header that names {PLACE}, e.g. {example}"),
        _ => format!("put it into all_of, beside {example}"),
    };
    let message = format!(
        "lets requests through without the key: a preview takes only what carries it, so {form}{}",
        suggestion(reader, headers.first())
    );
    reader.said.problem(&filter.path, message);
}

/// The matchers of headers in a filter.
fn headers<'v>(filter: &Section<'v>) -> impl Iterator<Item = Section<'v>> {
    let own = (kind(filter) == "header_filter").then(|| filter.clone());
    let items: Vec<_> = filter.items().filter_map(|item| item.get("header")).collect();
    own.into_iter().chain(items)
}

/// What is no text is said already.
fn names_the_key(reader: &Reader<'_>, header: &Section<'_>) -> bool {
    let has = |text: &str| text.contains(reader.mark) || text.contains(PLACE) || text.contains("{{key}}");
    header.value.as_str().is_none_or(has)
}

/// Where the key itself was written, the same with its place.
fn suggestion(reader: &Reader<'_>, header: Option<&Section<'_>>) -> String {
    let text = header.and_then(|header| header.value.as_str());
    let with_key = reader.key.as_ref().zip(text).filter(|(key, text)| key.is_token_of(text.as_bytes()));
    with_key
        .map(|(key, text)| format!("; here probably {:?}", text.replacen(key.as_str(), PLACE, 1)))
        .unwrap_or_default()
}

/// The key if it is known, else one like any.
fn any_key(reader: &Reader<'_>) -> Key {
    reader.key.clone().unwrap_or_else(|| "key".parse().unwrap_or_else(|_| unreachable!("it is one")))
}
