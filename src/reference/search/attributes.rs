//! Search attributes: what a title says about a session, for others to find it by.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value, json};
use thiserror::Error;

use super::super::rules::{AttributeCase, Rules};

/// A name has fewer characters than this (SRCH-HDL-008, SRCH-HDL-009).
const NAME_LIMIT: usize = 100;
/// The largest magnitude up to which every integer is a floating point number.
const EXACT: f64 = 9_007_199_254_740_992.0;
const ROOT: &str = "/searchAttributes";
const NAME: &str = "a letter first, no space, and fewer than 100 characters";

/// The search attributes of a handle.
///
/// Their spelling is kept (SRCH-HDL-011). For comparison, tags and values of strings are in lower case (SRCH-FLT-011), and
/// so are names, unless the rules say otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchAttributes {
    /// What [`to_json`](Self::to_json) shows.
    document: Map<String, Value>,
    tags: Vec<String>,
    strings: BTreeMap<String, String>,
    numbers: BTreeMap<String, f64>,
    achievement_ids: Vec<String>,
    language: Option<String>,
}

/// A search attribute that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{pointer}: found {found}, expected {expected}")]
pub struct AttributeError {
    /// Where, as a JSON Pointer into the handle's document.
    pub pointer: String,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: &'static str,
}

impl SearchAttributes {
    /// Reads the member `searchAttributes` of a handle's document; null is the same as none (SRCH-HDL-013). Members that
    /// are not documented are left out.
    pub fn parse(value: &Value) -> Result<Self, AttributeError> {
        Self::parse_under(value, &Rules::default())
    }

    /// Reads them under other rules.
    pub fn parse_under(value: &Value, rules: &Rules) -> Result<Self, AttributeError> {
        let mut attributes = Self::default();
        let Some(members) = object(value, ROOT)? else {
            return Ok(attributes);
        };
        let mut locale = None;
        for (member, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            let pointer = format!("{ROOT}/{}", escaped(member));
            match member.as_str() {
                "tags" => {
                    let tags = texts(value, &pointer)?;
                    for (index, tag) in tags.iter().enumerate() {
                        check_name(tag, &format!("{pointer}/{index}"))?;
                    }
                    attributes.tags = tags.into_iter().map(str::to_lowercase).collect();
                }
                "strings" => {
                    for (name, value) in object(value, &pointer)?.into_iter().flatten() {
                        let pointer = format!("{pointer}/{}", escaped(name));
                        check_name(name, &pointer)?;
                        let text = text(value, &pointer)?;
                        attributes.strings.insert(compared(name, rules), text.to_lowercase());
                    }
                }
                "numbers" => {
                    let mut shown = Map::new();
                    for (name, value) in object(value, &pointer)?.into_iter().flatten() {
                        let pointer = format!("{pointer}/{}", escaped(name));
                        check_name(name, &pointer)?;
                        let number = value.as_f64();
                        let number = number.ok_or_else(|| error(&pointer, found(value), "a number"))?;
                        attributes.numbers.insert(compared(name, rules), number);
                        shown.insert(name.clone(), floating(value, number));
                    }
                    attributes.document.insert(member.clone(), Value::Object(shown));
                    continue;
                }
                "achievementIds" => {
                    attributes.achievement_ids = texts(value, &pointer)?.into_iter().map(str::to_owned).collect();
                }
                "language" => attributes.language = Some(text(value, &pointer)?.to_owned()),
                "locale" => locale = Some(text(value, &pointer)?),
                _ => continue,
            }
            attributes.document.insert(member.clone(), value.clone());
        }
        if attributes.language.is_none() {
            attributes.language = locale.and_then(|locale| locale.split('-').next()).map(str::to_owned);
        }
        Ok(attributes)
    }

    /// The document form, in the spelling it was given.
    pub fn to_json(&self) -> Value {
        Value::Object(self.document.clone())
    }

    /// The tags, in lower case.
    pub(super) fn tags(&self) -> &[String] {
        &self.tags
    }

    /// The strings by name, values in lower case.
    pub(super) fn strings(&self) -> &BTreeMap<String, String> {
        &self.strings
    }

    /// The numbers by name.
    pub(super) fn numbers(&self) -> &BTreeMap<String, f64> {
        &self.numbers
    }

    /// The achievement ids.
    pub(super) fn achievement_ids(&self) -> &[String] {
        &self.achievement_ids
    }

    /// The language; that of the locale, if only a locale was given (SRCH-HDL-014).
    pub(super) fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }
}

/// The name of an attribute as it is compared.
pub(super) fn compared(name: &str, rules: &Rules) -> String {
    match rules.attribute_case {
        AttributeCase::Any => name.to_lowercase(),
        AttributeCase::Exact => name.to_owned(),
    }
}

/// Numbers are stored as floating point (SRCH-HDL-012): integers beyond its precision show what was stored.
fn floating(given: &Value, number: f64) -> Value {
    if number.abs() <= EXACT {
        given.clone()
    } else {
        Number::from_f64(number).map_or(Value::Null, Value::Number)
    }
}

