//! What a run makes of the list of known deviations, and the list that a run would need.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::replay::verdict::Verdict;
use crate::target::deviations::Deviation;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It excuses failures.
    Matched,
    /// All that it covers passes.
    Fixed,
    /// Nothing fails as it says.
    Unmatched,
    /// Its last day has passed; it excuses nothing.
    Expired,
    /// This run did not judge all that it covers.
    NotJudged,
}

impl State {
    /// Whether the run fails for it.
    pub fn is_stale(self) -> bool {
        matches!(self, Self::Fixed | Self::Unmatched | Self::Expired)
    }

    /// For people.
    pub fn told(self) -> &'static str {
        match self {
            Self::Matched => "still deviates",
            Self::Fixed => "is fixed: take it off the list",
            Self::Unmatched => "matches no failure: correct it or take it off the list",
            Self::Expired => "has expired: fix the target, or decide anew",
            Self::NotJudged => "was not judged by this run",
        }
    }
}

/// An entry of the list, with what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The entry.
    #[serde(flatten)]
    pub deviation: Deviation,
    /// What became of it.
    pub state: State,
    /// The cases that it excuses, or that are fixed.
    pub cases: Vec<String>,
}

/// A judged case, as far as the list is concerned.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The variant's id.
    pub id: String,
    /// The case's id.
    pub case: String,
    /// The clauses it is about.
    pub clauses: Vec<String>,
    /// Its verdict, which the list may change.
    pub verdict: Verdict,
    /// Why, where the list has a say.
    pub reason: Option<String>,
    /// The findings that make it fail.
    pub failures: Vec<Failure>,
}

/// A finding that makes a case fail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// The clauses it counts against.
    pub clauses: Vec<String>,
    /// What was asserted.
    pub assertion: String,
    /// What was found, in stable words.
    pub observed: String,
}

impl Candidate {
    fn is_covered_by(&self, deviation: &Deviation) -> bool {
        deviation.covers(&self.id, &self.case, &self.clauses)
    }
}

