//! The report as data: what the JSON report says, and what every other written report is made from.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::contract::clause::{Evidence, Level, Weight};
use crate::replay::verdict::{Exchange, Outcome, Verdict};
use crate::report::deviations::{self, Candidate, Failure, Listed};
use crate::report::diagnosis::Suspect;
use crate::report::{Report, Standing, cause};
use crate::snapshot::baseline::stable;
use crate::target::deviations::Deviation;

/// The version of the report's shape.
pub const SHAPE: u32 = 1;
/// How much of a body is kept, in bytes.
const BODY: usize = 8 << 10;

/// A whole report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// The version of its shape.
    pub version: u32,
    /// What was asked.
    pub suite: Asked,
    /// Who was asked.
    pub target: Target,
    /// Whether warnings were failures.
    pub strict: bool,
    /// Whether somebody stopped the run before its end.
    #[serde(default)]
    pub interrupted: bool,
    /// Why the run ended before its time: somebody stopped it, or the target was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// How long it took, in ms.
    pub milliseconds: f64,
    /// The counts.
    pub summary: Summary,
    /// The chapters of the suite.
    pub chapters: Vec<Chapter>,
    /// What came of each case, by id.
    pub cases: Vec<Case>,
    /// What is known of each clause of the suite.
    pub clauses: Vec<Clause>,
    /// The readings that the target follows, by ledger entry.
    pub readings: BTreeMap<String, BTreeSet<String>>,
    /// The list of known deviations, with what became of each.
    pub deviations: Vec<Listed>,
    /// What could not be removed from the target.
    pub leftovers: Vec<String>,
    /// The known faults that the failures look like, the likest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspects: Vec<Suspect>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The version of the program.
    pub version: String,
    /// The fingerprint of the suite.
    pub fingerprint: String,
    /// The fingerprint of what all cases share.
    pub common: String,
    /// The number of cases in the whole suite.
    pub cases: usize,
    /// Whether only a part of them was run.
    pub partial: bool,
    /// What chose that part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selectors: Vec<String>,
    /// Which shard of it this is, such as `2/4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
}

/// Who was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// What it is called.
    pub name: String,
    /// Where it was.
    pub base_url: String,
    /// The features it declares to lack.
    pub lacks: BTreeSet<String>,
    /// The templates it has.
    pub templates: BTreeSet<String>,
    /// The identities it knows.
    pub identities: BTreeSet<String>,
    /// How its time passed in cases that need some.
    pub clock: Clock,
}

/// How a target's time passes where a case says that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Clock {
    /// The run moved the target's clock.
    Moved,
    /// The run waited in real time.
    Waited,
}

impl Clock {
    /// In the words of a report for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Moved => "its clock was moved",
            Self::Waited => "time was waited for",
        }
    }
}

/// The counts of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Cases that passed.
    pub pass: usize,
    /// Cases that failed.
    pub fail: usize,
    /// Cases that failed as listed.
    pub deviation: usize,
    /// Cases that passed although listed.
    pub fixed: usize,
    /// Cases that the target lacks something for.
    pub not_applicable: usize,
    /// Cases that could not be judged.
    pub inconclusive: usize,
    /// Cases that are at fault themselves.
    pub suite_fault: usize,
    /// Findings that are warnings.
    pub warnings: usize,
    /// Findings that are remarks.
    pub remarks: usize,
    /// Passed cases in a hundred of those judged.
    pub conformance: Option<f64>,
    /// Judged cases in a hundred of those in the report.
    pub coverage: Option<f64>,
}

/// A chapter of the suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chapter {
    /// Its name, the first part of its cases' ids.
    pub name: String,
    /// Its title.
    pub title: String,
}

/// What came of a case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// The variant's id.
    pub id: String,
    /// The case's id.
    pub case: String,
    /// What it is about, in a sentence.
    pub title: String,
    /// The fingerprint of its file.
    pub fingerprint: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The clauses it tests.
    pub clauses: Vec<String>,
    /// The number of exchanges.
    pub exchanges: usize,
    /// The number of assertions.
    pub assertions: usize,
    /// How long it took, in ms.
    pub milliseconds: f64,
    /// Why the verdict is what it is, where that is not in the findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What broke it, in a line that all cases have in common that broke alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What did not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What was said, in cases that did not pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conversation: Vec<Said>,
}

