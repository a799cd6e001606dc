//! What is held against every answer, whoever asked and whatever for: the schema of its body, and the invariants.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::contract::Suite;
use crate::contract::clause::{Clause, Level, Weight};
use crate::contract::json::document::{Document, Unread};
use crate::contract::json::tree::Tree as _;
use crate::contract::schemas::{self, Judgement, Severity};
use crate::contract::version::ContractVersion;
use crate::replay::assertion::Assertion;
use crate::replay::label::StepLabel;
use crate::replay::scope::{Speaker, Variables};
use crate::replay::verdict::{Exchange, Finding};
use crate::replay::{judge, matching};
use crate::target::Target;
use crate::wire::message::{WireRequest, WireResponse};

/// An exchange, and what came of holding the contract against it.
#[derive(Debug)]
pub struct Held {
    /// The exchange, without its authorization.
    pub exchange: Exchange,
    /// The operation that it addresses, by its id.
    pub operation: Option<String>,
    /// What did not hold; each is about this exchange.
    pub findings: Vec<Finding>,
    /// The places of the invariants that it was held against.
    pub covered: Vec<usize>,
    /// Ledger entries and the readings that the answer follows.
    pub readings: Vec<(String, String)>,
    /// The number of assertions made.
    pub assertions: usize,
}

/// Holds the contract against an exchange that is no part of a case.
pub fn hold_alone(
    suite: &Suite,
    target: &Target,
    version: ContractVersion,
    label: StepLabel,
    request: WireRequest,
    response: WireResponse,
) -> Held {
    let variables = Variables::none(target, version);
    hold(suite, &variables, version, (label, "", 0), request, response, &[])
}

/// Holds the contract against an exchange: its step's label, its speaker, and its place among those `before` it.
pub(super) fn hold(
    suite: &Suite,
    variables: &Variables<'_>,
    version: ContractVersion,
    (label, speaker, place): (StepLabel, &str, usize),
    mut request: WireRequest,
    mut response: WireResponse,
    before: &[Exchange],
) -> Held {
    request
        .headers
        .retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
    let kind = response.header("content-type").unwrap_or_default();
    let is_json = declares_json(kind, response.status)
        .unwrap_or_else(|| matches!(response.body.trim_ascii_start().first(), Some(b'{' | b'[')));
    let (json, unread) = match (is_json && !response.body.is_empty()).then(|| read(&mut response.body, before)) {
        None => (None, None),
        Some(Ok(json)) => (Some(json), None),
        Some(Err(unread)) => (None, Some(unread)),
    };
    let schemas = suite.schemas();
    let operation = schemas.operation(&request.method, &request.path);
    let text = if json.is_none() {
        String::from_utf8_lossy(&response.body)
    } else {
        Cow::Borrowed("")
    };
    let body = match &json {
        _ if response.body.is_empty() => schemas::Body::Empty,
        Some(json) => schemas::Body::Json(json),
        None => schemas::Body::Text(&text),
    };
    // What this program does not read says nothing of the target.
    let is_beyond = matches!(unread, Some(Unread::Limit(_)));
    let is_judged = request.method != "HEAD" && !is_beyond;
    let judgement = operation.map(|operation| schemas.judge(&operation, response.status, version, body));
    let Judgement { schema, violations, .. } = judgement.filter(|_| is_judged).unwrap_or_default();
    drop(text);
    if let (Some(schema), Some(json)) = (&schema, &json) {
        schemas.note_names(schema, version, json);
    }
    let mut held = Held {
        exchange: Exchange {
            label,
            speaker: speaker.to_owned(),
            request,
            response,
            json,
            unread,
            schema,
            request_schema: operation.and_then(|operation| operation.request_schema().map(str::to_owned)),
        },
        operation: operation.map(|operation| operation.path().id.clone()),
        findings: Vec::new(),
        covered: Vec::new(),
        readings: Vec::new(),
        assertions: 1,
    };
    let due = match &operation {
        Some(operation) => operation.clauses(held.exchange.response.status),
        None => &[],
    };
    let is_optional = |id: &String| suite.clause(id).is_some_and(|clause| clause.level == Level::May);
    let optional = Some(due).filter(|due| !due.is_empty() && due.iter().all(is_optional));
    for violation in violations {
        let weight = match violation.severity {
            Severity::Remark => Weight::Remark,
            _ => Weight::Failure,
        };
        let clauses: Vec<String> = violation.clause.into_iter().collect();
        let (weight, clauses) = match optional {
            // What the service may leave undone breaks no more than that by how it is done.
            Some(optional) => (weight.min(weigh(suite, optional)), optional.to_vec()),
            None if clauses.is_empty() => (weight, clauses),
            None => (weight.min(weigh(suite, &clauses)), clauses),
        };
        let (json, unread) = (held.exchange.json.as_ref(), held.exchange.unread.as_ref());
        held.findings.push(Finding {
            weight,
            clauses,
            is_setup: false,
            exchange: place,
            assertion: Assertion::Schema(violation.pointer.clone()),
            expected: match unread {
                Some(unread) => format!("{} ({unread})", violation.message),
                None => violation.message,
            },
            actual: json.map_or_else(
                || unread.map_or("not JSON".to_owned(), |unread| format!("no JSON: {unread}")),
                |json| matching::show(json.value().pointer(&violation.pointer)),
            ),
            pointer: String::new(),
        });
    }
    if let Some(name) = held.exchange.json.as_ref().and_then(|json| json.repeated_name()) {
        let finding = repeated(suite, place, name);
        held.findings.push(finding);
    }
    if !is_beyond {
        held.judge_invariants(suite, variables, place);
    }
    held
}

