//! A case, its variants and what each of them sends and expects.

use std::sync::{Arc, Mutex, Weak};

use serde_json::Value;

use crate::contract::case::step::Step;
use crate::contract::files::Text;
use crate::contract::version::ContractVersion;

/// A case file, with its variants.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its path under `cases/`, without `.json`.
    pub id: String,
    /// What is true of a service that passes.
    pub title: String,
    /// The clauses it tests, where a row does not say otherwise.
    pub clauses: Vec<String>,
    /// Features that a target may lack: those of its chapter, then its own.
    pub needs: Vec<String>,
    /// One for each row and contract version.
    pub variants: Vec<Variant>,
    /// The text of its file, which its scripts are read from.
    pub(super) text: Text,
    /// Its scripts, while somebody uses them.
    pub(super) in_use: Arc<Mutex<Weak<Vec<Script>>>>,
}

/// The scripts of a case, one for each row of its table.
#[derive(Clone, Debug)]
pub struct Scripts(pub(super) Arc<Vec<Script>>);

impl Scripts {
    /// The script of a variant, which the versions of its row share; `None` if it is another case's variant.
    pub fn of(&self, variant: &Variant) -> Option<&Script> {
        self.0.get(variant.row)
    }

    /// The variants of their case, each with its script.
    pub fn with<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = (&'a Variant, &'a Script)> {
        let variants = case.variants.iter();
        variants.filter_map(|variant| Some((variant, self.of(variant)?)))
    }
}

/// The folder, and so the first part of the ids, of drafts: cases that are no part of the suite yet.
pub const DRAFTS: &str = "drafts";

impl Case {
    /// Whether it is a draft: nothing was recorded of it.
    pub fn is_draft(&self) -> bool {
        is_draft(&self.id)
    }
}

/// Whether this is the id of a draft.
pub fn is_draft(id: &str) -> bool {
    chapter_of(id) == DRAFTS
}

/// The chapter of a case, from its id or that of a variant.
pub fn chapter_of(id: &str) -> &str {
    id.split_once('/').map_or(id, |(chapter, _)| chapter)
}

/// One way of running a case.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The case's id, then `#row` and `@version` where there are several.
    pub id: String,
    /// The clauses it tests.
    pub clauses: Vec<String>,
    /// The contract version that it is run at.
    pub version: ContractVersion,
    /// The clauses that single expectations name in the place of its own.
    pub judged: Vec<String>,
    /// The place of its row in the table.
    pub(super) row: usize,
}

/// What a variant sends and expects, as it is written, with the row of a table filled in.
#[derive(Clone, Debug)]
pub struct Script {
    /// The suite's template of `{session}`.
    pub template: String,
    /// Further sessions.
    pub sessions: Vec<SessionSpec>,
    /// Named values, in order.
    pub lets: Vec<(String, Value)>,
    /// Whether the case is about the template itself, so that nobody may send its constants in its place.
    pub template_is_the_point: bool,
    /// The identity that reads the document for `unchanged`.
    pub observer: String,
    /// Identities that no other variant may claim while this one runs, sorted: the case's own, and those that set
    /// activities, of which a user has one (HDL-ACT-006).
    pub claims: Vec<String>,
    /// The steps, in order; rows of a table share those that are the same in all of them.
    pub(super) steps: Vec<Arc<Step>>,
}

impl Script {
    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> + Clone {
        self.steps.iter().map(|step| &**step)
    }
}

/// A fresh session of a case, besides `{session}`.
#[derive(Clone, Debug)]
pub struct SessionSpec {
    /// What the case calls it.
    pub key: String,
    /// The suite's template.
    pub template: Option<String>,
    /// Its name; a fresh GUID when absent. May hold variables.
    pub name: Option<String>,
}
