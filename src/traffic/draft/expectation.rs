//! What a draft expects of an answer: the part of it that is the same in every run, and that is news.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::contract::schemas::{Schemas, VolatileKind};
use crate::contract::version::ContractVersion;
use crate::traffic::draft::names::{Names, Place};
use crate::traffic::draft::referred;

/// The part of an answer that is the same in every run, with variables; as a matcher.
pub(super) fn stable(
    schemas: &Schemas,
    schema: &str,
    version: ContractVersion,
    value: &Value,
    names: &Names,
    at: usize,
) -> Option<Value> {
    let mut gone = HashSet::new();
    let mut opaque = HashSet::new();
    for volatile in schemas.volatile(schema, version, value) {
        match volatile.kind {
            VolatileKind::Guid(_) | VolatileKind::Token(_) => _ = opaque.insert(volatile.pointer),
            VolatileKind::Time | VolatileKind::Etag | VolatileKind::Number => _ = gone.insert(volatile.pointer),
        }
    }
    let sieve = Sieve {
        gone,
        opaque,
        names,
        at,
    };
    sieve.keep(value, &mut String::new())
}

struct Sieve<'a> {
    /// What is never the same.
    gone: HashSet<String>,
    /// What is the same if it has a name.
    opaque: HashSet<String>,
    names: &'a Names,
    at: usize,
}

impl Sieve<'_> {
    fn keep(&self, value: &Value, pointer: &mut String) -> Option<Value> {
        if self.gone.contains(pointer.as_str()) {
            return None;
        }
        match value {
            Value::String(text) if self.opaque.contains(pointer.as_str()) => {
                let is_named =
                    self.names.has(text, self.at) || crate::traffic::draft::names::guids(text).next().is_some();
                is_named
                    .then(|| self.names.settled(text, self.at))
                    .flatten()
                    .map(Value::from)
            }
            Value::String(text) => {
                let place = pointer.rsplit('/').next().and_then(Place::of);
                self.names.settled_at(place, text, self.at).map(Value::from)
            }
            Value::Number(number) => Some(self.names.number(number, self.at)),
            Value::Array(items) => {
                let kept = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| inside(pointer, &index.to_string(), |pointer| self.keep(item, pointer)));
                kept.collect::<Option<Vec<_>>>().map(Value::Array)
            }
            Value::Object(map) => {
                // It would be read as a rule.
                if map.keys().any(|key| key.starts_with('$')) {
                    return Some(json!({ "$equals": self.names.json(value, self.at) }));
                }
                let mut kept = Map::new();
                for (key, value) in map {
                    let Some(name) = self.names.settled(key, self.at) else {
                        continue;
                    };
                    let token = key.replace('~', "~0").replace('/', "~1");
                    if let Some(value) = inside(pointer, &token, |pointer| self.keep(value, pointer)) {
                        kept.insert(name, value);
                    }
                }
                Some(Value::Object(kept))
            }
            other => Some(other.clone()),
        }
    }
}

fn inside<T>(pointer: &mut String, token: &str, keep: impl FnOnce(&mut String) -> T) -> T {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(token);
    let kept = keep(pointer);
    pointer.truncate(length);
    kept
}

/// What an answer says that the one before it did not; `None` if nothing.
pub(super) fn news(before: &Value, now: &Value) -> Option<Value> {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            let mut told = Map::new();
            for (key, value) in now {
                match before.get(key) {
                    None => _ = told.insert(key.clone(), value.clone()),
                    Some(old) => {
                        if let Some(value) = news(old, value) {
                            told.insert(key.clone(), value);
                        }
                    }
                }
            }
            for key in before.keys().filter(|key| !now.contains_key(*key)) {
                told.insert(key.clone(), json!({ "$absent": true }));
            }
            (!told.is_empty()).then_some(Value::Object(told))
        }
        (before, now) if before == now => None,
        (_, now) => Some(now.clone()),
    }
}

/// The first sight of a session: what its template says is left to the template, unless the request said it too.
pub(super) fn first_sight(mut document: Value, sent: Option<&Value>) -> Value {
    let said = sent
        .and_then(|sent| sent.pointer("/constants/system"))
        .and_then(Value::as_object);
    if let Some(constants) = document.get_mut("constants").and_then(Value::as_object_mut) {
        match constants.get_mut("system").and_then(Value::as_object_mut) {
            Some(system) if said.is_some() => {
                system.retain(|key, _| said.is_some_and(|said| said.contains_key(key)));
            }
            _ => _ = constants.shift_remove("system"),
        }
    }
    document
}

/// What a query's answer says about the sessions of the conversation; others come and go.
pub(super) fn results(answer: &Value, stable: &Value, is_ours: impl Fn([&str; 3]) -> bool) -> Option<Value> {
    let all = answer.get("results")?.as_array()?;
    let kept = stable.get("results").and_then(Value::as_array);
    let ours = all.iter().enumerate().filter_map(|(index, result)| {
        let reference = result.get("sessionRef")?;
        if !is_ours(referred(reference)?) {
            return None;
        }
        Some(json!({ "$contains": kept?.get(index)? }))
    });
    let mut ours: Vec<Value> = ours.collect();
    match ours.len() {
        0 => None,
        1 => Some(json!({ "results": ours.remove(0) })),
        _ => Some(json!({ "results": { "$allOf": ours } })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_news() {
        let before = json!({ "a": { "x": 1, "y": 2 }, "b": [1], "gone": 1 });
        let now = json!({ "a": { "x": 1, "y": 3 }, "b": [1], "new": {} });
        let told = json!({ "a": { "y": 3 }, "new": {}, "gone": { "$absent": true } });
        assert_eq!(news(&before, &now), Some(told));
        assert_eq!(news(&now, &now), None);
    }

    #[test]
    fn constants_of_the_template_are_left_to_it() {
        let document = json!({ "constants": { "system": { "a": 1, "b": 2 }, "custom": {} }, "properties": {} });
        let sent = json!({ "constants": { "system": { "b": 2 } } });
        assert_eq!(
            first_sight(document.clone(), Some(&sent))["constants"],
            json!({ "system": { "b": 2 }, "custom": {} })
        );
        assert_eq!(first_sight(document, None)["constants"], json!({ "custom": {} }));
    }
}
