//! Keys and names that are made up: readable, so that people can tell previews apart.

use byway_api::{Key, PreviewTarget, names};

/// Most characters of a Preview's name.
const MAX_NAME: usize = 63;
/// Most characters of each readable part of a key.
const MAX_PART: usize = 20;
/// What random ends are made of: no letters that look like digits.
const RANDOM: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A key that nobody else is likely to have: who, what, and some random letters.
#[must_use]
pub fn make(user: Option<&str>, image: &str, random: &mut fastrand::Rng) -> Key {
    let end: String = (0..5).map(|_| char::from(RANDOM[random.usize(..RANDOM.len())])).collect();
    let parts = [user.filter(|it| *it != "root"), tag(image)];
    let parts = parts.into_iter().flatten().map(|it| tidy(it, MAX_PART)).filter(|it| !it.is_empty());
    let text = parts.chain([end]).collect::<Vec<_>>().join("-");
    text.parse().unwrap_or_else(|_| unreachable!("letters, digits and single dashes make a key"))
}

/// Who calls, for a key.
#[must_use]
pub fn user() -> Option<String> {
    ["USER", "LOGNAME"].iter().find_map(|it| std::env::var(it).ok()).filter(|it| !it.is_empty())
}

/// The tag of an image, if it says something.
fn tag(image: &str) -> Option<&str> {
    let image = image.split('@').next().unwrap_or(image);
    let (_, tag) = image.rsplit_once(':')?;
    (!tag.contains('/') && !["latest", "dev", "main", "master"].contains(&tag)).then_some(tag)
}

/// The name of the Preview of a target and a key.
#[must_use]
pub fn name(target: Option<&PreviewTarget>, image: &str, key: &Key) -> String {
    let what = match target {
        Some(target) => target.name.as_str(),
        None => {
            let image = image.split('@').next().unwrap_or(image);
            let last = image.rsplit('/').next().unwrap_or(image);
            last.split(':').next().unwrap_or(last)
        }
    };
    let plain = format!("{what}-{key}");
    let name = tidy(&plain, MAX_NAME);
    // What a name cannot tell apart, a hash does.
    if name == plain { name } else { with_hash(target, image, key) }
}

/// The same with a hash of what it is made of, where the plain one is taken.
#[must_use]
pub fn with_hash(target: Option<&PreviewTarget>, image: &str, key: &Key) -> String {
    let (kind, what) = target.map_or(("", image), |it| (it.kind.as_str(), it.name.as_str()));
    let hash = names::hash(&[kind, what, key.as_str()], 6);
    let last = what.rsplit('/').next().unwrap_or(what);
    let readable = tidy(&format!("{last}-{key}"), MAX_NAME - hash.len() - 1);
    if readable.is_empty() { hash } else { format!("{readable}-{hash}") }
}

/// In small letters, digits and single dashes, beginning and ending with none.
fn tidy(text: &str, most: usize) -> String {
    let mut tidy = String::new();
    for c in text.chars().take(most) {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => tidy.push(c),
            _ if tidy.ends_with('-') || tidy.is_empty() => {}
            _ => tidy.push('-'),
        }
    }
    tidy.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(user: Option<&str>, image: &str) -> String {
        make(user, image, &mut fastrand::Rng::with_seed(7)).to_string()
    }

    fn target(kind: &str, name: &str) -> PreviewTarget {
        crate::args::target(&format!("{kind}/{name}")).unwrap()
    }

    #[test]
    fn a_key_says_whose_it_is_and_what_runs() {
        let random = key(None, "app");
        assert_eq!(random.len(), 5);
        assert_eq!(key(Some("ann"), "registry:5000/app:PR_42"), format!("ann-pr-42-{random}"));
        assert_eq!(key(Some("root"), "registry:5000/app"), random);
        assert_eq!(key(Some("ann.b@x"), "app:latest"), format!("ann-b-x-{random}"));
        assert_eq!(key(Some("ann"), "app:1@sha256:00"), format!("ann-1-{random}"));
    }

    #[test]
    fn two_keys_are_two() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut make = || make(Some("ann"), "app:1", &mut random);
        assert_ne!(make(), make());
    }

    #[test]
    fn a_name_tells_target_and_key_apart_from_others() {
        let named = |target: Option<&PreviewTarget>, image: &str, key: &str| {
            name(target, image, &key.parse().unwrap())
        };
        let app = target("deployment", "app");
        assert_eq!(named(Some(&app), "x", "pr-1"), "app-pr-1");
        let (a, b) = (named(Some(&app), "x", "pr.1"), named(Some(&app), "x", "PR-1"));
        assert!(a.starts_with("app-pr-1-") && b.starts_with("app-pr-1-") && a != b, "{a} {b}");
        assert_eq!(named(None, "registry:5000/team/new-service:3", "pr-1"), "new-service-pr-1");
        let long = named(Some(&target("deployment", &"a".repeat(100))), "x", "pr-1");
        assert!(long.len() <= MAX_NAME, "{long}");
        let key = "pr-1".parse().unwrap();
        assert_ne!(with_hash(Some(&app), "x", &key), with_hash(Some(&target("pod", "app")), "x", &key));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_there_makes_a_key_and_a_name(user in ".{0,40}", image in ".{0,80}", key in "[A-Za-z0-9][A-Za-z0-9._-]{0,61}[A-Za-z0-9]") {
            let made = make(Some(&user), &image, &mut fastrand::Rng::with_seed(3));
            for name in [name(None, &image, &made), name(None, &image, &key.parse().unwrap())] {
                let is_dns = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                proptest::prop_assert!(is_dns && !name.is_empty() && name.len() <= MAX_NAME, "{name}");
                proptest::prop_assert!(!name.starts_with('-') && !name.ends_with('-'), "{name}");
            }
        }
    }
}
