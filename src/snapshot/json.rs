//! JSON as canonical text: sorted keys, two spaces, names in place of what changes from run to run.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fmt::Write as _;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::names::Names;
use crate::suite::json::escape;
use crate::suite::schemas::VolatileKind;

/// A longer text is shown by its beginning, its length and its hash.
const LONGEST: usize = 4096;
const BEGINNING: usize = 64;

/// Reads a body that loses nothing when it is read: JSON without a repeated key.
pub(super) fn parse(body: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Unrepeated>(body).ok()?;
    let value: Value = serde_json::from_slice(body).ok()?;
    Some(sorted(value))
}

/// The value with the keys of every object in order, so that values are met in an order that no service decides.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|(a, _), (b, _)| by_key(a, b));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        value => value,
    }
}

/// Numbers by their value, and before names.
fn by_key(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

/// Writes values with their names.
pub(super) struct Writer<'a> {
    pub(super) names: &'a Names,
    /// The values that change from run to run, by JSON Pointer.
    pub(super) volatile: HashMap<String, &'a VolatileKind>,
}

impl Writer<'_> {
    pub(super) fn write(&self, value: &Value) -> String {
        let mut text = String::new();
        self.value(value, &mut String::new(), 0, &mut text);
        text
    }

    fn value(&self, value: &Value, pointer: &mut String, depth: usize, text: &mut String) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                let mut entries: Vec<(String, &String, &Value)> = map
                    .iter()
                    .map(|(key, value)| (self.names.text(key), key, value))
                    .collect();
                entries.sort_by(|(a, _, _), (b, _, _)| by_key(a, b));
                let entries = entries
                    .into_iter()
                    .map(|(shown, key, value)| (Some(shown), key.clone(), value));
                self.block(('{', '}'), entries, pointer, depth, text);
            }
            Value::Array(items) if !items.is_empty() => {
                let entries = items
                    .iter()
                    .enumerate()
                    .map(|(index, value)| (None, index.to_string(), value));
                self.block(('[', ']'), entries, pointer, depth, text);
            }
            Value::String(string) => {
                let shown = match self.volatile.get(pointer.as_str()) {
                    Some(kind) => self.names.of(kind, string),
                    None => self.names.text(string),
                };
                text.push_str(&quoted(&shortened(&shown)));
            }
            Value::Number(number) => {
                let digits = number.to_string();
                match (self.volatile.get(pointer.as_str()), self.names.number(&digits)) {
                    (Some(VolatileKind::Number), _) => text.push_str("<number>"),
                    (_, Some(name)) => text.push_str(name),
                    (_, None) => text.push_str(&digits),
                }
            }
            Value::Object(_) => text.push_str("{}"),
            Value::Array(_) => text.push_str("[]"),
            Value::Null | Value::Bool(_) => _ = write!(text, "{value}"),
        }
    }

    fn block<'v>(
        &self,
        (open, close): (char, char),
        entries: impl Iterator<Item = (Option<String>, String, &'v Value)>,
        pointer: &mut String,
        depth: usize,
        text: &mut String,
    ) {
        text.push(open);
        for (index, (shown, token, value)) in entries.enumerate() {
            text.push_str(if index == 0 { "\n" } else { ",\n" });
            indent(text, depth + 1);
            if let Some(shown) = shown {
                text.push_str(&quoted(&shortened(&shown)));
                text.push_str(": ");
            }
            let length = pointer.len();
            pointer.push('/');
            pointer.push_str(&escape(&token));
            self.value(value, pointer, depth + 1, text);
            pointer.truncate(length);
        }
        text.push('\n');
        indent(text, depth);
        text.push(close);
    }
}

fn indent(text: &mut String, depth: usize) {
    for _ in 0..depth {
        text.push_str("  ");
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A text of reasonable length: a longer one by its beginning, its length and its hash.
pub(super) fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(BEGINNING).collect();
    format!(
        "{beginning}... <{} bytes, hash {:016x}>",
        text.len(),
        hash(text.as_bytes())
    )
}

/// FNV-1a: a hash that is the same in every build, for people to see a difference by.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Any JSON whose objects name each key once.
struct Unrepeated;

impl<'de> Deserialize<'de> for Unrepeated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unrepeated {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without a repeated key")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !keys.insert(key) {
                map.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom("a repeated key"));
            }
            map.next_value::<Self>()?;
        }
        Ok(self)
    }
}
