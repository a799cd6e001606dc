//! The HTTP operations of the contract, read from `operations.json`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::{Map, Value};

/// Stands for a body of no bytes.
pub(super) const NONE: &str = "none";
/// The schema of a body that is a message for people.
pub(super) const TEXT: &str = "text";

/// Whether a body of this schema is not JSON.
pub(super) fn is_bare(schema: &str) -> bool {
    schema == NONE || schema == TEXT
}

/// The table of the operations, one entry a path.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Operations {
    #[serde(rename = "$schema", default)]
    _schema: String,
    /// What each placeholder of a path means.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// What each request header means.
    #[serde(default)]
    pub request_headers: BTreeMap<String, String>,
    /// The clauses that say when a status is due, for every operation; by status, the plainest first.
    #[serde(default)]
    pub clauses: BTreeMap<u16, Vec<String>>,
    /// The answers that every operation may give: the names of the schemas by status.
    pub responses: BTreeMap<u16, Vec<String>>,
    /// The paths.
    pub operations: Vec<OperationPath>,
}

/// One path of the contract.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OperationPath {
    /// A short name, unique.
    pub id: String,
    /// The path; a segment in braces stands for any one segment.
    pub path: String,
    /// What lives there.
    pub description: String,
    /// What can be done with it, by method in capitals.
    pub methods: BTreeMap<String, Method>,
    /// The path's segments, `None` for those that stand for any.
    #[serde(skip)]
    segments: OnceLock<Vec<Option<String>>>,
}

impl OperationPath {
    /// How many segments of a path it names literally; `None` if it does not match.
    fn literals(&self, path: &[&[u8]]) -> Option<usize> {
        let segments = self.segments.get_or_init(|| {
            let segments = self.path.split('/');
            segments
                .map(|segment| (!segment.starts_with('{')).then(|| segment.to_owned()))
                .collect()
        });
        let is_match = |(given, segment): (&&[u8], &Option<String>)| match segment {
            Some(literal) => literal.as_bytes().eq_ignore_ascii_case(given),
            None => !given.is_empty(),
        };
        let matches = segments.len() == path.len() && path.iter().zip(segments).all(is_match);
        matches.then(|| segments.iter().flatten().count())
    }
}

/// One method of a path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Method {
    /// What it does.
    pub description: String,
    /// The query parameters, by name.
    #[serde(default)]
    pub query: BTreeMap<String, Parameter>,
    /// The body; `None` if it takes none.
    pub request: Option<Request>,
    /// The clauses that say when a status is due, by status, the plainest first.
    #[serde(default)]
    pub clauses: BTreeMap<u16, Vec<String>>,
    /// The names of the schemas that the body of an answer may follow, by status.
    pub responses: BTreeMap<u16, Vec<String>>,
}

/// One query parameter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Parameter {
    /// What it does.
    pub description: String,
    /// The JSON Schema of its value.
    pub schema: Map<String, Value>,
}

/// The body of a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Request {
    /// The name of its schema.
    pub schema: String,
}

/// What a request addresses: a path of the contract, and the method if the path has it.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    path: &'a OperationPath,
    method: Option<&'a Method>,
    table: &'a Operations,
}

impl<'a> Operation<'a> {
    /// The path.
    pub fn path(&self) -> &'a OperationPath {
        self.path
    }

    /// The method; `None` if the path does not support it, so that 405 is due.
    pub fn method(&self) -> Option<&'a Method> {
        self.method
    }

    /// The name of the schema of the request body.
    pub fn request_schema(&self) -> Option<&'a str> {
        let request = self.method?.request.as_ref()?;
        Some(&request.schema)
    }

    /// The names of the schemas that the body of this answer may follow; empty if the contract has no such answer.
    pub fn responses(&self, status: u16) -> &'a [String] {
        let own = self.method.and_then(|method| method.responses.get(&status));
        own.or_else(|| self.table.responses.get(&status))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

impl Operation<'_> {
    /// The clauses that say when this status is due here, the plainest first.
    pub fn clauses(&self, status: u16) -> &[String] {
        let own = self.method.and_then(|method| method.clauses.get(&status));
        own.or_else(|| self.table.clauses.get(&status))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

impl Operations {
    pub(super) fn find(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let path = path.as_bytes().split(|byte| matches!(byte, b'?' | b'#')).next();
        let segments: Vec<&[u8]> = path.unwrap_or_default().split(|byte| *byte == b'/').collect();
        let matching = self
            .operations
            .iter()
            .filter_map(|known| Some((known.literals(&segments)?, known)));
        let (_, path) = matching.max_by_key(|(literals, _)| *literals)?;
        Some(Operation {
            path,
            method: path.methods.get(&method.to_ascii_uppercase()),
            table: self,
        })
    }

    /// Every clause that the table names, with the pointer to its id.
    pub fn clause_ids(&self) -> impl Iterator<Item = (String, &str)> {
        let common = ids("clauses", String::new(), &self.clauses);
        let own = self.operations.iter().enumerate().flat_map(|(index, known)| {
            known.methods.iter().flat_map(move |(name, method)| {
                ids(
                    "clauses",
                    format!("/operations/{index}/methods/{name}"),
                    &method.clauses,
                )
            })
        });
        common.chain(own)
    }

    /// Every schema that the table names, with the pointer to the name.
    pub(super) fn schema_names(&self) -> impl Iterator<Item = (String, &str)> {
        let common = ids("responses", String::new(), &self.responses);
        let own = self.operations.iter().enumerate().flat_map(|(index, known)| {
            known.methods.iter().flat_map(move |(name, method)| {
                let here = format!("/operations/{index}/methods/{name}");
                let request = method.request.as_ref();
                let request = request.map(|request| (format!("{here}/request/schema"), request.schema.as_str()));
                request.into_iter().chain(ids("responses", here, &method.responses))
            })
        });
        common.chain(own).filter(|(_, name)| *name != NONE)
    }
}

/// The ids of a table by status, with the pointer to each.
fn ids<'a>(
    key: &'static str,
    here: String,
    by_status: &'a BTreeMap<u16, Vec<String>>,
) -> impl Iterator<Item = (String, &'a str)> {
    by_status.iter().flat_map(move |(status, names)| {
        let here = format!("{here}/{key}/{status}");
        let names = names.iter().enumerate();
        names.map(move |(index, name)| (format!("{here}/{index}"), name.as_str()))
    })
}
