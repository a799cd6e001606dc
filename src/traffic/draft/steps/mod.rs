//! One conversation as a case: its steps in the order of time, with variables, captures and expectations.

mod captures;
mod case;
mod naming;
mod requests;
mod state;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::contract::Suite;
use crate::contract::json::document::Document;
use crate::contract::schemas::{Body, Operation};
use crate::contract::version::ContractVersion;
use crate::target::Target;
use crate::traffic::draft::names::Names;
use crate::traffic::draft::speakers::Cast;
use crate::traffic::draft::suggestions::{self, Suggestions};
use crate::traffic::draft::{Address, address, expectation, frames, json as parse, referred, session_of};
use crate::traffic::{Passed, without_query};

use self::state::{State, ended};

/// Stands for a clause where none is plain; `check` does not know it, and says so.
const NO_CLAUSE: &str = "TODO-001";
/// How often a read is repeated until it is taken for waiting.
const POLLED: usize = 3;
/// How long is waited at least for what was waited for, in ms.
const PATIENCE: u64 = 5_000;
/// The most clauses that a draft names as a whole.
const MANY: usize = 6;
/// The request headers that mean something to the contract.
const HEADERS: [&str; 7] = [
    "if-match",
    "if-none-match",
    "x-xbl-onbehalfof-title",
    "x-xbl-onbehalfof-users",
    "x-xbl-deny-scope",
    "content-type",
    "x-xbl-contract-version",
];

/// What is known of the whole capture.
#[derive(Debug)]
pub(super) struct Script<'a> {
    /// The service that was captured, if it is described.
    pub(super) target: Option<&'a Target>,
    /// The request header that moves a conversation's clock ahead, in ms.
    pub(super) advance_header: &'a str,
    /// The service config that most of the capture is about.
    pub(super) scid: Option<String>,
}

/// A value that an answer gave.
#[derive(Clone, Debug)]
struct Given {
    /// The place of the answer in the conversation.
    at: usize,
    /// Where in the answer it stands, as captures say it.
    source: String,
    /// What it is called.
    label: String,
    /// What the answer was about.
    path: String,
}

/// A session of the conversation.
#[derive(Debug)]
struct Session {
    address: Address,
    /// What the case calls it.
    variable: String,
    /// Its name as it was first spelt.
    name: String,
    /// Its name as the case gives it, if it means something; any fresh name will do otherwise.
    given: Option<String>,
    /// Whether the case may choose its name.
    is_named: bool,
}

/// What happened, in the order of time.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// An exchange.
    Exchange,
    /// A message on the socket that the entry opened.
    Message(usize),
    /// The end of the socket that the entry opened.
    Close,
}

struct Writer<'a> {
    suite: &'a Suite,
    options: &'a Script<'a>,
    cast: &'a Cast,
    suggestions: &'a Suggestions,
    entries: &'a [(usize, &'a Passed)],
    names: Names,
    /// The sessions, in the order in which they appear.
    sessions: Vec<Session>,
    /// The suite's names of templates, by those on the wire in lower case.
    templates: BTreeMap<String, String>,
    version: ContractVersion,
    /// What each answer gives to later requests: name and source, by place.
    captures: BTreeMap<usize, Vec<(String, String)>>,
    /// The latest document of each session, or of a part of one.
    seen: HashMap<String, Value>,
    clauses: Vec<String>,
    hints: Vec<String>,
    /// How far the conversation's clock was moved, in ms.
    advanced: u64,
}

/// Writes the case, and what whoever finishes it should know.
pub(super) fn write(
    suite: &Suite,
    options: &Script<'_>,
    cast: &Cast,
    suggestions: &Suggestions,
    entries: &[(usize, &Passed)],
) -> (Value, Vec<String>) {
    let mut writer = Writer {
        suite,
        options,
        cast,
        suggestions,
        entries,
        names: Names::default(),
        sessions: Vec::new(),
        templates: BTreeMap::new(),
        version: common_version(entries),
        captures: BTreeMap::new(),
        seen: HashMap::new(),
        clauses: Vec::new(),
        hints: Vec::new(),
        advanced: 0,
    };
    let events = writer.events();
    writer.name_people();
    writer.name_sessions();
    writer.name_captures(&events);
    let steps = writer.steps(&events);
    let written = writer.case(steps);
    (written, writer.hints)
}

