//! Files that a preview has beside those of its image.

use k8s_openapi::ByteString;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::derives::{JsonSchema, KubeSchema};

/// A file in the container. What lies at its path is covered; the rest of the directory stays as it is.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.text), has(self.binary), has(self.configMapKeyRef), has(self.secretKeyRef)].filter(it, it).size() == 1")
    .message("a file needs exactly one of text, binary, configMapKeyRef and secretKeyRef"))]
pub struct File {
    /// Where: an absolute path.
    #[schemars(length(min = 2, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(/[^/:]+)+$') && !self.matches('/[.][.]?(/|$)')")
        .message("path must be an absolute path of a file without ':', '.' and '..', e.g. /etc/app/config.yaml"))]
    pub path: String,
    /// What is in it, as text. Who may read the Preview may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 262_144))]
    pub text: Option<String>,
    /// What is in it, as base64. Who may read the Preview may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::binary")]
    pub binary: Option<ByteString>,
    /// An entry of a ConfigMap in the Preview's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<EntryRef>,
    /// An entry of a Secret in the Preview's namespace: for what not everybody may read who may read the Preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<EntryRef>,
}

/// An entry of a ConfigMap or Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryRef {
    /// The name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Which of its entries.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Where a file's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents<'a> {
    /// They stand in the Preview, as text.
    Text(&'a str),
    /// They stand in the Preview.
    Binary(&'a [u8]),
    /// A ConfigMap has them.
    ConfigMap(&'a EntryRef),
    /// A Secret has them.
    Secret(&'a EntryRef),
}

impl File {
    /// Where its bytes come from: the CRD has it that there is one such place.
    #[must_use]
    pub fn contents(&self) -> Contents<'_> {
        match self {
            Self { secret_key_ref: Some(entry), .. } => Contents::Secret(entry),
            Self { config_map_key_ref: Some(entry), .. } => Contents::ConfigMap(entry),
            Self { binary: Some(ByteString(bytes)), .. } => Contents::Binary(bytes),
            Self { text, .. } => Contents::Text(text.as_deref().unwrap_or_default()),
        }
    }

    /// How many bytes of it stand in the Preview.
    #[must_use]
    pub fn size(&self) -> usize {
        match self.contents() {
            Contents::Text(text) => text.len(),
            Contents::Binary(bytes) => bytes.len(),
            Contents::ConfigMap(_) | Contents::Secret(_) => 0,
        }
    }
}
