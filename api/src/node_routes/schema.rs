//! What derives cannot say of the CRD's schema.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Any entry with a name: an agent newer than the CRD must see fields that the CRD does not know, and an older one
/// must be able to refuse them.
pub(super) fn previews(_: &mut SchemaGenerator) -> Schema {
    let preview = json_schema!({
        "type": "object",
        "required": ["name"],
        "properties": { "name": { "type": "string" } },
        "x-kubernetes-preserve-unknown-fields": true,
    });
    json_schema!({ "type": "array", "items": preview })
}

pub(super) fn ports(_: &mut SchemaGenerator) -> Schema {
    let port = json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 65535 });
    json_schema!({ "type": "array", "items": port })
}
