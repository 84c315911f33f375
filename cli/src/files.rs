//! Files that a preview is to have: those that may stand in it, and those that are kept in a Secret.

use std::collections::BTreeMap;

use byway_api::{EntryRef, File, names};
use k8s_openapi::ByteString;
use serde_json::{Map, Value};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Files {
    /// As they will be sent. Those of a Secret do not have its name yet, see [`Secrets::name`].
    pub list: Vec<File>,
    /// What is to be kept in a Secret.
    pub secrets: Secrets,
}

/// Entries of the Secret that is made for a preview.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Secrets(pub BTreeMap<String, ByteString>);

impl Files {
    /// Whether there is one at this path.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.list.iter().any(|it| it.path == path)
    }

    /// Adds one, behind `there` others.
    pub fn add(&mut self, there: usize, path: String, bytes: Vec<u8>, is_secret: bool) {
        let mut file =
            File { path, text: None, binary: None, config_map_key_ref: None, secret_key_ref: None };
        if is_secret {
            let key = names::file_entry(there + self.list.len(), &file.path);
            self.secrets.0.insert(key.clone(), ByteString(bytes));
            file.secret_key_ref = Some(EntryRef { name: String::new(), key });
        } else {
            match String::from_utf8(bytes) {
                Ok(text) => file.text = Some(text),
                Err(error) => file.binary = Some(ByteString(error.into_bytes())),
            }
        }
        self.list.push(file);
    }
}

/// Most bytes of a Secret (`MaxSecretSize` of Kubernetes).
const MOST: usize = 1 << 20;

impl Secrets {
    /// Whether a Secret can have all of it.
    ///
    /// # Errors
    ///
    /// With what to do instead.
    pub fn check(&self) -> Result<(), String> {
        let size: usize = self.0.values().map(|it| it.0.len()).sum();
        if size <= MOST {
            return Ok(());
        }
        Err(format!(
            "the secret files have {size} bytes together, and a Secret takes at most {MOST}: make Secrets of them yourself, and name these in spec.files (secretKeyRef)"
        ))
    }

    /// The name of the Secret for the Preview `preview`: another one when anything in it is, so that pods are made anew.
    #[must_use]
    pub fn name(&self, preview: &str) -> String {
        let parts: Vec<&[u8]> =
            self.0.iter().flat_map(|(key, bytes)| [key.as_bytes(), bytes.0.as_slice()]).collect();
        format!("{}{}", prefix(preview), names::hash(&parts, 10))
    }

    /// Puts the name in where a file refers to it.
    pub fn name_in(&self, spec: &mut Map<String, Value>, preview: &str) {
        let name = self.name(preview);
        for file in spec.get_mut("files").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(open) = file.pointer_mut("/secretKeyRef/name").filter(|it| *it == "") {
                *open = name.clone().into();
            }
        }
    }
}

/// How names of such Secrets begin.
#[must_use]
pub fn prefix(preview: &str) -> String {
    format!("{preview}-files-")
}

/// What the CRD has for a path.
///
/// # Errors
///
/// With what to write instead.
pub fn path(path: &str) -> Result<(), &'static str> {
    let mut parts = path.split('/');
    let is_part = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(':');
    let is_absolute = parts.next() == Some("") && path.len() > 1;
    (is_absolute && parts.all(is_part))
        .then_some(())
        .ok_or("is no absolute path of a file without ':', '.' and '..': write e.g. /etc/app/config.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_binary_and_what_is_secret_stands_elsewhere() {
        let mut files = Files::default();
        files.add(0, "/a/text".to_owned(), b"hi".to_vec(), false);
        files.add(0, "/a/bytes".to_owned(), vec![0xFF], false);
        files.add(0, "/a/key.pem".to_owned(), b"secret".to_vec(), true);
        let sent = serde_json::to_value(&files.list).unwrap();
        let expected = serde_json::json!([
            { "path": "/a/text", "text": "hi" },
            { "path": "/a/bytes", "binary": "/w==" },
            { "path": "/a/key.pem", "secretKeyRef": { "name": "", "key": "2-key.pem" } },
        ]);
        assert_eq!(sent, expected);
        assert!(files.has("/a/text") && !files.has("/a"));
        let name = files.secrets.name("checkout");
        assert!(name.starts_with(&prefix("checkout")), "{name}");
        files.secrets.0.insert("2-key.pem".to_owned(), ByteString(b"other".to_vec()));
        assert_ne!(files.secrets.name("checkout"), name);
    }

    #[test]
    fn a_path_is_one_as_the_crd_has_it() {
        for good in ["/a", "/etc/app/config.yaml", "/a/.b"] {
            assert_eq!(path(good), Ok(()), "{good}");
        }
        for bad in ["", "/", "a", "a/b", "/a/", "/a//b", "/a/../b", "/./a", "/a:b"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
