//! What must hold for every answer of every conversation.

use std::collections::HashMap;

use crate::contract::case::{CONTENTS, Content, Expectation, StatusSet, read_expectation, read_status};
use crate::contract::json::Item;

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

/// All invariants, found by the operations that they are about.
#[derive(Debug, Default)]
pub(super) struct Invariants {
    all: Vec<Invariant>,
    by_operation: HashMap<String, Vec<usize>>,
}

impl Invariants {
    pub(super) fn new(all: Vec<Invariant>) -> Self {
        let mut by_operation: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, invariant) in all.iter().enumerate() {
            for operation in &invariant.operations {
                by_operation.entry(operation.clone()).or_default().push(place);
            }
        }
        Self { all, by_operation }
    }

    /// All of them, in the order of the file.
    pub(super) fn all(&self) -> &[Invariant] {
        &self.all
    }

    /// Those of an operation, with their places in the order of the file.
    pub(super) fn of_operation(&self, operation: &str) -> impl Iterator<Item = (usize, &Invariant)> {
        let places = self.by_operation.get(operation).into_iter().flatten();
        places.filter_map(|&place| Some((place, self.all.get(place)?)))
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
                    .map_or(Some(None), |item| item.one_of(&CONTENTS).map(Some))?,
                expect: read_expectation(fields.require("expect")?)?,
            })
        })
}
