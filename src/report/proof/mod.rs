//! The kill matrix: which fault is caught by which case, and what never failed.

mod html;
pub mod terminal;
mod variations;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use variations::{Spared, SparedVerdict, Strike};

use crate::contract::Suite;
use crate::contract::case::{Expectation, Step};
use crate::contract::clause::{Level, Weight};
use crate::contract::signature::{Signature, Signatures};
use crate::replay::assertion::Assertion;
use crate::replay::verdict::{Outcome, Verdict};
use crate::report::Format;
use crate::report::diagnosis::sign_of;

/// The formats of `prove --report`, in the order of the help.
pub static FORMATS: [Format<Proof>; 2] = [
    Format::new("json", json),
    Format::new("html", |proof| Ok(html::render(proof))),
];

/// The version of the shape of the report.
pub const SHAPE: u32 = 1;

/// How many ways in which a fault shows are recorded.
const SIGNS: usize = 3;

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdicted {
    /// A case found it to break a clause that it breaks.
    Caught,
    /// Cases failed, but for other clauses only.
    WrongReason,
    /// No case noticed.
    Survived,
}

impl Verdicted {
    /// All of them, the worst first.
    pub const ALL: [Self; 3] = [Self::Survived, Self::WrongReason, Self::Caught];

    /// As reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Caught => "caught",
            Self::WrongReason => "wrongReason",
            Self::Survived => "survived",
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::WrongReason => "caught for the wrong reason",
            other => other.name(),
        }
    }
}

/// Which cases are run for a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Until the first catches it: first those about its clauses, then all others.
    First,
    /// All that are about its clauses; the others only if none of those catches it.
    Clauses,
    /// Every case.
    Matrix,
}

/// How a case noticed a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Catch {
    /// The case.
    pub case: String,
    /// The clause that it found broken.
    pub clause: String,
    /// What did not hold.
    pub assertion: Assertion,
    /// What that amounts to.
    pub weight: Weight,
}

/// A fault, and what became of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proven {
    /// Its id.
    pub id: String,
    /// What is wrong.
    pub text: String,
    /// Where: `rule` or `wire`.
    pub kind: String,
    /// The clauses that it breaks.
    pub clauses: Vec<String>,
    /// What became of it.
    pub verdict: Verdicted,
    /// The cases that found it to break one of its clauses.
    pub caught_by: Vec<Catch>,
    /// Cases that found it to break other clauses only.
    pub also_found_by: Vec<Catch>,
    /// The number of cases that were run for it.
    pub cases: usize,
    /// Cases that could not be judged.
    pub inconclusive: usize,
    /// The cases that could be judged.
    #[serde(skip)]
    pub ran: BTreeSet<String>,
    /// Of those, the ones that failed.
    #[serde(skip)]
    pub failed: BTreeSet<String>,
    /// The clauses that were found broken.
    #[serde(skip)]
    pub broke: BTreeSet<String>,
    /// How often findings of failed cases showed in which way.
    #[serde(skip)]
    pub signs: BTreeMap<String, usize>,
    /// The assertions that failed: case file and JSON Pointer.
    #[serde(skip)]
    pub fell: BTreeSet<(String, String)>,
}

/// How many faults became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Caught by a case of a clause that they break.
    pub caught: usize,
    /// Of those: broken clauses are only inferred, or ought only to be kept, so that the case itself did not fail.
    pub caught_as_lesser: usize,
    /// Caught by cases of other clauses only.
    pub wrong_reason: usize,
    /// Not caught.
    pub survived: usize,
    /// Assertions of cases that were not seen to fail; `None` unless every case was run for every fault.
    pub never_failed: Option<usize>,
    /// MUST clauses that can be tested and were not seen to be found broken; `None` unless every fault was seeded.
    pub unproven: Option<usize>,
    /// Harmless variations that no case holds against the service.
    pub spared: usize,
    /// Harmless variations that a case holds against the service.
    pub struck: usize,
    /// Variations, of both kinds, that changed nothing, so that they prove nothing.
    pub idle: usize,
}

/// An assertion of a case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The case file.
    pub case: String,
    /// Where in it: a JSON Pointer.
    pub pointer: String,
}

/// The whole proof.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The version of this shape.
    pub version: u32,
    /// Whether every case was run for every fault.
    pub matrix: bool,
    /// How long it took, in ms.
    pub milliseconds: f64,
    /// The counts.
    pub summary: Summary,
    /// The faults.
    pub faults: Vec<Proven>,
    /// The harmless variations.
    pub variations: Vec<Spared>,
    /// Assertions that never failed; only of a whole matrix.
    pub never_failed: Vec<Place>,
    /// MUST clauses that can be tested and were never found broken; empty where that was not asked.
    pub unproven: Vec<String>,
}

