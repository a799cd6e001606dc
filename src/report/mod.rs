//! What is told: the verdicts of a run, clause by clause.

pub mod json;
pub mod terminal;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::replay::verdict::{Finding, Outcome, Verdict};
use crate::suite::Suite;
use crate::suite::clause::{Clause, Weight};

/// What is known of a clause after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Cases or invariants judged it.
    Judged(Verdict),
    /// No case of this run is about it.
    Untested,
    /// No endpoint can be tested for it.
    Untestable,
}

impl Standing {
    /// As reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Judged(verdict) => verdict.name(),
            Self::Untested => "untested",
            Self::Untestable => "untestable",
        }
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct Report<'a> {
    /// The suite that was replayed.
    pub suite: &'a Suite,
    /// What the target is called.
    pub target: String,
    /// The target's base URL, for the `curl` lines.
    pub base_url: String,
    /// Whether the run was of a part of the suite.
    pub is_partial: bool,
    /// The outcomes, by id.
    pub outcomes: Vec<Outcome>,
    /// What is known of each clause, in the order of the suite's clauses.
    pub standings: Vec<(&'a Clause, Standing)>,
    /// How long the run took, in ms.
    pub milliseconds: f64,
}

impl<'a> Report<'a> {
    /// Sums up the outcomes of a run.
    pub fn new(
        suite: &'a Suite,
        target: &crate::target::Target,
        mut outcomes: Vec<Outcome>,
        milliseconds: f64,
    ) -> Self {
        outcomes.sort_by(|a, b| a.id.cmp(&b.id));
        let variants: usize = suite.cases().iter().map(|case| case.variants.len()).sum();
        let standings = standings(suite, &outcomes);
        Self {
            suite,
            target: target.name.clone(),
            base_url: target.base_url.clone(),
            is_partial: outcomes.len() < variants,
            outcomes,
            standings,
            milliseconds,
        }
    }

    /// The number of cases with a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| outcome.verdict == verdict)
            .count()
    }

    /// The number of findings of a weight in cases that did not fail for them.
    pub fn findings(&self, weight: Weight) -> impl Iterator<Item = (&Outcome, &Finding)> {
        self.outcomes
            .iter()
            .flat_map(|outcome| outcome.findings.iter().map(move |finding| (outcome, finding)))
            .filter(move |(_, finding)| finding.weight == weight)
    }

    /// Passed cases in a hundred of those that were judged; `None` when none was.
    pub fn conformance(&self) -> Option<f64> {
        percent(self.count(Verdict::Pass), self.judged())
    }

    /// Judged cases in a hundred of all; `None` when there was none.
    pub fn coverage(&self) -> Option<f64> {
        percent(self.judged(), self.outcomes.len())
    }

    fn judged(&self) -> usize {
        [Verdict::Pass, Verdict::Fail, Verdict::Deviation, Verdict::Fixed]
            .iter()
            .map(|verdict| self.count(*verdict))
            .sum()
    }

    /// The readings that the target follows, by ledger entry; several where it is not of one mind.
    pub fn readings(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut readings: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (entry, key) in self.outcomes.iter().flat_map(|outcome| &outcome.readings) {
            let id = self
                .suite
                .ledger_entry(entry)
                .map_or(entry.as_str(), |entry| entry.id.as_str());
            readings.entry(id).or_default().insert(key);
        }
        readings
    }

    /// What could not be removed from the target.
    pub fn leftovers(&self) -> impl Iterator<Item = &str> {
        self.outcomes
            .iter()
            .flat_map(|outcome| &outcome.leftovers)
            .map(String::as_str)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of cases are small")]
fn percent(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

/// What is known of each clause: one finding against it makes it fail.
fn standings<'a>(suite: &'a Suite, outcomes: &[Outcome]) -> Vec<(&'a Clause, Standing)> {
    let mut verdicts: HashMap<&str, Vec<Verdict>> = HashMap::new();
    for outcome in outcomes {
        let failed = |clause: &Clause| {
            let is_against = |finding: &&Finding| finding.clauses.iter().any(|id| is_id(clause, id));
            outcome
                .findings
                .iter()
                .filter(is_against)
                .any(|finding| finding.weight >= clause.weight())
        };
        let tested = outcome.clauses.iter().map(|id| (id, outcome.verdict));
        let judged = outcome.judged.iter().map(|id| (id, Verdict::Pass));
        let found = outcome
            .findings
            .iter()
            .flat_map(|finding| &finding.clauses)
            .map(|id| (id, Verdict::Pass));
        for (id, verdict) in tested.chain(judged).chain(found) {
            let Some(clause) = suite.clause(id) else { continue };
            // A case that fails for another clause, or in its setup, says nothing about this one.
            let verdict = match verdict {
                _ if failed(clause) => Verdict::Fail,
                Verdict::Fail if outcome.findings.iter().all(|finding| finding.is_setup) => Verdict::Inconclusive,
                Verdict::Fail => Verdict::Pass,
                verdict => verdict,
            };
            verdicts.entry(&clause.id).or_default().push(verdict);
        }
    }
    // The one that says most decides.
    let order = [
        Verdict::Fail,
        Verdict::SuiteFault,
        Verdict::Fixed,
        Verdict::Deviation,
        Verdict::Pass,
        Verdict::Inconclusive,
        Verdict::NotApplicable,
    ];
    let standing = |clause: &'a Clause| {
        let found = verdicts.get(clause.id.as_str());
        let worst = found.and_then(|found| order.into_iter().find(|verdict| found.contains(verdict)));
        let standing = match (worst, &clause.untestable) {
            (Some(verdict), _) => Standing::Judged(verdict),
            (None, Some(_)) => Standing::Untestable,
            (None, None) => Standing::Untested,
        };
        (clause, standing)
    };
    suite.clauses().iter().map(standing).collect()
}

fn is_id(clause: &Clause, id: &str) -> bool {
    clause.id == id || clause.aliases.iter().any(|alias| alias == id)
}
