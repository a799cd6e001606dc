//! Holds an answer against what is expected of it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::contract::case::{Content, Expectation};
use crate::contract::json::document::{Document, Place};
use crate::contract::json::escape;
use crate::contract::json::tree::{Tree, equal};
use crate::replay::assertion::{Assertion, Difference};
use crate::replay::matching::{self, show};
use crate::replay::roster;
use crate::replay::scope::{Speaker, Variables};
use crate::replay::verdict::Exchange;

/// A failed assertion, before it is known which clauses it counts against.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) assertion: Assertion,
    pub(super) expected: String,
    pub(super) actual: String,
    /// The place in the case's file, below the expectation.
    pub(super) pointer: String,
}

/// What a step's answer is compared with, besides what its expectation says.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) variables: &'a Variables<'a>,
    pub(super) speaker: Speaker<'a>,
    /// The latest answer of a named step.
    pub(super) named: &'a dyn Fn(&str) -> Option<&'a Exchange>,
}

/// The kind of body that an answer has.
pub(super) fn content(exchange: &Exchange) -> Content {
    match (&exchange.json, exchange.response.body.is_empty()) {
        (_, true) => Content::None,
        (Some(_), false) => Content::Json,
        (None, false) => Content::Text,
    }
}

/// Finds everything in which an answer is not as expected; `readings` collects the readings it follows.
pub(super) fn judge(
    expectation: &Expectation,
    exchange: &Exchange,
    context: Context<'_>,
    readings: &mut Vec<(String, String)>,
) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut fail = |assertion: Assertion, expected: String, actual: String, below: &str| {
        let pointer = format!("{}/{below}", expectation.pointer);
        failures.push(Failure {
            assertion,
            expected,
            actual,
            pointer,
        });
    };
    let resolve = |matcher| {
        if expectation.is_plain {
            Cow::Borrowed(matcher)
        } else {
            context.variables.matcher(matcher, context.speaker)
        }
    };
    let response = &exchange.response;
    if let Some(status) = &expectation.status
        && !status.contains(response.status)
    {
        fail(
            Assertion::Status,
            status.to_string(),
            response.status.to_string(),
            "status",
        );
    }
    for (name, matcher) in &expectation.headers {
        let matcher = resolve(matcher);
        for mismatch in matching::find_mismatches(&matcher, response.header(name)) {
            fail(
                Assertion::Header(name.clone()),
                mismatch.expected,
                mismatch.actual,
                &format!("headers/{name}"),
            );
        }
    }
    let kind = content(exchange);
    if let Some(expected) = expectation.content
        && expected != kind
    {
        fail(
            Assertion::Content,
            name(expected).to_owned(),
            found(exchange, kind),
            "content",
        );
    }
    let document = exchange.document();
    let whole = expectation
        .body
        .iter()
        .map(|matcher| (Cow::Borrowed(""), matcher, None));
    let parts = expectation.at.iter().map(|(pointer, matcher)| {
        let at = if expectation.is_plain {
            Cow::Borrowed(pointer.as_str())
        } else {
            Cow::Owned(context.variables.text(pointer, context.speaker))
        };
        (at, matcher, Some(pointer))
    });
    for (at, matcher, written) in whole.chain(parts) {
        let matcher = resolve(matcher);
        let part = document.as_deref().and_then(|document| document.root().at(&at));
        for mismatch in matching::find_mismatches(&matcher, part) {
            let below = match written {
                None => format!("body{}", mismatch.pointer),
                Some(pointer) => format!("at/{}{}", escape(pointer), mismatch.pointer),
            };
            let pointer = format!("{at}{}", mismatch.pointer);
            fail(Assertion::Body(pointer), mismatch.expected, mismatch.actual, &below);
        }
    }
    if expectation.roster {
        match &exchange.json {
            None => fail(
                Assertion::Roster(None),
                name(Content::Json).to_owned(),
                found(exchange, kind),
                "roster",
            ),
            Some(document) => {
                for mismatch in roster::find_mismatches(document.root()) {
                    fail(
                        Assertion::Roster(Some(mismatch.pointer)),
                        mismatch.expected,
                        mismatch.actual,
                        "roster",
                    );
                }
            }
        }
    }
    if let Some(step) = &expectation.same_as {
        match (context.named)(step) {
            None => fail(
                Assertion::SameAs(step.clone(), None),
                "a response to compare with".to_owned(),
                "none".to_owned(),
                "sameAs",
            ),
            Some(before) => {
                for (difference, expected, actual) in differences(before, exchange, false) {
                    fail(
                        Assertion::SameAs(step.clone(), Some(difference)),
                        expected,
                        actual,
                        "sameAs",
                    );
                }
            }
        }
    }
    if let Some(variable) = context.variables.take_unseen() {
        fail(
            Assertion::Capture(variable),
            "an earlier document that contains this member".to_owned(),
            "none".to_owned(),
            if expectation.body.is_some() { "body" } else { "at" },
        );
    }
    if let Some((entry, alternatives)) = &expectation.reading {
        let found = alternatives
            .iter()
            .find(|(_, reading)| judge(reading, exchange, context, &mut Vec::new()).is_empty());
        match found {
            Some((key, _)) => readings.push((entry.clone(), key.clone())),
            None => {
                let keys: Vec<&str> = alternatives.iter().map(|(key, _)| key.as_str()).collect();
                let actual = format!("{} {}", response.status, shown(exchange.json.as_ref()));
                fail(
                    Assertion::Reading(entry.clone()),
                    format!("one of the interpretations {}", keys.join(", ")),
                    actual,
                    "reading",
                );
            }
        }
    }
    failures
}