/// SRCH-HDL-008, SRCH-HDL-009; what else a name may hold is not restricted (SRCH-HDL-010).
fn check_name(name: &str, pointer: &str) -> Result<(), AttributeError> {
    let fits = name.chars().next().is_some_and(char::is_alphabetic)
        && !name.chars().any(char::is_whitespace)
        && name.chars().count() < NAME_LIMIT;
    if fits {
        Ok(())
    } else {
        Err(error(pointer, found(&json!(name)), NAME))
    }
}

fn object<'v>(value: &'v Value, pointer: &str) -> Result<Option<&'v Map<String, Value>>, AttributeError> {
    match value {
        Value::Null => Ok(None),
        Value::Object(members) => Ok(Some(members)),
        _ => Err(error(pointer, found(value), "an object")),
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> Result<&'v str, AttributeError> {
    value.as_str().ok_or_else(|| error(pointer, found(value), "a string"))
}

fn texts<'v>(value: &'v Value, pointer: &str) -> Result<Vec<&'v str>, AttributeError> {
    let list = value.as_array();
    let list = list
        .ok_or_else(|| error(pointer, found(value), "an array of strings"))?
        .iter();
    list.enumerate()
        .map(|(index, value)| text(value, &format!("{pointer}/{index}")))
        .collect()
}

fn error(pointer: &str, found: String, expected: &'static str) -> AttributeError {
    AttributeError {
        pointer: pointer.to_owned(),
        found,
        expected,
    }
}

/// What a message shows of a value.
fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.is_empty() => "an empty string".to_owned(),
        Value::String(text) if text.chars().count() >= NAME_LIMIT => {
            format!("a string of {} characters", text.chars().count())
        }
        Value::String(text) => format!("`{text}`"),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// A member's name as a token of a JSON Pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_read_back_as_they_were_given() {
        let given = json!({
            "tags": ["ProRankOnly", "city_Maps"],
            "strings": { "Weapons": "Knives+Pistols", "empty": "" },
            "numbers": { "MinLevel": 25, "ratio": 7.5 },
            "achievementIds": ["17"],
            "locale": "en-GB",
        });
        let attributes = SearchAttributes::parse(&given).expect("valid attributes");
        assert_eq!(attributes.to_json(), given);
    }

    #[test]
    fn absent_attributes_are_no_error() {
        for given in [
            json!(null),
            json!({}),
            json!({ "tags": null, "strings": null, "other": 5 }),
        ] {
            let attributes = SearchAttributes::parse(&given).expect("valid attributes");
            assert_eq!(attributes.to_json(), json!({}));
        }
    }

    #[test]
    fn the_language_of_a_locale_counts_unless_a_language_is_given() {
        let language = |given: &Value| {
            SearchAttributes::parse(given)
                .expect("valid")
                .language()
                .map(str::to_owned)
        };
        assert_eq!(language(&json!({ "locale": "de-CH" })).as_deref(), Some("de"));
        assert_eq!(
            language(&json!({ "locale": "de-CH", "language": "fr" })).as_deref(),
            Some("fr")
        );
    }

    #[test]
    fn a_name_of_99_characters_is_accepted_and_one_of_101_refused() {
        let tagged = |length: usize| SearchAttributes::parse(&json!({ "tags": ["a".repeat(length)] }));
        assert!(tagged(99).is_ok());
        assert_eq!(
            tagged(101).expect_err("too long").to_string(),
            "/searchAttributes/tags/0: found a string of 101 characters, expected a letter first, no space, and fewer \
             than 100 characters"
        );
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        for (given, pointer) in [
            (json!(5), "/searchAttributes"),
            (json!({ "tags": "a" }), "/searchAttributes/tags"),
            (json!({ "tags": ["a", 5] }), "/searchAttributes/tags/1"),
            (json!({ "tags": ["a", "b c"] }), "/searchAttributes/tags/1"),
            (json!({ "tags": [""] }), "/searchAttributes/tags/0"),
            (json!({ "tags": ["5a"] }), "/searchAttributes/tags/0"),
            (
                json!({ "strings": { "a/b~c": 5 } }),
                "/searchAttributes/strings/a~1b~0c",
            ),
            (json!({ "strings": { "_a": "b" } }), "/searchAttributes/strings/_a"),
            (json!({ "strings": ["a"] }), "/searchAttributes/strings"),
            (json!({ "numbers": { "rank": "5" } }), "/searchAttributes/numbers/rank"),
            (
                json!({ "numbers": { "my rank": 5 } }),
                "/searchAttributes/numbers/my rank",
            ),
            (json!({ "achievementIds": [5] }), "/searchAttributes/achievementIds/0"),
            (json!({ "language": {} }), "/searchAttributes/language"),
        ] {
            assert_eq!(
                SearchAttributes::parse(&given).expect_err("a fault").pointer,
                pointer,
                "{given}"
            );
        }
    }

    #[test]
    fn integers_beyond_floating_point_show_what_was_stored() {
        let attributes = SearchAttributes::parse(&json!({ "numbers": { "big": u64::MAX } })).expect("valid");
        assert_eq!(
            attributes.to_json(),
            json!({ "numbers": { "big": 18_446_744_073_709_551_616.0 } })
        );
    }
}