/// The contract version that most requests name, of those that a case can speak.
fn common_version(entries: &[(usize, &Passed)]) -> ContractVersion {
    let mut counts: BTreeMap<ContractVersion, usize> = BTreeMap::new();
    for version in entries.iter().filter_map(|(_, one)| one.version()) {
        *counts.entry(version).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map_or(ContractVersion::CURRENT, |(version, _)| version)
}

impl<'a> Writer<'a> {
    /// Exchanges and messages, in the order of time: entry by entry where no time is known.
    fn events(&self) -> Vec<(usize, Event)> {
        let mut timed: Vec<(Option<Timestamp>, usize, Event)> = Vec::new();
        for (index, (_, one)) in self.entries.iter().enumerate() {
            timed.push((one.started, index, Event::Exchange));
            for (number, message) in one.messages.iter().enumerate() {
                timed.push((message.at.or(one.started), index, Event::Message(number)));
            }
            // Some tools only say how long the handshake took.
            let last = one.messages.iter().filter_map(|message| message.at).max();
            let end = ended(one)
                .filter(|end| one.is_socket() && one.milliseconds > 0.0 && last.is_none_or(|last| last <= *end));
            if end.is_some() {
                timed.push((end, index, Event::Close));
            }
        }
        if timed.iter().all(|(at, ..)| at.is_some()) {
            timed.sort_by_key(|(at, ..)| *at);
        }
        let mut events: Vec<(usize, Event)> = timed.into_iter().map(|(_, index, event)| (index, event)).collect();
        self.settle(&mut events);
        events
    }

    /// Puts what happened at the same time into the order in which it took effect: change numbers tell, what was refused
    /// came too late, and what found nothing came before what made it.
    fn settle(&self, events: &mut [(usize, Event)]) {
        let states: Vec<_> = (0..self.entries.len())
            .map(|index| State::of(self.entry(index)?))
            .collect();
        let state = |event: (usize, Event)| match event {
            (index, Event::Exchange) => states.get(index)?.as_ref(),
            _ => None,
        };
        for last in 1..events.len() {
            let Some(other) = state(events[last]) else { continue };
            let mut first = last;
            for at in (0..last).rev() {
                let Some(one) = state(events[at]).filter(|one| other.start < one.end) else {
                    break;
                };
                match one.is_later(other) {
                    Some(true) => first = at,
                    Some(false) => break,
                    None => {}
                }
            }
            events[first..=last].rotate_right(1);
        }
    }

    fn entry(&self, index: usize) -> Option<&'a Passed> {
        self.entries.get(index).map(|(_, one)| *one)
    }

    fn speaker(&self, index: usize) -> &'a str {
        self.entries
            .get(index)
            .map_or("nobody", |(place, _)| self.cast.speaker(*place))
    }

    fn operation(&self, one: &Passed) -> Option<Operation<'a>> {
        self.suite.schemas().operation(&one.request.method, &one.request.path)
    }

    fn steps(&mut self, events: &[(usize, Event)]) -> Vec<Value> {
        let mut steps = Vec::new();
        // Answers that belong to the step that asked.
        let mut taken: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut sockets: HashMap<usize, String> = HashMap::new();
        let polls = self.polls(events);
        for (at, (index, event)) in events.iter().enumerate() {
            let Some(one) = self.entry(*index) else { continue };
            match event {
                // What was asked again and again is asked until it is so.
                Event::Exchange if polls.get(&at) == Some(&None) => {}
                Event::Exchange if one.is_socket() => {
                    let speaker = self.speaker(*index);
                    let count = sockets.values().filter(|name| name.starts_with(speaker)).count();
                    let name = if count == 0 {
                        speaker.to_owned()
                    } else {
                        format!("{speaker}{}", count + 1)
                    };
                    let mut step = json!({ "as": speaker, "open": name, "expect": { "status": 101 } });
                    if one.request.path != "/connect" {
                        step["path"] = self.names.text(&one.request.path, at).into();
                    }
                    sockets.insert(*index, name);
                    self.suggest(&mut step["expect"], self.suggestions.likely(101).map(str::to_owned));
                    steps.push(step);
                }
                Event::Exchange => {
                    let mut step = self.exchange(*index, one, at);
                    if let Some(Some(within)) = polls.get(&at) {
                        step["within"] = (*within).into();
                    }
                    steps.push(step);
                }
                Event::Close if at + 1 < events.len() => {
                    if let Some(name) = sockets.get(index) {
                        steps.push(json!({ "socket": name, "close": true }));
                    }
                }
                Event::Close => {}
                Event::Message(number) => {
                    let Some(name) = sockets.get(index) else { continue };
                    let Some(message) = one.messages.get(*number) else {
                        continue;
                    };
                    let Some(frame) = frames::read(message) else { continue };
                    if taken.contains(&(*index, *number)) {
                        continue;
                    }
                    if !message.is_sent {
                        if let Some(matcher) = frames::event(&frame, &self.names, at) {
                            let mut expect = json!({ "body": matcher });
                            self.suggest(&mut expect, self.suggestions.event().map(str::to_owned));
                            steps.push(json!({ "socket": name, "expect": expect }));
                        }
                        continue;
                    }
                    let later = one.messages.iter().enumerate().skip(number + 1);
                    let answer = later
                        .filter(|(_, message)| !message.is_sent)
                        .find_map(|(place, message)| {
                            let answer = frames::read(message)?;
                            frames::answers(&frame, &answer).then_some((place, answer))
                        });
                    let mut expect = match answer {
                        Some((place, answer)) => {
                            taken.insert((*index, place));
                            let mut expect = json!({ "body": frames::answer(&answer, &self.names, at) });
                            self.suggest(&mut expect, self.suggestions.subscribing().map(str::to_owned));
                            expect
                        }
                        // Nothing is known to come of it but that the socket stays open.
                        None => json!({ "none": { "closed": { "$present": true } } }),
                    };
                    if let Some(captures) = self.captures.get(&at) {
                        expect["capture"] = captured(captures);
                    }
                    steps.push(json!({ "socket": name, "send": self.names.json(&frame, at), "expect": expect }));
                }
            }
        }
        steps
    }

    /// Reads that were repeated until the answer was another one: `None` for those to leave out, and how long the last one may
    /// take, in ms.
    fn polls(&self, events: &[(usize, Event)]) -> HashMap<usize, Option<u64>> {
        let read = |at: usize| match events.get(at)? {
            (index, Event::Exchange) => self
                .entry(*index)
                .filter(|one| one.request.method == "GET")
                .map(|one| (*index, one)),
            _ => None,
        };
        let is_same = |one: usize, other: usize| match (read(one), read(other)) {
            (Some((index, one)), Some((next, other))) => {
                let asks = |one: &Passed| (one.request.path.clone(), self.headers(one, usize::MAX));
                self.speaker(index) == self.speaker(next) && asks(one) == asks(other)
            }
            _ => false,
        };
        let mut polls = HashMap::new();
        let mut start = 0;
        while start < events.len() {
            let mut end = start;
            while end + 1 < events.len() && is_same(start, end + 1) {
                end += 1;
            }
            let captures = (start..end).any(|at| self.captures.contains_key(&at));
            if end >= start + POLLED && !captures {
                let told = |at: usize| {
                    let (_, one) = read(at)?;
                    one.header(self.options.advance_header)?.trim().parse::<u64>().ok()
                };
                let moved = told(end)
                    .unwrap_or_default()
                    .saturating_sub(told(start).unwrap_or_default());
                let times = read(start)
                    .and_then(|(_, one)| one.started)
                    .zip(read(end).and_then(|(_, one)| one.started));
                let waited = times.map_or(0, |(start, end)| end.as_millisecond() - start.as_millisecond());
                let waited = u64::try_from(waited).unwrap_or_default().max(moved);
                polls.extend((start..end).map(|at| (at, None)));
                polls.insert(end, Some((waited * 2).max(PATIENCE)));
            }
            start = end + 1;
        }
        polls
    }

    /// Names the clause that a step is likely to be about.
    fn suggest(&mut self, expect: &mut Value, clause: Option<String>) {
        let Some(id) = clause.and_then(|id| Some(self.suite.clause(&id)?.id.clone())) else {
            return;
        };
        if !self.clauses.contains(&id) {
            self.clauses.push(id.clone());
        }
        expect["clauses"] = json!([id]);
    }

    fn exchange(&mut self, index: usize, one: &Passed, at: usize) -> Value {
        let mut step = Map::new();
        let operation = self.operation(one);
        let after = self.passed_time(one);
        step.insert("as".to_owned(), self.speaker(index).into());
        let path = self.path(&one.request.path, at);
        match one.request.method.as_str() {
            verb @ ("GET" | "PUT" | "POST" | "DELETE") => {
                step.insert(verb.to_lowercase(), path.into());
            }
            other => {
                step.insert("method".to_owned(), other.into());
                step.insert("path".to_owned(), path.into());
            }
        }
        let headers = self.headers(one, at);
        if !headers.is_empty() {
            step.insert("headers".to_owned(), Value::Object(headers));
        }
        if let Some(body) = &one.request.body {
            let (key, value) = self.body(body, at);
            step.insert(key.to_owned(), value);
        }
        if let Some(after) = after {
            step.insert("after".to_owned(), after.into());
        }
        step.insert(
            "expect".to_owned(),
            self.expectation(index, one, operation.as_ref(), at),
        );
        Value::Object(step)
    }

    /// How far the request says that its clock is ahead of the last one's.
    fn passed_time(&mut self, one: &Passed) -> Option<u64> {
        let told: u64 = one.header(self.options.advance_header)?.trim().parse().ok()?;
        let after = told.checked_sub(self.advanced).filter(|after| *after > 0)?;
        self.advanced = told;
        Some(after)
    }

    fn expectation(&mut self, index: usize, one: &Passed, operation: Option<&Operation<'a>>, at: usize) -> Value {
        let status = one.response.status;
        let mut expect = json!({ "status": status });
        let document = parse(&one.response.body).filter(|_| one.request.method != "HEAD");
        if let (Some(document), Some(operation)) = (&document, operation) {
            let schemas = self.suite.schemas();
            let version = one.version().unwrap_or(self.version);
            let judged = schemas.judge(operation, status, version, Body::Json(&Document::from(document)));
            let broken = judged
                .violations
                .iter()
                .find(|violation| violation.severity > crate::contract::schemas::Severity::Remark);
            if let Some(violation) = broken {
                let place = if violation.pointer.is_empty() {
                    "the body"
                } else {
                    &violation.pointer
                };
                self.hints.push(format!(
                    "the captured response to {} {} violates the contract, so the draft will fail: {place}: {}",
                    one.request.method,
                    operation.path().id,
                    violation.message
                ));
            }
            if let Some(schema) = judged.schema {
                let told = expectation::stable(schemas, &schema, version, document, &self.names, at);
                if let Some(body) = told.and_then(|told| self.told(index, one, operation, document, told)) {
                    expect["body"] = body;
                }
            }
        }
        let is_read = matches!(one.request.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        if (400..500).contains(&status) && !is_read {
            let own = session_of(&one.request.path).and_then(|(parts, rest)| {
                let key = address(parts);
                let known = self.sessions.iter().find(|known| known.address == key)?;
                Some(if known.is_named {
                    format!("{{{}}}", known.variable)
                } else {
                    let length = one.request.path.find('?').unwrap_or(one.request.path.len());
                    self.path(one.request.path.get(..length - rest.len())?, at)
                })
            });
            expect["unchanged"] = match own {
                Some(path) if path != "{session}" => path.into(),
                _ => true.into(),
            };
        }
        if let Some(captures) = self.captures.get(&at) {
            expect["capture"] = captured(captures);
        }
        let clause = operation
            .and_then(|operation| suggestions::clause(operation, status))
            .map(str::to_owned);
        self.suggest(&mut expect, clause);
        expect
    }

    /// The part of a document that is worth saying: what is new in it.
    fn told(
        &mut self,
        index: usize,
        one: &Passed,
        operation: &Operation<'_>,
        document: &Value,
        told: Value,
    ) -> Option<Value> {
        let id = operation.path().id.as_str();
        if document.get("results").is_some() {
            let sessions = &self.sessions;
            return expectation::results(document, &told, |parts| {
                let key = address(parts);
                sessions.iter().any(|known| known.address == key)
            });
        }
        // What templates there are is the target's own affair.
        if id.starts_with("template") {
            return None;
        }
        let path = without_query(&one.request.path).to_lowercase();
        let key = if document.pointer("/members/me").is_some() {
            format!("{path} {}", self.speaker(index))
        } else {
            path
        };
        let is_session = document.get("membersInfo").is_some();
        let info = told.get("membersInfo").cloned();
        let before = self.seen.get(&key);
        let news = match before {
            None if is_session => {
                let sent = one.request.body.as_deref().and_then(parse);
                Some(expectation::first_sight(told.clone(), sent.as_ref()))
            }
            None => Some(told.clone()),
            Some(before) => expectation::news(before, &told),
        };
        // A trial write is not what is read next.
        if !one.request.path.contains("nocommit") {
            self.seen.insert(key, told);
        }
        match (news, info) {
            (Some(Value::Object(mut news)), Some(info)) => {
                news.insert("membersInfo".to_owned(), info);
                Some(Value::Object(news))
            }
            (None, Some(info)) => Some(json!({ "membersInfo": info })),
            (news, _) => news,
        }
        .filter(|news| news != &json!({}))
    }
}

