//! Expectations: what a case expects of a response.

use serde_json::Value;

use crate::contract::case::matcher::Matcher;
use crate::contract::case::status::{StatusSet, read_status};
use crate::contract::case::variable;
use crate::contract::case::words::ExpectKey;
use crate::contract::json::{Item, Word as _, escape};

/// What kind of body an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A JSON document.
    Json,
    /// Text for people.
    Text,
    /// Nothing.
    None,
}

/// What is expected of an answer; matchers are JSON, see `cases/README.md`.
#[derive(Clone, Debug, Default)]
pub struct Expectation {
    /// Where it stands in the file, a JSON Pointer.
    pub pointer: String,
    /// The status.
    pub status: Option<StatusSet>,
    /// Headers and their matchers.
    pub headers: Vec<(String, Matcher)>,
    /// The kind of body.
    pub content: Option<Content>,
    /// A matcher for the JSON body.
    pub body: Option<Matcher>,
    /// Matchers for parts of the JSON body.
    pub at: Vec<(String, Matcher)>,
    /// A matcher that no frame of the socket may fit, of those that came so far.
    pub none: Option<Matcher>,
    /// The session that must be as before: a path with variables.
    pub unchanged: Option<String>,
    /// The step whose document and `ETag` this answer must have.
    pub same_as: Option<String>,
    /// Whether its own matchers, and the places they are about, hold no variable.
    pub is_plain: bool,
    /// Whether the list of members is walked.
    pub roster: bool,
    /// Values to keep for later.
    pub capture: Vec<(String, Source)>,
    /// The clauses it counts against, where they are others than the case's.
    pub clauses: Option<Vec<String>>,
    /// The readings of a contested clause, by ledger entry.
    pub reading: Option<(String, Vec<(String, Self)>)>,
}

/// Where a captured value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The status code.
    Status,
    /// A header's value.
    Header(String),
    /// The body's value at a JSON Pointer.
    Body(String),
}

impl Expectation {
    /// The number of things it asserts.
    pub fn assertions(&self) -> usize {
        let Self {
            status,
            headers,
            content,
            body,
            at,
            none,
            unchanged,
            same_as,
            roster,
            reading,
            pointer: _,
            is_plain: _,
            capture: _,
            clauses: _,
        } = self;
        let single = [
            status.is_some(),
            content.is_some(),
            body.is_some(),
            none.is_some(),
            unchanged.is_some(),
            same_as.is_some(),
            *roster,
            reading.is_some(),
        ];
        single.into_iter().filter(|is_asserted| *is_asserted).count() + headers.len() + at.len()
    }

    /// The session that must be as before, under this expectation or one of its readings.
    pub fn guarded(&self) -> Option<&String> {
        let mut nested = self.reading.iter().flat_map(|(_, readings)| readings);
        self.unchanged
            .as_ref()
            .or_else(|| nested.find_map(|(_, reading)| reading.guarded()))
    }

    /// Every matcher of its own with the place below it; those of its readings are theirs.
    pub fn own_matchers(&self) -> Vec<(String, &Value)> {
        let headers = self
            .headers
            .iter()
            .map(|(name, matcher)| (format!("headers/{name}"), matcher.written()));
        let at = self
            .at
            .iter()
            .map(|(pointer, matcher)| (format!("at/{}", escape(pointer)), matcher.written()));
        let body = self.body.iter().map(|matcher| ("body".to_owned(), matcher.written()));
        let none = self.none.iter().map(|matcher| ("none".to_owned(), matcher.written()));
        headers.chain(at).chain(body).chain(none).collect()
    }

    /// The places in the body that its own matchers and captures are about; they may hold variables.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        let captured = self.capture.iter().filter_map(|(_, source)| match source {
            Source::Body(pointer) => Some(pointer.as_str()),
            _ => None,
        });
        self.at.iter().map(|(pointer, _)| pointer.as_str()).chain(captured)
    }

    /// Every capture in it, and those of its readings that all of them have.
    pub fn captures(&self) -> Vec<&str> {
        let mut captures: Vec<&str> = self.capture.iter().map(|(name, _)| name.as_str()).collect();
        let mut readings = self.reading.iter().flat_map(|(_, readings)| readings);
        let first = readings
            .next()
            .map(|(_, reading)| reading.captures())
            .unwrap_or_default();
        let others: Vec<_> = readings.map(|(_, reading)| reading.captures()).collect();
        captures.extend(
            first
                .into_iter()
                .filter(|name| others.iter().all(|other| other.contains(name))),
        );
        captures
    }
}

/// The kinds of bodies, as cases spell them.
pub(in crate::contract) const CONTENTS: [(&str, Content); 3] = [
    ("json", Content::Json),
    ("text", Content::Text),
    ("none", Content::None),
];

/// Reads what is expected of a response.
pub(in crate::contract) fn read_expectation(item: Item<'_>) -> Option<Expectation> {
    let fields = item.object(ExpectKey::NAMES)?;
    let mut read = Expectation {
        pointer: item.pointer(),
        is_plain: true,
        ..Expectation::default()
    };
    let mut is_read = true;
    for (key, item) in fields.words() {
        is_read &= read_part(&mut read, key, item).is_some();
    }
    is_read.then_some(read)
}

fn read_part(read: &mut Expectation, key: ExpectKey, item: Item<'_>) -> Option<()> {
    let matchers = |item: Item<'_>| item.members(|name, item| Some((name.to_owned(), Matcher::read(item))));
    match key {
        ExpectKey::Status => read.status = Some(read_status(item)?),
        ExpectKey::Headers => read.headers = matchers(item)?,
        ExpectKey::Content => read.content = Some(item.one_of(&CONTENTS)?),
        ExpectKey::Body => read.body = Some(Matcher::read(item)),
        ExpectKey::At => read.at = matchers(item)?,
        ExpectKey::None => read.none = Some(Matcher::read(item)),
        ExpectKey::Unchanged if item.value().is_boolean() => {
            read.unchanged = item.boolean()?.then(|| "{session}".to_owned());
        }
        ExpectKey::Unchanged => read.unchanged = Some(item.string()?.to_owned()),
        ExpectKey::SameAs => read.same_as = Some(item.string()?.to_owned()),
        ExpectKey::Roster => read.roster = item.boolean()?,
        ExpectKey::Capture => read.capture = item.members(read_capture)?,
        ExpectKey::Clauses => read.clauses = Some(item.strings()?),
        ExpectKey::Reading => {
            let fields = item.object(&["entry", "oneOf"])?;
            let readings = fields
                .require("oneOf")?
                .members(|key, item| Some((key.to_owned(), read_expectation(item)?)))?;
            read.reading = Some((fields.string("entry"), readings));
        }
    }
    if matches!(
        key,
        ExpectKey::Headers | ExpectKey::Body | ExpectKey::At | ExpectKey::None
    ) {
        read.is_plain &= variable::is_plain(item.value());
    }
    Some(())
}

fn read_capture(name: &str, item: Item<'_>) -> Option<(String, Source)> {
    let text = item.string()?;
    let source = match text.split_once(' ') {
        None if text == "status" => Some(Source::Status),
        None if text == "body" => Some(Source::Body(String::new())),
        Some(("header", header)) => Some(Source::Header(header.to_owned())),
        Some(("body", pointer)) if pointer.starts_with('/') => Some(Source::Body(pointer.to_owned())),
        _ => None,
    };
    if source.is_none() {
        item.wrong(
            format!("cannot capture `{text}`"),
            "`status`, `header NAME`, `body` or `body /pointer`",
        );
    }
    Some((name.to_owned(), source?))
}