/// A remark on a body in which an object has several members of one name: readers may take any of them.
fn repeated(suite: &Suite, place: usize, name: &str) -> Finding {
    let clauses = suite.clause("HDR-009").map(|clause| clause.id.clone());
    Finding {
        weight: Weight::Remark,
        clauses: clauses.into_iter().collect(),
        is_setup: false,
        exchange: place,
        assertion: Assertion::Content,
        expected: "each name once in an object (RFC 8259 4)".to_owned(),
        actual: format!("several members named `{name}`, of which the last is taken"),
        pointer: String::new(),
    }
}

/// Whether a media type is that of JSON; `None` where the body has to be looked at: a session under a wrong name is still one,
/// while a message for people may look like anything.
fn declares_json(kind: &str, status: u16) -> Option<bool> {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        _ if essence.ends_with("/json") || essence.ends_with("+json") => Some(true),
        _ if essence.starts_with("text/") && status >= 400 => Some(false),
        _ => None,
    }
}

/// How many exchanges back an answer is looked for that was the same: whatever nobody changed is read again and again.
const RECENT: usize = 3;

/// The JSON of a body, which may be that of an answer before; what is the same is kept once.
fn read(body: &mut Bytes, before: &[Exchange]) -> Result<Arc<Document>, Unread> {
    let recent = before.iter().rev().take(RECENT);
    let mut known = recent.filter_map(|exchange| Some((exchange.json.as_ref()?, &exchange.response.body)));
    let same = known.find(|(_, known)| *known == body);
    match same {
        Some((document, known)) => {
            *body = known.clone();
            Ok(Arc::clone(document))
        }
        None => Document::share(body),
    }
}

impl Held {
    /// Whether the answer is a document of the contract: one with a defect is still one, and an empty object is a document
    /// of everything.
    pub fn is_document(&self) -> bool {
        let json = self.exchange.json.as_deref().map(Document::root);
        let is_sound = || {
            !self
                .findings
                .iter()
                .any(|finding| matches!(finding.assertion, Assertion::Schema(_)))
        };
        let is_some = json.is_some_and(|json| {
            json.member("constants").is_some()
                || json.members().is_some_and(|mut one| one.next().is_some()) && is_sound()
        });
        is_some && self.exchange.schema.is_some() && (200..300).contains(&self.exchange.response.status)
    }

    fn judge_invariants(&mut self, suite: &Suite, variables: &Variables<'_>, place: usize) {
        let Some(operation) = &self.operation else { return };
        let exchange = &self.exchange;
        let (response, content) = (&exchange.response, judge::content(exchange));
        for (covered, invariant) in suite.invariants_on(operation, &exchange.request.method, response.status, content) {
            self.assertions += 1;
            self.covered.push(covered);
            let around = judge::Context {
                variables,
                speaker: Speaker {
                    name: &exchange.speaker,
                    copy: 1,
                },
                named: &|_| None,
            };
            for failure in judge::judge(&invariant.expect, exchange, around, &mut self.readings) {
                self.findings.push(Finding {
                    weight: weigh(suite, &invariant.clauses),
                    clauses: invariant.clauses.clone(),
                    is_setup: false,
                    exchange: place,
                    assertion: failure.assertion,
                    expected: failure.expected,
                    actual: failure.actual,
                    pointer: String::new(),
                });
            }
        }
    }
}

/// What a finding against some clauses amounts to.
pub fn weigh(suite: &Suite, clauses: &[String]) -> Weight {
    let weights = clauses.iter().filter_map(|id| suite.clause(id)).map(Clause::weight);
    weights.max().unwrap_or(Weight::Failure)
}