impl Proven {
    /// A fault of which nothing is known yet.
    pub fn new(suite: &Suite, id: &str, text: &str, kind: &str, clauses: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            text: text.to_owned(),
            kind: kind.to_owned(),
            clauses: clauses.iter().map(|id| known(suite, id)).collect(),
            verdict: Verdicted::Survived,
            caught_by: Vec::new(),
            also_found_by: Vec::new(),
            cases: 0,
            inconclusive: 0,
            ran: BTreeSet::new(),
            failed: BTreeSet::new(),
            broke: BTreeSet::new(),
            signs: BTreeMap::new(),
            fell: BTreeSet::new(),
        }
    }

    /// Takes in what came of one case. What could not be judged catches nothing.
    pub fn add(&mut self, suite: &Suite, outcome: &Outcome) {
        match outcome.verdict {
            Verdict::NotApplicable | Verdict::SuiteFault => return,
            Verdict::Inconclusive => {
                self.cases += 1;
                self.inconclusive += 1;
                return;
            }
            _ => self.cases += 1,
        }
        self.ran.insert(outcome.id.clone());
        if outcome.verdict == Verdict::Fail {
            self.failed.insert(outcome.id.clone());
            let signs = outcome
                .findings
                .iter()
                .map(|finding| sign_of(&finding.assertion, &finding.actual));
            for sign in signs.collect::<BTreeSet<_>>() {
                *self.signs.entry(sign).or_default() += 1;
            }
        }
        let mut other = None;
        let mut caught = None;
        for finding in &outcome.findings {
            self.fell.insert((outcome.case.clone(), finding.pointer.clone()));
            let clauses: Vec<String> = finding.clauses.iter().map(|id| known(suite, id)).collect();
            let catch = |clause: &str| Catch {
                case: outcome.id.clone(),
                clause: clause.to_owned(),
                assertion: finding.assertion.clone(),
                weight: finding.weight,
            };
            for clause in &clauses {
                if self.clauses.contains(clause) {
                    caught.get_or_insert_with(|| catch(clause));
                }
            }
            if caught.is_none() && other.is_none() {
                other = Some(catch(clauses.first().map_or("", String::as_str)));
            }
            self.broke.extend(clauses);
        }
        match (caught, other) {
            (Some(catch), _) => {
                self.verdict = Verdicted::Caught;
                self.caught_by.push(catch);
            }
            (None, Some(catch)) => {
                if self.verdict == Verdicted::Survived {
                    self.verdict = Verdicted::WrongReason;
                }
                self.also_found_by.push(catch);
            }
            (None, None) => {}
        }
    }

    /// Whether it was caught, but by findings that fail no case.
    pub fn is_lesser(&self) -> bool {
        self.verdict == Verdicted::Caught && self.caught_by.iter().all(|catch| catch.weight < Weight::Failure)
    }
}

/// The id of a clause that may be named by an alias.
fn known(suite: &Suite, id: &str) -> String {
    suite.clause(id).map_or(id, |clause| clause.id.as_str()).to_owned()
}

impl Proof {
    /// Sums up; `reach` says which cases were run, `is_whole` whether every fault was seeded.
    pub fn new(suite: &Suite, mut faults: Vec<Proven>, reach: Reach, is_whole: bool, milliseconds: f64) -> Self {
        let matrix = reach == Reach::Matrix;
        faults.sort_by(|a, b| (&a.kind, &a.id).cmp(&(&b.kind, &b.id)));
        for fault in &mut faults {
            fault.caught_by.sort_by(|a, b| a.case.cmp(&b.case));
            fault.also_found_by.sort_by(|a, b| a.case.cmp(&b.case));
        }
        let count = |verdict| faults.iter().filter(|fault| fault.verdict == verdict).count();
        let never_failed = if matrix {
            never_failed(suite, &faults)
        } else {
            Vec::new()
        };
        let unproven = if is_whole { unproven(suite, &faults) } else { Vec::new() };
        let summary = Summary {
            caught: count(Verdicted::Caught),
            caught_as_lesser: faults.iter().filter(|fault| fault.is_lesser()).count(),
            wrong_reason: count(Verdicted::WrongReason),
            survived: count(Verdicted::Survived),
            never_failed: matrix.then_some(never_failed.len()),
            unproven: is_whole.then_some(unproven.len()),
            spared: 0,
            struck: 0,
            idle: 0,
        };
        Self {
            version: SHAPE,
            matrix,
            milliseconds,
            summary,
            faults,
            variations: Vec::new(),
            never_failed,
            unproven,
        }
    }

    /// The proof with its other half, and the time that it took in ms.
    #[must_use]
    pub fn with_variations(mut self, mut variations: Vec<Spared>, milliseconds: f64) -> Self {
        variations.sort_by(|a, b| (&a.kind, &a.id).cmp(&(&b.kind, &b.id)));
        let count = |verdict| variations.iter().filter(|one| one.verdict == verdict).count();
        self.summary.spared = count(SparedVerdict::Spared);
        self.summary.struck = count(SparedVerdict::Struck);
        self.summary.idle = variations.iter().filter(|one| one.is_idle()).count();
        self.variations = variations;
        self.milliseconds += milliseconds;
        self
    }

