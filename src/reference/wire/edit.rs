//! Edits of JSON at places that a pattern names: `/members/*/next`; `*` stands for any key or element, `**` for any depth.

use serde_json::{Map, Value};
use uuid::Uuid;

/// What is done to a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    /// It is taken out.
    Remove,
    /// Its key is another.
    Rename(&'static str),
    /// It is replaced by a value, written as JSON.
    Set(&'static str),
    /// It is replaced by a value, or added where its parent lacks it.
    Put(&'static str),
    /// It is a text instead of a number or flag.
    Text,
    /// It is a number instead of a text.
    Number,
    /// The number grows.
    Add(i64),
    /// The number loses its fraction.
    Whole,
    /// The number loses precision, as a double does.
    Round,
    /// The text, or the keys of the object, are in capitals.
    Upper,
    /// The text, or the keys of the object, are in small letters.
    Lower,
    /// Part of the text is replaced by another.
    Replace(&'static str, &'static str),
    /// The time has no fraction of a second.
    Seconds,
    /// It is a GUID that nobody has seen.
    Fresh,
    /// The first entry is missing.
    Behead,
    /// The last entry is missing.
    Curtail,
    /// Entries are in the opposite order; those of an object change their values.
    Reverse,
    /// The first element is there twice.
    Twice,
    /// There are as many elements, the first one again and again.
    Fill(usize),
    /// It stands in a list of its own.
    Wrap,
    /// The object is a list of its values.
    List,
    /// The flag is the opposite.
    Not,
    /// Nulls in it are taken out.
    Unnull,
}

/// The values at a place.
pub(super) fn find<'v>(json: &'v Value, at: &str) -> Vec<&'v Value> {
    let mut found = Vec::new();
    search(json, &split(at), &mut found);
    found
}

fn split(at: &str) -> Vec<&str> {
    at.split('/').skip(1).collect()
}

fn search<'v>(json: &'v Value, path: &[&str], found: &mut Vec<&'v Value>) {
    let Some((first, rest)) = path.split_first() else {
        found.push(json);
        return;
    };
    if *first == "**" {
        search(json, rest, found);
    }
    let below = if *first == "**" { path } else { rest };
    match json {
        Value::Object(object) => {
            for (_, value) in object.iter().filter(|(key, _)| fits(first, key)) {
                search(value, below, found);
            }
        }
        Value::Array(array) => {
            let fitting = array
                .iter()
                .enumerate()
                .filter(|(index, _)| fits(first, &index.to_string()));
            for (_, value) in fitting {
                search(value, below, found);
            }
        }
        _ => {}
    }
}

fn fits(pattern: &str, key: &str) -> bool {
    match pattern {
        "*" | "**" => true,
        _ => pattern == key,
    }
}

impl Edit {
    /// Edits what is at a place; false if nothing is.
    pub(crate) fn apply(self, at: &str, json: &mut Value) -> bool {
        self.walk(&split(at), json)
    }

    fn walk(self, path: &[&str], json: &mut Value) -> bool {
        let Some((first, rest)) = path.split_first() else {
            return self.edit(json);
        };
        if *first == "**" {
            let mut is_done = self.walk(rest, json);
            for value in children(json) {
                is_done |= self.walk(path, value);
            }
            return is_done;
        }
        if rest.is_empty() {
            return self.edit_child(json, first);
        }
        match json {
            Value::Object(object) => {
                let fitting = object.iter_mut().filter(|(key, _)| fits(first, key));
                fitting.fold(false, |is_done, (_, value)| self.walk(rest, value) || is_done)
            }
            Value::Array(array) => {
                let fitting = array
                    .iter_mut()
                    .enumerate()
                    .filter(|(index, _)| fits(first, &index.to_string()));
                fitting.fold(false, |is_done, (_, value)| self.walk(rest, value) || is_done)
            }
            _ => false,
        }
    }

