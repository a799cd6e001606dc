//! Matchers: JSON that says what JSON is expected, see `cases/README.md`.

use std::cell::RefCell;
use std::collections::HashMap;

use jiff::Timestamp;
use regex::Regex;
use serde_json::{Map, Number, Value};

use crate::suite::document::{Tree, equal};
use crate::suite::json::{escape, kind};

/// A place where a value is not what a matcher says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// JSON Pointer into the value.
    pub pointer: String,
    /// What was expected there.
    pub expected: String,
    /// What is there.
    pub actual: String,
}

/// Finds where a value, which may be absent, is not what the matcher says.
pub fn find_mismatches<'a>(matcher: &Value, actual: Option<impl Tree<'a>>) -> Vec<Mismatch> {
    // Nearly every value is as expected, and saying where one is not takes texts.
    if fits(matcher, actual) {
        return Vec::new();
    }
    let actual = actual.map(Tree::to_value);
    let mut search = Search {
        path: Vec::new(),
        found: Vec::new(),
    };
    search.visit(matcher, actual.as_ref());
    search.found
}

/// Whether a value, which may be absent, is what the matcher says.
pub fn fits<'a>(matcher: &Value, actual: Option<impl Tree<'a>>) -> bool {
    if let Value::Object(map) = matcher
        && let Some((rule, argument)) = rule(map)
    {
        return fits_rule(rule, argument, actual);
    }
    let Some(actual) = actual else { return false };
    match matcher {
        Value::Object(members) => {
            actual.members().is_some() && members.iter().all(|(key, member)| fits(member, actual.member(key)))
        }
        Value::Array(elements) => actual.elements().is_some_and(|mut array| {
            actual.count() == Some(elements.len())
                && elements
                    .iter()
                    .zip(&mut array)
                    .all(|(element, value)| fits(element, Some(value)))
        }),
        _ => equal(matcher, actual),
    }
}

fn fits_rule<'a, T: Tree<'a>>(rule: &str, argument: &Value, actual: Option<T>) -> bool {
    let elements = || actual.and_then(Tree::elements);
    let text = || actual.and_then(Tree::text);
    let count = || actual.and_then(Tree::count);
    match rule {
        "$absent" => actual.is_none() == (argument != &Value::Bool(false)),
        "$present" => actual.is_some() == (argument != &Value::Bool(false)),
        "$equals" => actual.is_some_and(|actual| equal(argument, actual)),
        "$not" => !fits(argument, actual),
        "$anyOf" => list(argument).iter().any(|matcher| fits(matcher, actual)),
        "$allOf" => list(argument).iter().all(|matcher| fits(matcher, actual)),
        "$type" => actual.is_some_and(|actual| has_type(actual, argument.as_str().unwrap_or_default())),
        "$matches" => text().is_some_and(|text| matches_regex(argument.as_str().unwrap_or_default(), text)),
        "$ignoreCase" => text()
            .zip(argument.as_str())
            .is_some_and(|(text, expected)| expected.to_lowercase() == text.to_lowercase()),
        "$contains" => elements().is_some_and(|mut array| array.any(|value| fits(argument, Some(value)))),
        "$lacks" => elements().is_some_and(|mut array| !array.any(|value| fits(argument, Some(value)))),
        "$every" => {
            let in_array = elements().map(|mut array| array.all(|value| fits(argument, Some(value))));
            let members = || actual.and_then(Tree::members);
            let in_object =
                || members().is_some_and(|mut members| members.all(|(_, value)| fits(argument, Some(value))));
            in_array.unwrap_or_else(in_object)
        }
        "$unordered" => elements().is_some_and(|array| is_permutation(list(argument), &array.collect::<Vec<_>>())),
        "$count" => count().is_some_and(|count| fits(argument, Some(&Value::from(count)))),
        "$keys" => actual.and_then(Tree::members).is_some_and(|members| {
            let keys: Vec<Value> = members.map(|(key, _)| Value::from(key)).collect();
            is_permutation(list(argument), &keys.iter().collect::<Vec<_>>())
        }),
        "$above" | "$below" | "$atLeast" | "$atMost" => actual
            .and_then(Tree::number)
            .and_then(Number::as_f64)
            .zip(argument.as_f64())
            .is_some_and(|(actual, limit)| match rule {
                "$above" => actual > limit,
                "$below" => actual < limit,
                "$atLeast" => actual >= limit,
                _ => actual <= limit,
            }),
        "$instant" => text().is_some_and(|text| is_instant(argument, text)),
        _ => false,
    }
}

