//! The report as data: what the JSON report has, and what every other format is made from.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::contract::case::chapter_of;
use crate::contract::clause::{Evidence, Level, Weight};
use crate::replay::assertion::Assertion;
use crate::replay::label::StepLabel;
use crate::replay::verdict::{self, Verdict};
use crate::target::deviations::Deviation;

/// The version of the report's shape.
pub const SHAPE: u32 = 1;
/// How much of a body a written report has, in bytes.
pub(super) const BODY: usize = 8 << 10;

/// What came of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The version of its shape.
    pub version: u32,
    /// What was run.
    pub suite: Scope,
    /// Against what.
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

/// The suite, and which part of it was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
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

/// The target, as it describes itself.
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
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Moved => "clock advanced by the suite",
            Self::Waited => "timed cases waited in real time",
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
    /// The number of responses that only an MPSD gives: documents of the contract. A report that was read has none.
    #[serde(skip)]
    pub documents: usize,
    /// How long it took, in ms.
    pub milliseconds: f64,
    /// Why the verdict is what it is, where that is not in the findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it failed, in a line that is the same in all cases that failed alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Its failed assertions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The exchanges, of cases that did not simply pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conversation: Vec<Exchange>,
}

/// A failed assertion, told with the request that it is about.
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
    /// The step; `None` when nothing was exchanged, as in what follows.
    pub step: Option<StepLabel>,
    /// The identity that sent the request.
    pub speaker: Option<String>,
    /// Method and path.
    pub request: Option<String>,
    /// The status of the response.
    pub status: Option<u16>,
    /// What was asserted, in words that do not change from run to run.
    pub assertion: Assertion,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub actual: String,
    /// The same in words that do not change from run to run.
    pub observed: String,
    /// The place of the assertion in the case's file, a JSON Pointer; empty for what every response is checked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pointer: String,
}

/// A request and its response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// The step.
    pub step: StepLabel,
    /// The identity that sent the request.
    pub speaker: String,
    /// The request.
    pub request: Message,
    /// The response.
    pub response: Message,
}

/// One half of an exchange.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Method and path, or the status.
    pub line: String,
    /// The headers, without the authorization.
    pub headers: Vec<(String, String)>,
    /// The body as text; in JSON it is cut where it is long.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "serialize_body")]
    pub body: Option<String>,
    /// The body's bytes where they are no text.
    #[serde(skip)]
    pub raw: Option<Vec<u8>>,
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
    pub fn text(self) -> &'static str {
        match self {
            Self::Matched => "fails as listed",
            Self::Fixed => "passes now: remove it from the list",
            Self::Unmatched => "matches no failure: correct it or remove it from the list",
            Self::Expired => "has expired: fix the service or renew the entry",
            Self::NotJudged => "was not tested by this run",
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

impl Suspect {
    /// In one line.
    pub fn text(&self) -> String {
        format!(
            "{} of {} distinguishing failures match the known fault `{}`: {} See {}.",
            self.explained,
            self.failed,
            self.fault,
            self.text,
            self.clauses.join(", ")
        )
    }
}

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

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Judged(verdict) => verdict.text(),
            other => other.name(),
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

/// Of several verdicts about one clause, the first of these decides.
pub(super) const DECISIVE: [Verdict; 7] = [
    Verdict::Fail,
    Verdict::SuiteFault,
    Verdict::Fixed,
    Verdict::Deviation,
    Verdict::Pass,
    Verdict::Inconclusive,
    Verdict::NotApplicable,
];

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
            conformance: percent(passed + fixed, judged),
            coverage: percent(judged, counts.values().sum()),
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
    pub fn text(&self) -> String {
        let counts = Verdict::ALL
            .into_iter()
            .map(|verdict| (verdict.text(), self.count(verdict)));
        let counts = counts.filter(|(_, count)| *count > 0);
        let counts: Vec<_> = counts.map(|(name, count)| format!("{count} {name}")).collect();
        if counts.is_empty() {
            "nothing".to_owned()
        } else {
            counts.join(", ")
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of cases are small")]
fn percent(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

impl Scope {
    /// How a partial report says so; `None` for a whole one. `ran` is the number of cases in it.
    pub fn part(&self, ran: usize) -> Option<String> {
        self.partial.then(|| {
            let shard = self
                .shard
                .as_ref()
                .map_or(String::new(), |shard| format!(", shard {shard}"));
            format!("part of the suite: {ran} of {} cases{shard}", self.cases)
        })
    }
}

impl Case {
    /// The chapter it stands in.
    pub fn chapter(&self) -> &str {
        chapter_of(&self.id)
    }

    /// The findings that make it fail.
    pub fn failures(&self, strict: bool) -> impl Iterator<Item = &Finding> {
        let limit = if strict { Weight::Warning } else { Weight::Failure };
        let findings = self.findings.iter();
        findings.filter(move |finding| finding.setup || finding.weight >= limit)
    }

    /// The finding that made it fail; `None` where none did. A response of the wrong kind explains what else is wrong with
    /// it.
    pub fn decisive(&self, strict: bool) -> Option<&Finding> {
        let first = self.failures(strict).next()?;
        let explains = |other: &&Finding| other.exchange == first.exchange && other.assertion.is_of_response();
        self.findings.iter().find(explains).or(Some(first))
    }

    /// The file that it stands in.
    pub fn file(&self) -> String {
        format!("cases/{}.json", self.case)
    }

    /// The exchange that a finding is about.
    pub fn exchange(&self, finding: &Finding) -> Option<&Exchange> {
        self.conversation.get(finding.exchange)
    }

    /// Whether somebody has to look at it: it failed, is listed and passes, or came to no verdict.
    pub fn is_broken(&self) -> bool {
        matches!(
            self.verdict,
            Verdict::Fail | Verdict::SuiteFault | Verdict::Inconclusive | Verdict::Fixed
        )
    }

    /// Why it is broken, in a line; `None` where it is not.
    fn why(&self) -> Option<&str> {
        let reason = self.reason.as_deref();
        match self.verdict {
            Verdict::Fail => self.cause.as_deref().or(reason),
            _ if self.is_broken() => reason,
            _ => None,
        }
    }
}

impl Finding {
    /// What was expected and what was found, in one sentence.
    pub fn text(&self) -> String {
        verdict::text(&self.assertion, &self.expected, &self.actual)
    }
}

impl Message {
    /// The first header of a name, whatever the case of its letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as it is on the wire; a report that was read back has only its text.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.raw.as_deref().or(self.body.as_deref().map(str::as_bytes))
    }

    /// The body as text, cut where it is longer than so many bytes.
    pub fn body_within(&self, limit: usize) -> Option<Cow<'_, str>> {
        self.body.as_deref().map(|body| cut(body, limit))
    }
}

/// A text, cut where it is longer than so many bytes; how long it is, is said then.
pub(super) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(limit);
    Cow::Owned(format!("{}... ({} bytes)", &text[..end], text.len()))
}

#[expect(clippy::ref_option, reason = "it is called with the field as it is")]
fn serialize_body<S: Serializer>(body: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    body.as_deref().map(|body| cut(body, BODY)).serialize(serializer)
}

/// Cases that broke alike.
#[derive(Clone, Debug)]
pub struct Cause<'a> {
    /// What they have in common, in a line.
    pub text: &'a str,
    /// The case to look at first.
    pub example: &'a Case,
    /// The others, in the order of the report.
    pub others: Vec<&'a Case>,
}

