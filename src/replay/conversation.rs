//! One variant of a case, from its first request to its verdict.

use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use crate::contract::case::{Action, Body, Case, Expectation, Request, Script, Source, Step, Variant, variable};
use crate::contract::clause::Weight;
use crate::contract::json::document::{Document, Tree};
use crate::replay::assertion::Assertion;
use crate::replay::judge::{self, Failure};
use crate::replay::label::{Part, StepLabel};
use crate::replay::scope::{Speaker, Variables};
use crate::replay::verdict::{Exchange, Finding, Outcome, Verdict};
use crate::replay::{Replay, Strictness, contract, matching};
use crate::wire::error::WireError;
use crate::wire::message::{WireRequest, WireResponse};
use crate::wire::socket::{Offer, Opened, PROTOCOL_HEADER, Socket};
use crate::wire::transport::Patience;

/// The schema of what comes over a socket.
const FRAME_SCHEMA: &str = "realtime-frame";
/// How long `within` waits between two attempts, in ms.
const POLL: u64 = 250;
/// How long a run that was interrupted goes on to take back what a conversation made.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a conversation ended early.
enum Stop {
    /// Something did not hold; what follows would be noise.
    Failed,
    /// No verdict is possible.
    Inconclusive(String),
    /// The case uses a variable that has no value.
    Unfilled(String),
}

/// The outcome of a variant that the target cannot be asked.
pub(super) fn not_applicable(
    replay: &Replay,
    case: &Case,
    variant: &Variant,
    script: &Script,
    reason: String,
) -> Outcome {
    let conversation = Conversation::new(replay, case, variant, script);
    conversation.into_outcome(Verdict::NotApplicable, Some(reason), Instant::now(), Vec::new())
}

/// Replays one variant of a case.
pub(super) async fn replay(replay: &Replay, case: &Case, variant: &Variant, script: &Script) -> Outcome {
    let start = Instant::now();
    let mut conversation = Conversation::new(replay, case, variant, script);
    let limit = limit(replay, script);
    let stop = tokio::select! {
        biased;
        halted = replay.transport.reached_halt() => Ok(Err(Stop::Inconclusive(halted.reason.to_string()))),
        stop = tokio::time::timeout(limit, conversation.run()) => stop,
    };
    let (verdict, reason) = match stop {
        Err(_) => (
            Verdict::Inconclusive,
            Some(format!("not done within {} s", limit.as_secs_f32())),
        ),
        Ok(Err(Stop::Inconclusive(reason))) => (Verdict::Inconclusive, Some(reason)),
        // Where something did not hold, what it should have shown cannot be used.
        Ok(Err(Stop::Unfilled(name))) if conversation.findings.is_empty() => {
            (Verdict::SuiteFault, Some(format!("`{{{name}}}` has no value")))
        }
        Ok(Ok(()) | Err(Stop::Failed | Stop::Unfilled(_))) => {
            let limit = match replay.options.strictness {
                Strictness::Failures => Weight::Failure,
                Strictness::Warnings => Weight::Warning,
                Strictness::Everything => {
                    for finding in &mut conversation.findings {
                        finding.weight = Weight::Failure;
                    }
                    Weight::Remark
                }
            };
            let is_failed = conversation
                .findings
                .iter()
                .any(|finding| finding.is_setup || finding.weight >= limit);
            (if is_failed { Verdict::Fail } else { Verdict::Pass }, None)
        }
    };
    let (verdict, reason) = if verdict == Verdict::Pass && conversation.assertions == 0 {
        (Verdict::SuiteFault, Some("nothing was asserted".to_owned()))
    } else {
        (verdict, reason)
    };
    let leftovers = if replay.target.is_disposable {
        Vec::new()
    } else {
        conversation.clean_up().await
    };
    conversation.into_outcome(verdict, reason, start, leftovers)
}