    /// Edits the values of a parent that have a key.
    fn edit_child(self, parent: &mut Value, pattern: &str) -> bool {
        match (self, parent) {
            (Self::Remove, Value::Object(object)) => {
                let before = object.len();
                object.retain(|key, _| !fits(pattern, key));
                object.len() < before
            }
            (Self::Remove, Value::Array(array)) => {
                let before = array.len();
                let mut index = 0;
                array.retain(|_| {
                    index += 1;
                    !fits(pattern, &(index - 1).to_string())
                });
                array.len() < before
            }
            (Self::Rename(name), Value::Object(object)) => {
                let is_there = object.keys().any(|key| fits(pattern, key));
                let renamed = std::mem::take(object).into_iter().map(|(key, value)| {
                    let key = if fits(pattern, &key) { name.to_owned() } else { key };
                    (key, value)
                });
                *object = renamed.collect();
                is_there
            }
            (Self::Put(text), Value::Object(object)) if pattern != "*" => {
                object.insert(pattern.to_owned(), parsed(text));
                true
            }
            (_, Value::Object(object)) => {
                let fitting = object.iter_mut().filter(|(key, _)| fits(pattern, key));
                fitting.fold(false, |is_done, (_, value)| self.edit(value) || is_done)
            }
            (_, Value::Array(array)) => {
                let fitting = array
                    .iter_mut()
                    .enumerate()
                    .filter(|(index, _)| fits(pattern, &index.to_string()));
                fitting.fold(false, |is_done, (_, value)| self.edit(value) || is_done)
            }
            _ => false,
        }
    }