/// Holds the verdicts of a run against a list.
///
/// Where the run was of a part of the suite, an entry that names no single variant is never found stale.
pub fn apply(deviations: &[Deviation], candidates: &mut [Candidate], is_partial: bool, today: Date) -> Vec<Listed> {
    let mut excused: Vec<BTreeSet<String>> = vec![BTreeSet::new(); deviations.len()];
    for candidate in candidates
        .iter_mut()
        .filter(|candidate| candidate.verdict == Verdict::Fail)
    {
        let covering = || {
            deviations
                .iter()
                .zip(0..)
                .filter(|(deviation, _)| candidate.is_covered_by(deviation))
        };
        let mut reasons: Vec<&str> = Vec::new();
        let mut other = None;
        for failure in &candidate.failures {
            let mut is_excused = false;
            for (deviation, index) in covering().filter(|(deviation, _)| !deviation.is_expired(today)) {
                if deviation.excuses(&failure.clauses, &failure.assertion, &failure.observed) {
                    is_excused = true;
                    if let Some(cases) = excused.get_mut::<usize>(index) {
                        cases.insert(candidate.id.clone());
                    }
                    if !reasons.contains(&deviation.reason.as_str()) {
                        reasons.push(&deviation.reason);
                    }
                }
            }
            if !is_excused && other.is_none() {
                other = Some(failure);
            }
        }
        let is_listed = covering().next().is_some();
        match other {
            None if !candidate.failures.is_empty() => {
                candidate.reason = Some(format!("known: {}", reasons.join("; ")));
                candidate.verdict = Verdict::Deviation;
            }
            Some(Failure {
                assertion, observed, ..
            }) if is_listed => {
                let reason =
                    format!("no entry of the list that is in force excuses this: {assertion}, observed {observed}");
                candidate.reason = Some(reason);
            }
            _ => {}
        }
    }
    let mut listed: Vec<Listed> = Vec::new();
    for (deviation, cases) in deviations.iter().zip(excused) {
        let state = state(deviation, &cases, candidates, is_partial, today);
        let mut cases: Vec<String> = cases.into_iter().collect();
        if state == State::Fixed {
            for candidate in candidates
                .iter_mut()
                .filter(|candidate| candidate.is_covered_by(deviation))
            {
                if matches!(candidate.verdict, Verdict::Pass | Verdict::Fixed) {
                    candidate.verdict = Verdict::Fixed;
                    candidate.reason = Some(format!("passes, yet is listed: {}", deviation.reason));
                    cases.push(candidate.id.clone());
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

fn state(
    deviation: &Deviation,
    excused: &BTreeSet<String>,
    candidates: &[Candidate],
    is_partial: bool,
    today: Date,
) -> State {
    if deviation.is_expired(today) {
        return State::Expired;
    }
    if !excused.is_empty() {
        return State::Matched;
    }
    let covered: Vec<&Candidate> = candidates
        .iter()
        .filter(|candidate| candidate.is_covered_by(deviation))
        .collect();
    let has = |wanted: &[Verdict]| covered.iter().any(|candidate| wanted.contains(&candidate.verdict));
    let is_single = covered
        .iter()
        .any(|candidate| deviation.case.as_ref() == Some(&candidate.id));
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
const NO_REASON: &str = "TODO: say why the target may do this";
/// How much of what was observed a drafted entry repeats, in bytes.
const OBSERVED: usize = 160;

/// The list that excuses all failures of a run: entries in force are kept, what is new is drafted.
pub fn draft(listed: &[Listed], candidates: &[Candidate]) -> Vec<Deviation> {
    let kept = listed
        .iter()
        .filter(|entry| matches!(entry.state, State::Matched | State::NotJudged));
    let mut drafted: Vec<Deviation> = kept.map(|entry| entry.deviation.clone()).collect();
    for candidate in candidates.iter().filter(|candidate| candidate.verdict == Verdict::Fail) {
        for failure in &candidate.failures {
            let excuses = |entry: &Deviation| {
                entry.covers(&candidate.id, &candidate.case, &candidate.clauses)
                    && entry.excuses(&failure.clauses, &failure.assertion, &failure.observed)
            };
            if !drafted.iter().any(excuses) {
                drafted.push(Deviation {
                    case: Some(candidate.id.clone()),
                    assertion: Some(failure.assertion.clone()),
                    observed: Some(cut(&failure.observed)),
                    reason: NO_REASON.to_owned(),
                    ..Deviation::default()
                });
            }
        }
    }
    drafted
}

fn cut(text: &str) -> String {
    if text.len() <= OBSERVED {
        return text.to_owned();
    }
    let end = (0..=OBSERVED)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or_default();
    format!("{}*", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: &str, verdict: Verdict, failures: &[(&str, &str)]) -> Candidate {
        let failures = failures.iter().map(|(assertion, observed)| Failure {
            clauses: vec!["SES-001".to_owned()],
            assertion: (*assertion).to_owned(),
            observed: (*observed).to_owned(),
        });
        Candidate {
            id: id.to_owned(),
            case: id.split(['@', '#']).next().unwrap().to_owned(),
            clauses: vec!["SES-001".to_owned()],
            verdict,
            reason: None,
            failures: failures.collect(),
        }
    }

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

    fn run(entries: &[Deviation], candidates: &mut [Candidate], is_partial: bool) -> Vec<State> {
        apply(entries, candidates, is_partial, today())
            .into_iter()
            .map(|listed| listed.state)
            .collect()
    }

    #[test]
    fn a_case_deviates_only_if_all_its_failures_are_listed() {
        let mut cases = [
            candidate("a/x@107", Verdict::Fail, &[("status", "404")]),
            candidate("a/y@107", Verdict::Fail, &[("status", "404"), ("body /a", "1")]),
        ];
        let states = run(&[entry("a/*", "status", "404")], &mut cases, false);
        assert_eq!(states, [State::Matched]);
        assert_eq!(
            [cases[0].verdict, cases[1].verdict],
            [Verdict::Deviation, Verdict::Fail]
        );
        assert!(cases[1].reason.as_ref().unwrap().contains("body /a"));
    }

    #[test]
    fn failing_in_another_way_is_a_failure_and_the_entry_matches_nothing() {
        let mut cases = [candidate("a/x", Verdict::Fail, &[("status", "500")])];
        assert_eq!(
            run(&[entry("a/x", "status", "404")], &mut cases, false),
            [State::Unmatched]
        );
        assert_eq!(cases[0].verdict, Verdict::Fail);
    }

    #[test]
    fn a_listed_case_that_passes_is_fixed() {
        let mut cases = [candidate("a/x@107", Verdict::Pass, &[])];
        assert_eq!(run(&[entry("a/x", "status", "404")], &mut cases, false), [State::Fixed]);
        assert_eq!(cases[0].verdict, Verdict::Fixed);
    }

    #[test]
    fn a_pattern_that_still_excuses_something_leaves_what_passes_alone() {
        let mut cases = [
            candidate("a/x@104", Verdict::Pass, &[]),
            candidate("a/x@107", Verdict::Fail, &[("status", "404")]),
        ];
        assert_eq!(
            run(&[entry("a/x", "status", "404")], &mut cases, false),
            [State::Matched]
        );
        assert_eq!(
            [cases[0].verdict, cases[1].verdict],
            [Verdict::Pass, Verdict::Deviation]
        );
    }

    #[test]
    fn an_entry_for_no_case_of_the_suite_is_unmatched_and_one_outside_a_partial_run_is_not_judged() {
        let entries = [entry("b/z", "status", "404"), entry("a/*", "status", "404")];
        assert_eq!(
            run(&entries, &mut [candidate("a/x", Verdict::Pass, &[])], false),
            [State::Unmatched, State::Fixed]
        );
        assert_eq!(
            run(&entries, &mut [candidate("a/x", Verdict::Pass, &[])], true),
            [State::NotJudged; 2]
        );
    }

    #[test]
    fn an_entry_for_a_case_without_verdict_is_told_by_the_reason_for_that() {
        let entries = [entry("a/x", "status", "404")];
        let mut gone = [candidate("a/x", Verdict::NotApplicable, &[])];
        let mut unclear = [candidate("a/x", Verdict::Inconclusive, &[])];
        assert_eq!(run(&entries, &mut gone, false), [State::Unmatched]);
        assert_eq!(run(&entries, &mut unclear, false), [State::NotJudged]);
    }

    #[test]
    fn an_expired_entry_excuses_nothing() {
        let mut cases = [candidate("a/x", Verdict::Fail, &[("status", "404")])];
        let expired = Deviation {
            expires: "2030-06-14".parse().ok(),
            ..entry("a/x", "status", "404")
        };
        assert_eq!(run(&[expired], &mut cases, false), [State::Expired]);
        assert_eq!(cases[0].verdict, Verdict::Fail);
    }

    #[test]
    fn a_drafted_list_excuses_the_run_that_it_was_drafted_from() {
        let long = "x".repeat(500);
        let mut cases = [
            candidate("a/x", Verdict::Fail, &[("status", "404"), ("body", long.as_str())]),
            candidate("a/y", Verdict::Fail, &[("status", "*")]),
        ];
        let drafted = draft(&[], &cases);
        assert_eq!(drafted.len(), 3);
        assert_eq!(run(&drafted, &mut cases, false), [State::Matched; 3]);
        assert!(cases.iter().all(|case| case.verdict == Verdict::Deviation));
    }

    #[test]
    fn a_draft_keeps_entries_in_force_and_drops_stale_ones() {
        let entries = [entry("a/x", "status", "404"), entry("a/y", "status", "404")];
        let mut cases = [
            candidate("a/x", Verdict::Fail, &[("status", "404")]),
            candidate("a/y", Verdict::Pass, &[]),
        ];
        let listed = apply(&entries, &mut cases, false, today());
        assert_eq!(draft(&listed, &cases), entries[..1]);
    }
}