struct Conversation<'a> {
    replay: &'a Replay,
    case: &'a Case,
    variant: &'a Variant,
    script: &'a Script,
    variables: Variables<'a>,
    exchanges: Vec<Exchange>,
    findings: Vec<Finding>,
    readings: Vec<(String, String)>,
    /// Of each invariant, by its place, whether it was held against an answer.
    covered: Vec<bool>,
    assertions: usize,
    /// The latest exchange of each named step.
    named: HashMap<&'a str, usize>,
    /// The open sockets, by the case's name for them.
    sockets: HashMap<&'a str, Socket>,
    /// How far the conversation's clock is ahead of the target's, in ms.
    advance: u64,
    /// Its turn to speak, where the target has a pace; whoever waits for time to pass lets another one speak.
    turn: Option<OwnedSemaphorePermit>,
    /// Answers that were successes and documents of the contract.
    documents: usize,
}

impl<'a> Conversation<'a> {
    fn new(replay: &'a Replay, case: &'a Case, variant: &'a Variant, script: &'a Script) -> Self {
        Self {
            variables: Variables::new(&replay.target, script, variant.version),
            replay,
            case,
            variant,
            script,
            exchanges: Vec::new(),
            findings: Vec::new(),
            readings: Vec::new(),
            covered: Vec::new(),
            assertions: 0,
            named: HashMap::new(),
            sockets: HashMap::new(),
            advance: 0,
            turn: None,
            documents: 0,
        }
    }

    fn into_outcome(self, verdict: Verdict, reason: Option<String>, start: Instant, leftovers: Vec<String>) -> Outcome {
        Outcome {
            id: self.variant.id.clone(),
            case: self.case.id.clone(),
            version: self.variant.version,
            clauses: self.variant.clauses.clone(),
            verdict,
            reason,
            fresh: self.variables.fresh(),
            own: Arc::clone(&self.replay.own),
            findings: self.findings,
            exchange_count: self.exchanges.len(),
            documents: self.documents,
            exchanges: self.exchanges,
            text: None,
            readings: self.readings,
            invariants: (0..)
                .zip(self.covered)
                .filter_map(|(place, is_covered)| is_covered.then_some(place))
                .collect(),
            assertions: self.assertions,
            leftovers,
            milliseconds: start.elapsed().as_secs_f64() * 1000.0,
        }
    }

    async fn run(&mut self) -> Result<(), Stop> {
        if let Some(turns) = &self.replay.turns {
            // It is never closed.
            self.turn = Arc::clone(turns).acquire_owned().await.ok();
        }
        for (index, step) in self.script.steps().enumerate() {
            if let Some(milliseconds) = step.after {
                self.pass_time(milliseconds).await;
            }
            let label = StepLabel::new(index + 1);
            let is_done = match step.within {
                // A frame is waited for, not asked for again.
                Some(limit) if !matches!(step.action, Action::Frame(..)) => self.run_until(step, label, limit).await?,
                _ => self.run_once(step, label).await?,
            };
            if !is_done {
                return Err(Stop::Failed);
            }
        }
        Ok(())
    }

    /// Lets the target's time pass: by its clock where that can be moved, else by waiting.
    async fn pass_time(&mut self, milliseconds: u64) {
        if self.replay.target.advance_header.is_some() {
            self.advance = self.advance.saturating_add(milliseconds);
        } else {
            self.turn = None;
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        }
    }

    /// Repeats a step until it holds, or its time is over; only the last attempt is kept.
    async fn run_until(&mut self, step: &'a Step, label: StepLabel, limit: u64) -> Result<bool, Stop> {
        let mut left = limit;
        loop {
            let before = (
                self.exchanges.len(),
                self.findings.len(),
                self.readings.len(),
                self.assertions,
            );
            let is_done = self.run_once(step, label).await?;
            if left == 0 || is_done && self.findings.len() == before.1 {
                return Ok(is_done);
            }
            self.exchanges.truncate(before.0);
            self.findings.truncate(before.1);
            self.readings.truncate(before.2);
            self.assertions = before.3;
            let pause = POLL.min(left);
            left -= pause;
            self.pass_time(pause).await;
        }
    }