    fn edit(self, value: &mut Value) -> bool {
        let edited = match (self, &mut *value) {
            (Self::Set(text) | Self::Put(text), _) => parsed(text),
            (Self::Text, Value::Number(_) | Value::Bool(_)) => value.to_string().into(),
            (Self::Number, Value::String(text)) => match text.parse::<u64>() {
                Ok(number) => number.into(),
                Err(_) => return false,
            },
            (Self::Add(more), Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => number.saturating_add(more).into(),
                #[expect(clippy::cast_precision_loss, reason = "it is a fault")]
                (None, Some(number)) => (number + more as f64).into(),
                _ => return false,
            },
            (Self::Whole, Value::Number(number)) => match number.as_f64() {
                Some(number) => number.trunc().into(),
                None => return false,
            },
            (Self::Round, Value::Number(number)) => match number.as_f64() {
                Some(number) => number.into(),
                None => return false,
            },
            (Self::Upper, Value::String(text)) => text.to_uppercase().into(),
            (Self::Lower, Value::String(text)) => text.to_lowercase().into(),
            (Self::Upper, Value::Object(object)) => with_keys(object, str::to_uppercase),
            (Self::Lower, Value::Object(object)) => with_keys(object, str::to_lowercase),
            (Self::Replace(from, to), Value::String(text)) => text.replace(from, to).into(),
            (Self::Seconds, Value::String(text)) => match text.split_once('.') {
                Some((seconds, _)) => format!("{seconds}Z").into(),
                None => return false,
            },
            (Self::Fresh, _) => Uuid::new_v4().to_string().into(),
            (Self::Behead, Value::Array(array)) => array.iter().skip(1).cloned().collect(),
            (Self::Behead, Value::Object(object)) => pairs(object).into_iter().skip(1).collect(),
            (Self::Curtail, Value::Array(array)) => {
                array.pop();
                return true;
            }
            (Self::Curtail, Value::Object(object)) => {
                let kept = object.len().saturating_sub(1);
                pairs(object).into_iter().take(kept).collect()
            }
            (Self::Reverse, Value::Array(array)) => {
                array.reverse();
                return true;
            }
            (Self::Reverse, Value::Object(object)) => {
                let values: Vec<Value> = object.values().rev().cloned().collect();
                object.keys().cloned().zip(values).collect()
            }
            (Self::Twice, Value::Array(array)) => array.first().cloned().into_iter().chain(array.clone()).collect(),
            (Self::Fill(count), Value::Array(array)) => match array.first() {
                Some(first) => std::iter::repeat_n(first.clone(), count).collect(),
                None => return false,
            },
            (Self::Wrap, _) => Value::Array(vec![value.take()]),
            (Self::List, Value::Object(object)) => object.values().cloned().collect(),
            (Self::Not, Value::Bool(flag)) => (!*flag).into(),
            (Self::Unnull, _) => return unnull(value),
            _ => return false,
        };
        *value = edited;
        true
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn pairs(object: &Map<String, Value>) -> Vec<(String, Value)> {
    object.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn with_keys(object: &Map<String, Value>, change: impl Fn(&str) -> String) -> Value {
    let changed = object.iter().map(|(key, value)| (change(key), value.clone()));
    Value::Object(changed.collect())
}

fn children(json: &mut Value) -> Vec<&mut Value> {
    match json {
        Value::Object(object) => object.values_mut().collect(),
        Value::Array(array) => array.iter_mut().collect(),
        _ => Vec::new(),
    }
}

fn unnull(value: &mut Value) -> bool {
    let mut is_done = false;
    if let Value::Object(object) = value {
        let before = object.len();
        object.retain(|_, value| !value.is_null());
        is_done = object.len() < before;
    }
    children(value)
        .into_iter()
        .fold(is_done, |is_done, child| unnull(child) || is_done)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edited(edit: Edit, at: &str, mut json: Value) -> Value {
        edit.apply(at, &mut json);
        json
    }

    #[test]
    fn a_star_stands_for_any_key_or_element() {
        let json = json!({ "a": [{ "x": 1 }, { "x": 2, "y": 3 }] });
        assert_eq!(edited(Edit::Remove, "/a/*/x", json), json!({ "a": [{}, { "y": 3 }] }));
    }

    #[test]
    fn two_stars_stand_for_any_depth() {
        let json = json!({ "x": 1, "a": { "x": 2, "b": [{ "x": 3 }] } });
        let expected = json!({ "x": "1", "a": { "x": "2", "b": [{ "x": "3" }] } });
        assert_eq!(edited(Edit::Text, "/**/x", json.clone()), expected);
        assert_eq!(find(&json, "/**/x").len(), 3);
    }

    #[test]
    fn the_empty_place_is_the_whole() {
        assert_eq!(edited(Edit::Wrap, "", json!({ "a": 1 })), json!([{ "a": 1 }]));
        assert_eq!(find(&json!(1), ""), [&json!(1)]);
    }

    #[test]
    fn a_key_is_put_only_where_its_parent_is() {
        assert_eq!(
            edited(Edit::Put("true"), "/a/b", json!({ "a": {} })),
            json!({ "a": { "b": true } })
        );
        assert_eq!(edited(Edit::Put("true"), "/a/b", json!({})), json!({}));
    }

    #[test]
    fn what_is_not_there_is_left_alone() {
        let json = json!({ "a": 1 });
        assert!(!Edit::Remove.apply("/b", &mut json.clone()));
        assert!(!Edit::Add(1).apply("/a/b", &mut json.clone()));
    }

    #[test]
    fn entries_are_turned_round_and_cut() {
        assert_eq!(
            edited(Edit::Reverse, "/a", json!({ "a": [1, 2] })),
            json!({ "a": [2, 1] })
        );
        assert_eq!(
            edited(Edit::Reverse, "/a", json!({ "a": { "x": 1, "y": 2 } })),
            json!({ "a": { "x": 2, "y": 1 } })
        );
        assert_eq!(edited(Edit::Behead, "/a", json!({ "a": [1, 2] })), json!({ "a": [2] }));
        assert_eq!(
            edited(Edit::Curtail, "/a", json!({ "a": { "x": 1, "y": 2 } })),
            json!({ "a": { "x": 1 } })
        );
    }
}
