//! The JSON Schemas of the contract's documents, and the table of its HTTP operations.
//!
//! For a document that breaks a schema there is what is wrong, where, and by which clause; a schema that is itself wrong is a
//! fault of the suite. Schemas are resolved among themselves and never fetched.

mod field;
mod format;
mod operation;
mod shape;
mod violation;
mod vocabulary;
mod volatile;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use jsonschema::json::{Json, Node as _};
use jsonschema::{Draft, Keyword, Registry, Retrieve, ValidationError, ValidationOptions, Validator};
use serde_json::{Map, Value};

pub use field::Field;
pub use operation::{Method, Operation, OperationPath, Operations, Parameter, Request};
pub use shape::Volatile;
pub use violation::{Severity, Violation};
pub use volatile::VolatileKind;

use crate::contract::json::document::{self, Documents};
use crate::contract::json::problem::{Place, Problem};
use crate::contract::version::ContractVersion;
use shape::Shape;

/// The address that every schema's `$id` starts with; nothing lives there.
pub const BASE: &str = "https://mpsd-conformance.invalid/schemas/";
const SUFFIX: &str = ".schema.json";
const OPERATIONS: &str = "operations.json";
const HEADERS: &str = "headers";

/// A problem at a place of a schema file, which is named without a folder.
fn problem(file: &str, pointer: String, message: String) -> Problem {
    Problem {
        file: format!("schemas/{file}"),
        place: Place::Value(pointer),
        message,
        expected: String::new(),
    }
}

/// All schemas, by name: `session` is `session.schema.json`.
#[derive(Debug, Default)]
pub struct Schemas {
    documents: BTreeMap<String, Document>,
    operations: Operations,
    headers: Vec<String>,
}

struct Document {
    value: Value,
    /// The names of all schemas that this one needs, itself included.
    needs: BTreeSet<String>,
    validator: OnceLock<Result<Validator<Documents>, String>>,
    shape: OnceLock<Shape>,
    spellings: OnceLock<Shape>,
    names: OnceLock<Arc<dyn document::Names>>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// The body of a response, as its content type says that it is.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// No byte at all.
    Empty,
    /// Anything that is not JSON.
    Text(&'a str),
    /// Parsed JSON.
    Json(&'a document::Document),
}

/// What a response body was held against, and what is wrong with it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Judgement {
    /// The schema that fits best; `None` if the contract has none for this answer.
    pub schema: Option<String>,
    /// Empty if the body follows the schema.
    pub violations: Vec<Violation>,
}

impl Judgement {
    /// How many violations are more than remarks.
    fn breaches(&self) -> usize {
        self.violations
            .iter()
            .filter(|violation| violation.severity > Severity::Remark)
            .count()
    }
}

impl Schemas {
    /// Reads the files of the folder `schemas`, by their names without a folder.
    ///
    /// Finds misspelt keywords, dangling references and members without a description; validators are built when they
    /// are first needed, see [`Self::compile_all`].
    pub fn new<N, T>(files: impl IntoIterator<Item = (N, T)>) -> Result<Self, Vec<Problem>>
    where
        N: AsRef<str>,
        T: AsRef<str>,
    {
        let mut problems = Vec::new();
        let mut values = BTreeMap::new();
        let mut operations = Operations::default();
        for (file, text) in files {
            let (file, text) = (file.as_ref(), text.as_ref());
            let mut wrong = |message: String| problems.push(problem(file, String::new(), message));
            if file == OPERATIONS {
                match serde_json::from_str(text) {
                    Ok(read) => operations = read,
                    Err(error) => wrong(error.to_string()),
                }
            } else if let Some(name) = file.strip_suffix(SUFFIX) {
                match serde_json::from_str(text) {
                    Ok(value) => _ = values.insert(name.to_owned(), value),
                    Err(error) => wrong(error.to_string()),
                }
            } else {
                wrong(format!("expected a file named {OPERATIONS} or *{SUFFIX}"));
            }
        }
        for (name, value) in &values {
            vocabulary::check(&values, name, value, &mut problems);
        }
        for (pointer, name) in operations.schema_names() {
            if !values.contains_key(name) {
                problems.push(problem(OPERATIONS, pointer, format!("unknown schema `{name}`")));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let needs: Vec<BTreeSet<String>> = values.keys().map(|name| needs(&values, name)).collect();
        let headers = values.get(HEADERS).map(property_names).unwrap_or_default();
        let documents = values
            .into_iter()
            .zip(needs)
            .map(|((name, value), needs)| {
                let document = Document {
                    value,
                    needs,
                    validator: OnceLock::new(),
                    shape: OnceLock::new(),
                    spellings: OnceLock::new(),
                    names: OnceLock::new(),
                };
                (name, document)
            })
            .collect();
        Ok(Self {
            documents,
            operations,
            headers,
        })
    }

    /// The names of all schemas, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.documents.keys().map(String::as_str)
    }

    /// The schema that `name` stands for at a contract version: `NAME-104` at 104 and the versions that are spelt like it,
    /// where there is one, else `NAME`.
    pub fn resolve(&self, name: &str, version: ContractVersion) -> Option<&str> {
        let own = self.documents.get_key_value(&format!("{name}-{}", version.spelling()));
        own.or_else(|| self.documents.get_key_value(name))
            .map(|(name, _)| name.as_str())
    }

    /// The schema's own JSON.
    pub fn document(&self, name: &str) -> Option<&Value> {
        self.documents.get(name).map(|document| &document.value)
    }

    /// Follows a `$ref` that stands in the schema `name`.
    pub fn follow<'a>(&'a self, name: &str, reference: &'a str) -> Option<Target<'a>> {
        follow(&|name| self.entry(name), name, reference)
    }

    /// The names of the response headers that the contract speaks of, as `headers.schema.json` spells them.
    pub fn response_headers(&self) -> &[String] {
        &self.headers
    }

    /// The table of the contract's HTTP operations.
    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// The operation that a request addresses; `None` if the contract knows no such path.
    ///
    /// Letter case has no meaning in the path's literal segments (LIVE-025), and a query is passed over.
    pub fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        self.operations.find(method, path)
    }

