//! One conversation as a case: its steps in the order of time, with variables, captures and expectations.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::contract::Suite;
use crate::contract::json::document::Document;
use crate::contract::schemas::{Body, Operation, VolatileKind};
use crate::contract::version::ContractVersion;
use crate::target::Target;
use crate::traffic::Passed;
use crate::traffic::draft::names::{Names, Place, guids, is_guid};
use crate::traffic::draft::speakers::Cast;
use crate::traffic::draft::suggestions::{self, Suggestions};
use crate::traffic::draft::{Address, address, expectation, frames, json as parse, referred, session_of, strings};

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

    /// Users and their titles.
    fn name_people(&mut self) {
        for (xuid, name) in &self.cast.xuids {
            self.names.add(xuid, format!("{name}.xuid"), 0);
        }
        for (tag, name) in &self.cast.gamertags {
            self.names.add(tag, format!("{name}.gamertag"), 0);
        }
        for index in 0..self.entries.len() {
            let (Some(one), speaker) = (self.entry(index), self.speaker(index)) else {
                continue;
            };
            if crate::contract::world::ANONYMOUS.contains(&speaker) {
                continue;
            }
            for body in [one.request.body.as_deref().and_then(parse), parse(&one.response.body)]
                .iter()
                .flatten()
            {
                strings(body, "", &mut |key, text| {
                    let is_title = key.to_ascii_lowercase().ends_with("titleid");
                    if is_title && text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit()) {
                        self.names.add(text, format!("{speaker}.title"), 0);
                    }
                });
            }
        }
    }

    /// Sessions, their service config and their templates.
    fn name_sessions(&mut self) {
        let mut addresses: Vec<([String; 3], usize)> = Vec::new();
        for (index, (_, one)) in self.entries.iter().enumerate() {
            // One that only answers name was made by the service: a name to capture.
            let body = one.request.body.as_deref().and_then(parse);
            let references = body
                .iter()
                .flat_map(|body| ["sessionRef", "originSessionRef", "targetSessionRef"].map(|key| body.get(key)));
            let named = references
                .flatten()
                .filter_map(referred)
                .map(|parts| parts.map(str::to_owned));
            let own = session_of(&one.request.path).map(|(parts, _)| parts.map(str::to_owned));
            for parts in own.into_iter().chain(named) {
                addresses.push((parts, index));
            }
        }
        let own = service_config(self.entries.iter().map(|(_, one)| *one));
        let scid = own.or_else(|| self.options.scid.clone());
        if let Some(scid) = &scid {
            self.names.add(scid, "scid", 0);
        }
        let main = addresses
            .iter()
            .map(|(parts, _)| parts)
            .find(|[own, ..]| Some(own.to_lowercase()) == scid)
            .cloned();
        for ([own, template, name], index) in addresses {
            let key = address([&own, &template, &name]);
            if Some(own.to_lowercase()) != scid || self.sessions.iter().any(|known| known.address == key) {
                continue;
            }
            self.name_template(&template, index);
            let is_main = main
                .as_ref()
                .is_some_and(|main| address([&main[0], &main[1], &main[2]]) == key);
            let is_named = is_guid(&name) || !self.is_refused(&key) || is_main && !self.is_wrong(&key);
            let given = if is_named { self.given(&key, &name) } else { None };
            let variable = match self.sessions.len() {
                0 if given.is_none() => "session".to_owned(),
                count => format!("session{}", count + 1),
            };
            if is_named && given.is_none() {
                // A word may mean something else elsewhere.
                if guids(&name).next().is_some() {
                    self.names.add(&name, format!("{variable}.name"), 0);
                } else {
                    self.names.add_placed(Place::Session, &name, format!("{variable}.name"));
                }
            }
            self.sessions.push(Session {
                address: key,
                variable,
                name,
                given,
                is_named,
            });
        }
    }

    /// The name that the case must give a session: one that stands for something else too, or that was spelt in ways
    /// that no letter case tells apart.
    fn given(&mut self, key: &Address, name: &str) -> Option<String> {
        if let Some(known) = self.names.placed(Some(Place::Session), name, 0) {
            return Some(known);
        }
        let spellings = self.spellings(key);
        let is_plain = |spelling: &String| {
            *spelling == name || *spelling == name.to_uppercase() || *spelling == name.to_lowercase()
        };
        if spellings.iter().all(is_plain) {
            return None;
        }
        // A GUID keeps the sessions of two runs apart.
        let guid = guids(name).next().map(str::to_owned);
        let label = self.names.fresh("uuid:name");
        if let Some(guid) = &guid {
            self.names.add(guid, label.clone(), 0);
        }
        for spelling in spellings {
            let mut text = self.names.text(&spelling, 0);
            if guid.is_none() {
                _ = write!(text, "-{{{label}}}");
            }
            self.names.spell(spelling, text);
        }
        self.names.placed(Some(Place::Session), name, 0)
    }

    /// How the name of a session is spelt, wherever it is named.
    fn spellings(&self, key: &Address) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (_, one) in self.entries {
            let bodies = [one.request.body.as_deref().and_then(parse), parse(&one.response.body)];
            let references = bodies.iter().flatten().flat_map(|body| {
                let references = ["sessionRef", "originSessionRef", "targetSessionRef"].map(|key| body.get(key));
                references.into_iter().flatten().filter_map(referred)
            });
            let own = session_of(&one.request.path).map(|(parts, _)| parts);
            let all = own.into_iter().chain(references);
            found.extend(
                all.filter(|parts| address(*parts) == *key)
                    .map(|[.., name]| name.to_owned()),
            );
        }
        found
    }

    /// Whether a read without fault was refused as a bad request, for which only the name is left as a reason.
    fn is_wrong(&self, key: &Address) -> bool {
        let is_bad =
            |one: &Passed| one.response.status == 400 && one.request.method == "GET" && one.version().is_some();
        let mut own = self.entries.iter().map(|(_, one)| *one);
        own.any(|one| {
            is_bad(one)
                && session_of(&one.request.path).is_some_and(|(parts, rest)| rest.is_empty() && address(parts) == *key)
        })
    }

    /// Whether a session was never there.
    fn is_refused(&self, key: &Address) -> bool {
        let own = self.entries.iter().map(|(_, one)| *one);
        let mut own = own.filter(|one| session_of(&one.request.path).is_some_and(|(parts, _)| address(parts) == *key));
        own.all(|one| one.response.status >= 400)
    }

    /// Finds the suite's template that plays a template of the capture.
    fn name_template(&mut self, template: &str, index: usize) {
        let key = template.to_lowercase();
        // One that the service does not know plays no part.
        if self.templates.contains_key(&key) || !self.is_known(template) {
            return;
        }
        let world = self.suite.world();
        let of_target = self.options.target.and_then(|target| {
            let mut known = target.templates.iter();
            known
                .find(|(_, theirs)| theirs.eq_ignore_ascii_case(template))
                .map(|(ours, _)| ours.clone())
        });
        let same = world
            .templates
            .keys()
            .find(|name| name.eq_ignore_ascii_case(template))
            .cloned();
        let known = of_target.or(same);
        let name = known.clone().unwrap_or_else(|| {
            let first = self.entries.iter().skip(index).find_map(|(_, one)| {
                let (parts, _) = session_of(&one.request.path)?;
                let document = parse(&one.response.body).filter(|_| one.response.status < 300)?;
                (parts[1].eq_ignore_ascii_case(template)).then(|| document.pointer("/constants/system").cloned())?
            });
            let likely = first.as_ref().map(|constants| self.likeliest(constants));
            let name = likely.flatten().unwrap_or_else(|| "open".to_owned());
            self.hints.push(format!(
                "the suite has no template `{template}`; `{name}` stands in for it: compare the constants (`list templates`)"
            ));
            name
        });
        self.names
            .add_placed(Place::Template, template, format!("templates.{name}"));
        self.templates.insert(key, name);
    }

    /// Whether the service knows a template: what is asked of its sessions is found, or what refers to it accepted.
    fn is_known(&self, template: &str) -> bool {
        let mut own = self.entries.iter().filter_map(|(_, one)| {
            let asked = session_of(&one.request.path).map(|(parts, _)| parts[1].eq_ignore_ascii_case(template));
            let refers = || {
                let body = one.request.body.as_deref().and_then(parse)?;
                let references =
                    ["sessionRef", "originSessionRef", "targetSessionRef"].map(|key| body.get(key).cloned());
                let mut references = references.into_iter().flatten();
                Some(references.any(|reference| {
                    referred(&reference).is_some_and(|[_, name, _]| name.eq_ignore_ascii_case(template))
                }))
            };
            let status = one.response.status;
            match asked {
                Some(true) => Some(status != 404),
                Some(false) => None,
                None => refers().unwrap_or_default().then_some(status < 400),
            }
        });
        own.any(|is_found| is_found)
    }

    /// The template of the suite that says most of what a session's constants are, and nothing else.
    fn likeliest(&self, constants: &Value) -> Option<String> {
        let world = self.suite.world();
        let fits = world.templates.iter().filter_map(|(name, template)| {
            let system = template.constants.get("system")?;
            let said = leaves(system);
            let holds = said
                .iter()
                .all(|(pointer, value)| constants.pointer(pointer) == Some(*value));
            (holds && template.role_types.is_null()).then_some((said.len(), name))
        });
        // Of those that say as much, the plain one.
        let best = fits.max_by_key(|(count, name)| (*count, name.as_str() == "open", std::cmp::Reverse(name.len())));
        best.map(|(_, name)| name.clone())
    }

    /// Values that one answer gives and a later request needs, and GUIDs that clients make up.
    fn name_captures(&mut self, events: &[(usize, Event)]) {
        // Value in lower case, with where it was seen first: place, source and label.
        let mut seen: HashMap<String, Given> = HashMap::new();
        for (at, (index, event)) in events.iter().enumerate() {
            let Some(one) = self.entry(*index) else { continue };
            match event {
                Event::Exchange => {
                    for (label, text) in Self::said(one) {
                        self.need(&label, &text, at, &seen);
                    }
                    self.give(one, at, &mut seen);
                }
                Event::Close => {}
                Event::Message(number) => {
                    let Some(message) = one.messages.get(*number) else {
                        continue;
                    };
                    let Some(frame) = frames::read(message) else { continue };
                    if message.is_sent {
                        strings(&frame, "id", &mut |key, text| self.need(key, text, at, &seen));
                        continue;
                    }
                    if let Some(id) = frame.pointer("/4/ConnectionId").and_then(Value::as_str) {
                        let source = "body /4/ConnectionId".to_owned();
                        // The answer is part of the step that asked.
                        let asked = events.iter().take(at).rposition(|(other, event)| {
                            let sent = |number: usize| one.messages.get(number).filter(|message| message.is_sent);
                            matches!(event, Event::Message(number) if other == index && sent(*number).and_then(frames::read).is_some_and(|sent| frames::answers(&sent, &frame)))
                        });
                        let given = Given {
                            at: asked.unwrap_or(at),
                            source,
                            label: "connection".to_owned(),
                            path: String::new(),
                        };
                        seen.insert(id.to_lowercase(), given);
                    }
                }
            }
        }
    }

    /// What a request says: path, headers and body, each text with what it is called.
    fn said(one: &Passed) -> Vec<(String, String)> {
        let mut said = Vec::new();
        let (path, query) = one.request.path.split_once('?').unwrap_or((&one.request.path, ""));
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        for (index, segment) in segments.iter().enumerate() {
            let label = match segments.get(index.wrapping_sub(1)) {
                Some(before) if before.eq_ignore_ascii_case("handles") => "handle",
                Some(before) if before.eq_ignore_ascii_case("serviceconfigs") => "scid",
                _ => "id",
            };
            said.push((label.to_owned(), (*segment).to_owned()));
        }
        for part in query.split('&') {
            let (key, value) = part.split_once('=').unwrap_or(("id", part));
            said.push((key.to_owned(), value.to_owned()));
        }
        for (name, value) in &one.request.headers {
            if name.eq_ignore_ascii_case("if-match") || name.eq_ignore_ascii_case("if-none-match") {
                said.push(("etag".to_owned(), value.clone()));
            }
        }
        if let Some(body) = one.request.body.as_deref().and_then(parse) {
            strings(&body, "id", &mut |key, text| {
                said.push((key.to_owned(), text.to_owned()));
            });
        }
        said
    }

    /// Names what a text needs: a value that was given before becomes a capture, a new GUID is the client's own.
    fn need(&mut self, label: &str, text: &str, at: usize, seen: &HashMap<String, Given>) {
        if label != "etag" && self.names.has(text, at) {
            return;
        }
        let bare = text.trim_start_matches("W/").trim_matches('"');
        let quoted = format!("\"{bare}\"");
        let spelt = [text, bare, quoted.as_str()];
        let is_tag = label == "etag";
        for value in spelt.iter().take(if is_tag { 3 } else { 1 }) {
            let Some(given) = seen.get(&value.to_lowercase()) else {
                continue;
            };
            if !self.names.has(value, at) || is_tag && !self.is_from(value, given) {
                let name = self.capture(given);
                self.names.renew(value, name.clone(), given.at + 1);
                if *value != text {
                    self.names.renew(text, format!("{name}|bare"), given.at + 1);
                }
            }
            return;
        }
        for guid in guids(text) {
            if self.names.has(guid, at) {
                continue;
            }
            match seen.get(&guid.to_lowercase()) {
                Some(given) => {
                    let name = self.capture(given);
                    self.names.renew(guid, name, given.at + 1);
                }
                None => {
                    let label: String = label.chars().filter(char::is_ascii_alphanumeric).collect();
                    let label = if label.starts_with(|c: char| c.is_ascii_alphabetic()) {
                        label
                    } else {
                        "id".to_owned()
                    };
                    let name = self.names.fresh(&format!("uuid:{label}"));
                    self.names.add(guid, name, 0);
                }
            }
        }
    }

    /// Whether the name of a value comes from this very answer: services may use one tag for several states.
    fn is_from(&self, value: &str, given: &Given) -> bool {
        let captures = self.captures.get(&given.at).map(Vec::as_slice).unwrap_or_default();
        captures.iter().any(|(name, known)| {
            *known == given.source
                && self
                    .names
                    .whole(value, usize::MAX)
                    .is_some_and(|whole| whole == format!("{{{name}}}"))
        })
    }

    fn capture(&mut self, given: &Given) -> String {
        let captures = self.captures.entry(given.at).or_default();
        if let Some((name, _)) = captures.iter().find(|(_, known)| *known == given.source) {
            return name.clone();
        }
        let mut label: String = given.label.chars().filter(char::is_ascii_alphanumeric).collect();
        if !label.starts_with(|c: char| c.is_ascii_alphabetic())
            || matches!(label.as_str(), "copy" | "version" | "scid" | "template" | "session")
        {
            label.insert_str(0, "the");
        }
        let name = self.names.fresh(&label);
        captures.push((name.clone(), given.source.clone()));
        name
    }

    /// What an answer gives: its entity tag, and the identifiers of its body.
    fn give(&self, one: &Passed, at: usize, seen: &mut HashMap<String, Given>) {
        let path = one.request.path.split('?').next().unwrap_or_default().to_lowercase();
        let given = |source: String, label: &str| Given {
            at,
            source,
            label: label.to_owned(),
            path: path.clone(),
        };
        if let Some(tag) = one.response.header("etag") {
            // Services may count up in each session: the last one that had the tag is meant.
            let known = seen.get(&tag.to_lowercase());
            if known.is_none_or(|known| known.path != path) {
                seen.insert(tag.to_lowercase(), given("header ETag".to_owned(), "etag"));
            }
        }
        let Some(body) = parse(&one.response.body) else { return };
        let schemas = self.suite.schemas();
        let judged = self.operation(one).and_then(|operation| {
            schemas
                .judge(
                    &operation,
                    one.response.status,
                    self.version,
                    Body::Json(&Document::from(&body)),
                )
                .schema
        });
        if let Some(schema) = judged {
            for volatile in schemas.volatile(&schema, self.version, &body) {
                let label = match volatile.kind {
                    VolatileKind::Guid(label) | VolatileKind::Token(label) if !label.is_empty() => label.as_str(),
                    VolatileKind::Guid(_) | VolatileKind::Token(_) => "id",
                    _ => continue,
                };
                let Some(text) = body.pointer(&volatile.pointer).and_then(Value::as_str) else {
                    continue;
                };
                if text.len() >= 6 {
                    let source = format!("body {}", volatile.pointer);
                    seen.entry(text.to_lowercase()).or_insert_with(|| given(source, label));
                }
            }
        }
        let mut found = Vec::new();
        walk(&body, &mut String::new(), &mut |pointer, text| {
            if is_guid(text) {
                found.push((pointer.to_owned(), text.to_lowercase()));
            }
        });
        for (pointer, text) in found {
            let label = pointer.rsplit('/').next().unwrap_or("id").to_owned();
            seen.entry(text)
                .or_insert_with(|| given(format!("body {pointer}"), &label));
        }
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
            verb @ ("GET" | "PUT" | "POST" | "DELETE" | "PATCH" | "HEAD" | "OPTIONS") => {
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

    /// A path with variables; the one of a session as the suite spells it is its variable.
    fn path(&self, path: &str, at: usize) -> String {
        if let Some((parts, rest)) = session_of(path) {
            let key = address(parts);
            let canonical = format!(
                "/serviceconfigs/{}/sessiontemplates/{}/sessions/{}",
                parts[0], parts[1], parts[2]
            );
            let is_plain = |place: Option<Place>, text: &str| {
                let whole = self.names.placed(place, text, at);
                whole.is_some_and(|whole| !whole.contains('|'))
            };
            if let Some(session) = self.sessions.iter().find(|known| known.address == key)
                && session.is_named
                && path.starts_with(&canonical)
                && parts[2] == session.name
                && is_plain(None, parts[0])
                && is_plain(Some(Place::Template), parts[1])
            {
                return format!("{{{}}}{}", session.variable, self.pieces(rest, at));
            }
        }
        self.pieces(path, at)
    }

    fn pieces(&self, path: &str, at: usize) -> String {
        let mut out = String::new();
        let mut rest = path;
        let mut place = None;
        while let Some(end) = rest.find(['/', '?', '&', '=', ',', '~']) {
            let (piece, tail) = rest.split_at(end);
            out.push_str(&self.names.text_at(place, piece, at));
            let mut chars = tail.chars();
            let mark = chars.next();
            place = Place::after(piece).filter(|_| mark == Some('/'));
            out.extend(mark);
            rest = chars.as_str();
        }
        out.push_str(&self.names.text_at(place, rest, at));
        out
    }

    fn headers(&self, one: &Passed, at: usize) -> Map<String, Value> {
        let mut headers = Map::new();
        let mut add = |name: &str, value: Value| match headers.get_mut(name) {
            None => _ = headers.insert(name.to_owned(), value),
            Some(Value::Array(values)) => values.push(value),
            Some(known) => *known = json!([known.take(), value]),
        };
        for (name, value) in &one.request.headers {
            let lower = name.to_ascii_lowercase();
            let is_wanted = HEADERS.contains(&lower.as_str()) || lower == "accept" && one.response.status == 406;
            let is_usual = match lower.as_str() {
                "content-type" => value == "application/json" && one.request.body.is_some(),
                "x-xbl-contract-version" => value.trim() == self.version.to_string(),
                _ => false,
            };
            // A title or a body that nobody sends means nothing.
            let is_idle = lower == "content-type" && one.request.body.is_none();
            if is_wanted && !is_usual && !is_idle {
                add(name, self.names.text(value, at).into());
            }
        }
        if one.header("x-xbl-contract-version").is_none() {
            headers.insert("X-Xbl-Contract-Version".to_owned(), Value::Null);
        }
        if one.request.body.is_some() && one.header("content-type").is_none() {
            headers.insert("Content-Type".to_owned(), Value::Null);
        }
        headers
    }

    /// A body as JSON where that says the same, else as text, else as bytes.
    fn body(&self, body: &[u8], at: usize) -> (&'static str, Value) {
        use base64::Engine as _;
        let Ok(text) = std::str::from_utf8(body) else {
            let packed = base64::engine::general_purpose::STANDARD.encode(body);
            return ("base64", packed.into());
        };
        match crate::contract::json::parse("", text) {
            Ok(value) if is_same(text, &value) => ("body", self.names.json(&value, at)),
            _ => ("text", self.names.text(text, at).into()),
        }
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
                    "the captured answer to {} {} breaks the contract, and so will the draft: {place}: {}",
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
                expect["schema"] = schema.into();
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
        let path = one.request.path.split('?').next().unwrap_or_default().to_lowercase();
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

    fn case(&mut self, steps: Vec<Value>) -> Value {
        let mut speakers: Vec<&str> = Vec::new();
        for index in 0..self.entries.len() {
            let speaker = self.speaker(index);
            if !speakers.contains(&speaker) {
                speakers.push(speaker);
            }
        }
        let mut case = Map::new();
        case.insert("$schema".to_owned(), "../../schemas/case.schema.json".into());
        let count = self.entries.len();
        let requests = if count == 1 {
            "1 exchange goes as it went".to_owned()
        } else {
            format!("{count} exchanges go as they went")
        };
        case.insert(
            "title".to_owned(),
            format!("A captured conversation of {}: {requests}.", joined(&speakers)).into(),
        );
        let mut clauses = self.clauses.clone();
        clauses.truncate(MANY);
        if clauses.is_empty() {
            let mut statuses = self.entries.iter().map(|(_, one)| one.response.status);
            let likely = statuses.find_map(|status| self.suggestions.likely(status));
            let id = likely.unwrap_or(NO_CLAUSE);
            self.hints.push(format!(
                "no clause is plain from its operations; put the one that it tests in place of `{id}` (`list clauses`)"
            ));
            clauses.push(id.to_owned());
        }
        case.insert("clauses".to_owned(), json!(clauses));
        if self.version != ContractVersion::CURRENT {
            case.insert("versions".to_owned(), json!([self.version.number()]));
        }
        let template = |address: &Address| {
            self.templates
                .get(&address.1)
                .cloned()
                .unwrap_or_else(|| "open".to_owned())
        };
        let (main, others): (Vec<_>, Vec<_>) = self.sessions.iter().partition(|one| one.variable == "session");
        if let Some(main) = main.first() {
            let template = template(&main.address);
            if template != "open" {
                case.insert("template".to_owned(), template.into());
            }
        }
        let others: Map<String, Value> = others
            .iter()
            .filter(|one| one.is_named || one.given.is_some())
            .map(|one| {
                let mut told = json!({ "template": template(&one.address) });
                if let Some(given) = &one.given {
                    told["name"] = given.as_str().into();
                }
                (one.variable.clone(), told)
            })
            .collect();
        if !others.is_empty() {
            case.insert("sessions".to_owned(), Value::Object(others));
        }
        // A session that is named after somebody is there once.
        let owners = self
            .sessions
            .iter()
            .filter_map(|one| one.given.as_deref()?.strip_prefix('{')?.strip_suffix(".xuid}"));
        let owners: BTreeSet<&str> = owners.collect();
        if !owners.is_empty() {
            case.insert("exclusive".to_owned(), json!(owners));
        }
        let known = |speaker: &&str| !crate::contract::world::ANONYMOUS.contains(speaker);
        if let Some(observer) = speakers.iter().copied().find(known)
            && speakers.first() != Some(&observer)
        {
            case.insert("observer".to_owned(), observer.into());
        }
        self.hint_at_beginning();
        case.insert("steps".to_owned(), Value::Array(steps));
        Value::Object(case)
    }

    /// A capture that begins in the middle cannot be replayed as it is.
    fn hint_at_beginning(&mut self) {
        for Session {
            address: key, variable, ..
        } in &self.sessions
        {
            let own = self.entries.iter().map(|(_, one)| *one);
            let mut own =
                own.filter(|one| session_of(&one.request.path).is_some_and(|(parts, _)| address(parts) == *key));
            let is_there = own.next().is_some_and(|one| one.response.status == 200);
            if is_there {
                self.hints.push(format!(
                    "`{{{variable}}}` was there before the capture began: add the steps that make it"
                ));
            }
        }
    }
}

/// What an exchange tells of the order in which things took effect.
struct State {
    /// The session, or the path, that it is about.
    key: String,
    branch: Option<Value>,
    number: Option<u64>,
    status: u16,
    is_read: bool,
    /// The handle that it removed.
    removed: Option<String>,
    /// The handles that its answer lists.
    listed: Vec<String>,
    start: Timestamp,
    end: Timestamp,
}

impl State {
    fn of(one: &Passed) -> Option<Self> {
        let (method, status) = (one.request.method.as_str(), one.response.status);
        let path = one.request.path.split('?').next().unwrap_or_default();
        let key = match session_of(path) {
            Some((parts, _)) => {
                let (scid, template, name) = address(parts);
                format!("{scid}/{template}/{name}")
            }
            None => path.to_lowercase(),
        };
        let removed = key
            .strip_prefix("/handles/")
            .filter(|_| method == "DELETE" && status < 300);
        let document = parse(&one.response.body).filter(|_| status < 300);
        let document = document.as_ref();
        let results = document.and_then(|document| document.get("results")?.as_array());
        let ids = results
            .into_iter()
            .flatten()
            .filter_map(|result| result.get("id")?.as_str());
        Some(Self {
            branch: document.and_then(|document| document.get("branch").cloned()),
            number: document.and_then(|document| document.get("changeNumber")?.as_u64()),
            status,
            is_read: matches!(method, "GET" | "HEAD" | "OPTIONS"),
            removed: removed.map(str::to_owned),
            listed: ids.map(str::to_lowercase).collect(),
            start: one.started?,
            end: ended(one)?,
            key,
        })
    }

    /// Whether it took effect after another one that was sent while it was under way; `None` if they do not touch.
    fn is_later(&self, other: &Self) -> Option<bool> {
        if let Some(removed) = &self.removed
            && other.listed.contains(removed)
        {
            return Some(true);
        }
        if self.key != other.key {
            return None;
        }
        if let (Some(number), Some(others)) = (self.number, other.number) {
            return Some(self.branch == other.branch && number > others);
        }
        let is_made = |state: &Self| state.status == 201;
        let is_lacking = |state: &Self| state.status == 404 || state.is_read && state.status == 204;
        if is_lacking(self) && is_made(other) || is_made(self) && is_lacking(other) {
            return Some(is_made(self));
        }
        let is_refused = self.status >= 400 && !self.is_read;
        Some(is_refused && other.status < 300 && (!other.is_read || other.number.is_some()))
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

/// When an exchange, or a socket, was over.
fn ended(one: &Passed) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "an exchange does not take an age")]
    let micros = (one.milliseconds * 1000.0) as i64;
    Timestamp::from_microsecond(one.started?.as_microsecond().checked_add(micros)?).ok()
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
