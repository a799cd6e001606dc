//! Signatures: which cases fail when a service has a certain fault, as `prove --record` saw it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::json;

use crate::contract::Suite;
use crate::contract::clause::Level;
use crate::contract::files::Files;
use crate::contract::json::problem::{Place, Problem};
use crate::contract::json::{self, Item, Problems};

/// Where they are kept, beside the conversations that are recorded.
pub const FILE: &str = "snapshots/faults.json";

/// How faults show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// The cases by which faults are told apart; signatures name them by their places here.
    pub cases: Vec<String>,
    /// One for each fault.
    pub faults: Vec<Signature>,
    /// MUST clauses that can be tested and that no fault breaks, with the reason.
    pub unproven: BTreeMap<String, String>,
}

/// How a fault shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// The fault's id.
    pub id: String,
    /// What is wrong.
    pub text: String,
    /// The clauses that it breaks.
    pub clauses: Vec<String>,
    /// The assertions that fail most often.
    pub signs: Vec<String>,
    /// The places of those of these cases that fail, ascending.
    pub failed: Vec<usize>,
}

impl Signatures {
    /// Reads the suite's; `None` where nothing is recorded.
    pub fn read(files: &Files) -> Result<Option<Self>, Vec<Problem>> {
        let Some(text) = files.get(FILE) else { return Ok(None) };
        let root = json::parse(FILE, text).map_err(|problem| vec![problem])?;
        let problems = Problems::new(FILE);
        let read = read(Item::root(&root, &problems));
        let problems = problems.into_vec();
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }

    /// Those of the cases that fail for a fault.
    pub fn failed<'a>(&'a self, signature: &'a Signature) -> impl Iterator<Item = &'a str> {
        signature
            .failed
            .iter()
            .filter_map(|place| self.cases.get(*place).map(String::as_str))
    }

    /// What they say that the suite does not know.
    pub fn check(&self, suite: &Suite) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |pointer: String, message: String, expected: &str| {
            problems.push(Problem {
                file: FILE.to_owned(),
                place: Place::Value(pointer),
                message,
                expected: expected.to_owned(),
            });
        };
        let known: BTreeSet<&str> = suite
            .cases()
            .iter()
            .flat_map(|case| &case.variants)
            .map(|variant| variant.id.as_str())
            .collect();
        let record = "record the faults again with `prove --record --suite .`";
        for (place, case) in self.cases.iter().enumerate() {
            if !known.contains(case.as_str()) {
                wrong(format!("/cases/{place}"), format!("unknown case `{case}`"), record);
            }
        }
        for (place, fault) in self.faults.iter().enumerate() {
            for (at, clause) in fault.clauses.iter().enumerate() {
                if suite.clause(clause).is_none() {
                    wrong(
                        format!("/faults/{place}/clauses/{at}"),
                        format!("unknown clause `{clause}`"),
                        record,
                    );
                }
            }
            if fault.failed.iter().any(|place| *place >= self.cases.len()) {
                wrong(
                    format!("/faults/{place}/failed"),
                    "an index beyond the list of cases".to_owned(),
                    record,
                );
            }
        }
        let known = |id: &String| suite.clause(id).map(|clause| clause.id.as_str());
        let broken: BTreeSet<&str> = self
            .faults
            .iter()
            .flat_map(|fault| &fault.clauses)
            .filter_map(known)
            .collect();
        let musts = suite.clauses().iter();
        for clause in musts.filter(|clause| clause.level == Level::Must && clause.untestable.is_none()) {
            if !broken.contains(clause.id.as_str()) && !self.unproven.contains_key(&clause.id) {
                wrong(
                    "/faults".to_owned(),
                    format!("no fault breaks `{}`, and no reason is given", clause.id),
                    "add a fault that breaks it, or a reason under `unproven`",
                );
            }
        }
        for (clause, reason) in &self.unproven {
            let is_must = suite
                .clause(clause)
                .is_some_and(|clause| clause.level == Level::Must && clause.untestable.is_none());
            let pointer = format!("/unproven/{}", json::escape(clause));
            if !is_must {
                let message = format!("`{clause}` is not a testable MUST clause");
                wrong(pointer, message, "remove it: only testable MUST clauses need a reason");
            } else if reason.trim().is_empty() {
                let message = format!("no fault breaks `{clause}`, and no reason is given");
                wrong(pointer, message, "add a fault that breaks it, or a reason");
            }
        }
        problems
    }

    /// The file's text.
    pub fn write(&self) -> String {
        let mut text = "{\n  \"$schema\": \"../schemas/faults.schema.json\",\n  \"cases\": [\n".to_owned();
        lines(&mut text, self.cases.iter().map(|case| json!(case).to_string()));
        text.push_str("\n  ],\n  \"faults\": [\n");
        let fault = |fault: &Signature| {
            json!({
                "id": fault.id,
                "text": fault.text,
                "clauses": fault.clauses,
                "signs": fault.signs,
                "failed": ranges(&fault.failed),
            })
            .to_string()
        };
        lines(&mut text, self.faults.iter().map(fault));
        text.push_str("\n  ],\n  \"unproven\": {\n");
        let reason = |(clause, reason): (&String, &String)| format!("{}: {}", json!(clause), json!(reason));
        lines(&mut text, self.unproven.iter().map(reason));
        text.push_str("\n  }\n}\n");
        text
    }
}

