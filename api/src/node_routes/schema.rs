//! What derives cannot say of the CRD's schema.

use schemars::{Schema, SchemaGenerator, json_schema};

pub(super) fn ports(_: &mut SchemaGenerator) -> Schema {
    let port = json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 65535 });
    json_schema!({ "type": "array", "items": port })
}

pub(super) fn ports_by_code(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": ports(generator), "maxProperties": 16 })
}

pub(super) fn counts(_: &mut SchemaGenerator) -> Schema {
    let count = json_schema!({ "type": "integer", "format": "int64", "minimum": 0 });
    json_schema!({ "type": "object", "additionalProperties": count, "maxProperties": 64 })
}
