//! The keywords that the schemas may use, and what they may say.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::contract::json::escape;
use crate::contract::json::problem::Problem;
use crate::contract::schemas::volatile::VolatileKind;
use crate::contract::schemas::{BASE, SUFFIX, Target, entry, follow, problem};

/// One of these strings, whatever the case of its letters; another case is remarked upon.
pub(super) const ENUM: &str = "x-enum";
/// The value changes from run to run, see [`VolatileKind`].
pub(super) const VOLATILE: &str = "x-volatile";
/// The clause that the rule comes from.
pub(super) const CLAUSE: &str = "x-clause";
/// People write such documents: a field that the schema does not name is a mistake, see `Schemas::unknown_names`.
pub(super) const WRITTEN: &str = "x-written";
const UNIT: &str = "x-unit";
const UNITS: [&str; 4] = ["ms", "s", "kbps", "bytes"];

/// How the value of a keyword contains schemas.
#[derive(Clone, Copy)]
enum Holds {
    Nothing,
    Schema,
    List,
    Map,
}

fn holds(keyword: &str) -> Option<Holds> {
    Some(match keyword {
        "$schema" | "$id" | "$ref" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$vocabulary" | "$comment"
        | "type" | "const" | "enum" | "multipleOf" | "maximum" | "exclusiveMaximum" | "minimum"
        | "exclusiveMinimum" | "maxLength" | "minLength" | "pattern" | "maxItems" | "minItems" | "uniqueItems"
        | "maxContains" | "minContains" | "maxProperties" | "minProperties" | "required" | "dependentRequired"
        | "title" | "description" | "default" | "deprecated" | "readOnly" | "writeOnly" | "examples" | "format"
        | "contentEncoding" | "contentMediaType" | ENUM | VOLATILE | CLAUSE | WRITTEN | UNIT => Holds::Nothing,
        "items"
        | "contains"
        | "additionalProperties"
        | "propertyNames"
        | "if"
        | "then"
        | "else"
        | "not"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "contentSchema" => Holds::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Holds::List,
        "properties" | "patternProperties" | "$defs" | "dependentSchemas" => Holds::Map,
        _ => return None,
    })
}

/// How one schema stands inside another, below a keyword.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Only,
    Item(usize),
    Member(&'a str),
}

/// Visits the schemas directly inside a schema: keyword, place and schema.
pub(super) fn children<'a>(schema: &'a Map<String, Value>, visit: &mut dyn FnMut(&'a str, Place<'a>, &'a Value)) {
    for (keyword, value) in schema {
        match (holds(keyword), value) {
            (Some(Holds::Schema), value) => visit(keyword, Place::Only, value),
            (Some(Holds::List), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    visit(keyword, Place::Item(index), item);
                }
            }
            (Some(Holds::Map), Value::Object(map)) => {
                for (key, item) in map {
                    visit(keyword, Place::Member(key), item);
                }
            }
            _ => {}
        }
    }
}

/// Every `$ref` in a schema.
pub(super) fn references<'a>(schema: &'a Value, found: &mut dyn FnMut(&'a str)) {
    let Value::Object(schema) = schema else { return };
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        found(reference);
    }
    children(schema, &mut |_, _, child| references(child, found));
}

/// The strings of an array.
pub(super) fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Finds what is wrong with one schema file.
pub(super) fn check(values: &BTreeMap<String, Value>, name: &str, value: &Value, problems: &mut Vec<Problem>) {
    let mut check = Check {
        file: File { values, name },
        problems,
    };
    let id = format!("{BASE}{name}{SUFFIX}");
    if value.get("$id").and_then(Value::as_str) != Some(&id) {
        check.wrong("/$id", format!("expected `{id}`"));
    }
    check.schema("", value, true);
}

