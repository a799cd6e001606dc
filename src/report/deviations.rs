//! What a run makes of the list of known deviations, and the list that a run would need.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::replay::verdict::Verdict;
use crate::report::model::{Case, Listed, Report, State, Summary};
use crate::target::deviations::Deviation;

/// The clauses that an entry may name a case by: those that it tests, and those that it fails for.
fn clauses(case: &Case, strict: bool) -> Vec<String> {
    let broken = case.failures(strict).flat_map(|finding| &finding.clauses);
    case.clauses.iter().chain(broken).cloned().collect()
}

/// Applies a list to the verdicts of a run, as if none had been applied before.
///
/// Where the run was of a part of the suite, an entry that names no single variant is never found stale.
pub(super) fn apply(
    deviations: &[Deviation],
    cases: &mut [Case],
    strict: bool,
    is_partial: bool,
    today: Date,
) -> Vec<Listed> {
    for case in cases.iter_mut() {
        match case.verdict {
            Verdict::Fail | Verdict::Deviation => (case.verdict, case.reason) = (Verdict::Fail, None),
            Verdict::Fixed => (case.verdict, case.reason) = (Verdict::Pass, None),
            Verdict::Pass | Verdict::NotApplicable | Verdict::Inconclusive | Verdict::SuiteFault => {}
        }
    }
    let known: Vec<Vec<String>> = cases.iter().map(|case| clauses(case, strict)).collect();
    let mut excused: Vec<BTreeSet<String>> = vec![BTreeSet::new(); deviations.len()];
    let failed = cases.iter_mut().zip(&known);
    for (case, clauses) in failed.filter(|(case, _)| case.verdict == Verdict::Fail) {
        let covering = deviations.iter().zip(&mut excused);
        let mut covering: Vec<_> = covering
            .filter(|(deviation, _)| deviation.covers(&case.id, &case.case, clauses))
            .collect();
        let mut reasons: Vec<&str> = Vec::new();
        let mut other = None;
        for finding in case.failures(strict) {
            let assertion = finding.assertion.to_string();
            let mut is_excused = false;
            for (deviation, cases) in &mut covering {
                let fits = || deviation.excuses(&finding.clauses, &assertion, &finding.observed);
                if !deviation.is_expired(today) && fits() {
                    is_excused = true;
                    cases.insert(case.id.clone());
                    if !reasons.contains(&deviation.reason.as_str()) {
                        reasons.push(&deviation.reason);
                    }
                }
            }
            if !is_excused && other.is_none() {
                other = Some(format!("{assertion}, observed {}", finding.observed));
            }
        }
        match other {
            None if !reasons.is_empty() => {
                (case.verdict, case.reason) = (Verdict::Deviation, Some(format!("known: {}", reasons.join("; "))));
            }
            Some(other) if !covering.is_empty() => {
                case.reason = Some(format!("no active deviation covers this: {other}"));
            }
            _ => {}
        }
    }
    let mut listed: Vec<Listed> = Vec::new();
    for (deviation, excused) in deviations.iter().zip(excused) {
        let covered = cases.iter_mut().zip(&known);
        let mut covered: Vec<&mut Case> = covered
            .filter(|(case, clauses)| deviation.covers(&case.id, &case.case, clauses))
            .map(|(case, _)| case)
            .collect();
        let state = state(deviation, !excused.is_empty(), &covered, is_partial, today);
        let mut cases: Vec<String> = excused.into_iter().collect();
        if state == State::Fixed {
            for case in &mut covered {
                if matches!(case.verdict, Verdict::Pass | Verdict::Fixed) {
                    case.verdict = Verdict::Fixed;
                    case.reason = Some(format!(
                        "passes now; remove it from the list of deviations (reason given there: {})",
                        deviation.reason
                    ));
                    cases.push(case.id.clone());
                }
            }
        }
        listed.push(Listed {
            deviation: deviation.clone(),
            state,
            cases,
        });
    }
    listed
}

impl Report {
    /// Applies a list of known deviations, as if none had been applied before.
    pub(super) fn apply(&mut self, deviations: &[Deviation], today: Date) {
        self.deviations = apply(deviations, &mut self.cases, self.strict, self.suite.partial, today);
        self.summary = Summary::of(&self.cases);
    }
}