struct Search<'a> {
    /// Where the search is: written out only where something is wrong, which is rare.
    path: Vec<Segment<'a>>,
    found: Vec<Mismatch>,
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Search<'a> {
    fn wrong(&mut self, expected: impl Into<String>, actual: Option<&Value>) {
        let pointer = self.path.iter().fold(String::new(), |pointer, segment| match segment {
            Segment::Key(key) => pointer + "/" + &escape(key),
            Segment::Index(index) => format!("{pointer}/{index}"),
        });
        self.found.push(Mismatch {
            pointer,
            expected: expected.into(),
            actual: show(actual),
        });
    }

    fn inside(&mut self, segment: Segment<'a>, visit: impl FnOnce(&mut Self)) {
        self.path.push(segment);
        visit(self);
        self.path.pop();
    }

    fn visit(&mut self, matcher: &'a Value, actual: Option<&'a Value>) {
        if let Value::Object(map) = matcher
            && let Some((rule, argument)) = rule(map)
        {
            return self.visit_rule(rule, argument, actual);
        }
        match (matcher, actual) {
            (Value::Object(members), Some(Value::Object(object))) => {
                for (key, member) in members {
                    self.inside(Segment::Key(key), |search| search.visit(member, object.get(key)));
                }
            }
            (Value::Array(elements), Some(Value::Array(array))) => {
                if elements.len() != array.len() {
                    self.wrong(format!("{} elements: {}", elements.len(), show(Some(matcher))), actual);
                    return;
                }
                for (index, (element, value)) in elements.iter().zip(array).enumerate() {
                    self.inside(Segment::Index(index), |search| search.visit(element, Some(value)));
                }
            }
            (_, Some(value)) if equal(matcher, value) => {}
            _ => self.wrong(show(Some(matcher)), actual),
        }
    }

    fn visit_rule(&mut self, rule: &str, argument: &'a Value, actual: Option<&'a Value>) {
        match (rule, actual) {
            ("$allOf", _) => {
                for matcher in list(argument) {
                    self.visit(matcher, actual);
                }
            }
            ("$every", Some(Value::Array(array))) => {
                for (index, value) in array.iter().enumerate() {
                    self.inside(Segment::Index(index), |search| search.visit(argument, Some(value)));
                }
            }
            ("$every", Some(Value::Object(object))) => {
                for (key, value) in object {
                    self.inside(Segment::Key(key), |search| search.visit(argument, Some(value)));
                }
            }
            _ if fits_rule(rule, argument, actual) => {}
            _ => self.wrong(describe(rule, argument), actual),
        }
    }
}

/// Whether a text is as a regular expression says; expressions are compiled once a thread, since invariants ask for the
/// same few of every answer.
fn matches_regex(pattern: &str, text: &str) -> bool {
    thread_local! {
        static COMPILED: RefCell<HashMap<String, Option<Regex>>> = RefCell::default();
    }
    COMPILED.with_borrow_mut(|compiled| {
        if !compiled.contains_key(pattern) {
            compiled.insert(pattern.to_owned(), Regex::new(pattern).ok());
        }
        compiled
            .get(pattern)
            .and_then(Option::as_ref)
            .is_some_and(|regex| regex.is_match(text))
    })
}

/// The rule of a matcher, if it is one.
fn rule(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (key, argument) = map.iter().next().filter(|_| map.len() == 1)?;
    key.starts_with('$').then_some((key.as_str(), argument))
}