struct Check<'a> {
    file: File<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn wrong(&mut self, pointer: &str, message: String) {
        let file = format!("{}{SUFFIX}", self.file.name);
        self.problems.push(problem(&file, pointer.to_owned(), message));
    }

    /// `describes` is false in a condition and in what follows from one: they only restrict what is described elsewhere.
    fn schema(&mut self, pointer: &str, schema: &Value, describes: bool) {
        let schema = match schema {
            Value::Bool(_) => return,
            Value::Object(schema) => schema,
            _ => return self.wrong(pointer, "expected a schema: an object, true or false".to_owned()),
        };
        for (keyword, value) in schema {
            if holds(keyword).is_none() {
                self.wrong(
                    &below(pointer, keyword, Place::Only),
                    format!("unknown keyword `{keyword}`"),
                );
            }
            if let Some(message) = self.file.wrong(pointer, keyword, value) {
                self.wrong(&below(pointer, keyword, Place::Only), message);
            }
        }
        children(schema, &mut |keyword, place, child| {
            let here = below(pointer, keyword, place);
            if describes
                && let ("properties", Place::Member(key)) = (keyword, place)
                && !self.file.describes(child)
                && !self.file.restricts(schema, key)
            {
                self.wrong(&here, format!("the field `{key}` has no description"));
            }
            let describes = describes && !matches!(keyword, "if" | "then" | "else" | "not" | "contains");
            self.schema(&here, child, describes);
        });
    }
}

fn below(pointer: &str, keyword: &str, place: Place<'_>) -> String {
    match place {
        Place::Only => [pointer, "/", &escape(keyword)].concat(),
        Place::Item(index) => format!("{pointer}/{keyword}/{index}"),
        Place::Member(key) => [pointer, "/", keyword, "/", &escape(key)].concat(),
    }
}

#[derive(Clone, Copy)]
struct File<'a> {
    values: &'a BTreeMap<String, Value>,
    name: &'a str,
}

impl<'a> File<'a> {
    fn target(self, reference: &'a str) -> Option<Target<'a>> {
        follow(&|name| entry(self.values, name), self.name, reference)
    }

    fn target_of(self, schema: &'a Value) -> Option<Target<'a>> {
        schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| self.target(reference))
    }

    fn wrong(self, pointer: &str, keyword: &str, value: &'a Value) -> Option<String> {
        match (keyword, value) {
            ("$ref", Value::String(reference)) => self
                .target(reference)
                .is_none()
                .then(|| format!("`{reference}` does not exist")),
            ("$id", _) if !pointer.is_empty() => Some("only a file has an `$id`".to_owned()),
            (VOLATILE, Value::String(kind)) => {
                let known = VolatileKind::parse(kind).is_some();
                let expected = "expected `guid`, `guid:LABEL`, `token:LABEL`, `time`, `etag` or `number`";
                (!known).then(|| format!("{expected}, found `{kind}`"))
            }
            (UNIT, Value::String(unit)) => {
                let known = UNITS.contains(&unit.as_str());
                (!known).then(|| format!("expected one of {}, found `{unit}`", UNITS.join(", ")))
            }
            (ENUM, Value::Array(items)) if !items.is_empty() && items.iter().all(Value::is_string) => None,
            (ENUM, _) => Some("expected an array of strings".to_owned()),
            ("$ref" | VOLATILE | UNIT | CLAUSE, value) if !value.is_string() => Some("expected a string".to_owned()),
            _ => None,
        }
    }

    /// Whether a schema says what its value means, itself or through what it refers to.
    fn describes(self, schema: &'a Value) -> bool {
        schema.get("description").is_some_and(Value::is_string)
            || self.target_of(schema).is_some_and(|target| {
                let file = File {
                    name: target.name,
                    ..self
                };
                file.describes(target.value)
            })
            || schema.get("else").is_some_and(|schema| self.describes(schema))
    }

    /// Whether `parent` only restricts a member that the schema it refers to has.
    fn restricts(self, parent: &'a Map<String, Value>, key: &str) -> bool {
        let reference = parent.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|reference| self.target(reference));
        target.is_some_and(|target| target.value.get("properties").and_then(|map| map.get(key)).is_some())
    }
}
