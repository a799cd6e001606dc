//! Input that somebody meant, altered: texts by their bytes and words, JSON by its structure.

use serde_json::{Map, Value, json};

use crate::service::Dice;

/// Texts that readers trip over.
const WORDS: [&str; 40] = [
    "",
    " ",
    "\0",
    "\u{1b}[2J",
    "\u{feff}",
    "\u{202e}",
    "é",
    "\u{1f600}",
    "\u{d7ff}",
    "{",
    "}",
    "{{",
    "{me.xuid}",
    "{a+1}",
    "{a|upper}",
    "{uuid:x}",
    "[",
    "]",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "'",
    "''",
    "%",
    "%00",
    "%2f",
    "%zz",
    "/",
    "//",
    "..",
    "#",
    "?",
    "&",
    "=",
    "\r\n",
    "\n",
    "1e999",
    "-0",
    "99999999999999999999",
];

/// Values that are at an edge, or of another kind than was meant.
fn edge(dice: &mut Dice) -> Value {
    let edges = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!("a".repeat(300)),
        json!([]),
        json!({}),
        json!([[]]),
        json!({ "": {} }),
        json!({ "$equals": {} }),
        json!({ "$matches": "(" }),
        json!({ "$repeat": { "text": "ab", "times": u64::MAX } }),
        json!({ "$list": { "of": { "$list": { "of": [1], "times": 1_000_000 } }, "times": 1_000_000 } }),
        json!({ "$nest": { "depth": u64::MAX, "key": "/~", "of": null } }),
        json!({ "$schema": "x", "$ref": "#" }),
    ];
    match dice.roll(edges.len() + WORDS.len()) {
        word @ 0..40 => WORDS[word].into(),
        other => edges[other - WORDS.len()].clone(),
    }
}

/// Alters a text in a few places.
pub fn alter_text(dice: &mut Dice, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=dice.roll(3) {
        alter_bytes(dice, &mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Alters bytes in one place.
pub fn alter_bytes(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let start = dice.roll(bytes.len() + 1);
    let end = (start + dice.roll(12)).min(bytes.len());
    match dice.roll(6) {
        0 => drop(bytes.drain(start..end)),
        1 => {
            let part = bytes[start..end].to_vec();
            bytes.splice(start..start, part.repeat(1 + dice.roll(3)));
        }
        2 => bytes.truncate(start),
        3 if start < bytes.len() => bytes[start] ^= 1 << dice.roll(8),
        4 => {
            let bits = u8::try_from(dice.roll(256)).unwrap_or_default();
            bytes.insert(start, bits);
        }
        _ => {
            let word = *dice.pick(&WORDS);
            drop(bytes.splice(start..end, word.bytes()));
        }
    }
}

/// Alters JSON in a few places; `others` lends parts.
pub fn alter_json(dice: &mut Dice, value: &Value, others: &[Value]) -> Value {
    let mut value = value.clone();
    for _ in 0..=dice.roll(3) {
        let count = size(&value);
        let mut place = dice.roll(count);
        alter_at(dice, &mut value, &mut place, others);
    }
    value
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(size).sum::<usize>(),
        Value::Object(members) => members.values().map(size).sum(),
        _ => 0,
    }
}

/// Walks to a place, counted in the order of the text; true when it was there.
fn alter_at(dice: &mut Dice, value: &mut Value, place: &mut usize, others: &[Value]) -> bool {
    if *place == 0 {
        alter_value(dice, value, others);
        return true;
    }
    *place -= 1;
    match value {
        Value::Array(values) => values.iter_mut().any(|value| alter_at(dice, value, place, others)),
        Value::Object(members) => members.values_mut().any(|value| alter_at(dice, value, place, others)),
        _ => false,
    }
}

fn alter_value(dice: &mut Dice, value: &mut Value, others: &[Value]) {
    match (dice.roll(8), &mut *value) {
        (0..=1, Value::Object(members)) if !members.is_empty() => {
            let keys: Vec<String> = members.keys().cloned().collect();
            let key = dice.pick(&keys);
            members.shift_remove(key);
        }
        (2, Value::Object(members)) if !members.is_empty() => {
            // Another key, of this document or of none.
            let keys: Vec<String> = members.keys().cloned().collect();
            let (from, to) = (dice.pick(&keys).clone(), dice.pick(&keys));
            let to = alter_text(dice, to);
            let moved = members.shift_remove(&from).unwrap_or_default();
            members.insert(to, moved);
        }
        (0..=2, Value::Array(values)) if !values.is_empty() => {
            let index = dice.roll(values.len());
            let element = values[index].clone();
            match dice.roll(3) {
                0 => drop(values.remove(index)),
                1 => values.extend(vec![element; 1 + dice.roll(40)]),
                _ => values.reverse(),
            }
        }
        (0..=2, Value::String(text)) => *text = alter_text(dice, text),
        (3..=4, _) if !others.is_empty() => {
            let other = dice.pick(others);
            let mut place = dice.roll(size(other));
            *value = part(other, &mut place).cloned().unwrap_or_default();
        }
        (5, Value::Object(members)) => {
            let key = (*dice.pick(&WORDS)).to_owned();
            members.insert(key, edge(dice));
        }
        (5, inner) => *value = json!([inner.take()]),
        (6, inner) => {
            let key = (*dice.pick(&WORDS)).to_owned();
            let depth = 1 + dice.roll(4) * dice.roll(40);
            let nest = |inner, _| Value::Object(Map::from_iter([(key.clone(), inner)]));
            *value = (0..depth).fold(inner.take(), nest);
        }
        _ => *value = edge(dice),
    }
}

fn part<'a>(value: &'a Value, place: &mut usize) -> Option<&'a Value> {
    if *place == 0 {
        return Some(value);
    }
    *place -= 1;
    match value {
        Value::Array(values) => values.iter().find_map(|value| part(value, place)),
        Value::Object(members) => members.values().find_map(|value| part(value, place)),
        _ => None,
    }
}

/// The text of altered JSON, or altered text of JSON.
pub fn alter_document(dice: &mut Dice, value: &Value, others: &[Value]) -> String {
    match dice.roll(4) {
        0 => alter_text(dice, &value.to_string()),
        1 => format!("{:#}", alter_json(dice, value, others)),
        _ => alter_json(dice, value, others).to_string(),
    }
}
