//! The fields of a document, as a reader looks them up: with their meaning, type, unit, clause, and whether they change.

use serde_json::Value;

use crate::contract::schemas::{Schemas, Target, vocabulary};

/// One member of a document, at any depth.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// The schema of the document, by name.
    pub document: String,
    /// Where it stands: `members.*.properties.system.active`; `*` is any name, `[]` any place of an array.
    pub path: String,
    /// What it is.
    pub description: String,
    /// Its type, with the values it may have.
    pub kind: String,
    /// The unit of a number.
    pub unit: Option<String>,
    /// What holds where nobody says otherwise, as JSON.
    pub default: Option<String>,
    /// The clause it comes from.
    pub clause: Option<String>,
    /// How it changes from run to run.
    pub volatile: Option<String>,
    /// Whether it is always there.
    pub is_required: bool,
}

/// How deep fields are listed; schemas may contain themselves.
const DEPTH: usize = 12;

impl Schemas {
    /// The fields of a document, in the order of its schema; empty if there is no such schema.
    pub fn fields(&self, document: &str) -> Vec<Field> {
        let mut found = Vec::new();
        if let Some((name, value)) = self.entry(document) {
            let mut walk = Walk {
                schemas: self,
                document,
                found: &mut found,
                trail: Vec::new(),
            };
            walk.inside(
                Target {
                    name,
                    pointer: "",
                    value,
                },
                "",
            );
        }
        found
    }
}

struct Walk<'a, 'f> {
    schemas: &'a Schemas,
    document: &'a str,
    found: &'f mut Vec<Field>,
    /// The references that led here.
    trail: Vec<String>,
}

impl<'a> Walk<'a, '_> {
    /// Lists the members of the object or array that a schema describes.
    fn inside(&mut self, here: Target<'a>, path: &str) {
        let Value::Object(schema) = here.value else { return };
        if self.trail.len() > DEPTH {
            return;
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str)
            && let Some(target) = self.schemas.follow(here.name, reference)
        {
            let step = format!("{}#{}", target.name, target.pointer);
            if !self.trail.contains(&step) {
                self.trail.push(step);
                self.inside(target, path);
                self.trail.pop();
            }
        }
        let required = vocabulary::strings(schema.get("required").unwrap_or(&Value::Null));
        vocabulary::children(schema, &mut |keyword, place, value| {
            let child = Target {
                name: here.name,
                pointer: here.pointer,
                value,
            };
            match (keyword, place) {
                ("properties", vocabulary::Place::Member(key)) => {
                    self.member(child, &join(path, key), required.iter().any(|name| name == key));
                }
                ("patternProperties" | "additionalProperties", _) if value.is_object() => {
                    self.member(child, &join(path, "*"), false);
                }
                ("items" | "prefixItems", _) => self.inside(child, &format!("{path}[]")),
                ("allOf" | "anyOf" | "oneOf" | "then" | "else", _) => self.inside(child, path),
                _ => {}
            }
        });
    }

    fn member(&mut self, here: Target<'a>, path: &str, is_required: bool) {
        let text = |keyword: &str| self.keyword(here, keyword).and_then(Value::as_str).map(str::to_owned);
        let field = Field {
            document: self.document.to_owned(),
            path: path.to_owned(),
            description: text("description").unwrap_or_default(),
            kind: self.kind(here),
            unit: text("x-unit"),
            default: self.keyword(here, "default").map(Value::to_string),
            clause: text(vocabulary::CLAUSE),
            volatile: text(vocabulary::VOLATILE),
            is_required,
        };
        match self.found.iter_mut().find(|known| known.path == path) {
            // A branch that only restricts says less than the one before it.
            Some(known) if known.description.is_empty() => *known = field,
            Some(_) => {}
            None if field.description.is_empty() && field.kind.is_empty() => {}
            None => self.found.push(field),
        }
        self.inside(here, path);
    }

    /// What a schema says by a keyword, itself or through what it refers to.
    fn keyword(&self, here: Target<'a>, keyword: &str) -> Option<&'a Value> {
        let mut at = here;
        for _ in 0..DEPTH {
            if let Some(said) = at.value.get(keyword) {
                return Some(said);
            }
            let reference = at.value.get("$ref")?.as_str()?;
            at = self.schemas.follow(at.name, reference)?;
        }
        None
    }

    fn kind(&self, here: Target<'a>) -> String {
        let mut kind = match self.keyword(here, "type") {
            Some(Value::String(one)) => one.clone(),
            Some(several) => vocabulary::strings(several).join(" or "),
            None => String::new(),
        };
        if let [Some(Value::Array(values)), None] = ["enum", "type"].map(|keyword| self.keyword(here, keyword)) {
            return mixed(values);
        }
        if let Some(format) = self.keyword(here, "format").and_then(Value::as_str) {
            kind = format!("{kind}, {format}");
        }
        for keyword in ["enum", vocabulary::ENUM] {
            if let Some(Value::Array(values)) = self.keyword(here, keyword) {
                let values: Vec<String> = values
                    .iter()
                    .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                    .collect();
                kind = format!("{kind}: {}", values.join(" | "));
            }
        }
        let bounds = [
            ("minimum", "at least"),
            ("maximum", "at most"),
            ("maxLength", "at most (characters)"),
            ("maxItems", "at most (items)"),
        ];
        for (keyword, words) in bounds {
            if let Some(limit) = self.keyword(here, keyword) {
                kind = format!("{kind}, {words} {limit}");
            }
        }
        kind.trim_start_matches([':', ',', ' ']).to_owned()
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
/// Values of several types in words: `boolean, or one of the strings "true", "false"`.
fn mixed(values: &[Value]) -> String {
    let of = |is: fn(&Value) -> bool| values.iter().filter(move |value| is(value)).map(Value::to_string);
    let mut kinds: Vec<String> = Vec::new();
    let others: Vec<String> = of(|value| !value.is_string() && !value.is_boolean()).collect();
    match of(Value::is_boolean).collect::<Vec<_>>().as_slice() {
        [] => {}
        [only] => kinds.push(only.clone()),
        _ => kinds.push("boolean".to_owned()),
    }
    kinds.extend(others);
    let strings: Vec<String> = of(Value::is_string).collect();
    match strings.as_slice() {
        [] => {}
        [only] => kinds.push(format!("the string {only}")),
        several => kinds.push(format!("one of the strings {}", several.join(", "))),
    }
    kinds.join(", or ")
}