    /// Carries out a step; false when something failed that makes what follows noise.
    async fn run_once(&mut self, step: &'a Step, label: StepLabel) -> Result<bool, Stop> {
        let known = self.findings.len();
        let guard = step
            .expectations()
            .find_map(|expectation| Some((expectation, expectation.guarded()?)));
        let before = match guard {
            Some((_, path)) => Some(self.observe(path, label.with(Part::Before)).await?),
            None => None,
        };
        let first = self.exchanges.len();
        match &step.action {
            Action::Send(request) => {
                self.send(request, label).await?;
            }
            Action::Again(name) => {
                let mut steps = self.script.steps();
                let named = steps.find(|step| step.name.as_ref() == Some(name));
                for request in named.map(Step::requests).unwrap_or_default() {
                    self.send(request, label.with(Part::Again)).await?;
                }
            }
            Action::Together(requests) => self.send_together(requests, label).await?,
            Action::Open(name, request) => {
                if let Some(broken) = self.open(name, request, label).await? {
                    let failure = Failure {
                        assertion: Assertion::Handshake,
                        expected: "an answer that opens the socket".to_owned(),
                        actual: broken,
                        pointer: format!("{}/expect/status", step.pointer),
                    };
                    self.add(step, step.expect.as_ref(), self.exchanges.len() - 1, failure);
                }
            }
            Action::Frame(name, frame) => self.frame(step, name, frame.as_ref(), label).await?,
            Action::Close(name) => {
                if let Some(socket) = self.sockets.remove(name.as_str()) {
                    socket.close().await;
                }
                return Ok(true);
            }
        }
        let last = self.exchanges.len();
        if last == first {
            return Err(Stop::Inconclusive("the step sent nothing".to_owned()));
        }
        for index in first..last {
            // A frame that did not come was told already.
            let is_missed = matches!(step.action, Action::Frame(..)) && self.findings.len() > known;
            let expected = step.expect.iter().chain(&step.also);
            for expectation in expected.filter(|_| !is_missed) {
                self.judge(step, expectation, index);
            }
            let status = self.exchanges.get(index).map_or(0, |exchange| exchange.response.status);
            for (_, expectation) in step.each.iter().filter(|(set, _)| set.contains(status)) {
                self.judge(step, expectation, index);
            }
        }
        self.judge_tally(step, first, last);
        self.filled()?;
        let is_due = |expectation: &Expectation| {
            let followed = |(entry, alternatives): &(String, Vec<(String, Expectation)>)| {
                let is_followed = |key: &String| self.readings.iter().any(|(e, k)| e == entry && k == key);
                alternatives
                    .iter()
                    .any(|(key, reading)| reading.guarded().is_some() && is_followed(key))
            };
            expectation.unchanged.is_some() || expectation.reading.as_ref().is_some_and(followed)
        };
        let guard = guard.filter(|(expectation, _)| is_due(expectation));
        if let (Some((expectation, path)), Some(before)) = (guard, before) {
            let after = self.observe(path, label.with(Part::After)).await?;
            self.assertions += 1;
            let found = match (self.exchanges.get(before), self.exchanges.get(after)) {
                (Some(before), Some(after)) => judge::differences(before, after, true),
                _ => Vec::new(),
            };
            for (difference, expected, actual) in found {
                let pointer = format!("{}/unchanged", expectation.pointer);
                self.add(
                    step,
                    Some(expectation),
                    after,
                    Failure {
                        assertion: Assertion::Unchanged(difference),
                        expected,
                        actual,
                        pointer,
                    },
                );
            }
        }
        if let Some(name) = &step.name {
            self.named.insert(name, last - 1);
        }
        let is_noise = |finding: &Finding| finding.weight == Weight::Failure || finding.is_setup;
        Ok(!self.findings.iter().skip(known).any(is_noise))
    }

    /// Reads a session for `unchanged`; the exchange's index.
    async fn observe(&mut self, path: &str, label: StepLabel) -> Result<usize, Stop> {
        let request = Request::bare(&self.script.observer, "GET", path.to_owned());
        self.send(&request, label).await
    }

    async fn send(&mut self, request: &Request, label: StepLabel) -> Result<usize, Stop> {
        let speaker = Speaker {
            name: &request.speaker,
            copy: 1,
        };
        let mut wire = self.wire_request(request, speaker)?;
        let transport = &self.replay.transport;
        let response = transport.deliver(&request.speaker, &mut wire, self.patience()).await?;
        // Whatever else has come is read first: answers are judged faster one after the other than each between two reads.
        tokio::task::yield_now().await;
        self.record(label, &request.speaker, wire, response);
        Ok(self.exchanges.len() - 1)
    }

