//! How much is asked of a service, counted without asking it: what is taken out of a case makes it weaker.

use std::ops::{Add, AddAssign};

use serde_json::Value;

use crate::contract::case::matcher::rule;
use crate::contract::case::words::MatcherRule;
use crate::contract::case::{Expectation, Script, Step, Variant};
use crate::contract::invariant::Invariant;

/// How much something asks of a service, and how much it leaves open.
///
/// Only to be compared with the same thing at another time: less asked or more allowed is weaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strength {
    /// What must be so, thing by thing.
    pub asks: usize,
    /// The answers beyond one that will do: statuses, readings, alternatives.
    pub allows: usize,
}

impl Strength {
    fn asks(asks: usize) -> Self {
        Self { asks, allows: 0 }
    }

    /// Whether it is weaker than another in any way.
    pub fn is_below(self, other: Self) -> bool {
        self.asks < other.asks || self.allows > other.allows
    }

    /// Any one of several has to hold.
    fn of_one(alternatives: &[Self]) -> Self {
        let asks = alternatives.iter().map(|strength| strength.asks).min();
        let allows = alternatives.iter().map(|strength| strength.allows).max();
        Self {
            asks: asks.unwrap_or_default(),
            allows: allows.unwrap_or_default() + alternatives.len().saturating_sub(1),
        }
    }
}

impl Add for Strength {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            asks: self.asks + other.asks,
            allows: self.allows + other.allows,
        }
    }
}