impl<'a> Cause<'a> {
    /// The first case of those that break the clause that most of them break is the example.
    fn new(text: &'a str, mut cases: Vec<&'a Case>, strict: bool) -> Option<Self> {
        let broken = |case: &'a Case| case.decisive(strict)?.clauses.first().map(String::as_str);
        let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        for &case in &cases {
            *counts.entry(broken(case)).or_default() += 1;
        }
        let rank = |&(place, &case): &(usize, &&'a Case)| (counts.get(&broken(case)), Reverse(place));
        let (place, _) = cases.iter().enumerate().max_by_key(rank)?;
        let example = cases.remove(place);
        let others = cases;
        Some(Self { text, example, others })
    }

    /// The number of cases.
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// All its cases, the example first.
    pub fn cases(&self) -> impl Iterator<Item = &'a Case> {
        std::iter::once(self.example).chain(self.others.iter().copied())
    }
}

impl Report {
    /// What broke cases, each with those that broke alike; what broke the most comes first, and what the end of the run cut
    /// off is no cause.
    pub fn causes(&self) -> Vec<Cause<'_>> {
        let mut places: BTreeMap<(Verdict, &str), usize> = BTreeMap::new();
        let mut groups: Vec<(&str, Vec<&Case>)> = Vec::new();
        for case in self.cases.iter().filter(|case| !self.is_cut_off(case)) {
            let Some(text) = case.why() else { continue };
            let place = *places.entry((case.verdict, text)).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, alike)) => alike.push(case),
                None => groups.push((text, vec![case])),
            }
        }
        groups.sort_by_key(|(_, cases)| Reverse(cases.len()));
        let causes = groups.into_iter();
        causes
            .filter_map(|(text, cases)| Cause::new(text, cases, self.strict))
            .collect()
    }

    /// The counts of a chapter.
    pub fn summary_of(&self, chapter: &Chapter) -> Summary {
        Summary::of(self.cases.iter().filter(|case| case.chapter() == chapter.name))
    }

    /// Whether the end of the run left a case without a verdict.
    pub fn is_cut_off(&self, case: &Case) -> bool {
        self.halted.is_some() && case.reason == self.halted
    }

    /// Findings of a weight, with their cases.
    pub fn findings(&self, weight: Weight) -> impl Iterator<Item = (&Case, &Finding)> {
        let cases = self.cases.iter();
        let all = cases.flat_map(|case| case.findings.iter().map(move |finding| (case, finding)));
        all.filter(move |(_, finding)| finding.weight == weight)
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

    /// Entries of the list of deviations for which the run fails.
    pub fn stale(&self) -> impl Iterator<Item = &Listed> {
        self.deviations.iter().filter(|listed| listed.state.is_stale())
    }
}

/// A case of a sample: id, verdict, and what was found as assertion and observation.
#[cfg(test)]
pub(crate) type SampleCase<'a> = (&'a str, Verdict, &'a [(&'a str, &'a str)]);

/// A report of some cases, for tests.
#[cfg(test)]
pub(crate) fn sample(cases: &[SampleCase<'_>]) -> Report {
    let cases = cases.iter().map(|(id, verdict, findings)| Case {
        id: (*id).to_owned(),
        case: id.split(['@', '#']).next().map(str::to_owned).unwrap_or_default(),
        title: format!("The case {id}."),
        fingerprint: "same".to_owned(),
        verdict: *verdict,
        clauses: vec!["SES-001".to_owned()],
        exchanges: 1,
        assertions: 1,
        documents: 1,
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
                assertion: Assertion::from(*assertion),
                expected: "200".to_owned(),
                actual: (*observed).to_owned(),
                observed: (*observed).to_owned(),
                pointer: String::new(),
            })
            .collect(),
        conversation: Vec::new(),
    });
    let cases: Vec<Case> = cases.collect();
    Report {
        version: SHAPE,
        suite: Scope {
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
