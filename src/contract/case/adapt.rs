//! A variant for a target that has less than the suite: identities that are alike play each other's parts, and the creator of
//! a session says what its template would.
//!
//! Both are done only where nothing that is asked or expected changes its meaning; where that is not certain, the variant is
//! not applicable.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::contract::case::matcher::Matcher;
use crate::contract::case::needs::Need;
use crate::contract::case::variable::{self, Piece};
use crate::contract::case::{Action, Body, Expectation, Request, Script, Source, Step};
use crate::contract::version::ContractVersion;
use crate::contract::world::World;

/// Whom others play: the identities of a case, with those that a target has in their place.
pub type Cast = BTreeMap<String, String>;

/// Finds somebody to play each identity that a target does not have; `None` where nobody can.
///
/// `has` says what the target has.
pub fn cast(world: &World, needs: &BTreeSet<Need>, has: &dyn Fn(&Need) -> bool) -> Option<Cast> {
    let identities: Vec<&String> = needs
        .iter()
        .filter_map(|need| match need {
            Need::Identity(name) => Some(name),
            _ => None,
        })
        .collect();
    let facts = |of: &str| -> Vec<&String> {
        let facts = needs.iter().filter_map(|need| match need {
            Need::Fact(name, fact) if name == of => Some(fact),
            _ => None,
        });
        facts.collect()
    };
    let is_there = |name: &str, part: &str| {
        has(&Need::Identity(name.to_owned()))
            && facts(part)
                .into_iter()
                .all(|fact| has(&Need::Fact(name.to_owned(), fact.clone())))
    };
    // Where it matters how people know each other, everybody plays themselves.
    let is_tied = |need: &Need| matches!(need, Need::Feature(name) if world.is_tie(name));
    let is_cast = !needs.iter().any(is_tied);
    let is_apart = |name: &String| identities.iter().all(|other| !world.are_tied(name, other));
    let mut cast = Cast::new();
    let mut free: Vec<&String> = world
        .identities
        .iter()
        .filter(|(name, identity)| identity.is_alike && !identities.contains(name) && is_apart(name))
        .map(|(name, _)| name)
        .collect();
    // Who has left a part to somebody else is not called upon for another.
    for part in &identities {
        if is_there(part, part) {
            continue;
        }
        let is_alike = world.identities.get(*part).is_some_and(|identity| identity.is_alike);
        if !is_cast || !is_alike || !is_apart(part) {
            return None;
        }
        let place = free.iter().position(|name| is_there(name, part))?;
        cast.insert((*part).clone(), free.remove(place).clone());
    }
    Some(cast)
}

impl Script {
    /// Whether other conversations may have sessions of the same name: one that is named after a user, say. Only the user and
    /// the template keep them apart.
    pub fn shares_names(&self) -> bool {
        let mut names = self.sessions.iter().filter_map(|session| session.name.as_ref());
        names.any(|name| !name.contains("{uuid:"))
    }

    /// The same with others in the place of some identities.
    #[must_use]
    pub fn cast(&self, cast: &Cast) -> Self {
        let is_session = |key: &str| key == "session" || self.sessions.iter().any(|session| session.key == key);
        let rename = Rename {
            name: &|key| cast.get(key).filter(|_| !is_session(key)).map(String::as_str),
        };
        let mut script = self.clone();
        for session in &mut script.sessions {
            if let Some(name) = &mut session.name {
                rename.text(name);
            }
        }
        for (_, value) in &mut script.lets {
            rename.value(value);
        }
        rename.speaker(&mut script.observer);
        for claim in &mut script.claims {
            rename.speaker(claim);
        }
        script.claims.sort_unstable();
        script.claims.dedup();
        for step in &mut script.steps {
            rename.step(Arc::make_mut(step));
        }
        script
    }
}

/// Puts other names in the place of those of identities.
struct Rename<'a> {
    name: &'a dyn Fn(&str) -> Option<&'a str>,
}

