//! The variables that stand for what belongs to one run or one service.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use crate::contract::case::variable::{Piece, pieces};

/// What is found inside texts: GUIDs, and numbers long enough to be somebody's.
static TOKENS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9]{5,20}").ok());

impl Named {
    /// Its variable, spelt as a text is.
    fn spelt_as(&self, text: &str) -> Option<String> {
        let name = &self.variable;
        if text == self.value {
            Some(format!("{{{name}}}"))
        } else if text == self.value.to_uppercase() {
            Some(format!("{{{name}|upper}}"))
        } else if text == self.value.to_lowercase() {
            Some(format!("{{{name}|lower}}"))
        } else {
            None
        }
    }
}

/// The GUID of nothing.
const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// A value that has a name.
#[derive(Clone, Debug)]
struct Named {
    /// As it was first seen.
    value: String,
    variable: String,
    /// The place in the conversation from which on it is known.
    from: usize,
}

/// Where a word means what it means nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The template of a session.
    Template,
    /// The name of a session.
    Session,
}

impl Place {
    /// The place that follows a segment of a path.
    pub(super) fn after(segment: &str) -> Option<Self> {
        match segment.to_ascii_lowercase().as_str() {
            "sessiontemplates" => Some(Self::Template),
            "sessions" => Some(Self::Session),
            _ => None,
        }
    }

    /// The place of a member of a document.
    pub(super) fn of(key: &str) -> Option<Self> {
        match key {
            "templateName" => Some(Self::Template),
            "name" => Some(Self::Session),
            _ => None,
        }
    }
}

/// The values of a conversation that have names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By the value in lower case; the later a name was given, the further back it stands.
    known: HashMap<String, Vec<Named>>,
    /// Words that have a name in some places only, in lower case.
    placed: HashMap<(Place, String), Named>,
    /// What the spellings of the names of sessions are in the case.
    spelt: HashMap<String, String>,
    /// How often each name was given, so that the next one gets a number.
    given: HashMap<String, usize>,
}

/// Whether a text is a GUID.
pub(super) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && TOKENS
            .as_ref()
            .is_some_and(|tokens| tokens.find(text).is_some_and(|found| found.len() == 36))
}

/// The GUIDs in a text.
pub(super) fn guids(text: &str) -> impl Iterator<Item = &str> {
    let tokens = TOKENS.as_ref();
    let found = tokens.into_iter().flat_map(move |tokens| tokens.find_iter(text));
    found
        .map(|found| found.as_str())
        .filter(|found| found.len() == 36 && *found != NIL)
}

impl Names {
    /// Gives a value a name from some place of the conversation on; the first name stays.
    pub(super) fn add(&mut self, value: &str, variable: impl Into<String>, from: usize) {
        let named = Named {
            value: value.to_owned(),
            variable: variable.into(),
            from,
        };
        let given = self.known.entry(value.to_lowercase()).or_default();
        if given.is_empty() {
            given.push(named);
        }
    }

    /// Gives a value a new name from some place on.
    pub(super) fn renew(&mut self, value: &str, variable: impl Into<String>, from: usize) {
        let named = Named {
            value: value.to_owned(),
            variable: variable.into(),
            from,
        };
        self.known.entry(value.to_lowercase()).or_default().push(named);
    }

    /// Gives a word a name in some place; the first name stays.
    pub(super) fn add_placed(&mut self, place: Place, value: &str, variable: impl Into<String>) {
        let named = Named {
            value: value.to_owned(),
            variable: variable.into(),
            from: 0,
        };
        self.placed.entry((place, value.to_lowercase())).or_insert(named);
    }

    /// Gives one spelling of the name of a session a text of its own.
    pub(super) fn spell(&mut self, spelling: String, text: String) {
        self.spelt.insert(spelling, text);
    }

    /// The variable of a whole value in some place.
    pub(super) fn placed(&self, place: Option<Place>, text: &str, at: usize) -> Option<String> {
        let own = place.and_then(|place| {
            let spelt = self.spelt.get(text).filter(|_| place == Place::Session).cloned();
            spelt.or_else(|| self.placed.get(&(place, text.to_lowercase()))?.spelt_as(text))
        });
        own.or_else(|| self.whole(text, at))
    }

    /// A text in some place, with variables.
    pub(super) fn text_at(&self, place: Option<Place>, text: &str, at: usize) -> String {
        self.placed(place, text, at).unwrap_or_else(|| self.text(text, at))
    }

    fn find(&self, value: &str, at: usize) -> Option<&Named> {
        self.known.get(value)?.iter().rev().find(|named| named.from <= at)
    }

    /// Whether a value has a name at some place.
    pub(super) fn has(&self, value: &str, at: usize) -> bool {
        self.find(&value.to_lowercase(), at).is_some()
    }

    /// A name that is not taken: `etag`, then `etag2`.
    pub(super) fn fresh(&mut self, label: &str) -> String {
        let count = self.given.entry(label.to_owned()).or_default();
        *count += 1;
        if *count == 1 {
            label.to_owned()
        } else {
            format!("{label}{count}")
        }
    }