fn state(deviation: &Deviation, excuses: bool, covered: &[&mut Case], is_partial: bool, today: Date) -> State {
    if deviation.is_expired(today) {
        return State::Expired;
    }
    if excuses {
        return State::Matched;
    }
    let has = |wanted: &[Verdict]| covered.iter().any(|case| wanted.contains(&case.verdict));
    let is_single = covered.iter().any(|case| deviation.case.as_ref() == Some(&case.id));
    if is_partial && !is_single {
        State::NotJudged
    } else if has(&[Verdict::Fail, Verdict::Deviation]) {
        State::Unmatched
    } else if has(&[Verdict::Inconclusive, Verdict::SuiteFault]) {
        State::NotJudged
    } else if has(&[Verdict::Pass, Verdict::Fixed]) {
        State::Fixed
    } else {
        State::Unmatched
    }
}

/// What a drafted entry says until someone gives a reason.
const NO_REASON: &str = "TODO: explain why this deviation is accepted";
/// How much of what was observed a drafted entry repeats, in bytes.
const OBSERVED: usize = 160;

/// The list that excuses all failures of a run: entries in force are kept, what is new is drafted.
pub fn draft(report: &Report) -> Vec<Deviation> {
    let listed = report.deviations.iter();
    let kept = listed.filter(|entry| matches!(entry.state, State::Matched | State::NotJudged));
    let mut drafted: Vec<Deviation> = kept.map(|entry| entry.deviation.clone()).collect();
    for case in report.cases.iter().filter(|case| case.verdict == Verdict::Fail) {
        let clauses = clauses(case, report.strict);
        for finding in case.failures(report.strict) {
            let assertion = finding.assertion.to_string();
            let excuses = |entry: &Deviation| {
                entry.covers(&case.id, &case.case, &clauses)
                    && entry.excuses(&finding.clauses, &assertion, &finding.observed)
            };
            if !drafted.iter().any(excuses) {
                drafted.push(Deviation {
                    case: Some(case.id.clone()),
                    assertion: Some(assertion),
                    observed: Some(pattern(&finding.observed)),
                    reason: NO_REASON.to_owned(),
                    ..Deviation::default()
                });
            }
        }
    }
    drafted
}

