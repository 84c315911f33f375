//! Who a Preview is: its name, its UID, and the key in force.

use byway_api::{Key, Preview, names};

use crate::rows::{Name, Ref};

/// The name of a Preview.
pub fn ref_of(preview: &Preview) -> Ref {
    let meta = &preview.metadata;
    Ref::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

/// The UID of a Preview.
pub fn uid_of(preview: &Preview) -> Name {
    preview.metadata.uid.as_deref().unwrap_or_default().into()
}

/// The key in force: what the user names, else one that follows from the object.
pub fn key_of(preview: &Preview) -> Option<Key> {
    match &preview.spec.key {
        Some(key) => key.parse().ok(),
        None => {
            let meta = &preview.metadata;
            Some(names::generated_key(meta.name.as_deref()?, meta.uid.as_deref()?))
        }
    }
}
