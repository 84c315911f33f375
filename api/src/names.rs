//! Names that the parts of Byway agree on: labels, annotations, the gate, and names of what a Preview owns.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::Key;

#[cfg(test)]
mod tests;

/// Who owns the fields that the controller applies.
pub const FIELD_MANAGER: &str = "byway-controller";
/// Label of everything that a Preview owns: the name of the Preview.
pub const PREVIEW_LABEL: &str = "byway.dev/preview";
/// Label of everything that a Preview owns: its key.
pub const KEY_LABEL: &str = "byway.dev/key";
/// Label of a preview's pods: the hash of the clone's pod template.
pub const REVISION_LABEL: &str = "byway.dev/revision";
/// Annotation on a clone: the hash of what was applied.
pub const APPLIED_ANNOTATION: &str = "byway.dev/applied";
/// Annotation on a clone: the ConfigMap with the files that stand in its Preview.
pub const FILES_ANNOTATION: &str = "byway.dev/files";
/// Annotation of a workload, its pod template or a namespace: `true` has its pods steered ahead of any preview.
pub const ARMED_ANNOTATION: &str = "byway.dev/armed";
/// Label of the agents' pods.
pub const COMPONENT_LABEL: &str = "app.kubernetes.io/component";
/// Its value.
pub const AGENT_COMPONENT: &str = "byway-agent";
/// The condition that tells when every agent routes to a pod of a preview.
pub const READINESS_GATE: &str = "byway.dev/routed";
/// Tells an app of the preview which key it has.
pub const KEY_ENV: &str = "BYWAY_KEY";
/// Tells an app of the preview its name.
pub const PREVIEW_ENV: &str = "BYWAY_PREVIEW";

/// Most characters of a name that is used as a label and as a DNS label.
pub const MAX_NAME: usize = 63;

/// The name of the Deployment, and of the Service, that the Preview `name` with this UID owns.
#[must_use]
pub fn child_name(name: &str, uid: &str) -> String {
    own_name(name, uid, MAX_NAME)
}

/// A name of at most so many characters that is nobody's but of the Preview `name` with this UID: a DNS label, and so the
/// value of a label, too.
///
/// The hash keeps two Previews apart whose names begin alike, and a Preview from an older one of its name, whose
/// Deployment may still be on its way out.
#[must_use]
pub fn own_name(name: &str, uid: &str, most: usize) -> String {
    let hash = hash(&[name, uid], 8);
    let room = most.saturating_sub("byway--".len() + hash.len());
    let cut: String = name.chars().take(room).collect();
    // A cut may leave a `-` or `.` at the end, and dots are not allowed in the name of a Service.
    let cut = cut.replace('.', "-");
    format!("byway-{}-{hash}", cut.trim_end_matches('-'))
}

/// The entry of a ConfigMap or Secret for the `n`th file: what may stand in a name, with the end of the file's path for who
/// looks.
#[must_use]
pub fn file_entry(n: usize, path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let allowed = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(100);
    format!("{n}-{}", allowed.collect::<String>())
}

/// The key of a Preview that names none. A function of the object: whoever asks, and however often, gets the same.
#[must_use]
pub fn generated_key(name: &str, uid: &str) -> Key {
    let hash = hash(&["key", uid], 8);
    let room = Key::MAX_LEN - hash.len() - 1;
    let cut: String = name.chars().take(room).collect();
    let text = format!("{}-{hash}", cut.trim_end_matches(['-', '.']));
    text.parse().unwrap_or_else(|_| unreachable!("a DNS name and hexadecimal digits make a key"))
}

/// The first `len` hexadecimal digits of a hash of `parts`.
#[must_use]
pub fn hash<T: AsRef<[u8]>>(parts: &[T], len: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text.truncate(len);
    text
}