/// A pattern for what was observed: a long text by its beginning.
fn pattern(observed: &str) -> String {
    if observed.len() <= OBSERVED {
        return observed.to_owned();
    }
    format!("{}*", &observed[..observed.floor_char_boundary(OBSERVED)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{SampleCase, sample};

    fn entry(case: &str, assertion: &str, observed: &str) -> Deviation {
        Deviation {
            case: Some(case.to_owned()),
            assertion: Some(assertion.to_owned()),
            observed: Some(observed.to_owned()),
            reason: "known".to_owned(),
            ..Deviation::default()
        }
    }

    fn today() -> Date {
        "2030-06-15".parse().unwrap()
    }

    fn states(report: &Report) -> Vec<State> {
        report.deviations.iter().map(|listed| listed.state).collect()
    }

    /// A report to which a list was applied.
    fn run(entries: &[Deviation], cases: &[SampleCase<'_>], is_partial: bool) -> Report {
        let mut report = sample(cases);
        report.suite.partial = is_partial;
        report.apply(entries, today());
        report
    }

    fn verdicts(report: &Report) -> Vec<Verdict> {
        report.cases.iter().map(|case| case.verdict).collect()
    }

    #[test]
    fn a_case_deviates_only_if_all_its_failures_are_listed() {
        let report = run(
            &[entry("a/*", "status", "404")],
            &[
                ("a/x@107", Verdict::Fail, &[("status", "404")]),
                ("a/y@107", Verdict::Fail, &[("status", "404"), ("body /a", "1")]),
            ],
            false,
        );
        assert_eq!(states(&report), [State::Matched]);
        assert_eq!(verdicts(&report), [Verdict::Deviation, Verdict::Fail]);
        assert!(report.cases[1].reason.as_ref().unwrap().contains("body /a"));
    }

    #[test]
    fn failing_in_another_way_is_a_failure_and_the_entry_matches_nothing() {
        let entries = [entry("a/x", "status", "404")];
        let report = run(&entries, &[("a/x", Verdict::Fail, &[("status", "500")])], false);
        assert_eq!(states(&report), [State::Unmatched]);
        assert_eq!(verdicts(&report), [Verdict::Fail]);
    }

    #[test]
    fn a_listed_case_that_passes_is_fixed() {
        let entries = [entry("a/x", "status", "404")];
        let report = run(&entries, &[("a/x@107", Verdict::Pass, &[])], false);
        assert_eq!(states(&report), [State::Fixed]);
        assert_eq!(verdicts(&report), [Verdict::Fixed]);
    }

    #[test]
    fn a_pattern_that_still_excuses_something_leaves_what_passes_alone() {
        let report = run(
            &[entry("a/x", "status", "404")],
            &[
                ("a/x@104", Verdict::Pass, &[]),
                ("a/x@107", Verdict::Fail, &[("status", "404")]),
            ],
            false,
        );
        assert_eq!(states(&report), [State::Matched]);
        assert_eq!(verdicts(&report), [Verdict::Pass, Verdict::Deviation]);
    }

    #[test]
    fn an_entry_for_no_case_of_the_suite_is_unmatched_and_one_outside_a_partial_run_is_not_judged() {
        let entries = [entry("b/z", "status", "404"), entry("a/*", "status", "404")];
        let passing: SampleCase<'_> = ("a/x", Verdict::Pass, &[]);
        let whole = run(&entries, &[passing], false);
        assert_eq!(states(&whole), [State::Unmatched, State::Fixed]);
        let part = run(&entries, &[passing], true);
        assert_eq!(states(&part), [State::NotJudged; 2]);
    }

    #[test]
    fn an_entry_for_a_case_without_verdict_is_reported_by_the_reason_for_that() {
        let entries = [entry("a/x", "status", "404")];
        let gone = run(&entries, &[("a/x", Verdict::NotApplicable, &[])], false);
        let unclear = run(&entries, &[("a/x", Verdict::Inconclusive, &[])], false);
        assert_eq!(states(&gone), [State::Unmatched]);
        assert_eq!(states(&unclear), [State::NotJudged]);
    }

    #[test]
    fn an_expired_entry_excuses_nothing() {
        let expired = Deviation {
            expires: "2030-06-14".parse().ok(),
            ..entry("a/x", "status", "404")
        };
        let report = run(&[expired], &[("a/x", Verdict::Fail, &[("status", "404")])], false);
        assert_eq!(states(&report), [State::Expired]);
        assert_eq!(verdicts(&report), [Verdict::Fail]);
    }

    #[test]
    fn a_list_that_is_applied_again_changes_nothing() {
        let entries = [entry("a/*", "status", "404"), entry("b/*", "status", "404")];
        let cases: [SampleCase<'_>; 3] = [
            ("a/x", Verdict::Fail, &[("status", "404")]),
            ("a/y", Verdict::Fail, &[("status", "500")]),
            ("b/x", Verdict::Pass, &[]),
        ];
        let once = run(&entries, &cases, false);
        let mut twice = once.clone();
        twice.apply(&entries, today());
        assert_eq!(states(&once), states(&twice));
        assert_eq!(verdicts(&once), verdicts(&twice));
        let reasons = |report: &Report| report.cases.iter().map(|case| case.reason.clone()).collect::<Vec<_>>();
        assert_eq!(reasons(&once), reasons(&twice));
        twice.apply(&[], today());
        assert_eq!(verdicts(&twice), [Verdict::Fail, Verdict::Fail, Verdict::Pass]);
        assert_eq!(reasons(&twice), [None, None, None]);
    }

    #[test]
    fn a_drafted_list_excuses_the_run_that_it_was_drafted_from() {
        let long = "x".repeat(500);
        let mut report = sample(&[
            ("a/x", Verdict::Fail, &[("status", "404"), ("body", long.as_str())]),
            ("a/y", Verdict::Fail, &[("status", "*")]),
        ]);
        let drafted = draft(&report);
        assert_eq!(drafted.len(), 3);
        report.apply(&drafted, today());
        assert_eq!(states(&report), [State::Matched; 3]);
        assert_eq!(verdicts(&report), [Verdict::Deviation; 2]);
    }

    #[test]
    fn a_draft_keeps_entries_in_force_and_drops_stale_ones() {
        let entries = [entry("a/x", "status", "404"), entry("a/y", "status", "404")];
        let report = run(
            &entries,
            &[
                ("a/x", Verdict::Fail, &[("status", "404")]),
                ("a/y", Verdict::Pass, &[]),
            ],
            false,
        );
        assert_eq!(draft(&report), entries[..1]);
    }
}
