//! Reading JSON strictly: no member twice, no deep nesting, nothing after the value.

use std::fmt;

use bytes::Bytes;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serialize;
use serde_json::{Map, Number, Value};

use super::defect::defect;

/// Reads one JSON value. `depth` bounds the nesting of objects and arrays; `repeats` says whether an object may name a
/// member twice, the last one then counting.
///
/// # Errors
/// The message names line and column.
pub(super) fn parse(text: &[u8], depth: usize, repeats: bool) -> Result<Value, serde_json::Error> {
    let mut source = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth, repeats }.deserialize(&mut source)?;
    source.end()?;
    Ok(value)
}

/// The bytes of a document. `capacity` is how many are expected.
pub(super) fn bytes(document: &impl Serialize, capacity: usize) -> Bytes {
    let mut text = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut text, document)
        .unwrap_or_else(|error| defect(format_args!("a document is not JSON: {error}")));
    Bytes::from(text)
}

/// The value of a document.
pub(super) fn value(document: &impl Serialize) -> Value {
    serde_json::to_value(document).unwrap_or_else(|error| defect(format_args!("a document is not JSON: {error}")))
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
    repeats: bool,
}

impl Strict {
    fn inner<E: de::Error>(self) -> Result<Self, E> {
        let depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("the value is nested too deep"))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(element) = source.next_element_seed(inner)? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(name) = source.next_key::<String>()? {
            if !self.repeats && map.contains_key(&name) {
                return Err(de::Error::custom(format!("duplicate field `{name}`")));
            }
            map.insert(name, source.next_value_seed(inner)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_value_is_read_as_it_is() {
        let text = br#"{"a": [1, -2, 1.5, 18446744073709551615, "x\n", true, null, {}]}"#;
        let value = json!({"a": [1, -2, 1.5, u64::MAX, "x\n", true, null, {}]});
        assert_eq!(parse(text, 3, false).unwrap(), value);
    }

    #[test]
    fn a_member_given_twice_is_refused_with_its_place() {
        let error = parse(b"{\"a\": 1,\n \"a\": 2}", 8, false).unwrap_err();
        assert_eq!(error.line(), 2, "{error}");
        assert_eq!(parse(br#"{"a": 1, "a": 2}"#, 8, true).unwrap(), json!({"a": 2}));
    }

    #[test]
    fn nesting_is_bounded_and_text_after_the_value_refused() {
        assert!(parse(b"[[[1]]]", 3, false).is_ok());
        assert!(parse(b"[[[[1]]]]", 3, false).is_err());
        assert!(parse("[".repeat(100_000).as_bytes(), 64, false).is_err());
        assert!(parse(b"{} {}", 3, false).is_err());
        assert!(parse(b"", 3, false).is_err());
    }
}
