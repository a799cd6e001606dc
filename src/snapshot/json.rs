//! JSON as canonical text: sorted keys, two spaces, names in place of what changes from run to run.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::contract::json::document::Document;
use crate::contract::json::escape;
use crate::contract::json::tree::Tree;
use crate::contract::schemas::VolatileKind;
use crate::snapshot::names::Names;

/// A longer text is shown by its beginning, its length and its hash.
const LONGEST: usize = 4096;
const BEGINNING: usize = 64;

/// Reads a body that loses nothing when it is read: JSON without a repeated key. The keys of every object are in order, so
/// that values are met in an order that no service decides. `note` may say what the contract has of it; no more is shown.
pub(super) fn parse(body: &[u8], note: impl FnOnce(&Document)) -> Option<Value> {
    let document = Document::parse(body)
        .ok()
        .filter(|document| document.repeated_name().is_none())?;
    note(&document);
    Some(sorted(document.root()))
}

fn sorted<'a>(value: impl Tree<'a>) -> Value {
    if let Some(members) = value.known_members() {
        let mut members: Vec<(&str, _)> = members.collect();
        members.sort_by(|(a, _), (b, _)| by_key(a, b));
        let mut map = Map::with_capacity(members.len());
        map.extend(members.into_iter().map(|(key, value)| (key.to_owned(), sorted(value))));
        return Value::Object(map);
    }
    match value.elements() {
        Some(elements) => elements.map(sorted).collect(),
        None => value.to_value(),
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