/// One thing that did not hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// What it amounts to.
    pub weight: Weight,
    /// The clauses it counts against.
    pub clauses: Vec<String>,
    /// Whether it is about a step that only prepares the case.
    pub setup: bool,
    /// The place of its exchange in the conversation.
    pub exchange: usize,
    /// The step.
    pub step: Option<String>,
    /// Who spoke.
    pub speaker: Option<String>,
    /// Method and path.
    pub request: Option<String>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// What was asserted.
    pub assertion: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub actual: String,
    /// The same in words that do not change from run to run.
    pub observed: String,
}

/// A request and its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Said {
    /// The step.
    pub step: String,
    /// Who spoke.
    pub speaker: String,
    /// The request.
    pub request: Message,
    /// The answer.
    pub response: Message,
}

/// One half of an exchange.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Method and path, or the status.
    pub line: String,
    /// The headers, without the authorization.
    pub headers: Vec<(String, String)>,
    /// The body as text, cut where it is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// What is known of a clause.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Clause {
    /// Its id.
    pub id: String,
    /// Its chapter.
    pub chapter: String,
    /// How binding it is.
    pub level: Level,
    /// How it is known.
    pub evidence: Evidence,
    /// What came of it.
    pub verdict: Standing,
    /// What it says.
    pub statement: String,
    /// Why no endpoint can be tested for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Summary {
    /// Counts cases.
    pub fn of<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Self {
        let mut counts: BTreeMap<Verdict, usize> = BTreeMap::new();
        let mut weights: BTreeMap<Weight, usize> = BTreeMap::new();
        for case in cases {
            *counts.entry(case.verdict).or_default() += 1;
            for finding in &case.findings {
                *weights.entry(finding.weight).or_default() += 1;
            }
        }
        let count = |verdict| counts.get(&verdict).copied().unwrap_or_default();
        let (passed, fixed) = (count(Verdict::Pass), count(Verdict::Fixed));
        let judged = passed + fixed + count(Verdict::Fail) + count(Verdict::Deviation);
        Self {
            pass: passed,
            fail: count(Verdict::Fail),
            deviation: count(Verdict::Deviation),
            fixed,
            not_applicable: count(Verdict::NotApplicable),
            inconclusive: count(Verdict::Inconclusive),
            suite_fault: count(Verdict::SuiteFault),
            warnings: weights.get(&Weight::Warning).copied().unwrap_or_default(),
            remarks: weights.get(&Weight::Remark).copied().unwrap_or_default(),
            conformance: crate::report::percent(passed + fixed, judged),
            coverage: crate::report::percent(judged, counts.values().sum()),
        }
    }

    /// The number of cases with a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        match verdict {
            Verdict::Pass => self.pass,
            Verdict::Fail => self.fail,
            Verdict::Deviation => self.deviation,
            Verdict::Fixed => self.fixed,
            Verdict::NotApplicable => self.not_applicable,
            Verdict::Inconclusive => self.inconclusive,
            Verdict::SuiteFault => self.suite_fault,
        }
    }

    /// The number of cases.
    pub fn total(&self) -> usize {
        Verdict::ALL.into_iter().map(|verdict| self.count(verdict)).sum()
    }

    /// The counts that are not zero, in words.
    pub fn told(&self) -> String {
        told(|verdict| self.count(verdict))
    }
}

/// Counts of verdicts that are not zero, in words.
pub(super) fn told(count: impl Fn(Verdict) -> usize) -> String {
    let counts = Verdict::ALL.into_iter().map(|verdict| (verdict.told(), count(verdict)));
    let counts: Vec<_> = counts
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    if counts.is_empty() {
        "nothing".to_owned()
    } else {
        counts.join(", ")
    }
}

