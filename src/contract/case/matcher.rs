//! Matchers: JSON that says what JSON is expected, see `cases/README.md`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::OnceLock;

use jiff::Timestamp;
use regex::Regex;
use serde_json::{Map, Number, Value};

use crate::contract::case::variable;
use crate::contract::case::words::MatcherRule;
use crate::contract::json::tree::{Tree, equal};
use crate::contract::json::{Item, Word as _, expected_one_of};

/// What a case expects of a value, which may be absent.
///
/// Its meaning is worked out when it is first used, and kept: the matchers of invariants are used on every response.
#[derive(Clone, Debug)]
pub struct Matcher {
    written: Value,
    rule: OnceLock<Rule>,
}

impl Matcher {
    /// A matcher that is written so; variables in it are not filled in.
    pub fn new(written: Value) -> Self {
        Self {
            written,
            rule: OnceLock::new(),
        }
    }

    /// Reads a matcher of a case; what is wrong with it is reported.
    pub(super) fn read(item: Item<'_>) -> Self {
        check(item);
        Self::new(item.value().clone())
    }

    /// The JSON that it is written as.
    pub fn written(&self) -> &Value {
        &self.written
    }

    /// Whether a value, which may be absent, matches.
    pub fn fits<'a>(&self, actual: Option<impl Tree<'a>>) -> bool {
        self.rule.get_or_init(|| Rule::new(&self.written)).fits(actual)
    }
}

/// What a matcher means.
#[derive(Clone, Debug)]
enum Rule {
    Equals(Value),
    /// These members, and any others.
    Members(Vec<(String, Self)>),
    /// These elements and no others, in this order.
    Elements(Vec<Self>),
    /// Whether there is a value.
    IsPresent(bool),
    Not(Box<Self>),
    AnyOf(Vec<Self>),
    AllOf(Vec<Self>),
    Type(Type),
    /// `None` is no regular expression.
    Matches(Option<Regex>),
    /// In lower case.
    IgnoreCase(Option<String>),
    Contains(Box<Self>),
    Lacks(Box<Self>),
    Every(Box<Self>),
    Unordered(Vec<Self>),
    Count(Box<Self>),
    Keys(Vec<Self>),
    Limit(Limit, Option<f64>),
    Instant(Instant),
}

#[derive(Clone, Copy, Debug)]
enum Type {
    Integer,
    Number,
    String,
    Boolean,
    Array,
    Object,
    Null,
    Unknown,
}

#[derive(Clone, Copy, Debug)]
enum Limit {
    Above,
    Below,
    AtLeast,
    AtMost,
}

/// The rule that a matcher is, if it is one, and what the rule takes.
pub fn rule(map: &Map<String, Value>) -> Option<(MatcherRule, &Value)> {
    let (key, argument) = map.iter().next().filter(|_| map.len() == 1)?;
    Some((MatcherRule::named(key)?, argument))
}

