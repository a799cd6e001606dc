//! What is wrong with a document, in words.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use crate::contract::json::{escape, unescape};
use crate::contract::schemas::{Lookup, follow, vocabulary};

/// How much a violation weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth telling, but no reason to fail: a known value in letters of another case.
    Remark,
    /// The document breaks the schema.
    Violation,
    /// The schema itself is unknown or broken: it is the suite that is wrong.
    SuiteFault,
}

/// One place where a document does not follow its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Where in the document: a JSON Pointer. A missing member is reported at its parent.
    pub pointer: String,
    /// The keyword that was broken.
    pub keyword: String,
    /// The clause that the rule comes from, the nearest that the schema names.
    pub clause: Option<String>,
    /// What was expected and what was found.
    pub message: String,
    /// How much it weighs.
    pub severity: Severity,
}

impl Violation {
    pub(super) fn of_suite(message: String) -> Self {
        Self {
            pointer: String::new(),
            keyword: "$schema".to_owned(),
            clause: None,
            message,
            severity: Severity::SuiteFault,
        }
    }

    /// A body of another kind than any that the answer may have.
    pub(super) fn of_body(message: String) -> Self {
        Self {
            pointer: String::new(),
            keyword: "body".to_owned(),
            clause: Some("HDR-009".to_owned()),
            message,
            severity: Severity::Violation,
        }
    }
}

/// The violations that the errors of one document come to: each place once for each thing that is wrong with it.
pub(super) fn collect<'e>(
    documents: Lookup<'_, '_>,
    name: &str,
    errors: impl Iterator<Item = ValidationError<'e>>,
) -> Vec<Violation> {
    let mut collector = Collector {
        documents,
        name,
        violations: Vec::new(),
    };
    for error in errors {
        collector.add(&error);
    }
    // The validator's order is its own; reports are compared, so theirs is fixed.
    collector
        .violations
        .sort_by(|a, b| (&a.pointer, &a.keyword, &a.message).cmp(&(&b.pointer, &b.keyword, &b.message)));
    collector.violations
}

struct Collector<'d, 'a> {
    documents: Lookup<'d, 'a>,
    name: &'d str,
    violations: Vec<Violation>,
}

/// What the schema says on the way to a broken keyword.
#[derive(Default)]
struct Way<'a> {
    clause: Option<&'a str>,
    title: Option<&'a str>,
    /// The schema that has the keyword.
    schema: Option<&'a Value>,
}

