//! The kill matrix read backwards: which known faults the failures of a target look like.

use std::collections::BTreeSet;

use crate::contract::signature::{Signature, Signatures};
use crate::replay::assertion::Assertion;
use crate::replay::verdict::Verdict;
use crate::report::model::{Case, Suspect};

/// How like a fault the failures have to be, to be reported.
const LIKE: f64 = 0.3;
/// How many faults are reported.
const REPORTED: usize = 3;

/// The faults that failures look like, the likest first; none where nothing failed or nothing is alike.
pub(super) fn diagnose(signatures: &Signatures, cases: &[Case]) -> Vec<Suspect> {
    let is_failed = |case: &&Case| matches!(case.verdict, Verdict::Fail | Verdict::Deviation);
    let is_judged = |case: &&Case| {
        matches!(
            case.verdict,
            Verdict::Pass | Verdict::Fail | Verdict::Deviation | Verdict::Fixed
        )
    };
    let told_apart: BTreeSet<&str> = signatures.cases.iter().map(String::as_str).collect();
    let is_witness = |case: &&Case| told_apart.contains(case.id.as_str());
    let witnesses = || cases.iter().filter(is_witness);
    let ran: BTreeSet<&str> = witnesses().filter(is_judged).map(|case| case.id.as_str()).collect();
    let failures: Vec<&Case> = witnesses().filter(is_failed).collect();
    let failed: BTreeSet<&str> = failures.iter().map(|case| case.id.as_str()).collect();
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
    suspects.truncate(REPORTED);
    suspects
}

/// The part of the failures that fail as those of a fault do most often.
fn signs(fault: &Signature, failures: &[&Case]) -> f64 {
    let is_alike = |case: &&&Case| {
        let mut findings = case.findings.iter();
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
pub(super) fn sign_of(assertion: &Assertion, actual: &str) -> String {
    match assertion.clone().general() {
        Assertion::Status => format!("status {actual}"),
        assertion => assertion.to_string(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of cases are small")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::sample;

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
        let cases = ["a/1", "a/2", "a/3", "a/4"].into_iter().zip(verdicts);
        let cases: Vec<_> = cases.map(|(case, verdict)| (case, verdict, &[][..])).collect();
        let suspects = diagnose(&signatures(), &sample(&cases).cases);
        assert_eq!(suspects[0].fault, "first-two");
        assert!(suspects.iter().all(|suspect| suspect.fault != "last"));
    }

    #[test]
    fn cases_that_did_not_run_count_for_nobody() {
        let suspects = diagnose(&signatures(), &sample(&[("a/1", Verdict::Fail, &[])]).cases);
        let told: Vec<_> = suspects
            .iter()
            .map(|suspect| (suspect.fault.as_str(), suspect.expected))
            .collect();
        assert_eq!(told, [("all", 1), ("first-two", 1)]);
    }

    #[test]
    fn without_failures_nothing_is_reported() {
        assert_eq!(
            diagnose(&signatures(), &sample(&[("a/1", Verdict::Pass, &[])]).cases),
            []
        );
    }

    #[test]
    fn places_in_lists_do_not_set_failures_apart() {
        let sign = |assertion: &str, actual: &str| sign_of(&Assertion::from(assertion), actual);
        assert_eq!(sign("schema /members/12/next", ""), "schema /members/*/next");
        assert_eq!(sign("status", "500"), "status 500");
    }
}
