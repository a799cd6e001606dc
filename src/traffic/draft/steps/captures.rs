//! Captures: what a later request took from an earlier response.

use std::collections::HashMap;

use serde_json::Value;

use crate::contract::json::document::Document;
use crate::contract::schemas::{Body, VolatileKind};
use crate::traffic::draft::names::{guids, is_guid};
use crate::traffic::draft::steps::{Event, Given, Writer, walk};
use crate::traffic::draft::{frames, json as parse, strings};
use crate::traffic::{Passed, without_query};

impl Writer<'_> {
    /// Values that one answer gives and a later request needs, and GUIDs that clients make up.
    pub(super) fn name_captures(&mut self, events: &[(usize, Event)]) {
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
    pub(super) fn said(one: &Passed) -> Vec<(String, String)> {
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
    pub(super) fn need(&mut self, label: &str, text: &str, at: usize, seen: &HashMap<String, Given>) {
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
    pub(super) fn is_from(&self, value: &str, given: &Given) -> bool {
        let captures = self.captures.get(&given.at).map(Vec::as_slice).unwrap_or_default();
        captures.iter().any(|(name, known)| {
            *known == given.source
                && self
                    .names
                    .whole(value, usize::MAX)
                    .is_some_and(|whole| whole == format!("{{{name}}}"))
        })
    }

    pub(super) fn capture(&mut self, given: &Given) -> String {
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
    pub(super) fn give(&self, one: &Passed, at: usize, seen: &mut HashMap<String, Given>) {
        let path = without_query(&one.request.path).to_lowercase();
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
}
