//! JSON values in which no object has a name twice: of two the last would be taken, and nobody would know.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A value that was read so.
#[derive(Clone, Debug, PartialEq)]
pub struct Unique(pub Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            // Before its value is read, so that the place that is told is the name's.
            if members.contains_key(&name) {
                return Err(A::Error::custom(format!("{name:?} is there twice: leave one of them out")));
            }
            members.insert(name, map.next_value::<Unique>()?.0);
        }
        Ok(Value::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Unique(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_that_is_there_twice_is_told_with_its_place() {
        for (text, place) in [
            (r#"{"a": 1, "b": 2, "a": 3}"#, "\"a\" is there twice: leave one of them out at line 1 column"),
            (
                "{\n  \"x\": [{ \"b\": 1,\n \"b\": 1 }]\n}",
                "\"b\" is there twice: leave one of them out at line 3",
            ),
        ] {
            let error = serde_json::from_str::<Unique>(text).unwrap_err().to_string();
            assert!(error.starts_with(place), "{error}");
        }
        let error =
            serde_yaml_ng::from_str::<Unique>("a: { b: 1 }\nc:\n  d: 1\n  d: 2\n").unwrap_err().to_string();
        assert!(error.contains("\"d\" is there twice") && error.starts_with("c: "), "{error}");
    }

    #[test]
    fn names_of_different_objects_are_different() {
        let text = r#"{"a": {"a": [{"a": null}, {"a": -1}, 1.5, true, "a"]}}"#;
        let value: Unique = serde_json::from_str(text).unwrap();
        assert_eq!(value.0, json!({ "a": { "a": [{ "a": null }, { "a": -1 }, 1.5, true, "a"] } }));
    }

    proptest! {
        /// Else it is what serde_json reads.
        #[test]
        fn the_rest_is_read_as_ever(text in r#"[\[\]{}:,"a-c0-9. -]{0,40}"#) {
            if let Ok(Unique(value)) = serde_json::from_str(&text) {
                prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }
}