impl AddAssign for Strength {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Strength {
    fn sum<I: Iterator<Item = Self>>(strengths: I) -> Self {
        strengths.fold(Self::default(), Add::add)
    }
}

/// The strength of a variant of a case.
pub fn of_variant(variant: &Variant, script: &Script) -> Strength {
    Strength::asks(variant.clauses.len()) + script.steps().map(of_step).sum()
}

/// The strength of an invariant.
pub fn of_invariant(invariant: &Invariant) -> Strength {
    Strength::asks(invariant.operations.len()) + of_expectation(&invariant.expect)
}

/// The strength of a schema's file: the keywords that are not mere prose.
pub fn of_schema(schema: &Value) -> Strength {
    match schema {
        Value::Object(members) => members
            .iter()
            .filter(|(key, value)| !(value.is_string() && is_prose(key)))
            .map(|(_, value)| Strength::asks(1) + of_schema(value))
            .sum(),
        Value::Array(values) => values.iter().map(of_schema).sum(),
        _ => Strength::default(),
    }
}

fn is_prose(key: &str) -> bool {
    matches!(key, "$schema" | "$id" | "$comment" | "title" | "description")
}

fn of_step(step: &Step) -> Strength {
    let tally = step
        .tally
        .iter()
        .map(|(set, count)| Strength::asks(1) + of_status(set.width()) + of_matcher(count.written(), false));
    let each = step.each.iter().map(|(_, expectation)| of_expectation(expectation));
    let own = step.expect.iter().map(of_expectation);
    let also = step.also.iter().map(of_expectation);
    Strength::asks(1) + tally.chain(each).chain(own).chain(also).sum()
}

fn of_status(width: usize) -> Strength {
    Strength {
        asks: 1,
        allows: width.saturating_sub(1),
    }
}

fn of_expectation(expectation: &Expectation) -> Strength {
    let mut strength = Strength::asks(expectation.assertions() + expectation.capture.len());
    strength.allows += expectation
        .status
        .as_ref()
        .map_or(0, |set| of_status(set.width()).allows);
    for (_, matcher) in expectation.own_matchers() {
        strength += of_matcher(matcher, false);
    }
    if let Some((_, readings)) = &expectation.reading {
        let readings: Vec<Strength> = readings.iter().map(|(_, reading)| of_expectation(reading)).collect();
        strength += Strength::of_one(&readings);
    }
    strength
}

/// `is_exact`: other keys than those that it names are asked to be absent.
fn of_matcher(matcher: &Value, is_exact: bool) -> Strength {
    match matcher {
        Value::Object(members) => match rule(members).filter(|_| !is_exact) {
            Some((rule, argument)) => of_rule(rule, argument),
            None => {
                let own = Strength::asks(1 + usize::from(is_exact));
                own + members.values().map(|member| of_matcher(member, is_exact)).sum()
            }
        },
        Value::Array(elements) => {
            Strength::asks(1) + elements.iter().map(|element| of_matcher(element, is_exact)).sum()
        }
        // A value asks for more than a rule that several values fit.
        _ => Strength::asks(2),
    }
}

fn of_rule(rule: MatcherRule, argument: &Value) -> Strength {
    let each = || {
        argument
            .as_array()
            .into_iter()
            .flatten()
            .map(|matcher| of_matcher(matcher, false))
    };
    match rule {
        MatcherRule::Equals => of_matcher(argument, true),
        MatcherRule::AnyOf => Strength::of_one(&each().collect::<Vec<_>>()),
        MatcherRule::AllOf => each().sum(),
        MatcherRule::Unordered => Strength::asks(1) + each().sum(),
        MatcherRule::Contains | MatcherRule::Every | MatcherRule::Count => {
            Strength::asks(1) + of_matcher(argument, false)
        }
        MatcherRule::Keys => Strength::asks(1 + argument.as_array().map_or(0, Vec::len)),
        // What a rule forbids is weaker the more it says.
        MatcherRule::Not
        | MatcherRule::Lacks
        | MatcherRule::Absent
        | MatcherRule::Present
        | MatcherRule::Type
        | MatcherRule::Matches
        | MatcherRule::IgnoreCase
        | MatcherRule::Above
        | MatcherRule::Below
        | MatcherRule::AtLeast
        | MatcherRule::AtMost
        | MatcherRule::Instant => Strength::asks(1),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn assert_weaker(weak: &Value, strong: &Value) {
        let (weaker, stronger) = (of_matcher(weak, false), of_matcher(strong, false));
        assert!(
            weaker.is_below(stronger),
            "{weak} is no weaker than {strong}: {weaker:?}, {stronger:?}"
        );
    }

    #[test]
    fn a_matcher_that_lost_a_key_is_weaker() {
        assert_weaker(&json!({ "a": 1 }), &json!({ "a": 1, "b": null }));
        assert_weaker(&json!({ "a": { "b": {} } }), &json!({ "a": { "b": { "c": true } } }));
        assert_weaker(&json!([1]), &json!([1, 2]));
    }

    #[test]
    fn a_rule_that_many_values_fit_is_weaker_than_a_value() {
        for rule in [
            json!({ "$present": true }),
            json!({ "$type": "integer" }),
            json!({ "$atLeast": 1 }),
        ] {
            assert_weaker(&rule, &json!(5));
        }
        assert_weaker(&json!({ "a": 1 }), &json!({ "$equals": { "a": 1 } }));
        assert_weaker(
            &json!({ "$contains": { "a": 1 } }),
            &json!({ "$contains": { "a": 1, "b": 2 } }),
        );
    }

    #[test]
    fn one_more_alternative_is_weaker() {
        assert_weaker(&json!({ "$anyOf": [1, 2] }), &json!({ "$anyOf": [1] }));
        assert_weaker(
            &json!({ "$anyOf": [1, { "$present": true }] }),
            &json!({ "$anyOf": [1, 2] }),
        );
    }

    #[test]
    fn prose_adds_nothing_to_a_schema() {
        let schema = json!({ "type": "object", "required": ["a"], "properties": { "title": { "type": "string" } } });
        let told = json!({
            "type": "object", "required": ["a"], "description": "A thing.",
            "properties": { "title": { "type": "string", "description": "Its title." } }
        });
        assert_eq!(of_schema(&schema), of_schema(&told));
        assert!(of_schema(&json!({ "type": "object" })).is_below(of_schema(&schema)));
    }
}