/// The matchers that a rule takes as a list.
pub fn list(argument: &Value) -> &[Value] {
    argument.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Reports what is wrong with a matcher: rules that nobody knows, rules beside other keys, and broken expressions.
fn check(item: Item<'_>) {
    match item.value() {
        Value::Array(_) => {
            item.elements(|element| {
                check(element);
                Some(())
            });
        }
        Value::Object(map) => {
            let is_rule = map.keys().any(|key| key.starts_with('$'));
            if is_rule && map.len() > 1 {
                item.wrong(
                    "a matcher with a rule has only that",
                    "one `$` key and no other; `$allOf` joins several",
                );
            }
            item.members(|key, member| {
                match MatcherRule::named(key) {
                    Some(rule) => check_argument(rule, member),
                    None if key.starts_with('$') => member.wrong_key(
                        format!("unknown rule `{key}`"),
                        expected_one_of(key, MatcherRule::NAMES),
                    ),
                    None => check(member),
                }
                Some(())
            });
        }
        _ => {}
    }
}

/// Reports an argument that its rule cannot take, and that would never match; a variable may stand for most of them.
fn check_argument(rule: MatcherRule, item: Item<'_>) {
    let is_variable = item.value().as_str().is_some_and(variable::has_variable);
    match rule {
        MatcherRule::Equals => {}
        MatcherRule::Not | MatcherRule::Contains | MatcherRule::Lacks | MatcherRule::Every | MatcherRule::Count => {
            check(item);
        }
        MatcherRule::Matches => check_regex(item),
        _ if is_variable => {}
        MatcherRule::Absent | MatcherRule::Present => _ = item.boolean(),
        MatcherRule::AnyOf | MatcherRule::AllOf | MatcherRule::Unordered | MatcherRule::Keys => {
            _ = item.elements(|element| {
                check(element);
                Some(())
            });
        }
        MatcherRule::Type => _ = item.one_of(&TYPES),
        MatcherRule::IgnoreCase => _ = item.string(),
        MatcherRule::Above | MatcherRule::Below | MatcherRule::AtLeast | MatcherRule::AtMost => {
            if !item.value().is_number() {
                item.wrong("expected a number", "a number, or a variable, goes here");
            }
        }
        MatcherRule::Instant if item.value() == &Value::Bool(true) => {}
        MatcherRule::Instant => _ = item.object(&["from", "plus", "tolerance", "notBefore", "notAfter", "digits"]),
    }
}

fn check_regex(item: Item<'_>) {
    if let Some(pattern) = item.string()
        && variable::names(pattern).next().is_none()
        && regex(pattern).is_none()
        && let Err(error) = Regex::new(pattern)
    {
        let message = error.to_string();
        item.wrong("not a regular expression", message.lines().last().unwrap_or_default());
    }
}

impl Rule {
    fn new(matcher: &Value) -> Self {
        match matcher {
            Value::Object(map) => match rule(map) {
                Some((rule, argument)) => Self::of(rule, argument),
                None => Self::Members(
                    map.iter()
                        .map(|(key, member)| (key.clone(), Self::new(member)))
                        .collect(),
                ),
            },
            Value::Array(elements) => Self::Elements(elements.iter().map(Self::new).collect()),
            _ => Self::Equals(matcher.clone()),
        }
    }

    fn of(rule: MatcherRule, argument: &Value) -> Self {
        let inner = || Box::new(Self::new(argument));
        let inners = || list(argument).iter().map(Self::new).collect();
        let is_so = argument != &Value::Bool(false);
        match rule {
            MatcherRule::Absent => Self::IsPresent(!is_so),
            MatcherRule::Present => Self::IsPresent(is_so),
            MatcherRule::Equals => Self::Equals(argument.clone()),
            MatcherRule::Not => Self::Not(inner()),
            MatcherRule::AnyOf => Self::AnyOf(inners()),
            MatcherRule::AllOf => Self::AllOf(inners()),
            MatcherRule::Type => Self::Type(Type::named(argument.as_str().unwrap_or_default())),
            MatcherRule::Matches => Self::Matches(regex(argument.as_str().unwrap_or_default())),
            MatcherRule::IgnoreCase => Self::IgnoreCase(argument.as_str().map(str::to_lowercase)),
            MatcherRule::Contains => Self::Contains(inner()),
            MatcherRule::Lacks => Self::Lacks(inner()),
            MatcherRule::Every => Self::Every(inner()),
            MatcherRule::Unordered => Self::Unordered(inners()),
            MatcherRule::Count => Self::Count(inner()),
            MatcherRule::Keys => Self::Keys(list(argument).iter().map(Self::of_key).collect()),
            MatcherRule::Above => Self::Limit(Limit::Above, argument.as_f64()),
            MatcherRule::Below => Self::Limit(Limit::Below, argument.as_f64()),
            MatcherRule::AtLeast => Self::Limit(Limit::AtLeast, argument.as_f64()),
            MatcherRule::AtMost => Self::Limit(Limit::AtMost, argument.as_f64()),
            MatcherRule::Instant => Self::Instant(Instant::new(argument)),
        }
    }

    /// The rule for a name, which a variable may give as a number.
    fn of_key(key: &Value) -> Self {
        match key {
            Value::Number(number) => Self::new(&Value::from(number.to_string())),
            key => Self::new(key),
        }
    }

    fn fits<'a, T: Tree<'a>>(&self, actual: Option<T>) -> bool {
        match self {
            Self::IsPresent(is_present) => return actual.is_some() == *is_present,
            Self::Not(rule) => return !rule.fits(actual),
            Self::AnyOf(rules) => return rules.iter().any(|rule| rule.fits(actual)),
            Self::AllOf(rules) => return rules.iter().all(|rule| rule.fits(actual)),
            _ => {}
        }
        actual.is_some_and(|actual| self.fits_value(actual))
    }

    fn fits_value<'a, T: Tree<'a>>(&self, actual: T) -> bool {
        match self {
            Self::IsPresent(_) | Self::Not(_) | Self::AnyOf(_) | Self::AllOf(_) => self.fits(Some(actual)),
            Self::Equals(expected) => equal(expected, actual),
            Self::Members(members) => {
                actual.members().is_some() && members.iter().all(|(key, rule)| rule.fits(actual.member(key)))
            }
            Self::Elements(rules) => actual.elements().is_some_and(|mut array| {
                actual.count() == Some(rules.len())
                    && rules.iter().zip(&mut array).all(|(rule, value)| rule.fits_value(value))
            }),
            Self::Type(kind) => kind.is_of(actual),
            Self::Matches(regex) => regex
                .as_ref()
                .zip(actual.text())
                .is_some_and(|(regex, text)| regex.is_match(text)),
            Self::IgnoreCase(expected) => actual
                .text()
                .zip(expected.as_ref())
                .is_some_and(|(text, expected)| text.to_lowercase() == *expected),
            Self::Contains(rule) => actual
                .elements()
                .is_some_and(|mut array| array.any(|value| rule.fits_value(value))),
            Self::Lacks(rule) => actual
                .elements()
                .is_some_and(|mut array| !array.any(|value| rule.fits_value(value))),
            Self::Every(rule) => match (actual.elements(), actual.known_members()) {
                (Some(mut array), _) => array.all(|value| rule.fits_value(value)),
                (_, Some(mut members)) => members.all(|(_, value)| rule.fits_value(value)),
                _ => false,
            },
            Self::Unordered(rules) => actual
                .elements()
                .is_some_and(|array| is_permutation(rules, &array.collect::<Vec<_>>())),
            Self::Count(rule) => {
                let known = actual.known_members().map(Iterator::count);
                let count = known.or_else(|| actual.count());
                count.is_some_and(|count| rule.fits_value(&Value::from(count)))
            }
            Self::Keys(rules) => actual.known_members().is_some_and(|members| {
                let keys: Vec<Value> = members.map(|(key, _)| Value::from(key)).collect();
                is_permutation(rules, &keys.iter().collect::<Vec<_>>())
            }),
            Self::Limit(kind, limit) => {
                actual
                    .number()
                    .and_then(Number::as_f64)
                    .zip(*limit)
                    .is_some_and(|(actual, limit)| match kind {
                        Limit::Above => actual > limit,
                        Limit::Below => actual < limit,
                        Limit::AtLeast => actual >= limit,
                        Limit::AtMost => actual <= limit,
                    })
            }
            Self::Instant(instant) => actual.text().is_some_and(|text| instant.is(text)),
        }
    }
}

const TYPES: [(&str, Type); 7] = [
    ("object", Type::Object),
    ("array", Type::Array),
    ("string", Type::String),
    ("number", Type::Number),
    ("integer", Type::Integer),
    ("boolean", Type::Boolean),
    ("null", Type::Null),
];

impl Type {
    fn named(name: &str) -> Self {
        let known = TYPES.iter().find(|(known, _)| *known == name);
        known.map_or(Self::Unknown, |(_, kind)| *kind)
    }

    fn is_of<'a>(self, value: impl Tree<'a>) -> bool {
        let is_integer = |number: &Number| {
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        };
        match self {
            Self::Integer => value.number().is_some_and(is_integer),
            Self::Number => value.number().is_some(),
            Self::String => value.text().is_some(),
            Self::Boolean => value.boolean().is_some(),
            Self::Array => value.elements().is_some(),
            Self::Object => value.members().is_some(),
            Self::Null => value.is_null(),
            Self::Unknown => false,
        }
    }
}

