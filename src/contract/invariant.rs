//! What must hold for every answer of every conversation.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde_json::Value;

use crate::contract::case::matcher::{self, Matcher};
use crate::contract::case::{Content, Expectation, StatusSet, read_expectation, read_status};
use crate::contract::json::Item;
use crate::contract::json::document::Document;

/// An expectation of all answers of some operations, with the clauses it comes from.
#[derive(Clone, Debug)]
pub struct Invariant {
    /// The clauses that a finding counts against.
    pub clauses: Vec<String>,
    /// What it says, for readers.
    pub about: String,
    /// The operations it is about, by their id in `schemas/operations.json`.
    pub operations: Vec<String>,
    /// The verbs it is about; all when empty.
    pub methods: Vec<String>,
    /// The statuses it is about; all when absent.
    pub status: Option<StatusSet>,
    /// The kind of body it is about; all when absent.
    pub content: Option<Content>,
    /// What must hold.
    pub expect: Expectation,
}

impl Invariant {
    /// Whether it speaks about an answer of one of its operations.
    pub fn covers(&self, method: &str, status: u16, content: Content) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|name| name == method))
            && self.status.as_ref().is_none_or(|set| set.contains(status))
            && self.content.is_none_or(|kind| kind == content)
    }
}

/// All invariants, found by the answers that they speak about.
#[derive(Debug, Default)]
pub(super) struct Invariants {
    all: Vec<Invariant>,
    by_operation: HashMap<String, OfOperation>,
}

/// The invariants of one operation.
#[derive(Debug, Default)]
struct OfOperation {
    places: Vec<usize>,
    charges: Charges,
}

/// The charges of an operation's kinds of answer that came so far, each with those that came later: so nobody who looks for
/// one waits for anybody.
#[derive(Debug, Default)]
struct Charges(OnceLock<Box<(Charge, Self)>>);

/// What the invariants ask of answers of one kind.
///
/// Nearly every answer keeps all of them, so what most of them say is asked in one go; one by one only where that fails.
#[derive(Debug)]
pub struct Charge {
    method: String,
    status: u16,
    content: Content,
    /// The places of all that speak about such an answer.
    pub places: Vec<usize>,
    /// The places of those among them whose words are not in [`Self::is_kept`].
    pub apart: Vec<usize>,
    body: Option<Matcher>,
    headers: Vec<(String, Matcher)>,
}

impl Charge {
    /// Whether an answer keeps all but [`Self::apart`]; where it does not, each of them may still be kept.
    pub fn is_kept<'a>(&self, document: Option<&Document>, header: impl Fn(&str) -> Option<&'a str>) -> bool {
        let is_fit = |matcher: &Matcher| matcher.fits(document.map(Document::root));
        self.body.as_ref().is_none_or(is_fit) && self.headers.iter().all(|(name, matcher)| matcher.fits(header(name)))
    }
}

impl Invariants {
    pub(super) fn new(all: Vec<Invariant>) -> Self {
        let mut by_operation: HashMap<String, OfOperation> = HashMap::new();
        for (place, invariant) in all.iter().enumerate() {
            for operation in &invariant.operations {
                by_operation.entry(operation.clone()).or_default().places.push(place);
            }
        }
        Self { all, by_operation }
    }

    /// All of them, in the order of the file.
    pub(super) fn all(&self) -> &[Invariant] {
        &self.all
    }

    /// As [`crate::contract::Suite::charge`] says.
    pub(super) fn charge(&self, operation: &str, method: &str, status: u16, content: Content) -> Option<&Charge> {
        let own = self.by_operation.get(operation)?;
        let mut charges = &own.charges;
        loop {
            let new = || Box::new((self.work_out(&own.places, method, status, content), Charges::default()));
            let (charge, later) = &**charges.0.get_or_init(new);
            if charge.status == status && charge.content == content && charge.method == method {
                return Some(charge);
            }
            charges = later;
        }
    }

    fn work_out(&self, places: &[usize], method: &str, status: u16, content: Content) -> Charge {
        let mut charge = Charge {
            method: method.to_owned(),
            status,
            content,
            places: Vec::new(),
            apart: Vec::new(),
            body: None,
            headers: Vec::new(),
        };
        let (mut body, mut headers) = (Vec::new(), BTreeMap::<String, Vec<Value>>::new());
        let of_operation = places.iter().filter_map(|&place| Some((place, self.all.get(place)?)));
        for (place, invariant) in of_operation.filter(|(_, one)| one.covers(method, status, content)) {
            charge.places.push(place);
            let expect = &invariant.expect;
            let parts = expect
                .at
                .iter()
                .map(|(at, matcher)| matcher::at(at, matcher.said().clone()))
                .collect::<Option<Vec<Value>>>();
            match parts.filter(|_| expect.is_of_parts(status, content)) {
                Some(parts) => {
                    body.extend(expect.body.iter().map(|matcher| matcher.said().clone()).chain(parts));
                    for (name, matcher) in &expect.headers {
                        let said = headers.entry(name.to_ascii_lowercase()).or_default();
                        said.push(matcher.said().clone());
                    }
                }
                None => charge.apart.push(place),
            }
        }
        let joined = |said| Matcher::new(matcher::all(said));
        charge.body = (!body.is_empty()).then(|| joined(body));
        charge.headers = headers.into_iter().map(|(name, said)| (name, joined(said))).collect();
        charge
    }
}

/// Reads `cases/invariants.json`.
pub(super) fn read_invariants(file: Item<'_>) -> Option<Vec<Invariant>> {
    file.object(&["$schema", "about", "invariants"])?
        .require("invariants")?
        .elements(|item| {
            let fields = item.object(&["clauses", "about", "on", "expect"])?;
            let on = fields.require("on")?;
            let on = on.object(&["operations", "methods", "status", "content"])?;
            let contents = [
                ("json", Content::Json),
                ("text", Content::Text),
                ("none", Content::None),
            ];
            Some(Invariant {
                clauses: fields.strings("clauses"),
                about: fields.string("about"),
                operations: on.strings("operations"),
                methods: on.strings("methods"),
                status: on
                    .get("status")
                    .map_or(Some(None), |item| read_status(item).map(Some))?,
                content: on
                    .get("content")
                    .map_or(Some(None), |item| item.one_of(&contents).map(Some))?,
                expect: read_expectation(fields.require("expect")?)?,
            })
        })
}