fn list(argument: &Value) -> &[Value] {
    argument.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn has_type<'a>(value: impl Tree<'a>, name: &str) -> bool {
    let is_integer = |number: &Number| {
        number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
    };
    match name {
        "integer" => value.number().is_some_and(is_integer),
        "number" => value.number().is_some(),
        "string" => value.text().is_some(),
        "boolean" => value.boolean().is_some(),
        "array" => value.elements().is_some(),
        "object" => value.members().is_some(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// Whether each matcher can be given a value of its own.
fn is_permutation<'a, T: Tree<'a>>(matchers: &[Value], values: &[T]) -> bool {
    fn place<'a, T: Tree<'a>>(matchers: &[Value], values: &[T], used: &mut [bool]) -> bool {
        let Some((first, rest)) = matchers.split_first() else {
            return true;
        };
        for (index, value) in values.iter().enumerate() {
            if used.get(index) == Some(&false) && fits(first, Some(*value)) {
                set(used, index, true);
                if place(rest, values, used) {
                    return true;
                }
                set(used, index, false);
            }
        }
        false
    }
    fn set(used: &mut [bool], index: usize, value: bool) {
        if let Some(slot) = used.get_mut(index) {
            *slot = value;
        }
    }
    matchers.len() == values.len() && place(matchers, values, &mut vec![false; values.len()])
}

/// Reads a time: ISO 8601 in UTC, or an HTTP date.
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    if text.ends_with('Z') && text.contains('T') {
        return text.parse().ok();
    }
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// How far apart two times of one event may be, in ms, when a matcher does not say.
const TOLERANCE: i64 = 2_000;

fn is_instant(argument: &Value, text: &str) -> bool {
    let Some(actual) = parse_instant(text).map(Timestamp::as_millisecond) else {
        return false;
    };
    let time = |key: &str| {
        argument
            .get(key)
            .and_then(Value::as_str)
            .and_then(parse_instant)
            .map(Timestamp::as_millisecond)
    };
    let number = |key: &str| argument.get(key).and_then(Value::as_i64);
    let tolerance = number("tolerance").unwrap_or(TOLERANCE);
    let Value::Object(arguments) = argument else {
        return true;
    };
    arguments.keys().all(|key| match key.as_str() {
        "from" => time("from").is_some_and(|from| {
            let expected = from + number("plus").unwrap_or_default();
            (expected - actual).abs() <= tolerance
        }),
        "notBefore" => time("notBefore").is_some_and(|limit| actual >= limit),
        "notAfter" => time("notAfter").is_some_and(|limit| actual <= limit),
        _ => true,
    })
}

fn describe(rule: &str, argument: &Value) -> String {
    match rule {
        "$absent" => "nothing here".to_owned(),
        "$present" => "a value here".to_owned(),
        "$equals" => format!("exactly {}", show(Some(argument))),
        "$instant" if argument.is_boolean() => "a UTC time".to_owned(),
        "$type" => format!("a value of type {}", argument.as_str().unwrap_or_default()),
        _ => format!("{} {}", rule.trim_start_matches('$'), show(Some(argument))),
    }
}

/// A value as people read it: short, on one line.
pub fn show(value: Option<&Value>) -> String {
    const MAX: usize = 400;
    let Some(value) = value else {
        return "nothing".to_owned();
    };
    let mut text = value.to_string();
    if text.len() > MAX {
        let end = (0..=MAX)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or_default();
        text.truncate(end);
        text = format!("{text}... ({})", kind(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(matcher: &Value, actual: &Value) -> Vec<String> {
        find_mismatches(matcher, Some(actual))
            .into_iter()
            .map(|mismatch| mismatch.pointer)
            .collect()
    }

    #[test]
    fn an_object_matches_one_that_has_more() {
        assert_eq!(
            pointers(&json!({"a": {"b": 1}}), &json!({"a": {"b": 1.0, "c": 2}, "d": 3})),
            [""; 0]
        );
    }

    #[test]
    fn every_mismatch_is_found_at_its_pointer() {
        assert_eq!(
            pointers(
                &json!({"a": 1, "b": [1, 2], "c/d": true}),
                &json!({"a": 2, "b": [1, 3]})
            ),
            ["/a", "/b/1", "/c~1d"]
        );
    }

    #[test]
    fn rules_hold_and_fail() {
        let value = json!({"a": [3, 1], "s": "Ab", "t": "2026-01-01T00:00:30.0000000Z", "f": false});
        let holds = |matcher: &Value| fits(matcher, Some(&value));
        assert!(holds(
            &json!({"x": {"$absent": true}, "a": {"$unordered": [1, 3]}, "s": {"$ignoreCase": "aB"}})
        ));
        assert!(holds(&json!({"a": {"$contains": {"$above": 2}}})) && !holds(&json!({"a": {"$contains": 2}})));
        assert!(holds(&json!({"a": {"$count": 2}})) && !holds(&json!({"a": {"$count": 3}})));
        assert!(holds(&json!({"a": {"$every": {"$type": "integer"}}})) && !holds(&json!({"a": {"$every": 1}})));
        assert!(holds(&json!({"$keys": ["a", "s", "t", "f"]})) && !holds(&json!({"$keys": ["a"]})));
        assert!(holds(&json!({"f": {"$anyOf": [false, {"$absent": true}]}})) && !holds(&json!({"f": {"$not": false}})));
        assert!(holds(
            &json!({"t": {"$instant": {"from": "2026-01-01T00:00:00Z", "plus": 30000, "tolerance": 0}}})
        ));
        assert!(!holds(
            &json!({"t": {"$instant": {"notBefore": "2026-01-01T00:01:00Z"}}})
        ));
        assert!(holds(&json!({"s": {"$matches": "^A"}})) && !holds(&json!({"s": {"$matches": "^B"}})));
    }

    #[test]
    fn an_http_date_is_an_instant() {
        assert!(parse_instant("Thu, 01 Jan 2026 00:00:30 GMT").is_some());
    }
}
