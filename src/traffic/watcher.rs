//! Judges what passes, exchange by exchange, and remembers each kind of finding once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::contract::Suite;
use crate::contract::clause::Weight;
use crate::contract::json::document::Document;
use crate::contract::schemas::Severity;
use crate::contract::version::ContractVersion;
use crate::replay::assertion::Assertion;
use crate::replay::contract::{self, Held};
use crate::replay::label::StepLabel;
use crate::replay::verdict::{Exchange, Finding, Outcome, Verdict};
use crate::target::Target;
use crate::traffic::proxy::Copy;
use crate::traffic::redaction::Redaction;
use crate::traffic::{Message, contract_path, header};
use crate::wire::coding;
use crate::wire::message::{WireRequest, WireResponse};

/// The longest body that is judged, in bytes, after it was decompressed.
const LONGEST: usize = 16 << 20;
/// How many kinds of findings are told apart.
const MANY: usize = 2_000;
/// How much of a body is kept with a finding, in bytes.
const KEPT: usize = 64 << 10;

/// Something that was found for the first time.
#[derive(Clone, Debug)]
pub struct News {
    /// What was asked: `PUT session 200`, or `frame`.
    pub kind: String,
    /// The number of the exchange, from 1.
    pub number: usize,
    /// What did not hold.
    pub finding: Finding,
}

/// What passed, counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Exchanges that were seen.
    pub exchanges: usize,
    /// Exchanges that the contract speaks of, and that were judged.
    pub judged: usize,
    /// Messages on real-time sockets that were judged.
    pub messages: usize,
    /// Exchanges about something else.
    pub foreign: usize,
    /// Exchanges, or parts of them, that were too long, cut off or encoded in an unknown way.
    pub unread: usize,
    /// Requests that the target gave no answer to.
    pub failed: usize,
}

/// Judges what passes.
#[derive(Debug)]
pub struct Watcher<'a> {
    suite: &'a Suite,
    target: &'a Target,
    strict: bool,
    counts: Counts,
    /// What was found of each operation and verb.
    kinds: BTreeMap<String, Kind>,
    /// How often each kind of finding was there.
    known: BTreeMap<(String, String, String), usize>,
}

#[derive(Debug, Default)]
struct Kind {
    exchanges: usize,
    documents: usize,
    assertions: usize,
    milliseconds: f64,
    clauses: Vec<String>,
    covered: Vec<usize>,
    readings: Vec<(String, String)>,
    findings: Vec<Finding>,
    /// The exchanges that findings are about.
    kept: Vec<Exchange>,
}