    /// Builds every validator now; what cannot be built is a problem of its file.
    pub fn compile_all(&self) -> Vec<Problem> {
        let documents = self.documents.iter();
        let problems = documents.filter_map(|(name, document)| {
            let message = self.validator(document).err()?;
            Some(problem(&format!("{name}{SUFFIX}"), String::new(), message.to_owned()))
        });
        problems.collect()
    }

    /// What is wrong with a value; empty if it follows the schema.
    ///
    /// An unknown schema is a [`Severity::SuiteFault`].
    pub fn validate(&self, schema: &str, version: ContractVersion, value: &Value) -> Vec<Violation> {
        self.validate_document(schema, version, &value.into())
    }

    /// As [`Self::validate`], for a body as it came; one that is valid is remembered to be.
    pub fn validate_document(
        &self,
        schema: &str,
        version: ContractVersion,
        body: &document::Document,
    ) -> Vec<Violation> {
        let Some((name, document)) = self.find(schema, version) else {
            return vec![Violation::of_suite(format!("unknown schema `{schema}`"))];
        };
        if body.follows(name) {
            return Vec::new();
        }
        let validator = match self.validator(document) {
            Ok(validator) => validator,
            Err(error) => return vec![Violation::of_suite(format!("schemas/{name}{SUFFIX}: {error}"))],
        };
        let violations = if validator.is_valid(body.root()) {
            Vec::new()
        } else {
            violation::collect(&|name| self.entry(name), name, validator.iter_errors(body.root()))
        };
        let violations = self.with_spellings(name, document, violations, body);
        if violations.is_empty() {
            body.note_schema(name);
        }
        violations
    }

    fn with_spellings(
        &self,
        name: &str,
        document: &Document,
        mut violations: Vec<Violation>,
        body: &document::Document,
    ) -> Vec<Violation> {
        let known = violations.len();
        let spellings = || Shape::of_spellings(&|name| self.entry(name), name, &document.value);
        let shape = document.spellings.get_or_init(spellings);
        shape.spellings(body.root(), &mut |remark| {
            let is_known = violations[..known].iter().any(|known| known.pointer == remark.pointer);
            if !is_known {
                violations.push(remark);
            }
        });
        violations
    }