/// The service config that most of what succeeded is about, in lower case.
pub(super) fn service_config<'p>(entries: impl Iterator<Item = &'p Passed>) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for one in entries.filter(|one| one.response.status < 400) {
        let body = one.request.body.as_deref().and_then(parse);
        let named = body
            .as_ref()
            .and_then(|body| referred(body.get("sessionRef")?))
            .map(|[scid, ..]| scid);
        let mut path = one.request.path.split(['/', '?']).skip(1);
        let is_below = path
            .next()
            .is_some_and(|first| first.eq_ignore_ascii_case("serviceconfigs"));
        for scid in named.into_iter().chain(path.next().filter(|_| is_below)) {
            *counts.entry(scid.to_lowercase()).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(scid, _)| scid)
}

fn captured(captures: &[(String, String)]) -> Value {
    let members = captures
        .iter()
        .map(|(name, source)| (name.clone(), Value::from(source.as_str())));
    Value::Object(members.collect::<Map<_, _>>())
}

/// `alice`, `alice and bob`, `alice, bob and carol`.
fn joined(names: &[&str]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Whether a text says nothing that its value does not: no number that lost digits.
fn is_same(text: &str, value: &Value) -> bool {
    let digits = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let has_number =
        |text: &str| text.contains(['e', 'E', '.']) || text.bytes().filter(u8::is_ascii_digit).count() > 15;
    // Only long numbers, fractions and exponents can come out otherwise than they went in.
    !has_number(text) || digits(text).len() == digits(&value.to_string()).len() || !loses(value)
}

fn loses(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(loses),
        Value::Object(map) => map.values().any(loses),
        _ => false,
    }
}

fn leaves(value: &Value) -> Vec<(String, &Value)> {
    fn inside<'v>(value: &'v Value, pointer: String, found: &mut Vec<(String, &'v Value)>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    inside(
                        value,
                        format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
                        found,
                    );
                }
            }
            value => found.push((pointer, value)),
        }
    }
    let mut found = Vec::new();
    inside(value, String::new(), &mut found);
    found
}

/// Calls `visit` with every string of a value and its pointer.
fn walk(value: &Value, pointer: &mut String, visit: &mut dyn FnMut(&str, &str)) {
    let length = pointer.len();
    let mut inside = |token: &str, value: &Value, pointer: &mut String| {
        pointer.push('/');
        pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
        walk(value, pointer, visit);
        pointer.truncate(length);
    };
    match value {
        Value::String(text) => visit(pointer, text),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| inside(&index.to_string(), item, pointer)),
        Value::Object(map) => map.iter().for_each(|(key, value)| inside(key, value, pointer)),
        _ => {}
    }
}
