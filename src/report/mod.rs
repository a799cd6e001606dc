//! What is told: the verdicts of a run, clause by clause.

pub mod cause;
pub mod compare;
mod curl;
pub mod deviations;
pub mod diagnosis;
pub mod document;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod ladder;
pub mod merge;
pub mod proof;
pub mod terminal;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use deviations::{Candidate, Failure, Listed};
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::contract::Suite;
use crate::contract::clause::{Clause, Weight};
use crate::contract::signature::Signatures;
use crate::replay::halt::Halted;
use crate::replay::verdict::{Finding, Outcome, Verdict};
use crate::snapshot::baseline::stable;
use crate::target::deviations::Deviation;

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

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Standing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let judged = Verdict::ALL.into_iter().map(Self::Judged);
        let found = judged
            .chain([Self::Untested, Self::Untestable])
            .find(|standing| standing.name() == name);
        found.ok_or_else(|| de::Error::custom(format!("unknown verdict `{name}`")))
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct Report<'a> {
    /// The suite that was replayed.
    pub suite: &'a Suite,
    /// What is told of the target.
    pub facts: document::Target,
    /// Whether warnings are failures.
    pub strict: bool,
    /// What chose a part of the suite.
    pub selectors: Vec<String>,
    /// Which shard of the selection it is, such as `2/4`.
    pub shard: Option<String>,
    /// Whether the run was of a part of the suite.
    pub is_partial: bool,
    /// Why the run ended before its time, if it did.
    pub halted: Option<Halted>,
    /// The outcomes, by id.
    pub outcomes: Vec<Outcome>,
    /// What is known of each clause, in the order of the suite's clauses.
    pub standings: Vec<(&'a Clause, Standing)>,
    /// The list of known deviations, with what became of each.
    pub deviations: Vec<Listed>,
    /// The known faults that the failures look like.
    pub suspects: Vec<diagnosis::Suspect>,
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
            facts: document::Target {
                name: target.name.clone(),
                base_url: target.base_url.clone(),
                lacks: target.lacks.clone(),
                templates: target.templates.keys().cloned().collect(),
                identities: target.identities.keys().cloned().collect(),
                clock: match target.advance_header {
                    Some(_) => document::Clock::Moved,
                    None => document::Clock::Waited,
                },
            },
            strict: false,
            selectors: Vec::new(),
            shard: None,
            is_partial: outcomes.len() < variants,
            halted: None,
            outcomes,
            standings,
            deviations: Vec::new(),
            suspects: Vec::new(),
            milliseconds,
        }
    }

    /// Holds the outcomes against a list of known deviations.
    pub fn apply(&mut self, deviations: &[Deviation], today: Date) {
        let mut candidates = self.candidates();
        self.deviations = deviations::apply(
            deviations,
            &mut candidates,
            self.is_partial || self.halted.is_some(),
            today,
        );
        for (outcome, candidate) in self.outcomes.iter_mut().zip(candidates) {
            if let Some(reason) = candidate.reason {
                outcome.verdict = candidate.verdict;
                outcome.reason = Some(reason);
            }
        }
        self.standings = standings(self.suite, &self.outcomes);
    }

    /// Finds the known faults that the failures look like.
    pub fn diagnose(&mut self) {
        if self.count(Verdict::Fail) + self.count(Verdict::Deviation) == 0 {
            return;
        }
        // What is wrong with the file is for `check` to tell.
        if let Ok(Some(signatures)) = Signatures::read(self.suite.files()) {
            self.suspects = diagnosis::diagnose(&signatures, &self.outcomes);
        }
    }

    /// The outcomes, as far as a list of deviations is concerned.
    pub fn candidates(&self) -> Vec<Candidate> {
        self.outcomes.iter().map(|outcome| self.candidate(outcome)).collect()
    }

    fn candidate(&self, outcome: &Outcome) -> Candidate {
        let findings = outcome.findings.iter().zip(stable(outcome, self.suite.schemas()));
        let failures = findings
            .filter(|(finding, _)| document::is_failure(finding.is_setup, finding.weight, self.strict))
            .map(|(finding, (assertion, observed))| Failure {
                clauses: finding.clauses.iter().map(|id| self.clause_id(id)).collect(),
                assertion,
                observed,
            });
        let failures: Vec<Failure> = failures.collect();
        let own = outcome.clauses.iter().map(|id| self.clause_id(id));
        let clauses = own
            .chain(failures.iter().flat_map(|failure| failure.clauses.iter().cloned()))
            .collect();
        Candidate {
            id: outcome.id.clone(),
            case: outcome.case.clone(),
            clauses,
            verdict: outcome.verdict,
            reason: None,
            failures,
        }
    }

    /// The id of a clause, where a case names it by an alias.
    fn clause_id(&self, id: &str) -> String {
        self.suite.clause(id).map_or(id, |clause| clause.id.as_str()).to_owned()
    }

    /// The ids of clauses, each once.
    fn clause_ids(&self, ids: &[String]) -> Vec<String> {
        let mut known: Vec<String> = Vec::new();
        for id in ids.iter().map(|id| self.clause_id(id)) {
            if !known.contains(&id) {
                known.push(id);
            }
        }
        known
    }

    /// Entries of the list of deviations for which the run fails.
    pub fn stale(&self) -> impl Iterator<Item = &Listed> {
        self.deviations.iter().filter(|listed| listed.state.is_stale())
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
        percent(self.count(Verdict::Pass) + self.count(Verdict::Fixed), self.judged())
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

/// Of several verdicts about one clause, the first of these decides.
const DECISIVE: [Verdict; 7] = [
    Verdict::Fail,
    Verdict::SuiteFault,
    Verdict::Fixed,
    Verdict::Deviation,
    Verdict::Pass,
    Verdict::Inconclusive,
    Verdict::NotApplicable,
];

/// What is known of each clause: one finding against it makes it fail.
fn standings<'a>(suite: &'a Suite, outcomes: &[Outcome]) -> Vec<(&'a Clause, Standing)> {
    let mut verdicts: HashMap<&str, Vec<Verdict>> = HashMap::new();
    let judged = |places: &BTreeSet<usize>| {
        let invariants = places.iter().filter_map(|place| suite.invariants().get(*place));
        let clauses = invariants.flat_map(|invariant| &invariant.clauses);
        clauses.filter_map(|id| suite.clause(id)).collect::<Vec<_>>()
    };
    // An invariant that held in one conversation after another is told once.
    let clean = outcomes.iter().filter(|outcome| outcome.findings.is_empty());
    for clause in judged(&clean.flat_map(|outcome| &outcome.invariants).copied().collect()) {
        verdicts.entry(&clause.id).or_default().push(Verdict::Pass);
    }
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
        let judged = if outcome.findings.is_empty() {
            Vec::new()
        } else {
            judged(&outcome.invariants.iter().copied().collect())
        };
        let judged = judged.iter().map(|clause| (&clause.id, Verdict::Pass));
        let found = outcome
            .findings
            .iter()
            .flat_map(|finding| &finding.clauses)
            .map(|id| (id, Verdict::Pass));
        for (id, verdict) in tested.chain(judged).chain(found) {
            let Some(clause) = suite.clause(id) else { continue };
            // A case that fails for another clause, or in its setup, says nothing about this one.
            let verdict = match verdict {
                Verdict::Deviation if failed(clause) => Verdict::Deviation,
                _ if failed(clause) => Verdict::Fail,
                Verdict::Fail | Verdict::Deviation if outcome.findings.iter().all(|finding| finding.is_setup) => {
                    Verdict::Inconclusive
                }
                Verdict::Fail | Verdict::Deviation => Verdict::Pass,
                verdict => verdict,
            };
            verdicts.entry(&clause.id).or_default().push(verdict);
        }
    }
    let standing = |clause: &'a Clause| {
        let found = verdicts.get(clause.id.as_str());
        let worst = found.and_then(|found| DECISIVE.into_iter().find(|verdict| found.contains(verdict)));
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
