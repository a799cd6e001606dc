//! Checks that whatever a case names exists: clauses, identities, templates, features, steps, readings and variables.

use std::collections::HashSet;

use serde_json::Value;

use crate::contract::Suite;
use crate::contract::case::{Action, Body, Case, Expectation, Request, Script, Scripts, Source, Step, variable};
use crate::contract::json::problem::{Place, Problem};
use crate::contract::json::{escape, expected_one_of};
use crate::contract::world::ANONYMOUS;

/// What an identity has: `{alice.xuid}`.
const IDENTITY_FIELDS: [&str; 7] = [
    "xuid",
    "xuidNumber",
    "gamertag",
    "title",
    "titleNumber",
    "device",
    "index",
];
/// What a session has: `{session.name}`.
const SESSION_FIELDS: [&str; 3] = ["name", "ref", "template"];

/// Reports what a case names and the suite does not have.
pub(super) fn check(suite: &Suite, case: &Case, scripts: &Scripts, problems: &mut Vec<Problem>) {
    let Some((_, script)) = scripts.with(case).next() else {
        return;
    };
    let mut links = Links {
        scripts,
        script,
        suite,
        case,
        file: format!("cases/{}.json", case.id),
        problems,
        seen: HashSet::new(),
    };
    links.check_case();
}

struct Links<'a> {
    suite: &'a Suite,
    case: &'a Case,
    scripts: &'a Scripts,
    /// The script that is being checked.
    script: &'a Script,
    file: String,
    problems: &'a mut Vec<Problem>,
    /// Variants share their steps, and so their problems.
    seen: HashSet<(String, String)>,
}