    async fn send_together(&mut self, requests: &[Request], label: StepLabel) -> Result<(), Stop> {
        let mut wires: Vec<_> = requests
            .iter()
            .enumerate()
            .map(|(index, request)| {
                let speaker = Speaker {
                    name: &request.speaker,
                    copy: index + 1,
                };
                self.wire_request(request, speaker)
            })
            .collect::<Result<_, _>>()?;
        let patience = self.patience();
        let deliveries = requests
            .iter()
            .zip(&mut wires)
            .map(|(request, wire)| self.replay.transport.deliver(&request.speaker, wire, patience));
        let responses = join_all(deliveries).await;
        for (index, ((request, wire), response)) in requests.iter().zip(wires).zip(responses).enumerate() {
            let response = response?;
            self.record(label.with(Part::Copy(index + 1)), &request.speaker, wire, response);
        }
        Ok(())
    }

    /// Opens a real-time socket; what comes of it is recorded like any answer. Tells what is wrong with a handshake that a
    /// client cannot take.
    async fn open(&mut self, name: &'a str, request: &Request, label: StepLabel) -> Result<Option<String>, Stop> {
        let speaker = Speaker {
            name: &request.speaker,
            copy: 1,
        };
        let mut wire = self.wire_request(request, speaker)?;
        let is_left_out = request
            .headers
            .iter()
            .any(|(name, values)| values.is_empty() && name.eq_ignore_ascii_case(PROTOCOL_HEADER));
        let offer = if is_left_out { Offer::Nothing } else { Offer::Protocol };
        let transport = &self.replay.transport;
        let (socket, response) = transport
            .open(&request.speaker, &mut wire, offer, self.patience())
            .await?;
        self.record(label, &request.speaker, wire, response);
        match socket {
            Opened::Open(socket) => {
                self.sockets.insert(name, socket);
                Ok(None)
            }
            Opened::Refused => Ok(None),
            Opened::Broken(broken) => Ok(Some(broken)),
        }
    }

    /// Sends a frame, and waits for the one that the step expects.
    async fn frame(&mut self, step: &'a Step, name: &str, frame: Option<&Value>, label: StepLabel) -> Result<(), Stop> {
        let speaker = Speaker { name: "", copy: 1 };
        let Some(mut socket) = self.sockets.remove(name) else {
            return Err(Stop::Inconclusive(format!("the socket `{name}` is not open")));
        };
        let mut wire = WireRequest {
            method: "FRAME".to_owned(),
            path: name.to_owned(),
            ..WireRequest::default()
        };
        if let Some(frame) = frame {
            let frame = variable::generate(&self.variables.json(frame, speaker)).into_owned();
            self.filled()?;
            wire.body = Some(Bytes::from(match &frame {
                Value::String(text) => text.clone(),
                json => json.to_string(),
            }));
            socket.send(&frame).await?;
        }
        let mut failure = None;
        let mut received = None;
        if let Some(expectation) = &step.expect {
            if let Some(matcher) = &expectation.body {
                let matcher = self.variables.matcher(matcher, speaker);
                let limit = step
                    .within
                    .map_or(self.replay.options.frame_limit, Duration::from_millis);
                match socket.expect(|frame| matcher.fits(Some(frame)), limit).await {
                    Ok(frame) => received = Some(frame),
                    // A connection that breaks with the whole target says nothing of frames.
                    Err(frames)
                        if frames.contains(&json!({ "closed": null })) && !self.replay.transport.is_there().await =>
                    {
                        let reason = "the socket broke, and the target is not there any more";
                        return Err(Stop::Inconclusive(reason.to_owned()));
                    }
                    Err(frames) => {
                        failure = Some(Failure {
                            assertion: Assertion::Frame,
                            expected: matching::show(Some(matcher.said())),
                            actual: matching::show(Some(&Value::Array(frames))),
                            pointer: format!("{}/body", expectation.pointer),
                        });
                    }
                }
            }
            if let Some(matcher) = &expectation.none {
                let matcher = self.variables.matcher(matcher, speaker);
                let fits = |frame: &Value| matcher.fits(Some(frame));
                if let Some(frame) = socket.frames().into_iter().find(fits) {
                    failure = Some(Failure {
                        assertion: Assertion::NoFrame,
                        expected: format!("no frame like {}", matching::show(Some(matcher.said()))),
                        actual: matching::show(Some(&frame)),
                        pointer: format!("{}/none", expectation.pointer),
                    });
                }
            }
        }
        let body = received
            .as_ref()
            .map(|frame| Bytes::from(frame.to_string()))
            .unwrap_or_default();
        let json = received.as_ref().map(|frame| Arc::new(Document::from(frame)));
        if let Some(json) = &json {
            let schemas = self.replay.suite.schemas();
            schemas.note_names(FRAME_SCHEMA, self.variant.version, json);
        }
        let opened = self.script.steps().find_map(|step| match &step.action {
            Action::Open(open, request) if open == name => Some((open.as_str(), request.speaker.clone())),
            _ => None,
        });
        let (name, speaker) = opened.unwrap_or_default();
        self.exchanges.push(Exchange {
            label,
            speaker,
            request: wire,
            response: WireResponse {
                body,
                ..WireResponse::default()
            },
            schema: received.is_some().then(|| FRAME_SCHEMA.to_owned()),
            json,
            request_schema: None,
        });
        self.sockets.insert(name, socket);
        if let Some(failure) = failure {
            self.add(step, step.expect.as_ref(), self.exchanges.len() - 1, failure);
        }
        Ok(())
    }