    /// The variable of a whole value.
    pub(super) fn whole(&self, text: &str, at: usize) -> Option<String> {
        self.find(&text.to_lowercase(), at)?.spelt_as(text)
    }

    /// A text with variables; what looks like one and is none is escaped.
    pub(super) fn text(&self, text: &str, at: usize) -> String {
        if let Some(whole) = self.whole(text, at) {
            return whole;
        }
        let Some(tokens) = TOKENS.as_ref() else {
            return escape(text);
        };
        let mut out = String::with_capacity(text.len());
        let mut end = 0;
        for found in tokens.find_iter(text) {
            if let Some(variable) = self.whole(found.as_str(), at) {
                out.push_str(&escape(text.get(end..found.start()).unwrap_or_default()));
                out.push_str(&variable);
                end = found.end();
            }
        }
        out.push_str(&escape(text.get(end..).unwrap_or_default()));
        out
    }

    /// A text with variables, if nothing in it belongs to one run: no GUID without a name.
    pub(super) fn settled(&self, text: &str, at: usize) -> Option<String> {
        self.settled_at(None, text, at)
    }

    /// A text in some place with variables, if nothing in it belongs to one run.
    pub(super) fn settled_at(&self, place: Option<Place>, text: &str, at: usize) -> Option<String> {
        let placed = self.placed(place, text, at);
        let is_open = |guid: &str| !self.has(guid, at);
        placed.or_else(|| (!guids(text).any(is_open)).then(|| self.text(text, at)))
    }

    /// A value with variables in its strings and keys.
    pub(super) fn json(&self, value: &Value, at: usize) -> Value {
        match value {
            Value::String(text) => self.text(text, at).into(),
            Value::Number(number) => self.number(number, at),
            Value::Array(items) => items.iter().map(|item| self.json(item, at)).collect(),
            Value::Object(map) => {
                let members = map.iter().map(|(key, value)| {
                    let value = match value {
                        Value::String(text) => self.text_at(Place::of(key), text, at).into(),
                        value => self.json(value, at),
                    };
                    (self.text(key, at), value)
                });
                Value::Object(members.collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    /// A number, or the variable of a xuid that is given as one.
    pub(super) fn number(&self, number: &serde_json::Number, at: usize) -> Value {
        match self
            .find(&number.to_string(), at)
            .and_then(|named| named.variable.strip_suffix(".xuid"))
        {
            Some(identity) => format!("{{{identity}.xuidNumber}}").into(),
            None => number.clone().into(),
        }
    }
}

/// A text in which nothing is taken for a variable.
pub(super) fn escape(text: &str) -> String {
    pieces(text).fold(String::with_capacity(text.len()), |mut out, piece| {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Variable(name) => out.extend(["{{", name, "}}"]),
            Piece::Escaped(name) => out.extend(["{{{", name, "}}}"]),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GUID: &str = "0a1b2c3d-0000-4000-8000-00000000abcd";

    fn names() -> Names {
        let mut names = Names::default();
        names.add(GUID, "session.name", 0);
        names.add("2814610000000001", "alice.xuid", 0);
        names.add("\"v1\"", "etag", 3);
        names
    }

    #[test]
    fn values_are_found_inside_texts_in_either_case() {
        let names = names();
        let text = format!("x~{GUID}~{}", GUID.to_uppercase());
        assert_eq!(names.text(&text, 0), "x~{session.name}~{session.name|upper}");
        assert_eq!(names.text("me_2814610000000001", 0), "me_{alice.xuid}");
        assert_eq!(
            names.json(&json!({ "2814610000000001": 2_814_610_000_000_001_u64 }), 0),
            json!({ "{alice.xuid}": "{alice.xuidNumber}" })
        );
    }

    #[test]
    fn a_captured_value_has_no_name_before_it_was_seen() {
        assert_eq!(
            (names().text("\"v1\"", 2), names().text("\"v1\"", 3)),
            ("\"v1\"".to_owned(), "{etag}".to_owned())
        );
    }

    #[test]
    fn a_longer_number_is_another_one() {
        assert_eq!(names().text("28146100000000010", 0), "28146100000000010");
    }

    #[test]
    fn braces_of_the_capture_stay_braces() {
        for text in ["{who}", "{{who}}", "a {b} c {", "{1}"] {
            let none = |_: &str| None;
            let scope = crate::contract::case::variable::Scope {
                value: &none,
                is_last: true,
            };
            assert_eq!(
                crate::contract::case::variable::substitute_text(&escape(text), scope),
                text
            );
        }
    }

    #[test]
    fn a_text_with_a_nameless_guid_is_not_settled() {
        assert_eq!(names().settled("11111111-2222-4333-8444-555555555555", 0), None);
        assert_eq!(names().settled(GUID, 0).as_deref(), Some("{session.name}"));
    }
}
