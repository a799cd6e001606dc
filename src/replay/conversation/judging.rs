//! What a step expects of the responses, and what it captures from them.

use serde_json::Value;

use crate::contract::case::{Expectation, Source, Step};
use crate::contract::json::tree::Tree;
use crate::replay::assertion::Assertion;
use crate::replay::conversation::Conversation;
use crate::replay::judge::{self, Failure};
use crate::replay::matching;
use crate::replay::scope::Speaker;

impl<'a> Conversation<'a> {
    /// Holds an exchange against an expectation, and keeps what it captures.
    pub(super) fn judge(&mut self, step: &Step, expectation: &'a Expectation, index: usize) {
        let Some(exchange) = self.exchanges.get(index) else {
            return;
        };
        let named = |name: &str| self.exchanges.get(*self.named.get(name)?);
        let speaker = Speaker {
            name: &exchange.speaker,
            copy: 1,
        };
        let context = judge::Context {
            variables: &self.variables,
            speaker,
            named: &named,
        };
        let mut readings = Vec::new();
        let failures = judge::judge(expectation, exchange, context, &mut readings);
        self.assertions += expectation.assertions();
        let followed = expectation.reading.as_ref().and_then(|(entry, alternatives)| {
            let (_, key) = readings.iter().find(|(followed, _)| followed == entry)?;
            alternatives
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, reading)| reading)
        });
        let mut captured = Vec::new();
        for (name, source) in expectation
            .capture
            .iter()
            .chain(followed.iter().flat_map(|reading| &reading.capture))
        {
            let value = match source {
                Source::Status => Some(exchange.response.status.into()),
                Source::Header(header) => exchange.response.header(header).map(Value::from),
                Source::Body(pointer) => exchange.document().and_then(|document| {
                    let pointer = self.variables.text(pointer, speaker);
                    document.root().at(&pointer).map(Tree::to_known_value)
                }),
            };
            captured.push((name, value, source));
        }
        let mut missing = Vec::new();
        for (name, value, source) in captured {
            match value {
                Some(value) => self.variables.set(name, value),
                None => missing.push(Failure {
                    assertion: Assertion::Capture(name.clone()),
                    expected: "a value to capture".to_owned(),
                    actual: match source {
                        Source::Status => "no response".to_owned(),
                        Source::Header(header) => format!("no response header `{header}`"),
                        Source::Body(pointer) => format!("no value at `{pointer}` in the response body"),
                    },
                    pointer: format!("{}/capture/{name}", expectation.pointer),
                }),
            }
        }
        self.readings.append(&mut readings);
        for failure in failures.into_iter().chain(missing) {
            self.add(step, Some(expectation), index, failure);
        }
    }

    pub(super) fn judge_tally(&mut self, step: &Step, first: usize, last: usize) {
        let speaker = Speaker { name: "", copy: 1 };
        for (set, expected) in &step.tally {
            let answers = self.exchanges.get(first..last).unwrap_or_default();
            let count = answers
                .iter()
                .filter(|exchange| set.contains(exchange.response.status))
                .count();
            self.assertions += 1;
            let matcher = self.variables.matcher(expected, speaker);
            if let Some(mismatch) = matching::find_mismatches(&matcher, Some(&Value::from(count))).pop() {
                let statuses: Vec<_> = answers
                    .iter()
                    .map(|exchange| exchange.response.status.to_string())
                    .collect();
                let failure = Failure {
                    assertion: Assertion::Tally(set.to_string()),
                    expected: format!("{} of {} responses", mismatch.expected, answers.len()),
                    actual: format!("{count}: {}", statuses.join(", ")),
                    pointer: format!("{}/tally", step.pointer),
                };
                self.add(step, None, first, failure);
            }
        }
    }
}