impl Rename<'_> {
    fn speaker(&self, speaker: &mut String) {
        if let Some(other) = (self.name)(speaker) {
            other.clone_into(speaker);
        }
    }

    fn text(&self, text: &mut String) {
        if !text.contains('{') {
            return;
        }
        let mut renamed = String::with_capacity(text.len());
        for piece in variable::pieces(text) {
            match piece {
                Piece::Text(text) => renamed.push_str(text),
                Piece::Escaped(name) => renamed.extend(["{{", name, "}}"]),
                Piece::Variable(name) => {
                    let other = name
                        .split_once('.')
                        .and_then(|(key, rest)| Some(((self.name)(key)?, rest)));
                    match other {
                        Some((other, rest)) => renamed.extend(["{", other, ".", rest, "}"]),
                        None => renamed.extend(["{", name, "}"]),
                    }
                }
            }
        }
        *text = renamed;
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            Value::Object(map) => {
                let renamed = std::mem::take(map).into_iter().map(|(mut key, mut value)| {
                    self.text(&mut key);
                    self.value(&mut value);
                    (key, value)
                });
                *map = renamed.collect();
            }
            _ => {}
        }
    }

    fn matcher(&self, matcher: &mut Matcher) {
        let mut said = matcher.written().clone();
        self.value(&mut said);
        *matcher = Matcher::new(said);
    }

    fn step(&self, step: &mut Step) {
        match &mut step.action {
            Action::Send(request) | Action::Open(_, request) => self.request(request),
            Action::Together(requests) => requests.iter_mut().for_each(|request| self.request(request)),
            Action::Frame(_, Some(frame)) => self.value(frame),
            Action::Frame(_, None) | Action::Again(_) | Action::Close(_) => {}
        }
        for (_, count) in &mut step.tally {
            self.matcher(count);
        }
        for expectation in step.expectations_mut() {
            self.expectation(expectation);
        }
    }

    fn request(&self, request: &mut Request) {
        self.speaker(&mut request.speaker);
        self.text(&mut request.path);
        for value in request.headers.iter_mut().flat_map(|(_, values)| values) {
            self.text(value);
        }
        if let Body::Json(value) | Body::Text(value) = &mut request.body {
            self.value(value);
        }
        request.fixed.take();
    }

    fn expectation(&self, expectation: &mut Expectation) {
        for (pointer, _) in &mut expectation.at {
            self.text(pointer);
        }
        for (_, source) in &mut expectation.capture {
            if let Source::Body(pointer) = source {
                self.text(pointer);
            }
        }
        let own = expectation.headers.iter_mut().chain(&mut expectation.at);
        let own = own.map(|(_, matcher)| matcher);
        for matcher in own.chain(&mut expectation.body).chain(&mut expectation.none) {
            self.matcher(matcher);
        }
        if let Some(path) = &mut expectation.unchanged {
            self.text(path);
        }
        for (_, reading) in expectation.reading.iter_mut().flat_map(|(_, readings)| readings) {
            self.expectation(reading);
        }
    }
}

/// What is known of a session at a point of a conversation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existence {
    /// Nobody made it, or it is not known to be gone.
    Absent,
    Present,
    /// It depends on the service.
    Unknown,
}

impl Script {
    /// The same for a target that has none of some templates: its sessions are made from the blank one, and their creators say
    /// what the template would. `None` where that would not be the same.
    pub fn without_templates(&self, world: &World, version: ContractVersion, missing: &[&str]) -> Option<Self> {
        let (blank_name, blank) = world.blank()?;
        // Other versions spell the same constants otherwise.
        let is_spelt_alike = version.spelling() == blank.contract_version.spelling();
        if !is_spelt_alike || self.template_is_the_point || self.shares_names() {
            return None;
        }
        let mut given: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        for name in missing {
            given.insert(name, world.templates.get(*name)?.said_by_a_creator(blank)?);
        }
        let template_of = |key: &str| -> Option<&str> {
            let session = self.sessions.iter().find(|session| session.key == key);
            match session {
                Some(session) => Some(session.template.as_deref().unwrap_or(&self.template)),
                None => (key == "session").then_some(self.template.as_str()),
            }
        };
        let mut templates: BTreeSet<&str> = BTreeSet::from([self.template.as_str()]);
        templates.extend(self.sessions.iter().filter_map(|session| session.template.as_deref()));
        // Two sessions of one name are two by their templates alone.
        if templates.len() > 1 && self.sessions.iter().any(|session| session.name.is_some()) {
            return None;
        }
        let mut making = Making {
            script: self,
            // Two templates that become one are told apart by nothing any more.
            are_several: templates.len() > 1,
            given: &given,
            template_of: &template_of,
            sessions: BTreeMap::new(),
            merged: BTreeSet::new(),
        };
        let mut script = self.clone();
        for step in &mut script.steps {
            making.step(Arc::make_mut(step))?;
        }
        for (_, value) in &self.lets {
            making.check_value(value)?;
        }
        let replace = |name: &mut String| {
            if given.contains_key(name.as_str()) {
                blank_name.clone_into(name);
            }
        };
        replace(&mut script.template);
        script
            .sessions
            .iter_mut()
            .filter_map(|session| session.template.as_mut())
            .for_each(replace);
        Some(script)
    }
}

/// The making of sessions in a conversation, followed step by step.
struct Making<'a> {
    script: &'a Script,
    are_several: bool,
    given: &'a BTreeMap<&'a str, Map<String, Value>>,
    template_of: &'a dyn Fn(&str) -> Option<&'a str>,
    sessions: BTreeMap<String, Existence>,
    /// The steps whose request says what a template would.
    merged: BTreeSet<String>,
}

