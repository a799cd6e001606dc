//! Which entries belong together: those about one session, and the handles, sockets and other sessions tied to it.

use std::collections::HashMap;

use serde_json::Value;

use crate::traffic::Passed;
use crate::traffic::draft::speakers::Cast;
use crate::traffic::draft::{address, json, referred, session_of};

/// The conversations of a capture, each as the places of its entries, in the order of their first one.
pub(super) fn split(passed: &[Passed], cast: &Cast) -> Vec<Vec<usize>> {
    let mut ties = Ties::default();
    let keys: Vec<Vec<String>> = passed.iter().map(keys).collect();
    for keys in &keys {
        for key in keys {
            ties.tie(&keys[0], key);
        }
    }
    for (one, other) in replaced(passed, cast) {
        if let (Some(one), Some(other)) = (keys[one].first(), keys[other].first()) {
            ties.tie(one, other);
        }
    }
    let mut groups: Vec<(Option<usize>, Vec<usize>)> = Vec::new();
    // Where each speaker was last heard.
    let mut last: HashMap<&str, usize> = HashMap::new();
    for (place, (one, keys)) in passed.iter().zip(&keys).enumerate() {
        let speaker = cast.speaker(place);
        let own = keys.first().map(|key| ties.root(key));
        let found = own.or_else(|| mentioned(one).iter().find_map(|key| ties.known(key)));
        let at = match found {
            Some(root) => groups
                .iter()
                .position(|(known, _)| *known == Some(root))
                .unwrap_or_else(|| {
                    groups.push((Some(root), Vec::new()));
                    groups.len() - 1
                }),
            None => match last.get(speaker) {
                Some(at) => *at,
                None => groups.iter().position(|(known, _)| known.is_none()).unwrap_or_else(|| {
                    groups.push((None, Vec::new()));
                    groups.len() - 1
                }),
            },
        };
        if let Some((_, group)) = groups.get_mut(at) {
            group.push(place);
        }
        last.insert(speaker, at);
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Activities that somebody gave up for another one, and that were asked for afterwards: the places of both.
fn replaced(passed: &[Passed], cast: &Cast) -> Vec<(usize, usize)> {
    let handle = |path: &str| path.split(['/', '?']).nth(2).map(str::to_lowercase);
    let is_lost = |one: &&Passed| one.response.status == 404 && one.request.path.starts_with("/handles/");
    let lost: Vec<String> = passed
        .iter()
        .filter(is_lost)
        .filter_map(|one| handle(&one.request.path))
        .collect();
    let mut current: HashMap<&str, (usize, String)> = HashMap::new();
    let mut found = Vec::new();
    for (place, one) in passed
        .iter()
        .enumerate()
        .filter(|(_, one)| one.request.method == "POST")
    {
        let Some(body) = json(&one.response.body).filter(|_| one.response.status < 300) else {
            continue;
        };
        let is_activity = body.get("type").and_then(Value::as_str) == Some("activity");
        let Some(id) = body.get("id").and_then(Value::as_str).filter(|_| is_activity) else {
            continue;
        };
        let before = current.insert(cast.speaker(place), (place, id.to_lowercase()));
        if let Some((before, _)) = before.filter(|(_, id)| lost.contains(id)) {
            found.push((before, place));
        }
    }
    found
}

/// What an entry is about: sessions, handles and connections.
fn keys(one: &Passed) -> Vec<String> {
    let mut keys = Vec::new();
    if let Some((session, _)) = session_of(&one.request.path) {
        keys.push(session_key(session));
    }
    let handle = |id: &str| format!("handle {}", id.to_lowercase());
    let mut path = one.request.path.split(['/', '?']).skip(1);
    if path.next().is_some_and(|first| first.eq_ignore_ascii_case("handles"))
        && let Some(id) = path.next().filter(|id| id.len() == 36)
    {
        keys.push(handle(id));
    }
    let is_query = one.request.path.to_ascii_lowercase().contains("/query");
    for body in [one.request.body.as_deref().and_then(json), json(&one.response.body)]
        .iter()
        .flatten()
    {
        let references = ["sessionRef", "originSessionRef", "targetSessionRef"];
        for reference in references.iter().filter_map(|key| body.get(key)) {
            keys.extend(referred(reference).map(session_key));
        }
        if body.get("sessionRef").is_some()
            && !is_query
            && let Some(id) = body.get("id").and_then(Value::as_str)
        {
            keys.push(handle(id));
        }
        if let Some(connection) = body
            .pointer("/members/me/properties/system/connection")
            .and_then(Value::as_str)
        {
            keys.push(connection_key(connection));
        }
    }
    if let Some(location) = one.response.header("content-location")
        && let Some((session, _)) = session_of(location)
    {
        keys.push(session_key(session));
    }
    for frame in one
        .messages
        .iter()
        .filter_map(|message| json(message.text.as_ref()?.as_bytes()))
    {
        if let Some(connection) = frame.pointer("/4/ConnectionId").and_then(Value::as_str) {
            keys.push(connection_key(connection));
        }
    }
    keys
}

fn session_key(session: [&str; 3]) -> String {
    let (scid, template, name) = address(session);
    format!("session {scid}/{template}/{name}")
}

fn connection_key(id: &str) -> String {
    format!("connection {}", id.to_lowercase())
}

/// The sessions in an answer to a query.
fn mentioned(one: &Passed) -> Vec<String> {
    let Some(body) = json(&one.response.body) else {
        return Vec::new();
    };
    let results = body
        .get("results")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let sessions = results.iter().filter_map(|result| referred(result.get("sessionRef")?));
    sessions.map(session_key).collect()
}

/// Keys that belong together.
#[derive(Default)]
struct Ties {
    places: HashMap<String, usize>,
    parents: Vec<usize>,
}

impl Ties {
    fn place(&mut self, key: &str) -> usize {
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        self.parents.push(self.parents.len());
        self.places.insert(key.to_owned(), self.parents.len() - 1);
        self.parents.len() - 1
    }

    fn find(&mut self, mut at: usize) -> usize {
        while let Some(parent) = self.parents.get(at).copied().filter(|parent| *parent != at) {
            let above = self.parents.get(parent).copied().unwrap_or(parent);
            if let Some(own) = self.parents.get_mut(at) {
                *own = above;
            }
            at = parent;
        }
        at
    }

    fn tie(&mut self, one: &str, other: &str) {
        let (one, other) = (self.place(one), self.place(other));
        let (one, other) = (self.find(one), self.find(other));
        if let Some(parent) = self.parents.get_mut(one.max(other)) {
            *parent = one.min(other);
        }
    }

    fn root(&mut self, key: &str) -> usize {
        let place = self.place(key);
        self.find(place)
    }

    fn known(&mut self, key: &str) -> Option<usize> {
        let place = *self.places.get(key)?;
        Some(self.find(place))
    }
}