/// A regular expression, compiled once a thread: the cases say the same few again and again. `None` if it is none.
pub(crate) fn regex(pattern: &str) -> Option<Regex> {
    thread_local! {
        static COMPILED: RefCell<HashMap<String, Option<Regex>>> = RefCell::default();
    }
    COMPILED.with_borrow_mut(|compiled| {
        if !compiled.contains_key(pattern) {
            compiled.insert(pattern.to_owned(), Regex::new(pattern).ok());
        }
        compiled.get(pattern)?.clone()
    })
}

/// Whether each rule can be given a value of its own.
fn is_permutation<'a, T: Tree<'a>>(rules: &[Rule], values: &[T]) -> bool {
    fn place<'a, T: Tree<'a>>(rules: &[Rule], values: &[T], used: &mut [bool]) -> bool {
        let Some((first, rest)) = rules.split_first() else {
            return true;
        };
        for (index, value) in values.iter().enumerate() {
            if used.get(index) == Some(&false) && first.fits_value(*value) {
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
    rules.len() == values.len() && place(rules, values, &mut vec![false; values.len()])
}

/// Reads a time: ISO 8601 in UTC, which may be written as an offset of nothing, or an HTTP date.
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    let is_utc = ["Z", "+00:00", "-00:00"].iter().any(|end| text.ends_with(end));
    if is_utc && text.contains('T') {
        return text.parse().ok();
    }
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// How far apart two times of one event may be, in ms, when a matcher does not say.
const TOLERANCE: i64 = 2_000;

/// How far the clocks of a service's nodes may be apart, in ms, where one time is expected before or after another.
const SKEW: i64 = 1_000;

/// What is expected of a time; all in ms since 1970.
#[derive(Clone, Debug, Default)]
struct Instant {
    /// From when to when, both included.
    between: Vec<(i64, i64)>,
    /// A limit is no time, so that none fits.
    is_broken: bool,
    /// How many digits the fraction of a second has; the rest is spelt in full then, in UTC.
    digits: Option<usize>,
}

impl Instant {
    fn new(argument: &Value) -> Self {
        let mut instant = Self::default();
        let number = |key: &str| argument.get(key).and_then(Value::as_i64);
        let tolerance = number("tolerance").unwrap_or(TOLERANCE);
        let mut limit = |key: &str, around: &dyn Fn(i64) -> (i64, i64)| {
            let Some(said) = argument.get(key) else { return };
            match said.as_str().and_then(parse_instant) {
                Some(time) => instant.between.push(around(time.as_millisecond())),
                None => instant.is_broken = true,
            }
        };
        limit("from", &|from| {
            let expected = from.saturating_add(number("plus").unwrap_or_default());
            (expected.saturating_sub(tolerance), expected.saturating_add(tolerance))
        });
        instant.digits = number("digits").and_then(|digits| digits.try_into().ok());
        let skew = number("tolerance").unwrap_or(SKEW);
        limit("notBefore", &|from| (from.saturating_sub(skew), i64::MAX));
        limit("notAfter", &|to| (i64::MIN, to.saturating_add(skew)));
        instant
    }

    fn is(&self, text: &str) -> bool {
        let time = parse_instant(text).map(Timestamp::as_millisecond);
        let is_between = |time| self.between.iter().all(|(from, to)| (*from..=*to).contains(&time));
        !self.is_broken && self.digits.is_none_or(|digits| is_spelt(text, digits)) && time.is_some_and(is_between)
    }
}

/// Whether a time in UTC has each part in full, down to so many digits of the second's fraction.
fn is_spelt(text: &str, digits: usize) -> bool {
    const SECONDS: &[u8] = b"0000-00-00T00:00:00.";
    let Some(text) = text.strip_suffix('Z').map(str::as_bytes) else {
        return false;
    };
    let expected = SECONDS.iter().chain(std::iter::repeat(&b'0'));
    let is_right = |(found, expected): (&u8, &u8)| match expected {
        b'0' => found.is_ascii_digit(),
        _ => found == expected,
    };
    text.len() == SECONDS.len() + digits && text.iter().zip(expected).all(is_right)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_hold_and_fail() {
        let value = json!({"a": [3, 1], "s": "Ab", "t": "2026-01-01T00:00:30.0000000Z", "f": false});
        let holds = |matcher: Value| Matcher::new(matcher).fits(Some(&value));
        assert!(holds(
            json!({"x": {"$absent": true}, "a": {"$unordered": [1, 3]}, "s": {"$ignoreCase": "aB"}})
        ));
        assert!(holds(json!({"a": {"$contains": {"$above": 2}}})) && !holds(json!({"a": {"$contains": 2}})));
        assert!(holds(json!({"a": {"$lacks": 2}})) && !holds(json!({"a": {"$lacks": 3}})));
        assert!(holds(json!({"a": {"$count": 2}})) && !holds(json!({"a": {"$count": 3}})));
        assert!(holds(json!({"a": {"$every": {"$type": "integer"}}})) && !holds(json!({"a": {"$every": 1}})));
        assert!(holds(json!({"$keys": ["a", "s", "t", "f"]})) && !holds(json!({"$keys": ["a"]})));
        assert!(holds(json!({"f": {"$anyOf": [false, {"$absent": true}]}})) && !holds(json!({"f": {"$not": false}})));
        assert!(holds(json!({"x": {"$not": 1}})) && !holds(json!({"x": {"$type": "null"}})));
        assert!(holds(json!({"f": {"$present": true}})) && !holds(json!({"f": {"$present": false}})));
        assert!(holds(
            json!({"t": {"$instant": {"from": "2026-01-01T00:00:00Z", "plus": 30000, "tolerance": 0}}})
        ));
        assert!(!holds(
            json!({"t": {"$instant": {"notBefore": "2026-01-01T00:01:00Z"}}})
        ));
        assert!(!holds(json!({"t": {"$instant": {"notAfter": "no time"}}})));
        assert!(holds(json!({"t": {"$instant": true}})) && !holds(json!({"s": {"$instant": true}})));
        assert!(holds(json!({"s": {"$matches": "^A"}})) && !holds(json!({"s": {"$matches": "^B"}})));
    }

    #[test]
    fn a_time_has_as_many_digits_as_asked_for() {
        let instant = Instant::new(&json!({ "digits": 7 }));
        assert!(instant.is("2026-01-01T00:00:30.0000000Z"));
        for other in [
            "2026-01-01T00:00:30.000000Z",
            "2026-01-01T00:00:30.00000000Z",
            "2026-01-01T00:00:30Z",
            "2026-01-01 00:00:30.0000000Z",
            "2026-01-01T00:00:30.0000000+00:00",
            "2026-13-01T00:00:30.0000000Z",
            "Thu, 01 Jan 2026 00:00:30 GMT",
        ] {
            assert!(!instant.is(other), "{other}");
        }
    }

    #[test]
    fn a_time_in_utc_may_have_an_offset_of_nothing() {
        let (one, other) = ("2026-01-01T00:00:30+00:00", "2026-01-01T00:00:30Z");
        assert_eq!(parse_instant(one), parse_instant(other));
        assert!(parse_instant("2026-01-01T00:00:30+01:00").is_none());
    }

    #[test]
    fn an_http_date_is_an_instant() {
        assert!(parse_instant("Thu, 01 Jan 2026 00:00:30 GMT").is_some());
    }
}