/// What a request with a path does to a session.
enum Aim {
    /// It is about something else, or about a part of a session that there is.
    Other,
    /// It makes or writes this session.
    Session(String),
    /// It writes a session through its handle.
    Handle,
    /// It may make a session, and it does not show which.
    Odd,
}

impl Making<'_> {
    fn step(&mut self, step: &mut Step) -> Option<()> {
        let outcome = Outcome::of(step);
        let named = step.name.clone();
        for expectation in step.expectations() {
            for (_, matcher) in expectation.own_matchers() {
                self.check_value(matcher)?;
            }
        }
        let requests = match &mut step.action {
            Action::Again(name) if self.merged.contains(name) => return None,
            Action::Again(_) | Action::Frame(..) | Action::Close(_) => return Some(()),
            Action::Send(request) | Action::Open(_, request) => std::slice::from_mut(request),
            Action::Together(requests) => requests.as_mut_slice(),
        };
        let is_alone = requests.len() == 1;
        for request in requests {
            self.check_request(request)?;
            if request.method != "PUT" {
                continue;
            }
            match self.aim(&request.path) {
                Aim::Handle if outcome.may_make => return None,
                Aim::Odd if outcome.may_succeed => return None,
                Aim::Other | Aim::Handle | Aim::Odd => {}
                Aim::Session(key) => {
                    let is_merged = self.put(request, &key, &outcome, is_alone)?;
                    if let (true, Some(name)) = (is_merged, &named) {
                        self.merged.insert(name.clone());
                    }
                }
            }
        }
        Some(())
    }

    /// Follows a write of a session; whether it says what the template would.
    fn put(&mut self, request: &mut Request, key: &str, outcome: &Outcome, is_alone: bool) -> Option<bool> {
        let Some(given) = (self.template_of)(key).and_then(|template| self.given.get(template)) else {
            return Some(false);
        };
        let existence = self.sessions.get(key).copied().unwrap_or(Existence::Absent);
        let is_made = match (existence, outcome.may_make, outcome.may_write) {
            (Existence::Unknown, ..) | (Existence::Present, true, true) => return None,
            (Existence::Present, is_made_again, _) => is_made_again,
            (Existence::Absent, ..) => true,
        };
        if !is_made {
            return Some(false);
        }
        if !is_alone && outcome.may_succeed {
            return None;
        }
        let has_version = |(name, _): &(String, Vec<String>)| name.eq_ignore_ascii_case("X-Xbl-Contract-Version");
        if outcome.may_succeed && request.headers.iter().any(has_version) {
            return None;
        }
        let is_merged = match &request.body {
            Body::Json(body) => {
                let mut body = self.with_lets(body, 0).into_owned();
                // What is made to a measure is not made larger.
                if outcome.may_succeed && variable::has_generator(&body) {
                    return None;
                }
                let is_merged = merge(&mut body, given)?;
                if is_merged {
                    request.body = Body::Json(body);
                    request.fixed.take();
                }
                is_merged
            }
            _ => false,
        };
        if !is_merged && outcome.may_succeed {
            return None;
        }
        let is_kept = !request.path.to_ascii_lowercase().contains("nocommit=true");
        if is_kept && outcome.may_succeed {
            let existence = if outcome.may_fail {
                Existence::Unknown
            } else {
                Existence::Present
            };
            self.sessions.insert(key.to_owned(), existence);
        }
        Some(is_merged)
    }

    fn aim(&self, path: &str) -> Aim {
        let keys = self.script.sessions.iter().map(|session| session.key.as_str());
        for key in keys.chain(["session"]) {
            let own = format!("/serviceconfigs/{{scid}}/sessiontemplates/{{{key}.template}}/sessions/{{{key}.name}}");
            for whole in [format!("{{{key}}}"), own] {
                let Some(rest) = path.strip_prefix(&whole) else {
                    continue;
                };
                return match rest.chars().next() {
                    None | Some('?') => Aim::Session(key.to_owned()),
                    Some('/') => Aim::Other,
                    Some(_) => Aim::Odd,
                };
            }
        }
        if path.to_ascii_lowercase().starts_with("/handles/") {
            Aim::Handle
        } else {
            Aim::Odd
        }
    }

    /// A template may be named only where a request limits itself to what the conversation made, or names a session.
    fn check_request(&self, request: &Request) -> Option<()> {
        self.check_text(&request.path)?;
        let is_query = request.path.to_ascii_lowercase().starts_with("/serviceconfigs/{scid}/");
        let names_session = |text: &str| text.contains(".name}");
        let is_own = |text: &str| text.contains("{uuid:") || names_session(text);
        if request.path.contains(".template}") && is_query && !is_own(&request.path) {
            return None;
        }
        match &request.body {
            Body::Json(value) | Body::Text(value) => {
                self.check_value(value)?;
                let whole = self.with_lets(value, 0).to_string();
                let is_template = whole.contains(".template}");
                (!is_template || is_own(&whole)).then_some(())
            }
            _ => Some(()),
        }
    }

    fn check_value(&self, value: &Value) -> Option<()> {
        match value {
            Value::String(text) => self.check_text(text),
            Value::Array(values) => values.iter().try_for_each(|value| self.check_value(value)),
            Value::Object(map) => map.iter().try_for_each(|(key, value)| {
                self.check_text(key)?;
                self.check_value(value)
            }),
            _ => Some(()),
        }
    }

    fn check_text(&self, text: &str) -> Option<()> {
        let mut names = variable::names(text);
        let is_template = |name: &str| name == "template" || name.starts_with("templates.");
        let is_apart = |name: &str| self.are_several && name.ends_with(".template");
        (!names.any(|name| is_template(name) || is_apart(name))).then_some(())
    }

    /// A body in which the texts that are nothing but a named value are that value.
    fn with_lets<'v>(&self, value: &'v Value, depth: usize) -> Cow<'v, Value> {
        /// Named values are made of those before them; no sound case goes so deep.
        const DEEPEST: usize = 16;
        let named = |text: &str| {
            let name = text.strip_prefix('{')?.strip_suffix('}')?;
            let (_, value) = self.script.lets.iter().find(|(key, _)| key == name)?;
            Some(value)
        };
        match value {
            Value::String(text) if depth < DEEPEST => match named(text) {
                Some(value) => Cow::Owned(self.with_lets(value, depth + 1).into_owned()),
                None => Cow::Borrowed(value),
            },
            Value::Array(values) => Cow::Owned(
                values
                    .iter()
                    .map(|value| self.with_lets(value, depth).into_owned())
                    .collect(),
            ),
            Value::Object(map) => Cow::Owned(Value::Object(
                map.iter()
                    .map(|(key, value)| (key.clone(), self.with_lets(value, depth).into_owned()))
                    .collect(),
            )),
            _ => Cow::Borrowed(value),
        }
    }
}

