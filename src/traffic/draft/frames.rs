//! What goes over a real-time socket, as steps.

use serde_json::{Map, Value, json};

use crate::traffic::Message;
use crate::traffic::draft::names::{Names, Place};

/// A message in which order it was seen, as JSON where it is some.
pub(super) fn read(message: &Message) -> Option<Value> {
    let text = message.text.as_ref()?;
    Some(super::json(text.as_bytes()).unwrap_or_else(|| text.as_str().into()))
}

/// Whether a frame answers another: the same kind, and the number that the client gave.
pub(super) fn answers(sent: &Value, frame: &Value) -> bool {
    let part = |value: &Value, index: usize| value.get(index).cloned();
    let kind = part(sent, 0).filter(|kind| kind == &json!(1) || kind == &json!(2));
    kind.is_some() && part(frame, 0) == kind && part(sent, 1).is_some() && part(frame, 1) == part(sent, 1)
}

/// The matcher of an answer: what the service chose is only looked at for its type.
pub(super) fn answer(frame: &Value, names: &Names, at: usize) -> Value {
    let Some(parts) = frame.as_array() else {
        return names.json(frame, at);
    };
    let chosen = |index: usize, part: &Value| match (index, part) {
        (0..=2, part) => part.clone(),
        (3, Value::Number(_)) => json!({ "$type": "integer" }),
        (_, Value::Object(map)) => {
            let members = map.keys().map(|key| (key.clone(), json!({ "$present": true })));
            Value::Object(members.collect::<Map<_, _>>())
        }
        (_, Value::Null) => Value::Null,
        (_, Value::String(_)) => json!({ "$type": "string" }),
        (_, _) => json!({ "$present": true }),
    };
    parts
        .iter()
        .enumerate()
        .map(|(index, part)| chosen(index, part))
        .collect()
}

/// The matcher of an event, with the taps that it carries.
pub(super) fn event(frame: &Value, names: &Names, at: usize) -> Option<Value> {
    if frame.get(0) != Some(&json!(3)) {
        return (frame.get(0) == Some(&json!(4))).then(|| json!([4]));
    }
    let taps = frame.pointer("/2/shoulderTaps")?.as_array()?;
    let mut told: Vec<Value> = taps
        .iter()
        .map(|item| json!({ "$contains": tap(item, names, at) }))
        .collect();
    let taps = match told.len() {
        0 => return None,
        1 => told.remove(0),
        _ => json!({ "$allOf": told }),
    };
    Some(json!([3, { "$type": "integer" }, { "shoulderTaps": taps }]))
}

/// A tap: whose it is, what it is about, and that it is not older than what caused it.
fn tap(tap: &Value, names: &Names, at: usize) -> Value {
    let mut told = Map::new();
    for key in ["subscription", "resource"] {
        let text = tap.get(key).and_then(Value::as_str).unwrap_or_default();
        // A resource is the parts of an address.
        let places = [None, Some(Place::Template), Some(Place::Session)].into_iter();
        let parts = text.split('~').zip(places.chain(std::iter::repeat(None)));
        let parts: Option<Vec<String>> = parts.map(|(part, place)| names.settled_at(place, part, at)).collect();
        if let Some(parts) = parts.filter(|_| !text.is_empty()) {
            // Their case has no meaning.
            told.insert(key.to_owned(), json!({ "$ignoreCase": parts.join("~") }));
        }
    }
    if let Some(number) = tap.get("changeNumber").and_then(Value::as_u64) {
        told.insert("changeNumber".to_owned(), json!({ "$atLeast": number }));
    }
    Value::Object(told)
}