impl Asked {
    /// How a partial report says so; `None` for a whole one. `ran` is the number of cases in it.
    pub fn part(&self, ran: usize) -> Option<String> {
        self.partial.then(|| {
            let shard = self
                .shard
                .as_ref()
                .map_or(String::new(), |shard| format!(", shard {shard}"));
            format!("a part of the suite: {ran} of {} cases{shard}", self.cases)
        })
    }
}

impl Case {
    /// The chapter it stands in.
    pub fn chapter(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }

    /// The findings that make it fail.
    pub fn failures(&self, strict: bool) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| is_failure(finding.setup, finding.weight, strict))
    }

    /// The finding that decided it.
    pub fn decisive(&self, strict: bool) -> Option<&Finding> {
        let first = self.failures(strict).next()?;
        let explains = |other: &&Finding| other.exchange == first.exchange && cause::is_of_answer(&other.assertion);
        self.findings.iter().find(explains).or(Some(first))
    }

    /// What broke it, in a line.
    fn cause(&self) -> Option<&str> {
        let told = self.cause.as_deref().or(self.reason.as_deref());
        match self.verdict {
            Verdict::Fail => told.or(self.findings.first().map(|finding| finding.assertion.as_str())),
            Verdict::Inconclusive | Verdict::SuiteFault | Verdict::Fixed => self.reason.as_deref().or(told),
            Verdict::Pass | Verdict::Deviation | Verdict::NotApplicable => None,
        }
    }
}

/// Whether a finding makes its case fail.
pub(super) fn is_failure(is_setup: bool, weight: Weight, strict: bool) -> bool {
    is_setup || weight >= if strict { Weight::Warning } else { Weight::Failure }
}

impl Document {
    /// What a run has to tell.
    pub fn new(report: &Report<'_>) -> Self {
        let suite = report.suite;
        let cases: Vec<Case> = report.outcomes.iter().map(|outcome| case(report, outcome)).collect();
        let chapters = suite.chapters().iter();
        let clauses = report.standings.iter().map(|(clause, standing)| Clause {
            id: clause.id.clone(),
            chapter: clause.chapter.clone(),
            level: clause.level,
            evidence: clause.evidence,
            verdict: *standing,
            statement: clause.statement.clone(),
            reason: clause.untestable.clone().filter(|_| *standing == Standing::Untestable),
        });
        let readings = report.readings().into_iter();
        let owned = |keys: BTreeSet<&str>| keys.into_iter().map(str::to_owned).collect();
        Self {
            version: SHAPE,
            suite: Asked {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                fingerprint: suite.fingerprint(),
                common: suite.common_fingerprint(),
                cases: suite.cases().iter().map(|case| case.variants.len()).sum(),
                partial: report.is_partial || report.halted.is_some(),
                selectors: report.selectors.clone(),
                shard: report.shard.clone(),
            },
            target: report.facts.clone(),
            strict: report.strict,
            interrupted: report.halted.as_ref().is_some_and(|halted| halted.is_interrupt),
            halted: report.halted.as_ref().map(|halted| halted.reason.to_string()),
            milliseconds: round(report.milliseconds),
            summary: Summary::of(&cases),
            chapters: chapters
                .map(|chapter| Chapter {
                    name: chapter.name.clone(),
                    title: chapter.title.clone(),
                })
                .collect(),
            cases,
            clauses: clauses.collect(),
            readings: readings.map(|(entry, keys)| (entry.to_owned(), owned(keys))).collect(),
            deviations: report.deviations.clone(),
            leftovers: report.leftovers().map(str::to_owned).collect(),
            suspects: report.suspects.clone(),
        }
    }