/// Lets a body say what a template would; false where it is no body of a session, `None` where it says some of it itself.
fn merge(body: &mut Value, given: &Map<String, Value>) -> Option<bool> {
    let Value::Object(body) = body else { return Some(false) };
    let constants = body.entry("constants").or_insert_with(|| Map::new().into());
    let Value::Object(constants) = constants else {
        return Some(false);
    };
    for (bag, values) in given {
        let Value::Object(own) = constants.entry(bag.clone()).or_insert_with(|| Map::new().into()) else {
            return Some(false);
        };
        for (key, value) in values.as_object().into_iter().flatten() {
            if own.insert(key.clone(), value.clone()).is_some() {
                return None;
            }
        }
    }
    Some(true)
}

/// What may come of a step's requests.
struct Outcome {
    may_make: bool,
    may_write: bool,
    may_fail: bool,
    may_succeed: bool,
}

impl Outcome {
    fn of(step: &Step) -> Self {
        let mut statuses: Vec<u16> = Vec::new();
        let all = 200..500;
        let mut add = |expectation: &Expectation| add_statuses(expectation, &mut statuses);
        step.expect.iter().for_each(&mut add);
        let counted = step
            .tally
            .iter()
            .map(|(set, _)| set)
            .chain(step.each.iter().map(|(set, _)| set));
        let is_said = !statuses.is_empty();
        let counted: Vec<u16> = counted
            .filter(|_| !is_said)
            .flat_map(|set| all.clone().filter(|status| set.contains(*status)))
            .collect();
        statuses.extend(counted);
        if statuses.is_empty() {
            statuses.extend(all);
        }
        let has = |wanted: &dyn Fn(u16) -> bool| statuses.iter().any(|status| wanted(*status));
        Self {
            may_make: has(&|status| status == 201),
            may_write: has(&|status| status == 200),
            may_fail: has(&|status| status >= 300),
            may_succeed: has(&|status| status < 300),
        }
    }
}

/// The statuses that an expectation allows.
fn add_statuses(expectation: &Expectation, statuses: &mut Vec<u16>) {
    if let Some(set) = &expectation.status {
        statuses.extend((200..500).filter(|status| set.contains(*status)));
    }
    for (_, reading) in expectation.reading.iter().flat_map(|(_, readings)| readings) {
        add_statuses(reading, statuses);
    }
}