    fn patience(&self) -> Patience {
        Patience {
            expects_throttling: self.case.needs.iter().any(|need| need == "rate-limits"),
            pauses: self.replay.options.case_limit / 2,
        }
    }

    fn record(&mut self, label: StepLabel, speaker: &str, request: WireRequest, response: WireResponse) {
        let place = (label, speaker, self.exchanges.len());
        let suite = &self.replay.suite;
        let held = contract::hold(
            suite,
            &self.variables,
            self.variant.version,
            place,
            request,
            response,
            &self.exchanges,
        );
        self.documents += usize::from(held.is_document());
        if let Some(document) = &held.exchange.json {
            self.variables.show(document);
        }
        self.exchanges.push(held.exchange);
        self.findings.extend(held.findings);
        for place in held.covered {
            if self.covered.len() <= place {
                self.covered.resize(place + 1, false);
            }
            if let Some(is_covered) = self.covered.get_mut(place) {
                *is_covered = true;
            }
        }
        self.readings.extend(held.readings);
        self.assertions += held.assertions;
    }

    /// Holds an exchange against an expectation, and keeps what it captures.
    fn judge(&mut self, step: &Step, expectation: &'a Expectation, index: usize) {
        let Some(exchange) = self.exchanges.get(index) else {
            return;
        };
        let named = |name: &str| self.exchanges.get(*self.named.get(name)?);
        let speaker = Speaker {
            name: &exchange.speaker,
            copy: 1,
        };
        let context = judge::Context {
            variables: &self.variables,
            speaker,
            named: &named,
        };
        let mut readings = Vec::new();
        let failures = judge::judge(expectation, exchange, context, &mut readings);
        self.assertions += expectation.assertions();
        let mut violations = Vec::new();
        if let (Some(schema), Some(json)) = (&expectation.schema, &exchange.json) {
            for violation in self
                .replay
                .suite
                .schemas()
                .validate_document(schema, self.variant.version, json)
            {
                violations.push(Failure {
                    actual: matching::show(json.value().pointer(&violation.pointer)),
                    assertion: Assertion::Schema(violation.pointer),
                    expected: violation.message,
                    pointer: format!("{}/schema", expectation.pointer),
                });
            }
        }
        let followed = expectation.reading.as_ref().and_then(|(entry, alternatives)| {
            let (_, key) = readings.iter().find(|(followed, _)| followed == entry)?;
            alternatives
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, reading)| reading)
        });
        let mut captured = Vec::new();
        for (name, source) in expectation
            .capture
            .iter()
            .chain(followed.iter().flat_map(|reading| &reading.capture))
        {
            let value = match source {
                Source::Status => Some(exchange.response.status.into()),
                Source::Header(header) => exchange.response.header(header).map(Value::from),
                Source::Body(pointer) => exchange.document().and_then(|document| {
                    let pointer = self.variables.text(pointer, speaker);
                    document.root().at(&pointer).map(Tree::to_known_value)
                }),
            };
            captured.push((name, value, source));
        }
        let mut missing = Vec::new();
        for (name, value, source) in captured {
            match value {
                Some(value) => self.variables.set(name, value),
                None => missing.push(Failure {
                    assertion: Assertion::Capture(name.clone()),
                    expected: "a value to capture".to_owned(),
                    actual: format!("nothing at {source:?}"),
                    pointer: format!("{}/capture/{name}", expectation.pointer),
                }),
            }
        }
        self.readings.append(&mut readings);
        for failure in failures.into_iter().chain(violations).chain(missing) {
            self.add(step, Some(expectation), index, failure);
        }
    }

    fn judge_tally(&mut self, step: &Step, first: usize, last: usize) {
        let speaker = Speaker { name: "", copy: 1 };
        for (set, expected) in &step.tally {
            let answers = self.exchanges.get(first..last).unwrap_or_default();
            let count = answers
                .iter()
                .filter(|exchange| set.contains(exchange.response.status))
                .count();
            self.assertions += 1;
            let matcher = self.variables.matcher(expected, speaker);
            if let Some(mismatch) = matching::find_mismatches(&matcher, Some(&Value::from(count))).pop() {
                let statuses: Vec<_> = answers
                    .iter()
                    .map(|exchange| exchange.response.status.to_string())
                    .collect();
                let failure = Failure {
                    assertion: Assertion::Tally(set.to_string()),
                    expected: format!("{} of {} answers", mismatch.expected, answers.len()),
                    actual: format!("{count}: {}", statuses.join(", ")),
                    pointer: format!("{}/tally", step.pointer),
                };
                self.add(step, None, first, failure);
            }
        }
    }

    fn add(&mut self, step: &Step, expectation: Option<&Expectation>, exchange: usize, failure: Failure) {
        let own = expectation.and_then(|expectation| expectation.clauses.as_ref());
        let clauses = match own {
            Some(clauses) => clauses.clone(),
            None if step.is_setup => Vec::new(),
            None => self.variant.clauses.clone(),
        };
        let weight = if step.is_setup {
            Weight::Failure
        } else {
            contract::weigh(&self.replay.suite, &clauses)
        };
        self.findings.push(Finding {
            weight,
            clauses,
            is_setup: step.is_setup,
            exchange,
            assertion: failure.assertion,
            expected: failure.expected,
            actual: failure.actual,
            pointer: failure.pointer,
        });
    }

    /// An error if a variable had no value since this was last asked; nothing that was made with it is sent or judged by.
    fn filled(&self) -> Result<(), Stop> {
        self.variables
            .take_unfilled()
            .map_or(Ok(()), |name| Err(Stop::Unfilled(name)))
    }

    fn wire_request(&self, request: &Request, speaker: Speaker<'_>) -> Result<WireRequest, Stop> {
        let variables = &self.variables;
        let body = match &request.body {
            Body::None => None,
            Body::Json(value) => Some(request.fixed().cloned().unwrap_or_else(|| {
                let value = variables.resolve(value, speaker);
                Bytes::from(variable::generate(&value).to_string())
            })),
            Body::Text(value) => {
                let value = variables.json(value, speaker);
                Some(match variable::generate(&value) {
                    Cow::Owned(Value::String(text)) => Bytes::from(text),
                    Cow::Borrowed(Value::String(text)) => Bytes::from(text.clone()),
                    other => Bytes::from(other.to_string()),
                })
            }
            Body::Bytes(bytes) => Some(Bytes::from(bytes.clone())),
        };
        let mut headers = vec![("X-Xbl-Contract-Version".to_owned(), self.variant.version.to_string())];
        if body.is_some() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        match (speaker.name, self.replay.target.identities.get(speaker.name)) {
            ("unknown", _) => headers.push(("Authorization".to_owned(), self.replay.transport.canary().to_owned())),
            (_, Some(identity)) => headers.extend(identity.headers()),
            _ => {}
        }
        if let Some(header) = &self.replay.target.advance_header
            && self.advance > 0
        {
            headers.push((header.clone(), self.advance.to_string()));
        }
        for (name, values) in &request.headers {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.extend(
                values
                    .iter()
                    .map(|value| (name.clone(), variables.text(value, speaker))),
            );
        }
        let path = variables.text(&request.path, speaker);
        if let Some(variable) = variables.take_unseen() {
            return Err(Stop::Inconclusive(format!("no document showed `{{{variable}}}`")));
        }
        let wire = WireRequest {
            method: request.method.clone(),
            path: local(path),
            headers,
            body,
        };
        self.filled().map(|()| wire)
    }

    /// Takes back what the conversation made: its handles, and its members; what stays is returned.
    async fn clean_up(&mut self) -> Vec<String> {
        let mut speakers: Vec<String> = Vec::new();
        let mut requests = Vec::new();
        let request = |speaker: &str, path: String| Request::bare(speaker, "DELETE", path);
        for exchange in &self.exchanges {
            let is_write = matches!(exchange.request.method.as_str(), "PUT" | "POST") && exchange.response.status < 300;
            if !is_write {
                continue;
            }
            if exchange.request.path.eq_ignore_ascii_case("/handles")
                && let Some(id) = exchange
                    .json
                    .as_ref()
                    .and_then(|json| json.root().member("id"))
                    .and_then(Tree::text)
            {
                requests.push(request(&exchange.speaker, format!("/handles/{id}")));
            }
            if !speakers.contains(&exchange.speaker) {
                speakers.push(exchange.speaker.clone());
            }
        }
        for path in self.variables.session_paths() {
            requests.extend(
                speakers
                    .iter()
                    .map(|speaker| request(speaker, format!("{path}/members/me"))),
            );
        }
        let replay = self.replay;
        let limit = replay.options.exchange_limit + replay.target.limits.allowance(requests.len());
        let mut end = pin!(async {
            match tokio::time::timeout(limit, replay.transport.reached_halt()).await {
                Ok(halted) if halted.is_interrupt => tokio::time::sleep(FAREWELL).await,
                // Time is up, or nobody is there to be asked.
                _ => {}
            }
        });
        let mut is_over = false;
        let patience = Patience {
            expects_throttling: false,
            pauses: Duration::ZERO,
        };
        let mut leftovers = Vec::new();
        for request in requests {
            let speaker = Speaker {
                name: &request.speaker,
                copy: 1,
            };
            let Ok(mut wire) = self.wire_request(&request, speaker) else {
                continue;
            };
            let path = wire.path.clone();
            let delivery = replay.transport.deliver(&request.speaker, &mut wire, patience);
            let why = if is_over {
                Some("not tried".to_owned())
            } else {
                tokio::select! {
                    biased;
                    () = &mut end => {
                        is_over = true;
                        Some("no time was left".to_owned())
                    }
                    delivered = delivery => match delivered {
                        Ok(response) if response.status < 500 => None,
                        Ok(response) => Some(response.status.to_string()),
                        Err(error) => Some(error.to_string()),
                    },
                }
            };
            if let Some(why) = why {
                leftovers.push(format!("{path} ({why})"));
            }
        }
        leftovers
    }
}

/// The path of a location that names a host: a service may have several, and any of them will do.
fn local(path: String) -> String {
    let after = path.strip_prefix("https://").or_else(|| path.strip_prefix("http://"));
    match after {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/").to_owned(),
        None => path,
    }
}

/// How long a conversation may take: the time of a case, what it waits for, and what the target's pace costs it.
fn limit(replay: &Replay, script: &Script) -> Duration {
    let waits: u64 = if replay.target.advance_header.is_some() {
        0
    } else {
        script
            .steps()
            .map(|step| step.after.unwrap_or_default() + step.within.unwrap_or_default())
            .sum()
    };
    let requests = script.steps().map(|step| step.requests().len() + 2).sum();
    replay.options.case_limit + Duration::from_millis(waits) + replay.target.limits.allowance(requests)
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Inconclusive(error.to_string())
    }
}
