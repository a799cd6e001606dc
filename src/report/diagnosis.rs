//! The kill matrix read backwards: which known faults the failures of a target look like.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::contract::signature::{Signature, Signatures};
use crate::replay::verdict::{Outcome, Verdict};

/// How like a fault the failures have to be, to be told.
const LIKE: f64 = 0.3;
/// How many faults are told.
const TOLD: usize = 3;

/// A fault that failures look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// The fault's id.
    pub fault: String,
    /// What is wrong then.
    pub text: String,
    /// The clauses to read.
    pub clauses: Vec<String>,
    /// Cases that failed, and fail for the fault; only cases by which faults are told apart count.
    pub explained: usize,
    /// Those of them that failed.
    pub failed: usize,
    /// Those of them that ran, and fail for the fault.
    pub expected: usize,
    /// How alike both are, from 0 to 1.
    pub likeness: f64,
}

/// The faults that failures look like, the likest first; none where nothing failed or nothing is alike.
pub fn diagnose(signatures: &Signatures, outcomes: &[Outcome]) -> Vec<Suspect> {
    let is_failed = |outcome: &&Outcome| matches!(outcome.verdict, Verdict::Fail | Verdict::Deviation);
    let is_judged = |outcome: &&Outcome| {
        matches!(
            outcome.verdict,
            Verdict::Pass | Verdict::Fail | Verdict::Deviation | Verdict::Fixed
        )
    };
    let told_apart: BTreeSet<&str> = signatures.cases.iter().map(String::as_str).collect();
    let is_witness = |outcome: &&Outcome| told_apart.contains(outcome.id.as_str());
    let witnesses = || outcomes.iter().filter(is_witness);
    let ran: BTreeSet<&str> = witnesses()
        .filter(is_judged)
        .map(|outcome| outcome.id.as_str())
        .collect();
    let failures: Vec<&Outcome> = witnesses().filter(is_failed).collect();
    let failed: BTreeSet<&str> = failures.iter().map(|outcome| outcome.id.as_str()).collect();
    if failed.is_empty() {
        return Vec::new();
    }
    let mut suspects: Vec<Suspect> = signatures
        .faults
        .iter()
        .map(|fault| {
            let expected: BTreeSet<&str> = signatures.failed(fault).filter(|case| ran.contains(*case)).collect();
            let explained = expected.iter().filter(|case| failed.contains(*case)).count();
            let both = ratio(2 * explained, expected.len() + failed.len());
            Suspect {
                fault: fault.id.clone(),
                text: fault.text.clone(),
                clauses: fault.clauses.clone(),
                explained,
                failed: failed.len(),
                expected: expected.len(),
                // Which cases fail says most; how they fail tells faults apart that make the same cases fail.
                likeness: both * (0.5 + 0.5 * signs(fault, &failures)),
            }
        })
        .filter(|suspect| suspect.likeness >= LIKE)
        .collect();
    suspects.sort_by(|a, b| b.likeness.total_cmp(&a.likeness).then_with(|| a.fault.cmp(&b.fault)));
    suspects.truncate(TOLD);
    suspects
}

/// The part of the failures that fail as those of a fault do most often.
fn signs(fault: &Signature, failures: &[&Outcome]) -> f64 {
    let is_alike = |outcome: &&&Outcome| {
        let mut findings = outcome.findings.iter();
        findings.any(|finding| {
            fault
                .signs
                .iter()
                .any(|sign| *sign == sign_of(&finding.assertion, &finding.actual))
        })
    };
    ratio(failures.iter().filter(is_alike).count(), failures.len())
}

/// How a finding shows, in short: what was asserted, and the status where that is it.
pub fn sign_of(assertion: &str, actual: &str) -> String {
    if assertion == "status" {
        return format!("status {actual}");
    }
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = assertion
        .split('/')
        .map(|part| if is_number(part) { "*" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[expect(clippy::cast_precision_loss, reason = "counts of cases are small")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Suspect {
    /// In one line.
    pub fn told(&self) -> String {
        format!(
            "{} of {} telling failures look like `{}`: {} Read {}.",
            self.explained,
            self.failed,
            self.fault,
            self.text,
            self.clauses.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(case: &str, verdict: Verdict) -> Outcome {
        Outcome {
            id: case.to_owned(),
            case: case.to_owned(),
            version: 107,
            clauses: Vec::new(),
            verdict,
            reason: None,
            findings: Vec::new(),
            exchanges: Vec::new(),
            exchange_count: 0,
            text: None,
            documents: 0,
            readings: Vec::new(),
            invariants: Vec::new(),
            fresh: Vec::new(),
            own: std::sync::Arc::default(),
            assertions: 0,
            leftovers: Vec::new(),
            milliseconds: 0.0,
        }
    }

    fn signatures() -> Signatures {
        let fault = |id: &str, failed: &[usize]| Signature {
            id: id.to_owned(),
            failed: failed.to_vec(),
            ..Signature::default()
        };
        Signatures {
            cases: ["a/1", "a/2", "a/3", "a/4"].map(str::to_owned).to_vec(),
            faults: vec![
                fault("all", &[0, 1, 2, 3]),
                fault("first-two", &[0, 1]),
                fault("last", &[3]),
            ],
            ..Signatures::default()
        }
    }

    #[test]
    fn the_fault_whose_cases_fail_and_no_others_comes_first() {
        let verdicts = [Verdict::Fail, Verdict::Fail, Verdict::Pass, Verdict::Pass];
        let outcomes: Vec<Outcome> = ["a/1", "a/2", "a/3", "a/4"]
            .iter()
            .zip(verdicts)
            .map(|(case, verdict)| outcome(case, verdict))
            .collect();
        let suspects = diagnose(&signatures(), &outcomes);
        assert_eq!(suspects[0].fault, "first-two");
        assert!(suspects.iter().all(|suspect| suspect.fault != "last"));
    }

    #[test]
    fn cases_that_did_not_run_count_for_nobody() {
        let suspects = diagnose(&signatures(), &[outcome("a/1", Verdict::Fail)]);
        let told: Vec<_> = suspects
            .iter()
            .map(|suspect| (suspect.fault.as_str(), suspect.expected))
            .collect();
        assert_eq!(told, [("all", 1), ("first-two", 1)]);
    }

    #[test]
    fn without_failures_nothing_is_told() {
        assert_eq!(diagnose(&signatures(), &[outcome("a/1", Verdict::Pass)]), []);
    }

    #[test]
    fn places_in_lists_do_not_set_failures_apart() {
        assert_eq!(sign_of("schema /members/12/next", ""), "schema /members/*/next");
        assert_eq!(sign_of("status", "500"), "status 500");
    }
}