    /// What broke cases, each with those that broke alike; what broke the most comes first, and what the end of the run cut
    /// off is no cause.
    pub fn causes(&self) -> Vec<(&str, Vec<&Case>)> {
        let mut places: BTreeMap<(Verdict, &str), usize> = BTreeMap::new();
        let mut causes: Vec<(&str, Vec<&Case>)> = Vec::new();
        let is_cut_off = |case: &&Case| self.halted.is_some() && case.reason == self.halted;
        for case in self.cases.iter().filter(|case| !is_cut_off(case)) {
            let Some(told) = case.cause() else { continue };
            let place = *places.entry((case.verdict, told)).or_insert(causes.len());
            match causes.get_mut(place) {
                Some((_, alike)) => alike.push(case),
                None => causes.push((told, vec![case])),
            }
        }
        causes.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
        causes
    }

    /// Holds the cases against a list of known deviations, as if none had been applied before.
    pub fn apply(&mut self, deviations: &[Deviation], today: Date) {
        let strict = self.strict;
        let mut candidates: Vec<Candidate> = self.cases.iter().map(|case| candidate(case, strict)).collect();
        self.deviations = deviations::apply(deviations, &mut candidates, self.suite.partial, today);
        for (case, candidate) in self.cases.iter_mut().zip(candidates) {
            if case.verdict != candidate.verdict || candidate.reason.is_some() {
                case.verdict = candidate.verdict;
                case.reason = candidate.reason;
            }
        }
        self.summary = Summary::of(&self.cases);
    }

    /// How a partial report says so; `None` for a whole one.
    pub fn part(&self) -> Option<String> {
        let is_cut_off = |case: &Case| case.verdict == Verdict::Inconclusive && case.exchanges == 0;
        let ran = self
            .cases
            .iter()
            .filter(|case| self.halted.is_none() || !is_cut_off(case));
        let part = self.suite.part(ran.count())?;
        Some(match &self.halted {
            Some(reason) => format!("{part}; {reason}"),
            None => part,
        })
    }

    /// Entries of the list for which the run fails.
    pub fn stale(&self) -> impl Iterator<Item = &Listed> {
        self.deviations.iter().filter(|listed| listed.state.is_stale())
    }
}

fn candidate(case: &Case, strict: bool) -> Candidate {
    let failures = case.failures(strict).map(|finding| Failure {
        clauses: finding.clauses.clone(),
        assertion: finding.assertion.clone(),
        observed: finding.observed.clone(),
    });
    let failures: Vec<Failure> = failures.collect();
    let clauses = case
        .clauses
        .iter()
        .chain(failures.iter().flat_map(|failure| &failure.clauses))
        .cloned();
    Candidate {
        id: case.id.clone(),
        case: case.case.clone(),
        clauses: clauses.collect(),
        verdict: match case.verdict {
            Verdict::Deviation => Verdict::Fail,
            Verdict::Fixed => Verdict::Pass,
            verdict => verdict,
        },
        reason: None,
        failures,
    }
}

fn case(report: &Report<'_>, outcome: &Outcome) -> Case {
    let title = report.suite.cases().binary_search_by(|case| case.id.cmp(&outcome.case));
    let title = title.ok().and_then(|index| report.suite.cases().get(index));
    let is_told = outcome.verdict != Verdict::Pass || outcome.worst() > Some(Weight::Remark);
    let stable = stable(outcome, report.suite.schemas());
    let findings = outcome
        .findings
        .iter()
        .zip(stable)
        .map(|(finding, (assertion, observed))| {
            let exchange = outcome.exchanges.get(finding.exchange);
            Finding {
                weight: finding.weight,
                clauses: finding.clauses.iter().map(|id| report.clause_id(id)).collect(),
                setup: finding.is_setup,
                exchange: finding.exchange,
                step: exchange.map(|exchange| exchange.label.clone()),
                speaker: exchange.map(|exchange| exchange.speaker.clone()),
                request: exchange.map(|exchange| format!("{} {}", exchange.request.method, exchange.request.path)),
                status: exchange.map(|exchange| exchange.response.status),
                assertion,
                expected: finding.expected.clone(),
                actual: finding.actual.clone(),
                observed,
            }
        });
    Case {
        id: outcome.id.clone(),
        case: outcome.case.clone(),
        title: title.map(|case| case.title.clone()).unwrap_or_default(),
        fingerprint: report.suite.case_fingerprint(&outcome.case),
        verdict: outcome.verdict,
        clauses: outcome.clauses.iter().map(|id| report.clause_id(id)).collect(),
        exchanges: outcome.exchange_count,
        assertions: outcome.assertions,
        milliseconds: round(outcome.milliseconds),
        reason: outcome.reason.clone(),
        cause: (outcome.verdict == Verdict::Fail).then(|| cause::told(report, outcome)),
        findings: findings.collect(),
        conversation: if is_told {
            outcome.exchanges.iter().map(said).collect()
        } else {
            Vec::new()
        },
    }
}

