//! What a variant needs of a target: worked out from all that it says, so that no writer of a case can forget it.
//!
//! Identities, their facts and templates are needed where a request, an expectation or a named value uses them. Features
//! are needed where a request fits one of the uses that `cases/world.json` declares for them. What a case lists in its own
//! `needs` is added: that is for what cannot be seen in its requests.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use crate::contract::case::variable::{self, Scope};
use crate::contract::case::{Action, Body, Case, Expectation, Request, Script, Step, Variant};
use crate::contract::version::ContractVersion;
use crate::contract::world::{Use, World};

/// One thing that a target has, or has not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A feature of the world.
    Feature(String),
    /// A template, by the suite's name.
    Template(String),
    /// An identity, by the suite's name.
    Identity(String),
    /// What a target says of an identity: its name and the fact's.
    Fact(String, String),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feature(name) => write!(f, "the feature `{name}`"),
            Self::Template(name) => write!(f, "the template `{name}`"),
            Self::Identity(name) => write!(f, "the identity `{name}`"),
            Self::Fact(identity, fact) => write!(f, "`{fact}` of the identity `{identity}`"),
        }
    }
}

/// What a variant needs: what its case declares, and what it uses.
pub fn of(world: &World, case: &Case, variant: &Variant, script: &Script) -> BTreeSet<Need> {
    let mut needs = used(world, variant, script);
    needs.extend(case.needs.iter().cloned().map(Need::Feature));
    needs
}

/// What a variant uses.
pub fn used(world: &World, variant: &Variant, script: &Script) -> BTreeSet<Need> {
    let mut usage = Usage {
        world,
        script,
        version: variant.version,
        needs: BTreeSet::new(),
        lets: BTreeSet::new(),
        requests: Vec::new(),
        templates: Vec::new(),
        versions: BTreeSet::from([variant.version]),
        has_socket: false,
        time: 0,
    };
    for step in script.steps() {
        usage.step(step);
    }
    let features = world.features.iter();
    let used = features.filter(|(_, feature)| feature.uses.iter().any(|known| usage.shows(known)));
    let used: Vec<_> = used.map(|(name, _)| Need::Feature(name.clone())).collect();
    usage.needs.extend(used);
    usage.needs
}

/// The path that stands for that of every session.
const SESSION: &str = "/serviceconfigs/s/sessiontemplates/t/sessions/n";

/// What was seen of a variant.
struct Usage<'a> {
    world: &'a World,
    script: &'a Script,
    version: ContractVersion,
    needs: BTreeSet<Need>,
    /// The named values that were looked into.
    lets: BTreeSet<&'a str>,
    /// Verb, path and JSON body.
    requests: Vec<(&'a str, String, Option<Value>)>,
    /// What templates give to their sessions, as the body that would say the same.
    templates: Vec<Value>,
    versions: BTreeSet<ContractVersion>,
    has_socket: bool,
    time: u64,
}

impl<'a> Usage<'a> {
    /// Whether a use of a feature is among what was seen.
    fn shows(&self, wanted: &Use) -> bool {
        let in_requests = || {
            let mut requests = self.requests.iter();
            requests.any(|(method, path, body)| wanted.fits_request(method, path, body.as_ref()))
                || self.templates.iter().any(|template| wanted.fits_template(template))
        };
        (!wanted.socket || self.has_socket)
            && wanted.time.is_none_or(|least| self.time >= least)
            && (wanted.versions.is_empty() || wanted.versions.iter().any(|version| self.versions.contains(version)))
            && wanted.relation.as_ref().is_none_or(|kind| self.relates(kind))
            && (!wanted.is_of_requests() || in_requests())
    }

    /// Whether two of the identities are related so.
    fn relates(&self, kind: &str) -> bool {
        let identities = || {
            self.needs.iter().filter_map(|need| match need {
                Need::Identity(name) => Some(name),
                _ => None,
            })
        };
        identities().any(|one| identities().any(|other| self.world.are_related(kind, one, other)))
    }

    fn step(&mut self, step: &'a Step) {
        for request in step.requests() {
            self.request(request);
        }
        match &step.action {
            Action::Open(..) => self.has_socket = true,
            Action::Frame(_, Some(frame)) => self.value(frame, ""),
            _ => {}
        }
        // A frame is waited for in real time.
        let within = step.within.filter(|_| !matches!(step.action, Action::Frame(..)));
        self.time = self.time.max(step.after.max(within).unwrap_or_default());
        let again = match &step.action {
            Action::Again(name) => self.script.steps().find(|step| step.name.as_ref() == Some(name)),
            _ => None,
        };
        let mut speakers = step.requests().iter().chain(again.map_or(&[][..], Step::requests));
        let speaker = speakers.next().map_or("", |request| request.speaker.as_str());
        for (_, count) in &step.tally {
            self.value(count.written(), speaker);
        }
        for expectation in step.expectations() {
            self.expectation(expectation, speaker);
        }
    }