    /// The values of a document that change from run to run, in the document's order.
    pub fn volatile(&self, schema: &str, version: ContractVersion, value: &Value) -> Vec<Volatile<'_>> {
        let mut found = Vec::new();
        if let Some((name, document)) = self.find(schema, version) {
            self.shape(name, document).volatile(value, &mut found);
        }
        found
    }

    /// Notes which members of a document the contract has, by its schema.
    pub fn note_names(&self, schema: &str, version: ContractVersion, body: &document::Document) {
        if let Some((name, document)) = self.find(schema, version) {
            let names = || Arc::new(Shape::of_names(&|name| self.entry(name), name, &document.value)) as Arc<_>;
            body.note_names(document.names.get_or_init(names));
        }
    }

    /// The fields of a valid document that its schema does not name. A reader ignores them; where the document is one that
    /// people write (`x-written`), each is a mistake of its author.
    pub fn unknown_names(&self, schema: &str, version: ContractVersion, value: &Value) -> Vec<Violation> {
        let Some((name, document)) = self.find(schema, version) else {
            return Vec::new();
        };
        let is_written = document.value.get(vocabulary::WRITTEN) == Some(&Value::Bool(true));
        let mut found = Vec::new();
        Shape::of_names(&|name| self.entry(name), name, &document.value).unknown(value, "", &mut found);
        let violations = found.into_iter().map(|(pointer, hint)| Violation {
            pointer,
            severity: if is_written {
                Severity::Violation
            } else {
                Severity::Remark
            },
            keyword: vocabulary::WRITTEN.to_owned(),
            clause: None,
            message: format!("unknown field; {hint}"),
        });
        violations.collect()
    }

    /// How the schema says that a response header changes from run to run.
    pub fn volatile_header(&self, header: &str) -> Option<&VolatileKind> {
        let (name, document) = self.find(HEADERS, ContractVersion::CURRENT)?;
        let header = self.headers.iter().find(|name| name.eq_ignore_ascii_case(header))?;
        self.shape(name, document).property(header)
    }

    /// Validates a response body against whichever of the operation's schemas for this status fits it best.
    pub fn judge(&self, operation: &Operation<'_>, status: u16, version: ContractVersion, body: Body<'_>) -> Judgement {
        let names = operation.responses(status);
        let of = |name: &str| names.iter().any(|known| known == name);
        let wrong = |message: String| Judgement {
            schema: None,
            violations: vec![Violation::of_body(message)],
        };
        match body {
            _ if names.is_empty() => Judgement::default(),
            Body::Empty if of(operation::NONE) => Judgement::default(),
            Body::Empty => wrong(format!("expected {}, found an empty body", any_of(names))),
            Body::Text(text) if of(operation::TEXT) => Judgement {
                schema: Some(operation::TEXT.to_owned()),
                violations: self.validate(operation::TEXT, version, &Value::from(text)),
            },
            Body::Text(_) => wrong(format!("expected {}, found a body that is not JSON", any_of(names))),
            Body::Json(value) => {
                let candidates = names.iter().filter(|name| !operation::is_bare(name));
                let best = candidates
                    .map(|name| Judgement {
                        schema: Some(name.clone()),
                        violations: self.validate_document(name, version, value),
                    })
                    .min_by_key(Judgement::breaches);
                best.unwrap_or_else(|| wrong(format!("expected {}, found a JSON body", any_of(names))))
            }
        }
    }

    fn entry(&self, name: &str) -> Option<(&str, &Value)> {
        self.documents
            .get_key_value(name)
            .map(|(name, document)| (name.as_str(), &document.value))
    }

    fn find(&self, schema: &str, version: ContractVersion) -> Option<(&str, &Document)> {
        let name = self.resolve(schema, version)?;
        self.documents.get(name).map(|document| (name, document))
    }

    fn shape<'a>(&'a self, name: &str, document: &'a Document) -> &'a Shape {
        document
            .shape
            .get_or_init(|| Shape::new(&|name| self.entry(name), name, &document.value))
    }

