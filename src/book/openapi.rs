//! The same for tools: an `OpenAPI` document, which takes the suite's schemas as they are.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::book::Book;
use crate::contract::facts;
use crate::contract::schemas::{Method, OperationPath, Operations};
use crate::contract::version::ContractVersion;

/// The request headers that are told otherwise: as the security scheme, and by the content.
const TOLD_ELSEWHERE: [&str; 2] = ["Authorization", "Content-Type"];
/// The request headers that only make sense where a session has a state to compare with.
const CONDITIONAL: [&str; 2] = ["If-Match", "If-None-Match"];
const CONTRACT: &str = "X-Xbl-Contract-Version";
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Renders the operations, the headers and the documents that they need.
pub(super) fn render(book: &Book<'_>) -> String {
    let table = book.suite.schemas().operations();
    let mut components = Components {
        book,
        wanted: BTreeSet::new(),
    };
    let mut paths = Map::new();
    for path in &table.operations {
        paths.insert(path.path.clone(), components.path(table, path));
    }
    let tags = table.operations.iter();
    let tags = tags.map(|path| json!({ "name": path.id, "description": path.description }));
    let about = table.request_headers.get("Authorization").map_or("", String::as_str);
    let document = json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "Multiplayer Session Directory",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The contract of Xbox Live's Multiplayer Session Directory, as mpsd-conformance tests it. `x-clauses` lists the clauses that define an element; `x-enum` lists case-insensitive values. A service may ignore fields and headers that are not listed here.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:8730", "description": "The reference, as started by `mpsd-conformance serve`." }],
        "security": [{ "xbl3": [] }],
        "tags": tags.collect::<Value>(),
        "paths": paths,
        "components": {
            "securitySchemes": { "xbl3": {
                "type": "apiKey", "in": "header", "name": "Authorization",
                "description": format!("{about} The value is `XBL3.0 x=HASH;TOKEN`."),
            } },
            "parameters": components.parameters(table),
            "headers": components.headers(),
            "schemas": components.schemas(),
        },
    });
    format!("{document:#}\n")
}

/// What operations refer to.
struct Components<'b, 'a> {
    book: &'b Book<'a>,
    /// The schemas: of a document as a whole, or a definition in it.
    wanted: BTreeSet<(String, Option<String>)>,
}

impl Components<'_, '_> {
    fn path(&mut self, table: &Operations, path: &OperationPath) -> Value {
        let named = table.parameters.keys();
        let named = named.filter(|name| path.path.contains(&format!("{{{name}}}")));
        let mut item = Map::new();
        item.insert("summary".to_owned(), json!(path.description));
        item.insert("parameters".to_owned(), named.map(|name| parameter(name)).collect());
        for (verb, method) in &path.methods {
            item.insert(verb.to_lowercase(), self.operation(table, path, verb, method));
        }
        item.into()
    }

    fn operation(&mut self, table: &Operations, path: &OperationPath, verb: &str, method: &Method) -> Value {
        let is_conditional = method.responses.contains_key(&412);
        let headers = table.request_headers.keys().map(String::as_str);
        let headers = headers.filter(|name| !TOLD_ELSEWHERE.contains(name));
        let headers = headers.filter(|name| is_conditional || !CONDITIONAL.contains(name));
        let query = method.query.iter().map(|(name, known)| {
            json!({ "name": name, "in": "query", "description": known.description, "schema": known.schema })
        });
        let clauses: BTreeSet<&String> = method.clauses.values().flatten().collect();
        let id: String = path.id.split('-').map(capitalised).collect();
        let mut operation = json!({
            "operationId": format!("{}{id}", verb.to_lowercase()),
            "tags": [path.id],
            "summary": method.description,
            "x-clauses": clauses,
            "parameters": headers.map(parameter).chain(query).collect::<Value>(),
        });
        if let Some(request) = &method.request {
            operation["requestBody"] = json!({
                "required": true,
                "content": { "application/json": { "schema": self.any_of(std::slice::from_ref(&request.schema)) } },
            });
        }
        let common = table
            .responses
            .iter()
            .filter(|(status, _)| !method.responses.contains_key(status));
        let mut answers: Vec<_> = method.responses.iter().chain(common).collect();
        answers.sort_by_key(|(status, _)| **status);
        let answers = answers.into_iter().map(|(status, schemas)| {
            let ids = method.clauses.get(status).or_else(|| table.clauses.get(status));
            let seen = self.book.wire.seen(&path.id, verb, *status);
            let headers = seen
                .into_iter()
                .flat_map(|seen| &seen.headers)
                .filter(|name| *name != "Content-Type");
            let headers: Map<String, Value> = headers
                .map(|name| (name.clone(), json!({ "$ref": format!("#/components/headers/{name}") })))
                .collect();
            let answer = self.answer(*status, schemas, ids.map_or(&[], Vec::as_slice), headers);
            (status.to_string(), answer)
        });
        operation["responses"] = Value::Object(answers.collect());
        operation
    }

