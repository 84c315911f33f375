//! What derives cannot say of the CRD's schema.

use k8s_openapi::api::core::v1::EnvVar;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::Key;

/// Whether the text names the key, in CEL: what the API server will pay for has no room for a regex here.
macro_rules! names_the_key {
    ($m:literal, $field:literal) => {
        concat!(
            "(has(",
            $m,
            $field,
            ") && (",
            $m,
            $field,
            ".contains('{{ key }}') || ",
            $m,
            $field,
            ".contains('{{key}}')))"
        )
    };
}

/// Whether a matcher names the key, in CEL.
macro_rules! keyed {
    ($m:literal) => {
        concat!(
            "(has(",
            $m,
            ".header) && (",
            names_the_key!($m, ".header.exact"),
            " || ",
            names_the_key!($m, ".header.regex"),
            ")) || ",
            names_the_key!($m, ".headerFilter")
        )
    };
}

/// Every way through a match holds a header matcher with `{{ key }}`. `self` is `spec.incoming`.
pub(super) const EVERY_WAY_HAS_THE_KEY: &str = concat!(
    "!has(self.match) || self.mode == 'mirror' || ",
    keyed!("self.match"),
    " || (has(self.match.all) && self.match.all.exists(m, ",
    keyed!("m"),
    ")) || (has(self.match.any) && size(self.match.any) > 0 && self.match.any.all(m, ",
    keyed!("m"),
    "))"
);

/// Its message. As [`MatchError::Keyless`](crate::MatchError::Keyless), without the place.
pub(super) const KEYLESS: &str = "every way through a match must name {{ key }} in a header matcher, e.g. { header: { name: x-traffic, exact: \"{{ key }}\" } }";

pub(super) fn key(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<Key>();
    schema.insert("minLength".to_owned(), 1.into());
    // A rule says it in words.
    schema.remove("pattern");
    schema
}

/// Kubernetes bounds none of its texts.
pub(super) fn env(generator: &mut SchemaGenerator) -> Schema {
    fn bound(schema: &mut Value, most: usize) {
        if schema["type"] == "string" || schema["x-kubernetes-int-or-string"] == true {
            schema["maxLength"] = most.into();
        }
        for (name, field) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
        {
            bound(field, if name == "value" { 4096 } else { 512 });
        }
    }
    let mut one = generator.subschema_for::<EnvVar>().to_value();
    bound(&mut one, 0);
    json_schema!({ "type": "array", "maxItems": 100, "items": one })
}

pub(super) fn ttl(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 32, "default": crate::Ttl::default().to_string() })
}

pub(super) fn idle_ttl(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 32 })
}

pub(super) fn replicas(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 0, "maximum": 20, "default": 1 })
}

pub(super) fn sleep_after(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 32, "default": "30m" })
}

pub(super) fn wake_timeout(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 32, "default": "90s" })
}

pub(super) fn binary(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte", "maxLength": 349_528 })
}

pub(super) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 50,
        "additionalProperties": { "type": "string", "maxLength": 63 },
    })
}

pub(super) fn percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 100 })
}

pub(super) fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 65535 })
}

pub(super) fn ports(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "maxItems": 32, "items": port(generator) })
}

pub(super) fn response_header(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "boolean", "default": true })
}
