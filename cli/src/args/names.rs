//! Names that are written by hand: what cannot be one, most often what a template or a manual left there, is told
//! before anything is asked for.

use byway_api::PreviewTarget;

#[cfg(test)]
mod tests;

/// As in the CRD.
const LONGEST_IMAGE: usize = 512;

/// The name of an object of Kubernetes (RFC 1123: a subdomain).
pub(crate) fn object_name(text: &str) -> Result<String, String> {
    let is_name = text.len() <= 253 && text.split('.').all(is_label);
    if is_name { Ok(text.to_owned()) } else { Err(no_name(text, "letters, digits, `-` and `.`")) }
}

/// The name of a namespace.
pub(crate) fn namespace(text: &str) -> Result<String, String> {
    label(text).map_err(|message| format!("namespace {message}"))
}

/// The name of a container.
pub(crate) fn container(text: &str) -> Result<String, String> {
    label(text).map_err(|message| format!("container {message}"))
}

/// A target whose names can be some.
pub(crate) fn target(target: PreviewTarget) -> Result<PreviewTarget, String> {
    object_name(&target.name)?;
    if let Some(name) = &target.container {
        container(name)?;
    }
    Ok(target)
}

/// The name of an image, with its registry, its tag and its digest. Whether it is there only the registry knows.
pub(crate) fn image(text: &str) -> Result<String, String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-:/@+[]".contains(c);
    if text.is_empty() || text.len() > LONGEST_IMAGE {
        return Err(format!("{text:?} is not the name of an image: it has 1 to {LONGEST_IMAGE} characters"));
    }
    match text.chars().find(|c| !is_part(*c)) {
        None => Ok(text.to_owned()),
        Some(c) => {
            Err(format!("{text:?} is not the name of an image: no image has {c:?} in its name{}", hint(text)))
        }
    }
}

fn label(text: &str) -> Result<String, String> {
    let is_name = text.len() <= 63 && is_label(text);
    if is_name { Ok(text.to_owned()) } else { Err(no_name(text, "letters, digits and `-`")) }
}

fn is_label(text: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    is_end(text.chars().next())
        && is_end(text.chars().next_back())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn no_name(text: &str, of: &str) -> String {
    format!(
        "{text:?} is no name: names are made of small {of}, and begin and end with a letter or digit{}",
        hint(text)
    )
}

/// As places for a name are marked.
fn hint(text: &str) -> &'static str {
    if text.contains(['<', '>', '{', '}', '$', '%']) { ". Put the real one in its place" } else { "" }
}