impl Links<'_> {
    fn wrong(&mut self, pointer: &str, message: String, expected: String) {
        if self.seen.insert((pointer.to_owned(), message.clone())) {
            let place = Place::Value(pointer.to_owned());
            self.problems.push(Problem {
                file: self.file.clone(),
                place,
                message,
                expected,
            });
        }
    }

    fn check_case(&mut self) {
        let world = &self.suite.world;
        self.check_clauses("/clauses", &self.case.clauses);
        if self.case.variants.iter().any(|variant| variant.clauses.is_empty()) {
            self.wrong(
                "/clauses",
                "a case without a clause".to_owned(),
                "`clauses` names at least one".to_owned(),
            );
        }
        let features: Vec<&str> = world.features.keys().map(String::as_str).collect();
        for need in &self.case.needs {
            if !world.features.contains_key(need) {
                self.wrong(
                    "/needs",
                    format!("unknown feature `{need}`"),
                    expected_one_of(need, &features),
                );
            }
        }
        let mut done: Vec<&Script> = Vec::new();
        for (variant, script) in self.scripts.with(self.case) {
            // The versions of a case share its script; each row has its own.
            if !done.iter().any(|done| std::ptr::eq(*done, script)) {
                if variant.clauses != self.case.clauses {
                    for id in &variant.clauses {
                        self.check_clause(&format!("/table/rows/{}", done.len()), id);
                    }
                }
                done.push(script);
                self.script = script;
                self.check_script(script);
            }
        }
    }

    fn check_script(&mut self, script: &Script) {
        let templates: Vec<&str> = self.suite.world.templates.keys().map(String::as_str).collect();
        let named = script.sessions.iter().filter_map(|session| {
            Some((
                format!("/sessions/{}/template", session.key),
                session.template.as_ref()?,
            ))
        });
        for (pointer, template) in std::iter::once(("/template".to_owned(), &script.template)).chain(named) {
            if !templates.contains(&template.as_str()) {
                self.wrong(
                    &pointer,
                    format!("unknown template `{template}`"),
                    expected_one_of(template, &templates),
                );
            }
        }
        let first = script.steps().flat_map(Step::requests).next();
        // Unless the case says otherwise, the first speaker observes, who is looked at below.
        if !script.observer.is_empty() && first.is_none_or(|first| first.speaker != script.observer) {
            self.check_speaker("/observer", &script.observer);
        }
        self.check_steps(script);
    }

    fn check_clauses(&mut self, pointer: &str, ids: &[String]) {
        for (index, id) in ids.iter().enumerate() {
            self.check_clause(&format!("{pointer}/{index}"), id);
        }
    }

    fn check_clause(&mut self, pointer: &str, id: &str) {
        if self.suite.clause(id).is_none() {
            let known: Vec<&str> = self.suite.clauses.iter().map(|clause| clause.id.as_str()).collect();
            let expected = match expected_one_of(id, &known) {
                near if near.starts_with("did you mean") => near,
                _ => "an id of some chapter's `clauses.json`".to_owned(),
            };
            self.wrong(pointer, format!("unknown clause `{id}`"), expected);
        }
    }

    fn check_speaker(&mut self, pointer: &str, speaker: &str) {
        let identities = &self.suite.world.identities;
        if !identities.contains_key(speaker) && !ANONYMOUS.contains(&speaker) {
            let known: Vec<&str> = identities.keys().map(String::as_str).chain(ANONYMOUS).collect();
            self.wrong(
                pointer,
                format!("unknown identity `{speaker}`"),
                expected_one_of(speaker, &known),
            );
        }
    }

    fn check_steps(&mut self, script: &Script) {
        let mut captured: HashSet<&str> = HashSet::new();
        let mut names: Vec<&str> = Vec::new();
        let mut sockets: Vec<&str> = Vec::new();
        for step in script.steps() {
            for request in step.requests() {
                self.check_request(step, request, &captured);
            }
            if let Action::Again(name) = &step.action
                && !names.contains(&name.as_str())
            {
                let pointer = format!("{}/again", step.pointer);
                self.wrong(
                    &pointer,
                    format!("no earlier step is named `{name}`"),
                    expected_one_of(name, &names),
                );
            }
            if let Action::Frame(name, _) | Action::Close(name) = &step.action {
                let pointer = format!("{}/socket", step.pointer);
                if !sockets.contains(&name.as_str()) {
                    self.wrong(
                        &pointer,
                        format!("no earlier step opens `{name}`"),
                        expected_one_of(name, &sockets),
                    );
                }
            }
            match &step.action {
                Action::Open(name, _) => sockets.push(name),
                Action::Frame(_, Some(frame)) => {
                    self.check_value(&format!("{}/send", step.pointer), frame, &captured);
                }
                _ => {}
            }
            for (_, count) in &step.tally {
                self.check_value(&format!("{}/tally", step.pointer), count.written(), &captured);
            }
            for expectation in step.expectations() {
                captured.extend(expectation.captures());
                self.check_expectation(expectation, &captured, &names);
            }
            names.extend(step.name.as_deref());
        }
    }

    fn check_request(&mut self, step: &Step, request: &Request, captured: &HashSet<&str>) {
        self.check_speaker(&format!("{}/as", step.pointer), &request.speaker);
        let method = request.method.to_lowercase();
        self.check_text(&format!("{}/{method}", step.pointer), &request.path, captured);
        for (name, values) in &request.headers {
            for value in values {
                self.check_text(&format!("{}/headers/{name}", step.pointer), value, captured);
            }
        }
        match &request.body {
            Body::Json(value) => self.check_value(&format!("{}/body", step.pointer), value, captured),
            Body::Text(value) => self.check_value(&format!("{}/text", step.pointer), value, captured),
            Body::None | Body::Bytes(_) => {}
        }
    }

    fn check_expectation(&mut self, expectation: &Expectation, captured: &HashSet<&str>, names: &[&str]) {
        for (pointer, matcher) in expectation.own_matchers() {
            self.check_value(&format!("{}/{pointer}", expectation.pointer), matcher, captured);
        }
        for (name, source) in &expectation.capture {
            if let Source::Body(at) = source {
                self.check_text(&format!("{}/capture/{name}", expectation.pointer), at, captured);
            }
        }
        if let Some(path) = &expectation.unchanged {
            self.check_text(&format!("{}/unchanged", expectation.pointer), path, captured);
        }
        if let Some(name) = &expectation.same_as
            && !names.contains(&name.as_str())
        {
            let pointer = format!("{}/sameAs", expectation.pointer);
            self.wrong(
                &pointer,
                format!("no earlier step is named `{name}`"),
                expected_one_of(name, names),
            );
        }
        if let Some(clauses) = &expectation.clauses {
            self.check_clauses(&format!("{}/clauses", expectation.pointer), clauses);
        }
        if let Some((entry, readings)) = &expectation.reading {
            let pointer = format!("{}/reading", expectation.pointer);
            match self.suite.ledger_entry(entry) {
                None => {
                    let ids: Vec<&str> = self.suite.ledger.iter().map(|entry| entry.id.as_str()).collect();
                    let pointer = format!("{pointer}/entry");
                    self.wrong(
                        &pointer,
                        format!("unknown contradiction `{entry}`"),
                        expected_one_of(entry, &ids),
                    );
                }
                Some(entry) => {
                    let known: Vec<&str> = entry.readings.iter().map(|reading| reading.key.as_str()).collect();
                    for (key, _) in readings {
                        if !known.contains(&key.as_str()) {
                            let message = format!("unknown interpretation `{key}` of `{}`", entry.id);
                            self.wrong(&format!("{pointer}/oneOf/{key}"), message, expected_one_of(key, &known));
                        }
                    }
                }
            }
            for (_, reading) in readings {
                self.check_expectation(reading, captured, names);
            }
        }
    }

    fn check_value(&mut self, pointer: &str, value: &Value, captured: &HashSet<&str>) {
        if variable::is_plain(value) {
            return;
        }
        match value {
            Value::String(text) => self.check_text(pointer, text, captured),
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.check_value(&format!("{pointer}/{index}"), value, captured);
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    let pointer = format!("{pointer}/{}", escape(key));
                    self.check_text(&pointer, key, captured);
                    self.check_value(&pointer, value, captured);
                }
            }
            _ => {}
        }
    }

    fn check_text(&mut self, pointer: &str, text: &str, captured: &HashSet<&str>) {
        for whole in variable::names(text) {
            let (name, transform) = variable::split_transform(whole).unwrap_or((whole, "lower"));
            if !variable::TRANSFORMS.contains(&transform) {
                let expected = expected_one_of(transform, &variable::TRANSFORMS);
                self.wrong(
                    pointer,
                    format!("unknown transform `{transform}` in `{{{whole}}}`"),
                    expected,
                );
            }
            let sum = variable::split_sum(name);
            if !self.is_known(name, captured) && !sum.is_some_and(|(name, _)| self.is_known(name, captured)) {
                let lets = self.script.lets.iter().map(|(name, _)| name.as_str());
                let sessions = self.script.sessions.iter().map(|session| session.key.as_str());
                let names = ["session", "scid", "template", "version"]
                    .into_iter()
                    .chain(lets)
                    .chain(sessions);
                let mut known: Vec<String> = names.chain(captured.iter().copied()).map(str::to_owned).collect();
                if name.contains('.') {
                    let identities = self.suite.world.identities.keys().map(String::as_str).chain(["me"]);
                    known.extend(identities.flat_map(|key| IDENTITY_FIELDS.map(|field| format!("{key}.{field}"))));
                    let sessions = self.script.sessions.iter().map(|session| session.key.as_str());
                    let sessions = sessions.chain(["session"]);
                    known.extend(sessions.flat_map(|key| SESSION_FIELDS.map(|field| format!("{key}.{field}"))));
                    known.extend(
                        self.suite
                            .world
                            .templates
                            .keys()
                            .map(|name| format!("templates.{name}")),
                    );
                }
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                self.wrong(
                    pointer,
                    format!("unknown variable `{{{name}}}`"),
                    expected_one_of(name, &known),
                );
            }
        }
    }

    fn is_known(&self, name: &str, captured: &HashSet<&str>) -> bool {
        let is_session = |key: &str| key == "session" || self.script.sessions.iter().any(|session| session.key == key);
        if matches!(name, "scid" | "template" | "version" | "copy") || captured.contains(name) || is_session(name) {
            return true;
        }
        if self.script.lets.iter().any(|(key, _)| key == name) {
            return true;
        }
        if let Some(label) = name.strip_prefix("uuid:") {
            return !label.is_empty();
        }
        let world = &self.suite.world;
        match name.split_once('.') {
            Some(("templates", template)) => world.templates.contains_key(template),
            Some((key, field)) if is_session(key) => SESSION_FIELDS.contains(&field),
            Some(("me", field)) => IDENTITY_FIELDS.contains(&field),
            Some((key, field)) => world.identities.get(key).is_some_and(|identity| identity.has(field)),
            None => false,
        }
    }
}
