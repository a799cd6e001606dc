//! What came of a conversation.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::contract::clause::Weight;
use crate::contract::json::document::{Document, Unread};
use crate::contract::version::ContractVersion;
use crate::replay::assertion::Assertion;
use crate::replay::label::StepLabel;
use crate::wire::message::{WireRequest, WireResponse};
use crate::wire::secrets::Secrets;

/// The verdict of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Everything held.
    Pass,
    /// The target broke the contract.
    Fail,
    /// It failed as the list of deviations says.
    Deviation,
    /// It is listed as a deviation, and yet it passed.
    Fixed,
    /// The target declares that it lacks what the case needs.
    NotApplicable,
    /// It could not be judged: no answer, no connection, throttled to the end.
    Inconclusive,
    /// The case itself is at fault.
    SuiteFault,
}

impl Verdict {
    /// All verdicts, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::Pass,
        Self::Fail,
        Self::Deviation,
        Self::Fixed,
        Self::NotApplicable,
        Self::Inconclusive,
        Self::SuiteFault,
    ];

    /// As reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Deviation => "deviation",
            Self::Fixed => "fixed",
            Self::NotApplicable => "notApplicable",
            Self::Inconclusive => "inconclusive",
            Self::SuiteFault => "suiteFault",
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotApplicable => "not applicable",
            Self::SuiteFault => "suite fault",
            other => other.name(),
        }
    }
}

/// A failed assertion, and what it counts for.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it amounts to.
    pub weight: Weight,
    /// The clauses it counts against.
    pub clauses: Vec<String>,
    /// Whether it is about a step that only prepares the case.
    pub is_setup: bool,
    /// The exchange it is about, an index into [`Outcome::exchanges`].
    pub exchange: usize,
    /// What was asserted.
    pub assertion: Assertion,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub actual: String,
    /// Where the case says so, a JSON Pointer into its file; empty for what holds everywhere.
    pub pointer: String,
}

impl Finding {
    /// What was expected and what was found, in one sentence.
    pub fn text(&self) -> String {
        text(&self.assertion, &self.expected, &self.actual)
    }

    /// What was asserted, and what was found, where `stable` puts names for all that changes from run to run: what lists of
    /// deviations match.
    pub fn observed(&self, stable: impl Fn(&str) -> String) -> (Assertion, String) {
        let mut assertion = self.assertion.clone();
        assertion.rewrite(|text| *text = stable(text));
        (assertion, stable(&self.actual))
    }
}

/// What was expected and what was found, in one sentence.
pub(crate) fn text(assertion: &Assertion, expected: &str, actual: &str) -> String {
    match assertion {
        // What a schema finds wrong is a sentence already.
        Assertion::Schema(_) => expected.to_owned(),
        _ => format!("expected {expected}, found {actual}"),
    }
}

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The step that it belongs to.
    pub label: StepLabel,
    /// Who spoke.
    pub speaker: String,
    /// What was sent, without the authorization.
    pub request: WireRequest,
    /// What came back.
    pub response: WireResponse,
    /// The body, if it is JSON.
    pub json: Option<Arc<Document>>,
    /// Why the body was not read, where it should be JSON.
    pub unread: Option<Unread>,
    /// The schema that the body was validated against.
    pub schema: Option<String>,
    /// The schema of the request's body.
    pub request_schema: Option<String>,
}

impl Exchange {
    /// The body as matchers see it: its JSON, or its text as a string; `None` when there is none.
    pub fn document(&self) -> Option<Cow<'_, Document>> {
        match &self.json {
            Some(json) => Some(Cow::Borrowed(json)),
            None if self.response.body.is_empty() => None,
            None => {
                let text = String::from_utf8_lossy(&self.response.body).into_owned();
                Some(Cow::Owned(Document::of_text(text)))
            }
        }
    }
}

/// What came of one variant of a case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The variant's id.
    pub id: String,
    /// The case's id.
    pub case: String,
    /// The contract version it spoke.
    pub version: ContractVersion,
    /// The clauses it tests.
    pub clauses: Vec<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why there is no pass or fail.
    pub reason: Option<String>,
    /// Everything that did not hold.
    pub findings: Vec<Finding>,
    /// The whole conversation; a run of many cases keeps only those that it has something to say about.
    pub exchanges: Vec<Exchange>,
    /// The number of exchanges that there were.
    pub exchange_count: usize,
    /// The number of answers that were successes, and documents as only this contract has them.
    pub documents: usize,
    /// The conversation as canonical text, if it was wanted.
    pub text: Option<String>,
    /// Ledger entries and the readings that the target followed.
    pub readings: Vec<(String, String)>,
    /// The places, in the suite, of the invariants that an answer was held against.
    pub invariants: Vec<usize>,
    /// Values that are fresh, with their names.
    pub fresh: Vec<(String, String)>,
    /// Values that are the target's own, with their names.
    pub own: Arc<[(String, String)]>,
    /// The number of assertions made.
    pub assertions: usize,
    /// What could not be removed from the target.
    pub leftovers: Vec<String>,
    /// How long it took, in ms.
    pub milliseconds: f64,
}

impl Outcome {
    /// The worst of its findings.
    pub fn worst(&self) -> Option<Weight> {
        self.findings.iter().map(|finding| finding.weight).max()
    }

    /// Takes secrets out of what was made of the answers; the answers themselves have none any more.
    pub fn redact(&mut self, secrets: &Secrets) {
        let redactor = secrets.redactor();
        for finding in &mut self.findings {
            finding.assertion.rewrite(|text| redactor.redact_text(text));
            for text in [&mut finding.expected, &mut finding.actual] {
                redactor.redact_text(text);
            }
        }
        for text in self.reason.iter_mut().chain(&mut self.leftovers) {
            redactor.redact_text(text);
        }
    }
}