impl<'a> Collector<'_, 'a> {
    fn add(&mut self, error: &ValidationError<'_>) {
        let way = self.way(error.evaluation_path().as_str());
        let clause = way.clause;
        let pointer = error.instance_path().as_str();
        let found = shown(error.instance());
        let expected = |otherwise: String| way.title.map_or(otherwise, with_article);
        let message = match error.kind() {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => return self.add_best(context),
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                for key in unexpected {
                    let pointer = format!("{pointer}/{}", escape(key));
                    self.push(&pointer, error, clause, format!("unknown field `{key}`"));
                }
                return;
            }
            Kind::Required { property } => {
                let missing = property.as_str().unwrap_or_default();
                let own = way
                    .schema
                    .and_then(|schema| schema.pointer(&format!("/properties/{missing}/x-clause")));
                let clause = own.and_then(Value::as_str).or(clause);
                return self.push(pointer, error, clause, format!("missing field `{missing}`"));
            }
            Kind::PropertyNames { error: inner } => {
                let way = self.way(inner.evaluation_path().as_str());
                let name = shown(inner.instance());
                let message = match (way.title, inner.kind()) {
                    (Some(title), _) => {
                        format!("expected {} as a field name, found {name}", with_article(title))
                    }
                    (None, Kind::Enum { options }) => {
                        format!("expected only the field {}, found {name}", list(options))
                    }
                    (None, _) => format!("the field name {name} is not allowed"),
                };
                return self.push(pointer, error, way.clause.or(clause), message);
            }
            Kind::Type { kind } => format!("expected {}, found {found}", expected(types(kind))),
            Kind::Pattern { pattern } => {
                format!(
                    "expected {}, found {found}",
                    expected(format!("a string that matches `{pattern}`"))
                )
            }
            Kind::Format { format } => format!(
                "expected {}, found {found}",
                expected(format!("a string in the format {format}"))
            ),
            Kind::Enum { options } => format!("expected {}, found {found}", list(options)),
            Kind::Constant { expected_value } => format!("expected {}, found {found}", shown(expected_value)),
            Kind::Minimum { limit } => format!("expected at least {limit}, found {found}"),
            Kind::Maximum { limit } => format!("expected at most {limit}, found {found}"),
            Kind::ExclusiveMinimum { limit } => format!("expected more than {limit}, found {found}"),
            Kind::ExclusiveMaximum { limit } => format!("expected less than {limit}, found {found}"),
            Kind::MinLength { limit: 1 } => {
                format!("expected {}, found an empty string", expected("a string".to_owned()))
            }
            Kind::MinLength { limit } => format!("expected at least {limit} characters, found {found}"),
            Kind::MaxLength { limit } => format!("expected at most {limit} characters, found {found}"),
            Kind::MinItems { limit } => format!("expected at least {limit} items, found {found}"),
            Kind::MaxItems { limit } => format!("expected at most {limit} items, found {found}"),
            Kind::MinProperties { limit } => format!("expected at least {limit} fields, found {found}"),
            Kind::MaxProperties { limit } => format!("expected at most {limit} fields, found {found}"),
            Kind::UniqueItems => format!("expected every item once, found {found}"),
            Kind::FalseSchema | Kind::Not { .. } => format!("expected no value, found {found}"),
            Kind::Custom { message, .. } => message.clone(),
            _ => error.to_string(),
        };
        self.push(pointer, error, clause, message);
    }

    /// Adds the branch that comes closest: one that at least has the type, and of these the one with the fewest errors.
    fn add_best(&mut self, branches: &[Vec<ValidationError<'static>>]) {
        let far = |branch: &[ValidationError<'static>]| {
            let other_type = branch
                .iter()
                .any(|error| matches!(error.kind(), Kind::Type { .. } | Kind::Constant { .. }));
            (other_type, branch.len())
        };
        if let Some(branch) = branches.iter().min_by_key(|branch| far(branch)) {
            for error in branch {
                self.add(error);
            }
        }
    }

    fn push(&mut self, pointer: &str, error: &ValidationError<'_>, clause: Option<&str>, message: String) {
        let keyword = error.kind().keyword();
        let one_of = |keyword: &str| matches!(keyword, "enum" | vocabulary::ENUM);
        let again = |known: &&mut Violation| {
            let same = known.keyword == keyword || (one_of(&known.keyword) && one_of(keyword));
            known.pointer == pointer && same && (known.message == message || one_of(keyword))
        };
        // The later schema is the stricter one: a request's rule over that of the response it refers to.
        if let Some(known) = self.violations.iter_mut().find(again) {
            if keyword == "enum" {
                known.message = message;
            }
            return;
        }
        self.violations.push(Violation {
            pointer: pointer.to_owned(),
            keyword: keyword.to_owned(),
            clause: clause.map(str::to_owned),
            message,
            severity: Severity::Violation,
        });
    }

    /// Follows the path of evaluation through the schemas, up to the schema that has the keyword.
    fn way(&self, path: &str) -> Way<'a> {
        let mut way = Way::default();
        let Some((mut name, mut at)) = (self.documents)(self.name) else {
            return way;
        };
        way.look(at);
        let Some((path, _keyword)) = path.rsplit_once('/') else {
            return way;
        };
        for token in path.split('/').skip(1) {
            let next = if token == "$ref" {
                let reference = at.get("$ref").and_then(Value::as_str);
                let target = reference.and_then(|reference| follow(self.documents, name, reference));
                target.map(|target| {
                    name = target.name;
                    target.value
                })
            } else {
                let token = unescape(token);
                match at {
                    Value::Array(items) => token.parse().ok().and_then(|index: usize| items.get(index)),
                    at => at.get(&*token),
                }
            };
            let Some(next) = next else { return way };
            at = next;
            way.look(at);
        }
        // A schema that only restricts another one speaks with the other's clause and title.
        let own = |keyword: &str| at.get(keyword).and_then(Value::as_str);
        if let (None, Some(reference)) = (own(vocabulary::CLAUSE), own("$ref"))
            && let Some(target) = follow(self.documents, name, reference)
        {
            let other = |keyword: &str| target.value.get(keyword).and_then(Value::as_str);
            way.clause = other(vocabulary::CLAUSE).or(way.clause);
            way.title = way.title.or(other("title"));
        }
        way
    }
}

impl<'a> Way<'a> {
    fn look(&mut self, at: &'a Value) {
        let text = |keyword: &str| at.get(keyword).and_then(Value::as_str);
        self.clause = text(vocabulary::CLAUSE).or(self.clause);
        // A file's title is the name of a document, not a kind of value.
        self.title = text("title").filter(|_| at.get("$id").is_none());
        self.schema = Some(at);
    }
}

/// `expected one of a, b, found "c"`.
pub(super) fn one_of(known: &[String], found: &Value) -> String {
    format!("expected one of {}, found {}", known.join(", "), shown(found))
}

/// `expected the spelling open, found Open`.
pub(super) fn spelt(expected: &str, found: &str) -> String {
    format!("expected the spelling \"{expected}\", found \"{found}\"")
}

fn list(options: &Value) -> String {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<String> = options
        .iter()
        .map(|option| option.as_str().map_or_else(|| option.to_string(), str::to_owned))
        .collect();
    match names.as_slice() {
        [only] => only.clone(),
        names => format!("one of {}", names.join(", ")),
    }
}

fn with_article(title: &str) -> String {
    let article = if title.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {title}")
}

fn types(kind: &TypeKind) -> String {
    let names: Vec<&str> = match kind {
        TypeKind::Single(only) => vec![type_name(only.as_str())],
        TypeKind::Multiple(set) => set.iter().map(|one| type_name(one.as_str())).collect(),
    };
    names.join(" or ")
}

fn type_name(json: &str) -> &'static str {
    match json {
        "array" => "an array",
        "boolean" => "true or false",
        "integer" => "an integer",
        "null" => "null",
        "number" => "a number",
        "object" => "an object",
        _ => "a string",
    }
}

/// A value in a few words: `the number 5`, `the string "x"`, `an object`.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() > LONGEST => {
            let start: String = text.chars().take(LONGEST).collect();
            format!("the string {} and more", Value::from(start))
        }
        Value::String(_) => format!("the string {value}"),
        Value::Array(items) if items.is_empty() => "an empty array".to_owned(),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(map) if map.is_empty() => "an empty object".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