    /// The cases by which the faults are told apart: for each, the first that caught it.
    pub fn witnesses(faults: &[Proven]) -> BTreeSet<String> {
        let failing = |fault: &&Proven| !fault.failed.is_empty();
        let first = |fault: &Proven| {
            let caught = fault.caught_by.iter().map(|catch| &catch.case);
            caught.filter(|case| fault.failed.contains(*case)).min().cloned()
        };
        faults.iter().filter(failing).filter_map(first).collect()
    }

    /// What is to be recorded of some cases; `before` has the reasons that somebody gave.
    pub fn signatures(&self, witnesses: BTreeSet<String>, before: &Signatures) -> Signatures {
        let places: BTreeMap<&String, usize> = witnesses.iter().zip(0..).collect();
        let signature = |fault: &Proven| {
            let mut signs: Vec<(&String, &usize)> = fault.signs.iter().collect();
            signs.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
            Signature {
                id: fault.id.clone(),
                text: fault.text.clone(),
                clauses: fault.clauses.clone(),
                signs: signs.into_iter().take(SIGNS).map(|(sign, _)| sign.clone()).collect(),
                failed: fault
                    .failed
                    .iter()
                    .filter_map(|case| places.get(case).copied())
                    .collect(),
            }
        };
        let reason = |clause: &String| (clause.clone(), before.unproven.get(clause).cloned().unwrap_or_default());
        Signatures {
            faults: self.faults.iter().map(signature).collect(),
            unproven: self.unproven.iter().map(reason).collect(),
            cases: witnesses.into_iter().collect(),
        }
    }

    /// The MUST clauses that were never found broken, and for which nobody gave a reason.
    pub fn unexplained<'a>(&'a self, reasons: &'a Signatures) -> impl Iterator<Item = &'a str> {
        let has_reason = |clause: &&str| reasons.unproven.get(*clause).is_some_and(|reason| !reason.is_empty());
        let unproven = self.unproven.iter().map(String::as_str);
        unproven.filter(move |clause| !has_reason(clause))
    }
}

/// The report for programs; its shape is `schemas/proof.schema.json`.
fn json(proof: &Proof) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(proof)? + "\n")
}

fn never_failed(suite: &Suite, faults: &[Proven]) -> Vec<Place> {
    let mut fell: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (case, pointer) in faults.iter().flat_map(|fault| &fault.fell) {
        fell.entry(case).or_default().insert(pointer);
    }
    let mut stood = BTreeSet::new();
    for case in suite.cases() {
        let fell = fell.get(case.id.as_str());
        let is_below = |pointer: &str, place: &str| {
            let rest = pointer.strip_prefix(place);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let scripts = case.scripts();
        let steps = scripts.with(case).flat_map(|(_, script)| script.steps());
        for place in steps.flat_map(places) {
            if !fell.is_some_and(|fell| fell.iter().any(|pointer| is_below(pointer, &place))) {
                stood.insert(Place {
                    case: case.id.clone(),
                    pointer: place,
                });
            }
        }
    }
    stood.into_iter().collect()
}

/// Where a step's assertions stand.
fn places(step: &Step) -> Vec<String> {
    let tally = (!step.tally.is_empty()).then(|| format!("{}/tally", step.pointer));
    step.expectations().flat_map(assertions).chain(tally).collect()
}

fn assertions(expectation: &Expectation) -> Vec<String> {
    let single = [
        ("status", expectation.status.is_some()),
        ("content", expectation.content.is_some()),
        ("unchanged", expectation.unchanged.is_some()),
        ("sameAs", expectation.same_as.is_some()),
        ("roster", expectation.roster),
        ("reading", expectation.reading.is_some()),
    ];
    let single = single.into_iter().filter(|(_, is_there)| *is_there);
    let matchers = expectation.own_matchers().into_iter().map(|(below, _)| below);
    single
        .map(|(name, _)| name.to_owned())
        .chain(matchers)
        .map(|below| format!("{}/{below}", expectation.pointer))
        .collect()
}

/// MUST clauses that can be tested and that no fault was found to break.
pub fn unproven(suite: &Suite, faults: &[Proven]) -> Vec<String> {
    let broke: BTreeSet<&str> = faults
        .iter()
        .flat_map(|fault| &fault.broke)
        .map(String::as_str)
        .collect();
    let all = suite
        .clauses()
        .iter()
        .filter(|clause| clause.level == Level::Must && clause.untestable.is_none());
    all.filter(|clause| !broke.contains(clause.id.as_str()))
        .map(|clause| clause.id.clone())
        .collect()
}