    fn validator<'a>(&self, document: &'a Document) -> Result<&'a Validator<Documents>, &'a str> {
        let built = document.validator.get_or_init(|| self.build(document));
        built.as_ref().map_err(String::as_str)
    }

    fn build(&self, document: &Document) -> Result<Validator<Documents>, String> {
        let mut registry = Registry::new();
        for name in &document.needs {
            if let Some(value) = self.document(name) {
                registry = registry
                    .add(format!("{BASE}{name}{SUFFIX}"), value)
                    .map_err(|error| error.to_string())?;
            }
        }
        let registry = registry.prepare().map_err(|error| error.to_string())?;
        options()
            .with_registry(&registry)
            .offline()
            .with_keyword(vocabulary::ENUM, spelling)
            .build(&document.value)
            .map_err(|error| format!("{error}, at {}", error.schema_path()))
    }
}

/// Options that assert formats, and refuse unknown ones.
fn options<'a>() -> ValidationOptions<'a, Arc<dyn Retrieve>, Documents> {
    jsonschema::options_for::<Documents>()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_format("date", format::is_date)
        .with_format("date-time", format::is_date_time)
}

/// `a session`, `a session or a text`: what an answer may consist of.
fn any_of(names: &[String]) -> String {
    let described: Vec<String> = names
        .iter()
        .map(|name| match name.as_str() {
            operation::NONE => "no body".to_owned(),
            name => format!("a body `{name}`"),
        })
        .collect();
    described.join(" or ")
}

fn property_names(schema: &Value) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default()
}

/// Finds a schema, and its name, by name.
type Lookup<'d, 'a> = &'d dyn Fn(&str) -> Option<(&'a str, &'a Value)>;

/// Where a `$ref` leads.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Target<'a> {
    /// The name of the schema.
    pub name: &'a str,
    /// The pointer into it.
    pub pointer: &'a str,
    /// What stands there.
    pub value: &'a Value,
}

fn follow<'a>(documents: Lookup<'_, 'a>, name: &str, reference: &'a str) -> Option<Target<'a>> {
    let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
    let name = if file.is_empty() {
        name
    } else {
        file.strip_prefix(BASE).unwrap_or(file).strip_suffix(SUFFIX)?
    };
    let (name, value) = documents(name)?;
    let value = value.pointer(pointer)?;
    Some(Target { name, pointer, value })
}

fn entry<'a>(values: &'a BTreeMap<String, Value>, name: &str) -> Option<(&'a str, &'a Value)> {
    values.get_key_value(name).map(|(name, value)| (name.as_str(), value))
}

/// The names of all schemas that `name` reaches, itself included.
fn needs(values: &BTreeMap<String, Value>, name: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::from([name.to_owned()]);
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        let Some(value) = values.get(&name) else { continue };
        vocabulary::references(value, &mut |reference| {
            if let Some(target) = follow(&|name| entry(values, name), &name, reference)
                && reached.insert(target.name.to_owned())
            {
                open.push(target.name.to_owned());
            }
        });
    }
    reached
}

/// The keyword `x-enum`: one of these strings, whatever the case of its letters.
struct Spelling(Vec<String>);

impl<'i> Keyword<'i, Documents> for Spelling {
    fn validate(&self, instance: <Documents as Json>::Node<'i>) -> Result<(), ValidationError<'i>> {
        if Keyword::is_valid(self, instance) {
            Ok(())
        } else {
            Err(ValidationError::custom(violation::one_of(
                &self.0,
                &instance.to_value(),
            )))
        }
    }

    fn is_valid(&self, instance: <Documents as Json>::Node<'i>) -> bool {
        instance
            .as_string()
            .is_none_or(|found| self.0.iter().any(|known| known.eq_ignore_ascii_case(&found)))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature is the validator's")]
fn spelling<'a>(
    _parent: &'a Map<String, Value>,
    value: &'a Value,
    _path: jsonschema::paths::Location,
) -> Result<Box<dyn for<'i> Keyword<'i, Documents>>, ValidationError<'a>> {
    Ok(Box::new(Spelling(vocabulary::strings(value))))
}

#[cfg(test)]
pub(crate) mod tests;