    fn request(&mut self, request: &'a Request) {
        self.speaker(&request.speaker);
        self.text(&request.path, &request.speaker);
        for (name, values) in &request.headers {
            for value in values {
                self.text(value, &request.speaker);
                if name.eq_ignore_ascii_case("X-Xbl-Contract-Version")
                    && let Ok(version) = self.sample_text(value).trim().parse()
                {
                    self.versions.insert(version);
                }
            }
        }
        let body = match &request.body {
            Body::Json(value) => {
                self.value(value, &request.speaker);
                Some(self.sample(value))
            }
            Body::Text(value) => {
                self.value(value, &request.speaker);
                let text = self.sample(value);
                text.as_str().and_then(|text| serde_json::from_str(text).ok())
            }
            Body::Bytes(bytes) => serde_json::from_slice(bytes).ok(),
            Body::None => None,
        };
        let path = self.sample_text(&request.path);
        self.requests.push((&request.method, path, body));
    }

    fn expectation(&mut self, expectation: &'a Expectation, speaker: &str) {
        for (_, matcher) in expectation.own_matchers() {
            self.value(matcher, speaker);
        }
        for pointer in expectation.pointers() {
            self.text(pointer, speaker);
        }
        if let Some(path) = &expectation.unchanged {
            self.speaker(&self.script.observer);
            self.text(path, &self.script.observer);
        }
        for (_, reading) in expectation.reading.iter().flat_map(|(_, readings)| readings) {
            self.expectation(reading, speaker);
        }
    }

    fn identity(&mut self, name: &str) {
        if self.world.identities.contains_key(name) {
            self.needs.insert(Need::Identity(name.to_owned()));
        }
    }

    /// What sets an identity apart shows in what it sends, and in its title; its other facts are like anybody's.
    fn speaker(&mut self, name: &str) {
        self.identity(name);
        let features = self.world.identities.get(name).map(|identity| &identity.features);
        self.needs
            .extend(features.into_iter().flatten().cloned().map(Need::Feature));
    }

    fn template(&mut self, name: &str) {
        let is_new = self.needs.insert(Need::Template(name.to_owned()));
        let Some(template) = self.world.templates.get(name).filter(|_| is_new) else {
            return;
        };
        self.versions.insert(template.contract_version);
        let mut given = json!({ "constants": template.constants });
        if let (Some(given), false) = (given.as_object_mut(), template.role_types.is_null()) {
            given.insert("roleTypes".to_owned(), template.role_types.clone());
        }
        self.templates.push(given);
    }

    fn value(&mut self, value: &'a Value, speaker: &str) {
        match value {
            Value::String(text) => self.text(text, speaker),
            Value::Array(values) => values.iter().for_each(|value| self.value(value, speaker)),
            Value::Object(map) => {
                for (key, value) in map {
                    self.text(key, speaker);
                    self.value(value, speaker);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, speaker: &str) {
        if !text.contains('{') {
            return;
        }
        for whole in variable::names(text) {
            let name = variable::split_transform(whole).map_or(whole, |(name, _)| name);
            self.variable(name, speaker);
            if let Some((name, _)) = variable::split_sum(name) {
                self.variable(name, speaker);
            }
        }
    }

    fn variable(&mut self, name: &str, speaker: &str) {
        let script = self.script;
        if let Some((name, value)) = script.lets.iter().find(|(key, _)| key == name) {
            if self.lets.insert(name) {
                self.value(value, speaker);
            }
            return;
        }
        if name == "template" {
            return self.template(&script.template);
        }
        let (key, field) = name.split_once('.').unwrap_or((name, ""));
        if key == "session" {
            return self.template(&script.template);
        }
        if let Some(session) = script.sessions.iter().find(|session| session.key == key) {
            self.template(session.template.as_ref().unwrap_or(&script.template));
            if let Some(name) = &session.name
                && self.lets.insert(&session.key)
            {
                self.text(name, "");
            }
            return;
        }
        if key == "templates" {
            return self.template(field);
        }
        let who = if key == "me" { speaker } else { key };
        if !field.is_empty() && self.world.identities.contains_key(who) {
            self.identity(who);
            let fact = match field {
                "xuidNumber" | "index" => "xuid",
                field => field,
            };
            if matches!(fact, "title" | "titleNumber") {
                self.speaker(who);
            } else {
                self.needs.insert(Need::Fact(who.to_owned(), fact.to_owned()));
            }
        }
    }

    /// A value with its named values in place, and something in the place of every other variable.
    fn sample(&self, value: &Value) -> Value {
        self.sample_of(value, 0)
    }

    fn sample_of(&self, value: &Value, depth: usize) -> Value {
        let stand_in = |name: &str| Some(self.stand_in(name, depth));
        let scope = Scope {
            value: &stand_in,
            is_last: true,
        };
        variable::resolve(value, scope).into_owned()
    }

    fn sample_text(&self, text: &str) -> String {
        let stand_in = |name: &str| Some(self.stand_in(name, 0));
        let scope = Scope {
            value: &stand_in,
            is_last: true,
        };
        variable::substitute_text(text, scope)
    }

    fn stand_in(&self, whole: &str, depth: usize) -> Value {
        /// Named values are made of those before them; no sound case goes so deep.
        const DEEPEST: usize = 16;
        let name = variable::split_transform(whole).map_or(whole, |(name, _)| name);
        let named = self.script.lets.iter().find(|(key, _)| key == name);
        if let Some((_, value)) = named.filter(|_| depth < DEEPEST) {
            return self.sample_of(value, depth + 1);
        }
        let is_session = name == "session" || self.script.sessions.iter().any(|session| session.key == name);
        match name {
            _ if is_session => SESSION.into(),
            "version" => self.version.number().into(),
            name if name.contains(".index") => 0.into(),
            _ => "x".into(),
        }
    }
}