    fn answer(&mut self, status: u16, schemas: &[String], ids: &[String], headers: Map<String, Value>) -> Value {
        let mut description = facts::reason(status).to_owned();
        for clause in ids.iter().filter_map(|id| self.book.suite.clause(id)) {
            let _ = write!(description, "\n\n{}: {}", clause.id, clause.statement);
        }
        let mut answer = json!({ "description": description, "x-clauses": ids });
        if !headers.is_empty() {
            answer["headers"] = headers.into();
        }
        let mut content = Map::new();
        let documents: Vec<String> = schemas
            .iter()
            .filter(|name| !["none", "text"].contains(&name.as_str()))
            .cloned()
            .collect();
        if !documents.is_empty() {
            content.insert(
                "application/json".to_owned(),
                json!({ "schema": self.any_of(&documents) }),
            );
        }
        if let Some(text) = schemas.iter().find(|name| *name == "text") {
            content.insert(
                "text/plain".to_owned(),
                json!({ "schema": self.any_of(std::slice::from_ref(text)) }),
            );
        }
        if !content.is_empty() {
            answer["content"] = content.into();
        }
        answer
    }

    /// A schema of any of these documents, in the renderings of all contract versions.
    fn any_of(&mut self, names: &[String]) -> Value {
        let schemas = self.book.suite.schemas();
        let mut known: Vec<&str> = Vec::new();
        for name in names {
            let spellings = ContractVersion::spellings()
                .rev()
                .filter_map(|version| schemas.resolve(name, version));
            known.extend(spellings);
        }
        known.dedup();
        let mut references: Vec<Value> = known
            .iter()
            .map(|name| json!({ "$ref": self.reference(name, None) }))
            .collect();
        match references.len() {
            1 => references.remove(0),
            _ => json!({ "anyOf": references }),
        }
    }

    fn reference(&mut self, document: &str, definition: Option<&str>) -> String {
        self.wanted.insert((document.to_owned(), definition.map(str::to_owned)));
        match definition {
            None => format!("#/components/schemas/{document}"),
            Some(definition) => format!("#/components/schemas/{}", key(document, definition)),
        }
    }

    /// The schemas that are referred to, and those that they refer to.
    fn schemas(&mut self) -> Value {
        let mut done: BTreeSet<(String, Option<String>)> = BTreeSet::new();
        let mut schemas: Vec<(String, Value)> = Vec::new();
        while let Some(next) = self.wanted.difference(&done).next().cloned() {
            let (name, definition) = &next;
            let document = self.book.suite.schemas().document(name).cloned().unwrap_or_default();
            let (key, mut value) = match definition {
                None => (name.clone(), document),
                Some(definition) => (key(name, definition), document["$defs"][definition].clone()),
            };
            if let (None, Value::Object(document)) = (definition, &mut value) {
                document.retain(|keyword, _| !["$schema", "$id", "$defs"].contains(&keyword.as_str()));
            }
            self.relocate(name, &mut value);
            schemas.push((key, value));
            done.insert(next);
        }
        schemas.sort_by(|a, b| a.0.cmp(&b.0));
        Value::Object(schemas.into_iter().collect())
    }

    /// Makes the references in a part of a document lead to where their targets stand now.
    fn relocate(&mut self, name: &str, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.relocate(name, item)),
            Value::Object(map) => {
                for (keyword, value) in map {
                    match value {
                        Value::String(reference) if keyword == "$ref" => {
                            let target = self.book.suite.schemas().follow(name, reference);
                            let moved = target.map(|target| {
                                let inside = target.pointer.strip_prefix("/$defs/");
                                let (definition, rest) =
                                    inside.map_or((None, target.pointer), |inside| match inside.find('/') {
                                        Some(end) => (Some(&inside[..end]), &inside[end..]),
                                        None => (Some(inside), ""),
                                    });
                                format!("{}{rest}", self.reference(target.name, definition))
                            });
                            if let Some(moved) = moved {
                                *reference = moved;
                            }
                        }
                        value => self.relocate(name, value),
                    }
                }
            }
            _ => {}
        }
    }

    fn parameters(&self, table: &Operations) -> Value {
        let versions: BTreeSet<u16> = self
            .book
            .suite
            .cases()
            .iter()
            .flat_map(|case| &case.variants)
            .map(|variant| variant.version.number())
            .collect();
        let paths = table.parameters.iter().map(|(name, about)| {
            let described = json!({ "name": name, "in": "path", "required": true, "description": about, "schema": { "type": "string" } });
            (name.clone(), described)
        });
        let headers = table
            .request_headers
            .iter()
            .filter(|(name, _)| !TOLD_ELSEWHERE.contains(&name.as_str()));
        let headers = headers.map(|(name, about)| {
            let (is_required, schema) = match name.as_str() {
                CONTRACT => (true, json!({ "type": "integer", "enum": versions })),
                _ => (false, json!({ "type": "string" })),
            };
            let described = json!({ "name": name, "in": "header", "required": is_required, "description": about, "schema": schema });
            (name.clone(), described)
        });
        Value::Object(paths.chain(headers).collect())
    }

    fn headers(&mut self) -> Value {
        let document = self
            .book
            .suite
            .schemas()
            .document("headers")
            .cloned()
            .unwrap_or_default();
        let properties = document["properties"].as_object().cloned().unwrap_or_default();
        let described = properties.into_iter().map(|(name, mut schema)| {
            self.relocate("headers", &mut schema);
            let clause = schema.get("x-clause").cloned();
            let mut header = json!({ "description": schema["description"], "schema": schema });
            if let Some(clause) = clause {
                header["x-clauses"] = json!([clause]);
            }
            (name, header)
        });
        Value::Object(described.collect())
    }
}

/// What a definition inside a document is called; a dot would be a module to some generators of code.
fn key(document: &str, definition: &str) -> String {
    format!("{definition}-of-{document}")
}

fn parameter(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}", first.to_uppercase())
}
