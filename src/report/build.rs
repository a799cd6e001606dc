//! From what a run came to, to its report: in one step.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::Date;

use crate::contract::Suite;
use crate::contract::clause::Weight;
use crate::contract::signature::Signatures;
use crate::replay::verdict::{self, Outcome, Verdict};
use crate::report::model::{
    Case, Chapter, Clause, Clock, DECISIVE, Exchange, Finding, Message, Report, SHAPE, Scope, Standing, Summary, Target,
};
use crate::report::{cause, deviations, diagnosis};
use crate::snapshot::baseline::stable;
use crate::target;
use crate::target::deviations::Deviation;
use crate::wire::halt::Halted;

/// What a run came to, with all that its report depends on.
#[derive(Debug)]
pub struct Run<'a> {
    /// The suite.
    pub suite: &'a Suite,
    /// The target.
    pub target: &'a target::Target,
    /// What came of each case that was run.
    pub outcomes: Vec<Outcome>,
    /// How long it took, in ms.
    pub milliseconds: f64,
    /// Whether warnings are failures.
    pub strict: bool,
    /// What chose a part of the suite.
    pub selectors: &'a [String],
    /// Which shard of the selection it is, such as `2/4`.
    pub shard: Option<String>,
    /// Why the run ended before its time, if it did.
    pub halted: Option<Halted>,
    /// The list of known deviations.
    pub deviations: &'a [Deviation],
    /// The day on which the list is applied.
    pub today: Date,
}

impl<'a> Run<'a> {
    /// A run to its end, not strict, without a list of deviations.
    pub fn new(suite: &'a Suite, target: &'a target::Target, outcomes: Vec<Outcome>) -> Self {
        Self {
            suite,
            target,
            outcomes,
            milliseconds: 0.0,
            strict: false,
            selectors: &[],
            shard: None,
            halted: None,
            deviations: &[],
            today: Date::default(),
        }
    }
}

impl Report {
    /// The report of a run: verdicts after the list of deviations was applied, clauses, causes, and what failures look like.
    pub fn of(run: Run<'_>) -> Self {
        let Run { suite, strict, .. } = run;
        let mut outcomes = run.outcomes;
        outcomes.sort_by(|a, b| a.id.cmp(&b.id));
        let variants: usize = suite.cases().iter().map(|case| case.variants.len()).sum();
        let is_partial = outcomes.len() < variants || run.halted.is_some();
        let mut cases: Vec<Case> = outcomes.iter().map(|outcome| case(suite, outcome)).collect();
        let listed = deviations::apply(run.deviations, &mut cases, strict, is_partial, run.today);
        for (case, outcome) in cases.iter_mut().zip(&outcomes) {
            if case.verdict == Verdict::Fail {
                case.cause = cause::of(case, outcome, strict, suite.schemas());
            }
            if case.verdict != Verdict::Pass || outcome.worst() > Some(Weight::Remark) {
                case.conversation = outcome.exchanges.iter().map(exchange).collect();
            }
        }
        // What is wrong with the file is for `check` to report.
        let signatures = Signatures::read(suite.files()).ok().flatten();
        let mut readings: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (entry, key) in outcomes.iter().flat_map(|outcome| &outcome.readings) {
            let id = suite.ledger_entry(entry).map_or(entry, |entry| &entry.id);
            readings.entry(id.clone()).or_default().insert(key.clone());
        }
        Self {
            version: SHAPE,
            suite: Scope {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                fingerprint: suite.fingerprint(),
                common: suite.common_fingerprint(),
                cases: variants,
                partial: is_partial,
                selectors: run.selectors.to_vec(),
                shard: run.shard,
            },
            target: Target {
                name: run.target.name.clone(),
                base_url: run.target.base_url.clone(),
                lacks: run.target.lacks.clone(),
                templates: run.target.templates.keys().cloned().collect(),
                identities: run.target.identities.keys().cloned().collect(),
                clock: match run.target.advance_header {
                    Some(_) => Clock::Moved,
                    None => Clock::Waited,
                },
            },
            strict,
            interrupted: run.halted.as_ref().is_some_and(|halted| halted.is_interrupt),
            halted: run.halted.map(|halted| halted.reason.to_string()),
            milliseconds: round(run.milliseconds),
            summary: Summary::of(&cases),
            chapters: suite.chapters().iter().map(chapter).collect(),
            clauses: clauses(suite, &cases, &outcomes),
            readings,
            deviations: listed,
            leftovers: outcomes.into_iter().flat_map(|outcome| outcome.leftovers).collect(),
            suspects: signatures.map_or_else(Vec::new, |signatures| diagnosis::diagnose(&signatures, &cases)),
            cases,
        }
    }
}

/// A case without its cause and its conversation, which depend on the list of deviations.
fn case(suite: &Suite, outcome: &Outcome) -> Case {
    let place = suite.cases().binary_search_by(|case| case.id.cmp(&outcome.case)).ok();
    let title = place
        .and_then(|place| suite.cases().get(place))
        .map(|case| case.title.clone());
    let findings = if outcome.findings.is_empty() {
        Vec::new()
    } else {
        let stable = stable(outcome, suite.schemas());
        let findings = outcome.findings.iter();
        findings.map(|found| finding(suite, outcome, found, &stable)).collect()
    };
    Case {
        id: outcome.id.clone(),
        case: outcome.case.clone(),
        // What is watched is no case, and has no title.
        title: title.unwrap_or_default(),
        fingerprint: suite.case_fingerprint(&outcome.case),
        verdict: outcome.verdict,
        clauses: outcome.clauses.iter().map(|id| clause_id(suite, id)).collect(),
        exchanges: outcome.exchange_count,
        assertions: outcome.assertions,
        documents: outcome.documents,
        milliseconds: round(outcome.milliseconds),
        reason: outcome.reason.clone(),
        cause: None,
        findings,
        conversation: Vec::new(),
    }
}