impl<'a> Watcher<'a> {
    /// A watcher that has seen nothing yet.
    pub fn new(suite: &'a Suite, target: &'a Target, strict: bool) -> Self {
        Self {
            suite,
            target,
            strict,
            counts: Counts::default(),
            kinds: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    /// What passed so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Looks at an exchange; what is found for the first time is returned, without secrets.
    pub fn see(&mut self, copy: &Copy, redaction: &mut Redaction) -> Vec<News> {
        self.counts.exchanges += 1;
        if copy.failure.is_some() {
            self.counts.failed += 1;
            return Vec::new();
        }
        let passed = &copy.passed;
        let schemas = self.suite.schemas();
        let (method, headers) = (&passed.request.method, &passed.request.headers);
        let Some(path) = contract_path(schemas, method, &passed.request.path, headers) else {
            self.counts.foreign += 1;
            return Vec::new();
        };
        if passed.is_socket() {
            self.counts.unread += usize::from(copy.messages_gap.is_some());
            return Vec::new();
        }
        let Some(operation) = schemas.operation(method, path) else {
            self.counts.foreign += 1;
            return Vec::new();
        };
        let kind = format!("{method} {}", operation.path().id);
        let body = match copy.response_gap {
            Some(_) => None,
            None => {
                let coding = header(&passed.response.headers, "content-encoding").unwrap_or_default();
                coding::decode(coding, &passed.response.body, LONGEST).ok()
            }
        };
        let Some(body) = body else {
            self.counts.unread += 1;
            return Vec::new();
        };
        self.counts.judged += 1;
        let version = passed.version().unwrap_or(ContractVersion::CURRENT);
        let status = passed.response.status;
        let accepted = (200..300).contains(&status);
        let request = WireRequest {
            method: method.clone(),
            path: redaction.path(path),
            headers: redaction.headers(headers),
            body: passed.request.body.as_ref().map(|body| redaction.body(body).into()),
        };
        let response = WireResponse {
            status,
            headers: redaction.headers(&passed.response.headers),
            body: redaction.body(&body).into(),
            ..WireResponse::default()
        };
        let sent = match copy.request_gap {
            None => self.judge_request(&kind, operation.request_schema(), version, copy, accepted),
            Some(_) => Vec::new(),
        };
        let label = StepLabel::new(self.counts.exchanges);
        let held = contract::hold_alone(self.suite, self.target, version, label, request, response);
        self.keep(&kind, status, held, sent, passed.milliseconds)
    }

    /// What is wrong with a request; one that was refused for it is only worth a remark.
    fn judge_request(
        &self,
        kind: &str,
        schema: Option<&str>,
        version: ContractVersion,
        copy: &Copy,
        accepted: bool,
    ) -> Vec<Finding> {
        let Some(schema) = schema else { return Vec::new() };
        let passed = &copy.passed;
        let coding = header(&passed.request.headers, "content-encoding").unwrap_or_default();
        let body = passed.request.body.as_deref().unwrap_or_default();
        let body = coding::decode(coding, body, LONGEST).unwrap_or_default();
        let Ok(body) = Document::parse(&body) else {
            return Vec::new();
        };
        let violations = self.suite.schemas().validate(schema, version, body.value());
        let violations = violations
            .into_iter()
            .filter(|violation| violation.severity == Severity::Violation);
        let told = violations.map(|violation| Finding {
            weight: if accepted { Weight::Warning } else { Weight::Remark },
            clauses: violation.clause.into_iter().collect(),
            is_setup: false,
            exchange: 0,
            assertion: Assertion::Request(violation.pointer),
            expected: violation.message,
            actual: format!("{kind} was {}", if accepted { "accepted" } else { "refused" }),
            pointer: String::new(),
        });
        told.collect()
    }

    /// Looks at a message of a socket that is still open.
    pub fn hear(&mut self, path: &str, message: &Message, redaction: &mut Redaction) -> Vec<News> {
        let Some(text) = &message.text else { return Vec::new() };
        self.counts.messages += 1;
        let text = redaction.message(text);
        let (kind, schema) = if message.is_sent {
            ("SEND frame", "realtime-request")
        } else {
            ("RECEIVE frame", "realtime-frame")
        };
        let wrong = |assertion: Assertion, clauses: Vec<String>, expected: String| Finding {
            weight: if message.is_sent {
                Weight::Warning
            } else {
                contract::weigh(self.suite, &clauses)
            },
            clauses,
            is_setup: false,
            exchange: 0,
            assertion,
            expected,
            actual: text.chars().take(200).collect(),
            pointer: String::new(),
        };
        let json = Document::parse(text.as_bytes()).map(Arc::new);
        let (json, unread) = match json {
            Ok(json) => (Some(json), None),
            Err(unread) => (None, Some(unread)),
        };
        let findings: Vec<Finding> = match &json {
            None => vec![wrong(Assertion::Frame, vec!["RTA-002".to_owned()], "JSON".to_owned())],
            Some(frame) => {
                let violations = self
                    .suite
                    .schemas()
                    .validate_document(schema, ContractVersion::CURRENT, frame)
                    .into_iter();
                let violations = violations.filter(|violation| violation.severity == Severity::Violation);
                violations
                    .map(|violation| {
                        let clauses = violation.clause.into_iter().collect();
                        wrong(Assertion::Schema(violation.pointer), clauses, violation.message)
                    })
                    .collect()
            }
        };
        let held = Held {
            exchange: Exchange {
                label: StepLabel::new(self.counts.exchanges),
                speaker: String::new(),
                request: WireRequest {
                    method: "FRAME".to_owned(),
                    path: path.to_owned(),
                    body: message.is_sent.then(|| Bytes::from(text.clone())),
                    ..WireRequest::default()
                },
                response: WireResponse {
                    body: if message.is_sent { Bytes::new() } else { text.into() },
                    ..WireResponse::default()
                },
                json: json.filter(|_| !message.is_sent),
                unread: unread.filter(|_| !message.is_sent),
                schema: None,
                request_schema: None,
            },
            operation: None,
            findings,
            covered: Vec::new(),
            readings: Vec::new(),
            assertions: 1,
        };
        self.keep(kind, 0, held, Vec::new(), 0.0)
    }

    fn keep(&mut self, name: &str, status: u16, held: Held, sent: Vec<Finding>, milliseconds: f64) -> Vec<News> {
        let kind = self.kinds.entry(name.to_owned()).or_default();
        kind.exchanges += 1;
        kind.documents += usize::from(held.is_document());
        kind.assertions += held.assertions;
        kind.milliseconds += milliseconds;
        for place in held.covered {
            if !kind.covered.contains(&place) {
                kind.covered.push(place);
            }
        }
        for reading in held.readings {
            if !kind.readings.contains(&reading) {
                kind.readings.push(reading);
            }
        }
        let mut news = Vec::new();
        for mut finding in held.findings.into_iter().chain(sent) {
            let told = if status == 0 {
                name.to_owned()
            } else {
                format!("{name} {status}")
            };
            let assertion = finding.assertion.clone().general().to_string();
            let key = (told.clone(), assertion, finding.clauses.join(" "));
            if self.known.len() >= MANY && !self.known.contains_key(&key) {
                let other = (told, "and more of other kinds".to_owned(), String::new());
                *self.known.entry(other).or_default() += 1;
                continue;
            }
            let count = self.known.entry(key).or_default();
            *count += 1;
            if *count > 1 {
                continue;
            }
            finding.exchange = kind.kept.len();
            let mut kept = finding.clone();
            if matches!(finding.assertion, Assertion::Request(_)) {
                // What a client does wrong says nothing about how the target keeps the clause.
                kept.clauses.clear();
            }
            for clause in &kept.clauses {
                if !kind.clauses.contains(clause) {
                    kind.clauses.push(clause.clone());
                }
            }
            kind.findings.push(kept);
            news.push(News {
                kind: told,
                number: self.counts.exchanges,
                finding,
            });
        }
        if !news.is_empty() {
            let mut exchange = held.exchange;
            exchange.response.body.truncate(KEPT);
            if let Some(body) = &mut exchange.request.body {
                body.truncate(KEPT);
            }
            kind.kept.push(exchange);
        }
        news
    }

    /// How often what was found was there: kind, place, clauses, and the number.
    pub fn tally(&self) -> impl Iterator<Item = (&str, &str, &str, usize)> {
        let told = self.known.iter();
        told.map(|((kind, assertion, clauses), count)| (kind.as_str(), assertion.as_str(), clauses.as_str(), *count))
    }

    /// What came of it, one outcome an operation and verb.
    pub fn into_outcomes(self) -> Vec<Outcome> {
        let limit = if self.strict { Weight::Warning } else { Weight::Failure };
        let outcome = |(name, kind): (String, Kind)| {
            let is_failed = kind.findings.iter().any(|finding| finding.weight >= limit);
            let id = format!("watched/{}", name.to_lowercase().replace(' ', "-"));
            Outcome {
                case: id.clone(),
                id,
                version: ContractVersion::CURRENT,
                clauses: kind.clauses,
                verdict: if is_failed { Verdict::Fail } else { Verdict::Pass },
                findings: kind.findings,
                exchanges: kind.kept,
                exchange_count: kind.exchanges,
                documents: kind.documents,
                readings: kind.readings,
                invariants: kind.covered.into_iter().collect(),
                assertions: kind.assertions,
                milliseconds: kind.milliseconds,
                reason: None,
                text: None,
                fresh: Vec::new(),
                own: Arc::default(),
                leftovers: Vec::new(),
            }
        };
        self.kinds.into_iter().map(outcome).collect()
    }
}