/// In what two answers about one document differ, with what each has.
pub(super) fn differences(before: &Exchange, after: &Exchange, status: bool) -> Vec<(Difference, String, String)> {
    let mut found = Vec::new();
    let (old, new) = (&before.response, &after.response);
    if status && old.status != new.status {
        found.push((Difference::Status, old.status.to_string(), new.status.to_string()));
    }
    let tag = |exchange: &Exchange| exchange.response.header("etag").unwrap_or("nothing").to_owned();
    if tag(before) != tag(after) {
        found.push((Difference::Header("ETag".to_owned()), tag(before), tag(after)));
    }
    match (&before.json, &after.json) {
        (Some(_), Some(_)) if old.body == new.body => {}
        (Some(old), Some(new)) => {
            compare(old.root(), new.root(), "", &mut |pointer, old, new| {
                let value = |place: Option<Place<'_>>| show(place.map(Tree::to_known_value).as_ref());
                found.push((Difference::Body(pointer.to_owned()), value(old), value(new)));
            });
        }
        (None, None) => {}
        (old, new) => {
            found.push((Difference::Content, shown(old.as_ref()), shown(new.as_ref())));
        }
    }
    found
}

fn shown(json: Option<&Arc<Document>>) -> String {
    show(json.map(|json| json.root().to_known_value()).as_ref())
}

/// Takes a place in which two values differ, and what is there in each.
type Differs<'a> = dyn FnMut(&str, Option<Place<'_>>, Option<Place<'_>>) + 'a;

/// Finds the innermost places in which two values differ; what the contract does not have is passed over.
fn compare(old: Place<'_>, new: Place<'_>, pointer: &str, differs: &mut Differs<'_>) {
    match (old.known_members(), new.known_members()) {
        (Some(members), Some(others)) => {
            for (key, value) in members {
                let pointer = format!("{pointer}/{}", escape(key));
                match new.member(key) {
                    Some(other) => compare(value, other, &pointer, differs),
                    None => differs(&pointer, Some(value), None),
                }
            }
            for (key, value) in others.filter(|(key, _)| old.member(key).is_none()) {
                differs(&format!("{pointer}/{}", escape(key)), None, Some(value));
            }
        }
        _ if is_same(old, new) => {}
        _ => differs(pointer, Some(old), Some(new)),
    }
}

/// Whether two values are the same, apart from what the contract does not have.
fn is_same(old: Place<'_>, new: Place<'_>) -> bool {
    match (old.elements(), new.elements()) {
        (Some(elements), Some(others)) => {
            let mut is_same = old.count() == new.count();
            for (old, new) in elements.zip(others) {
                compare(old, new, "", &mut |_, _, _| is_same = false);
            }
            is_same
        }
        _ => equal(&old.to_value(), new),
    }
}

/// The kind of body that a response has, and why it is not JSON where it should be.
fn found(exchange: &Exchange, kind: Content) -> String {
    match &exchange.unread {
        Some(unread) => format!("{} ({unread})", name(kind)),
        None => name(kind).to_owned(),
    }
}

fn name(content: Content) -> &'static str {
    match content {
        Content::Json => "a JSON body",
        Content::Text => "a body that is not JSON",
        Content::None => "no body",
    }
}
