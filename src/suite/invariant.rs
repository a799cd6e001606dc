//! What must hold for every answer of every conversation.

use super::case::{Content, Expectation, StatusSet, read_expectation, read_status};
use super::json::Item;

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
