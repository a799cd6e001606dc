//! Failures that have one cause: they are told together.

use std::collections::BTreeMap;

use crate::replay::verdict::{Finding, Outcome, Verdict};
use crate::report::{Report, document};
use crate::snapshot::baseline::stable;

/// How much of what was found tells one cause from another, in characters.
const TELLING: usize = 60;

/// Cases that broke alike.
#[derive(Debug)]
pub struct Group<'a> {
    /// What they have in common, in a line.
    pub told: String,
    /// The cases, by id; at least one.
    pub outcomes: Vec<&'a Outcome>,
}

/// Groups outcomes by the finding that decided them: its clauses, what was asserted and what was found. The largest
/// group is the first.
pub fn group<'a>(report: &Report<'_>, outcomes: impl IntoIterator<Item = &'a Outcome>) -> Vec<Group<'a>> {
    let mut places: BTreeMap<Cause, usize> = BTreeMap::new();
    let mut groups: Vec<Group<'a>> = Vec::new();
    for outcome in outcomes {
        let cause = cause(report, outcome);
        let told = cause.told();
        let place = *places.entry(cause).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.outcomes.push(outcome),
            None => groups.push(Group {
                told,
                outcomes: vec![outcome],
            }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.outcomes.len()));
    groups
}

/// What an outcome has in common with all that broke alike, in a line: whatever clauses they are about, and for an answer
/// of the wrong kind what was asked.
pub fn told(report: &Report<'_>, outcome: &Outcome) -> String {
    let mut cause = cause(report, outcome);
    cause.clauses.clear();
    let decisive = decisive(outcome, report.strict).filter(|(_, finding)| !finding.is_setup);
    if let Some((_, finding)) = decisive.filter(|(_, finding)| is_of_answer(&finding.assertion)) {
        cause.assertion = format!("{}{}", asked(report, outcome, finding), cause.assertion);
    }
    cause.told()
}

/// The request that a finding is about, as `PUT of session, `.
fn asked(report: &Report<'_>, outcome: &Outcome, finding: &Finding) -> String {
    let request = outcome
        .exchanges
        .get(finding.exchange)
        .map(|exchange| &exchange.request);
    let asked = request.and_then(|request| {
        let operation = report.suite.schemas().operation(&request.method, &request.path)?;
        Some(format!("{} of {}, ", request.method, operation.path().id))
    });
    asked.unwrap_or_default()
}

/// The finding that made a case fail; `None` where none did. An answer of the wrong kind explains what else is wrong
/// with it.
pub fn decisive(outcome: &Outcome, strict: bool) -> Option<(usize, &Finding)> {
    let mut findings = outcome.findings.iter().enumerate();
    let mut failures = findings.clone();
    let first = failures.find(|(_, finding)| document::is_failure(finding.is_setup, finding.weight, strict))?;
    let explains = |other: &Finding| other.exchange == first.1.exchange && is_of_answer(&other.assertion);
    findings.find(|(_, other)| explains(other)).or(Some(first))
}

/// Whether an assertion is about what kind of answer came at all.
pub fn is_of_answer(assertion: &str) -> bool {
    let word = assertion.split(' ').next().unwrap_or_default();
    matches!(word, "status" | "reading" | "tally" | "frame")
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
    verdict: Verdict,
    clauses: Vec<String>,
    assertion: String,
    expected: String,
    observed: String,
}

fn cause(report: &Report<'_>, outcome: &Outcome) -> Cause {
    let mut cause = Cause {
        verdict: outcome.verdict,
        clauses: Vec::new(),
        assertion: String::new(),
        expected: String::new(),
        observed: outcome.reason.clone().unwrap_or_default(),
    };
    if outcome.verdict == Verdict::Fail
        && let Some((index, finding)) = decisive(outcome, report.strict)
    {
        cause.clauses = report.clause_ids(&finding.clauses);
        cause.assertion = normalised(&finding.assertion);
        if finding.is_setup {
            // Preparing is for no clause; it is the request that tells one cause from another.
            let asked = asked(report, outcome, finding);
            cause.assertion = format!("preparing: {asked}{}", cause.assertion);
        }
        if finding.is_setup || finding.assertion == "status" {
            cause.expected = finding.expected.clone();
        }
        if finding.assertion.starts_with("schema ") {
            // What is wrong says more than what is there.
            let wrong = finding.expected.split(", found ").next().unwrap_or_default();
            cause.assertion = format!("{}: {wrong}", cause.assertion);
        } else {
            let found = stable(outcome, report.suite.schemas()).into_iter().nth(index);
            let (_, observed) = found.unwrap_or_default();
            cause.observed = observed.chars().take(TELLING).collect();
        }
    }
    cause
}

impl Cause {
    fn told(&self) -> String {
        let mut told = self.assertion.clone();
        if !self.expected.is_empty() {
            told = format!("{told}: expected {}", self.expected);
        }
        if !self.observed.is_empty() {
            let joint = if told.is_empty() {
                ""
            } else if self.expected.is_empty() {
                ": found "
            } else {
                ", found "
            };
            told = format!("{told}{joint}{}", self.observed);
        }
        if !self.clauses.is_empty() {
            told = format!("{told} ({})", self.clauses.join(", "));
        }
        told
    }
}

/// An assertion without the numbers of members and elements.
pub fn normalised(assertion: &str) -> String {
    let is_number = |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    let segments = assertion
        .split('/')
        .map(|segment| if is_number(segment) { "*" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}