fn finding(suite: &Suite, outcome: &Outcome, found: &verdict::Finding, stable: impl Fn(&str) -> String) -> Finding {
    let exchange = outcome.exchanges.get(found.exchange);
    let (assertion, observed) = found.observed(stable);
    Finding {
        weight: found.weight,
        clauses: found.clauses.iter().map(|id| clause_id(suite, id)).collect(),
        setup: found.is_setup,
        exchange: found.exchange,
        step: exchange.map(|exchange| exchange.label),
        speaker: exchange.map(|exchange| exchange.speaker.clone()),
        request: exchange.map(|exchange| format!("{} {}", exchange.request.method, exchange.request.path)),
        status: exchange.map(|exchange| exchange.response.status),
        assertion,
        expected: found.expected.clone(),
        actual: found.actual.clone(),
        observed,
        pointer: found.pointer.clone(),
    }
}

/// The id of a clause, where a case names it by an alias.
fn clause_id(suite: &Suite, id: &str) -> String {
    suite.clause(id).map_or(id, |clause| clause.id.as_str()).to_owned()
}

fn exchange(exchange: &verdict::Exchange) -> Exchange {
    let (request, response) = (&exchange.request, &exchange.response);
    let body = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let raw = |bytes: &[u8]| std::str::from_utf8(bytes).is_err().then(|| bytes.to_vec());
    Exchange {
        step: exchange.label,
        speaker: exchange.speaker.clone(),
        request: Message {
            line: format!("{} {}", request.method, request.path),
            headers: request.headers.clone(),
            body: request.body.as_ref().map(|bytes| body(bytes)),
            raw: request.body.as_ref().and_then(|bytes| raw(bytes)),
        },
        response: Message {
            line: response.status.to_string(),
            headers: response.headers.clone(),
            body: (!response.body.is_empty()).then(|| body(&response.body)),
            raw: raw(&response.body),
        },
    }
}

fn chapter(chapter: &crate::contract::clause::Chapter) -> Chapter {
    Chapter {
        name: chapter.name.clone(),
        title: chapter.title.clone(),
    }
}

fn round(milliseconds: f64) -> f64 {
    (milliseconds * 100.0).round() / 100.0
}

/// What is known of each clause: one finding against it makes it fail.
fn clauses(suite: &Suite, cases: &[Case], outcomes: &[Outcome]) -> Vec<Clause> {
    let mut verdicts: HashMap<String, Vec<Verdict>> = HashMap::new();
    let judged = |places: BTreeSet<usize>| {
        let invariants = places.into_iter().filter_map(|place| suite.invariants().get(place));
        let clauses = invariants.flat_map(|invariant| &invariant.clauses);
        clauses.map(|id| clause_id(suite, id)).collect::<Vec<String>>()
    };
    // An invariant that held in one conversation after another counts once.
    let clean = outcomes.iter().filter(|outcome| outcome.findings.is_empty());
    for id in judged(clean.flat_map(|outcome| &outcome.invariants).copied().collect()) {
        verdicts.entry(id).or_default().push(Verdict::Pass);
    }
    for (case, outcome) in cases.iter().zip(outcomes) {
        let is_failed = |id: &String| {
            let Some(clause) = suite.clause(id) else { return false };
            let mut findings = case.findings.iter().filter(|finding| finding.clauses.contains(id));
            findings.any(|finding| finding.weight >= clause.weight())
        };
        let tested = case.clauses.iter().cloned().map(|id| (id, case.verdict));
        let judged = if case.findings.is_empty() {
            Vec::new()
        } else {
            judged(outcome.invariants.iter().copied().collect())
        };
        let found = case.findings.iter().flat_map(|finding| finding.clauses.iter().cloned());
        let others = judged.into_iter().chain(found).map(|id| (id, Verdict::Pass));
        for (id, verdict) in tested.chain(others) {
            // A case that fails for another clause, or in its setup, says nothing about this one.
            let verdict = match verdict {
                Verdict::Deviation if is_failed(&id) => Verdict::Deviation,
                _ if is_failed(&id) => Verdict::Fail,
                Verdict::Fail | Verdict::Deviation if case.findings.iter().all(|finding| finding.setup) => {
                    Verdict::Inconclusive
                }
                Verdict::Fail | Verdict::Deviation => Verdict::Pass,
                verdict => verdict,
            };
            verdicts.entry(id).or_default().push(verdict);
        }
    }
    let known = suite.clauses().iter().map(|clause| {
        let found = verdicts.get(&clause.id);
        let worst = found.and_then(|found| DECISIVE.into_iter().find(|verdict| found.contains(verdict)));
        let verdict = match (worst, &clause.untestable) {
            (Some(verdict), _) => Standing::Judged(verdict),
            (None, Some(_)) => Standing::Untestable,
            (None, None) => Standing::Untested,
        };
        Clause {
            id: clause.id.clone(),
            chapter: clause.chapter.clone(),
            level: clause.level,
            evidence: clause.evidence,
            verdict,
            statement: clause.statement.clone(),
            reason: clause.untestable.clone().filter(|_| verdict == Standing::Untestable),
        }
    });
    known.collect()
}
