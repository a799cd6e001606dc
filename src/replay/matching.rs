//! Says where a value is not what a matcher wants.

use serde_json::Value;

use crate::contract::case::matcher::{Matcher, list, rule};
use crate::contract::case::words::MatcherRule;
use crate::contract::json::tree::{Tree, equal};
use crate::contract::json::{escape, kind};

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
pub fn find_mismatches<'a>(matcher: &Matcher, actual: Option<impl Tree<'a>>) -> Vec<Mismatch> {
    // Nearly every value is as expected, and saying where one is not takes texts.
    if matcher.fits(actual) {
        return Vec::new();
    }
    let found = search(matcher, actual.map(Tree::to_known_value).as_ref());
    // It may be about something that the contract does not have.
    if found.is_empty() {
        return search(matcher, actual.map(Tree::to_value).as_ref());
    }
    found
}

fn search(matcher: &Matcher, actual: Option<&Value>) -> Vec<Mismatch> {
    let mut search = Search {
        path: Vec::new(),
        found: Vec::new(),
    };
    search.visit(matcher.written(), actual);
    search.found
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
            return self.visit_rule(matcher, rule, argument, actual);
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

    fn visit_rule(&mut self, matcher: &Value, rule: MatcherRule, argument: &'a Value, actual: Option<&'a Value>) {
        match (rule, actual) {
            (MatcherRule::AllOf, _) => {
                for matcher in list(argument) {
                    self.visit(matcher, actual);
                }
            }
            (MatcherRule::Every, Some(Value::Array(array))) => {
                for (index, value) in array.iter().enumerate() {
                    self.inside(Segment::Index(index), |search| search.visit(argument, Some(value)));
                }
            }
            (MatcherRule::Every, Some(Value::Object(object))) => {
                for (key, value) in object {
                    self.inside(Segment::Key(key), |search| search.visit(argument, Some(value)));
                }
            }
            _ if Matcher::new(matcher.clone()).fits(actual) => {}
            _ => self.wrong(describe(rule, argument), actual),
        }
    }
}

fn describe(rule: MatcherRule, argument: &Value) -> String {
    match rule {
        MatcherRule::Absent => "no value".to_owned(),
        MatcherRule::Present => "a value".to_owned(),
        MatcherRule::Equals => format!("exactly {}", show(Some(argument))),
        MatcherRule::Instant if argument.is_boolean() => "a UTC time".to_owned(),
        MatcherRule::Type => format!("a value of type {}", argument.as_str().unwrap_or_default()),
        _ => format!("{} {}", rule.name().trim_start_matches('$'), show(Some(argument))),
    }
}

/// A value as people read it: short, on one line, with its fields in an order that no service decides.
pub fn show(value: Option<&Value>) -> String {
    const MAX: usize = 400;
    let Some(value) = value else {
        return "nothing".to_owned();
    };
    let mut text = match value {
        Value::Object(_) | Value::Array(_) => {
            let mut sorted = value.clone();
            sorted.sort_all_objects();
            sorted.to_string()
        }
        _ => value.to_string(),
    };
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

    fn pointers(matcher: Value, actual: &Value) -> Vec<String> {
        find_mismatches(&Matcher::new(matcher), Some(actual))
            .into_iter()
            .map(|mismatch| mismatch.pointer)
            .collect()
    }

    #[test]
    fn an_object_matches_one_that_has_more() {
        assert_eq!(
            pointers(json!({"a": {"b": 1}}), &json!({"a": {"b": 1.0, "c": 2}, "d": 3})),
            [""; 0]
        );
    }

    #[test]
    fn every_mismatch_is_found_at_its_pointer() {
        assert_eq!(
            pointers(json!({"a": 1, "b": [1, 2], "c/d": true}), &json!({"a": 2, "b": [1, 3]})),
            ["/a", "/b/1", "/c~1d"]
        );
    }
}
