//! One variant of a case, from its first request to its verdict.

mod cleanup;
mod judging;
mod sending;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use crate::contract::case::{Action, Case, Expectation, Script, Step, Variant};
use crate::contract::clause::Weight;
use crate::contract::json::document::Unread;
use crate::replay::assertion::Assertion;
use crate::replay::judge::{self, Failure};
use crate::replay::label::{Part, StepLabel};
use crate::replay::scope::Variables;
use crate::replay::verdict::{Exchange, Finding, Outcome, Verdict};
use crate::replay::{Replay, Strictness, contract};
use crate::wire::error::WireError;
use crate::wire::message::{WireRequest, WireResponse};
use crate::wire::socket::Socket;

/// How long `within` waits between two attempts, in ms.
const POLL: u64 = 250;

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

/// Replays one variant of a case; also whether the target may have seen a request twice, so that only a pass means something.
pub(super) async fn replay(replay: &Replay, case: &Case, variant: &Variant, script: &Script) -> (Outcome, bool) {
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
            Some(format!("not finished within {} s", limit.as_secs_f32())),
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
            let is_failed = conversation.findings.iter().any(|finding| finding.weight >= limit);
            (if is_failed { Verdict::Fail } else { Verdict::Pass }, None)
        }
    };
    let (verdict, reason) = if verdict == Verdict::Pass && conversation.assertions == 0 {
        (Verdict::SuiteFault, Some("the case asserted nothing".to_owned()))
    } else {
        (verdict, reason)
    };
    let leftovers = if replay.target.is_disposable {
        Vec::new()
    } else {
        conversation.clean_up().await
    };
    let is_sent_twice = conversation.is_sent_twice;
    (
        conversation.into_outcome(verdict, reason, start, leftovers),
        is_sent_twice,
    )
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
    /// Whether a request went out again after its connection was closed.
    is_sent_twice: bool,
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
            is_sent_twice: false,
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
                if let Some(broken) = self.open(name, step, request, label).await? {
                    let failure = Failure {
                        assertion: Assertion::Handshake,
                        expected: "a response that opens the socket".to_owned(),
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
            // A frame that did not come was reported already.
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

    /// Keeps an exchange, and what the contract says of it; an error where this program does not read the response.
    fn record(
        &mut self,
        label: StepLabel,
        speaker: &str,
        request: WireRequest,
        response: WireResponse,
    ) -> Result<(), Stop> {
        let place = (label, speaker, self.exchanges.len());
        self.is_sent_twice |= response.was_sent_twice;
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
        let beyond = match &held.exchange.unread {
            Some(Unread::Limit(reason)) => Some(reason.clone()),
            _ => None,
        };
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
        beyond.map_or(Ok(()), |reason| Err(Stop::Inconclusive(reason)))
    }

    fn add(&mut self, step: &Step, expectation: Option<&Expectation>, exchange: usize, failure: Failure) {
        let own = expectation.and_then(|expectation| expectation.clauses.as_ref());
        let clauses = match own {
            Some(clauses) => clauses.clone(),
            None if step.is_setup => Vec::new(),
            None => self.variant.clauses.clone(),
        };
        // A preparation that fails weighs what the case is about: a service that leaves an inferred clause alone is not failed
        // for what follows from it.
        let weighed = if step.is_setup { &self.variant.clauses } else { &clauses };
        let weight = contract::weigh(&self.replay.suite, weighed);
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