fn lines(text: &mut String, entries: impl Iterator<Item = String>) {
    let entries: Vec<String> = entries.map(|entry| format!("    {entry}")).collect();
    text.push_str(&entries.join(",\n"));
}

/// Ascending numbers in short: `0-3 7 9-12`.
fn ranges(numbers: &[usize]) -> String {
    let mut text = String::new();
    let mut rest = numbers;
    while let Some(first) = rest.first() {
        let length = rest
            .iter()
            .zip(*first..)
            .take_while(|(number, expected)| *number == expected)
            .count();
        if !text.is_empty() {
            text.push(' ');
        }
        // Writing to a string cannot fail.
        let _ = match length {
            1 => write!(text, "{first}"),
            _ => write!(text, "{first}-{}", first + length - 1),
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    text
}

fn numbers(text: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for range in text.split_whitespace() {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last.checked_sub(first)? > 100_000 {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

fn read(file: Item<'_>) -> Option<Signatures> {
    let fields = file.object(&["$schema", "cases", "faults", "unproven"])?;
    let faults = fields.require("faults")?.elements(|item| {
        let fields = item.object(&["id", "text", "clauses", "signs", "failed"])?;
        let item = fields.require("failed")?;
        let failed = numbers(item.string()?);
        if failed.is_none() {
            item.wrong("not a list of ranges", "expected ranges such as `0-3 7 9-12`");
        }
        Some(Signature {
            id: fields.string("id"),
            text: fields.string("text"),
            clauses: fields.strings("clauses"),
            signs: fields.strings("signs"),
            failed: failed?,
        })
    })?;
    let unproven = fields
        .require("unproven")?
        .members(|clause, item| Some((clause.to_owned(), item.string()?.to_owned())))?;
    Some(Signatures {
        cases: fields.strings("cases"),
        faults,
        unproven: unproven.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_as_ranges_and_read_back() {
        let places = vec![0, 1, 2, 3, 7, 9, 10];
        assert_eq!(ranges(&places), "0-3 7 9-10");
        assert_eq!(numbers("0-3 7 9-10"), Some(places));
        assert_eq!(numbers(""), Some(Vec::new()));
    }

    #[test]
    fn ranges_that_are_none_are_refused() {
        for wrong in ["x", "3-1", "1-", "0-99999999999"] {
            assert_eq!(numbers(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let signatures = Signatures {
            cases: vec!["a/b".to_owned(), "c/d".to_owned()],
            faults: vec![Signature {
                id: "etag-is-missing".to_owned(),
                text: "A \"session\" has none.".to_owned(),
                clauses: vec!["HDR-010".to_owned()],
                signs: vec!["header ETag".to_owned()],
                failed: vec![0, 1],
            }],
            unproven: [("X-1".to_owned(), "because".to_owned())].into(),
        };
        let files = Files::from_texts([(FILE.to_owned(), signatures.write())]);
        assert_eq!(Signatures::read(&files).unwrap(), Some(signatures));
    }
}