fn said(exchange: &Exchange) -> Said {
    let Exchange {
        label,
        speaker,
        request,
        response,
        ..
    } = exchange;
    let body = |bytes: &[u8]| cut(&String::from_utf8_lossy(bytes));
    Said {
        step: label.clone(),
        speaker: speaker.clone(),
        request: Message {
            line: format!("{} {}", request.method, request.path),
            headers: request.headers.clone(),
            body: request.body.as_ref().map(|bytes| body(bytes)),
        },
        response: Message {
            line: response.status.to_string(),
            headers: response.headers.clone(),
            body: (!response.body.is_empty()).then(|| body(&response.body)),
        },
    }
}

fn cut(text: &str) -> String {
    if text.len() <= BODY {
        return text.to_owned();
    }
    let end = (0..=BODY)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or_default();
    format!("{}... ({} bytes)", text.get(..end).unwrap_or_default(), text.len())
}

fn round(milliseconds: f64) -> f64 {
    (milliseconds * 100.0).round() / 100.0
}

/// A case of a sample: id, verdict, and what was found as assertion and observation.
#[cfg(test)]
pub(crate) type SampleCase<'a> = (&'a str, Verdict, &'a [(&'a str, &'a str)]);

/// A report of some cases, for tests.
#[cfg(test)]
pub(crate) fn sample(cases: &[SampleCase<'_>]) -> Document {
    let cases = cases.iter().map(|(id, verdict, findings)| Case {
        id: (*id).to_owned(),
        case: (*id).to_owned(),
        title: format!("The case {id}."),
        fingerprint: "same".to_owned(),
        verdict: *verdict,
        clauses: vec!["SES-001".to_owned()],
        exchanges: 1,
        assertions: 1,
        milliseconds: 1.0,
        reason: None,
        cause: None,
        findings: findings
            .iter()
            .map(|(assertion, observed)| Finding {
                weight: if *verdict == Verdict::Pass {
                    Weight::Remark
                } else {
                    Weight::Failure
                },
                clauses: vec!["SES-001".to_owned()],
                setup: false,
                exchange: 0,
                step: None,
                speaker: None,
                request: None,
                status: None,
                assertion: (*assertion).to_owned(),
                expected: "200".to_owned(),
                actual: (*observed).to_owned(),
                observed: (*observed).to_owned(),
            })
            .collect(),
        conversation: Vec::new(),
    });
    let cases: Vec<Case> = cases.collect();
    Document {
        version: SHAPE,
        suite: Asked {
            version: "0.0.0".to_owned(),
            fingerprint: "suite".to_owned(),
            common: "common".to_owned(),
            cases: cases.len(),
            partial: false,
            selectors: Vec::new(),
            shard: None,
        },
        target: Target {
            name: "sample".to_owned(),
            base_url: "http://sample.example".to_owned(),
            lacks: BTreeSet::new(),
            templates: BTreeSet::new(),
            identities: BTreeSet::new(),
            clock: Clock::Moved,
        },
        strict: false,
        interrupted: false,
        halted: None,
        milliseconds: 1.0,
        summary: Summary::of(&cases),
        chapters: Vec::new(),
        cases,
        clauses: Vec::new(),
        readings: BTreeMap::new(),
        deviations: Vec::new(),
        leftovers: Vec::new(),
        suspects: Vec::new(),
    }
}
