//! A schema reduced to what is looked for in a valid document: values that change from run to run, and spellings.
//!
//! It is the union of all branches of a schema; conditions are not evaluated. Built once a schema, without references.

use regex::Regex;
use serde_json::Value;

use crate::contract::json::document::{self, Document};
use crate::contract::json::tree::Tree;
use crate::contract::json::{escape, expected_one_of};
use crate::contract::schemas::violation::{self, Severity, Violation};
use crate::contract::schemas::vocabulary::{self, Place};
use crate::contract::schemas::volatile::VolatileKind;
use crate::contract::schemas::{Lookup, follow};

/// One value of a document that changes from run to run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volatile<'a> {
    /// Where the value stands: a JSON Pointer into the document.
    pub pointer: String,
    /// How it changes.
    pub kind: &'a VolatileKind,
}

/// What there is to find at one place of a document, and below.
#[derive(Debug, Default)]
pub(super) struct Shape {
    kind: Option<VolatileKind>,
    spellings: Vec<String>,
    clause: Option<String>,
    properties: Vec<(String, Self)>,
    patterns: Vec<(Regex, Self)>,
    additional: Option<Box<Self>>,
    prefix: Vec<Self>,
    items: Option<Box<Self>>,
}

impl Shape {
    /// The shape of one schema of the file `name`.
    pub(super) fn new<'a>(documents: Lookup<'_, 'a>, name: &str, schema: &'a Value) -> Self {
        let mut shape = Self::default();
        shape.add(documents, name, schema, &mut Vec::new());
        shape.prune();
        shape
    }

    /// The part of it that spellings are found by.
    pub(super) fn of_spellings<'a>(documents: Lookup<'_, 'a>, name: &str, schema: &'a Value) -> Self {
        let mut shape = Self::new(documents, name, schema);
        shape.forget_kinds();
        shape.prune();
        shape
    }

    /// The whole of it, with the names of all members.
    pub(super) fn of_names<'a>(documents: Lookup<'_, 'a>, name: &str, schema: &'a Value) -> Self {
        let mut shape = Self::default();
        shape.add(documents, name, schema, &mut Vec::new());
        shape
    }

    /// Finds the members that an object of this shape does not have; one of which no member is named may have any.
    fn find_unknown(&self, value: document::Place<'_>, found: &mut Vec<usize>) {
        if let Some(members) = value.members().filter(|_| self.has_members()) {
            for (key, value) in members {
                match self.member(key) {
                    Some(shape) => shape.find_unknown(value, found),
                    None => found.push(value.position()),
                }
            }
        } else if let Some(items) = value.elements() {
            for (index, item) in items.enumerate() {
                if let Some(shape) = self.prefix.get(index).or(self.items.as_deref()) {
                    shape.find_unknown(item, found);
                }
            }
        }
    }

    /// As [`Self::find_unknown`], with a JSON Pointer to each, and what it could have been.
    pub(super) fn unknown(&self, value: &Value, pointer: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(members) if self.has_members() => {
                let known: Vec<&str> = self.properties.iter().map(|(name, _)| name.as_str()).collect();
                for (key, value) in members {
                    let pointer = format!("{pointer}/{}", escape(key));
                    match self.member(key) {
                        Some(shape) => shape.unknown(value, &pointer, found),
                        None => found.push((pointer, expected_one_of(key, &known))),
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let Some(shape) = self.prefix.get(index).or(self.items.as_deref()) {
                        shape.unknown(item, &format!("{pointer}/{index}"), found);
                    }
                }
            }
            _ => {}
        }
    }

    fn forget_kinds(&mut self) {
        self.kind = None;
        self.parts_mut().for_each(Self::forget_kinds);
    }

    fn parts_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        let properties = self.properties.iter_mut().map(|(_, shape)| shape);
        let patterns = self.patterns.iter_mut().map(|(_, shape)| shape);
        let rest = self.additional.as_deref_mut().into_iter();
        let items = self.items.as_deref_mut().into_iter().chain(&mut self.prefix);
        properties.chain(patterns).chain(rest).chain(items)
    }

    /// `trail` holds the references that led here, so that a schema that contains itself ends.
    fn add<'a>(&mut self, documents: Lookup<'_, 'a>, name: &str, schema: &'a Value, trail: &mut Vec<String>) {
        let Value::Object(schema) = schema else { return };
        let text = |keyword: &str| -> Option<&'a str> { schema.get(keyword).and_then(Value::as_str) };
        if let Some(reference) = text("$ref")
            && let Some(target) = follow(documents, name, reference)
        {
            let step = format!("{}#{}", target.name, target.pointer);
            if !trail.contains(&step) {
                trail.push(step);
                self.add(documents, target.name, target.value, trail);
                trail.pop();
            }
        }
        if let Some(kind) = text(vocabulary::VOLATILE).and_then(VolatileKind::parse) {
            self.kind = Some(kind);
        }
        if let Some(clause) = text(vocabulary::CLAUSE) {
            self.clause = Some(clause.to_owned());
        }
        if let Some(known) = schema.get(vocabulary::ENUM) {
            self.spellings = vocabulary::strings(known);
        }
        vocabulary::children(schema, &mut |keyword, place, child| {
            let inside = match (keyword, place) {
                ("allOf" | "anyOf" | "oneOf" | "then" | "else" | "dependentSchemas", _) => &mut *self,
                ("properties", Place::Member(key)) => self.property_mut(key),
                ("patternProperties", Place::Member(key)) => {
                    let Ok(pattern) = Regex::new(key) else { return };
                    &mut self.patterns.push_mut((pattern, Self::default())).1
                }
                ("additionalProperties", _) => self.additional.get_or_insert_default(),
                ("prefixItems", Place::Item(index)) => {
                    if self.prefix.len() <= index {
                        self.prefix.resize_with(index + 1, Self::default);
                    }
                    &mut self.prefix[index]
                }
                ("items", _) => self.items.get_or_insert_default(),
                _ => return,
            };
            inside.add(documents, name, child, trail);
        });
    }

    fn property_mut(&mut self, key: &str) -> &mut Self {
        let known = self.properties.iter().position(|(known, _)| known == key);
        let at = known.unwrap_or_else(|| {
            self.properties.push((key.to_owned(), Self::default()));
            self.properties.len() - 1
        });
        &mut self.properties[at].1
    }

    fn is_empty(&self) -> bool {
        let members = self.properties.iter().all(|(_, shape)| shape.is_empty())
            && self.patterns.iter().all(|(_, shape)| shape.is_empty())
            && self.additional.as_deref().is_none_or(Self::is_empty);
        let items = self.prefix.iter().all(Self::is_empty) && self.items.as_deref().is_none_or(Self::is_empty);
        self.kind.is_none() && self.spellings.is_empty() && members && items
    }

    /// Takes away the branches with nothing to find, but for those that keep `additional` from applying.
    fn prune(&mut self) {
        self.additional.take_if(|shape| shape.is_empty());
        self.items.take_if(|shape| shape.is_empty());
        if self.additional.is_none() {
            self.patterns.retain(|(_, shape)| !shape.is_empty());
            if self.patterns.is_empty() {
                self.properties.retain(|(_, shape)| !shape.is_empty());
            }
        }
        self.parts_mut().for_each(Self::prune);
    }

    /// How the value of one property changes from run to run.
    pub(super) fn property(&self, key: &str) -> Option<&VolatileKind> {
        let (_, shape) = self.properties.iter().find(|(known, _)| known == key)?;
        shape.kind.as_ref()
    }

    /// The values that change from run to run, in the document's order.
    pub(super) fn volatile<'a>(&'a self, value: &Value, found: &mut Vec<Volatile<'a>>) {
        self.walk(value, &mut String::new(), &mut |shape, pointer, _| {
            if let Some(kind) = &shape.kind {
                found.push(Volatile {
                    pointer: pointer.to_owned(),
                    kind,
                });
            }
        });
    }

    /// The strings that differ from a known one only in the case of their letters.
    pub(super) fn spellings<'v>(&self, value: impl Tree<'v>, found: &mut dyn FnMut(Violation)) {
        self.walk(value, &mut String::new(), &mut |shape, pointer, value| {
            let Some(text) = value.text() else { return };
            let mut known = shape.spellings.iter();
            if !shape.spellings.iter().any(|known| known == text)
                && let Some(expected) = known.find(|known| known.eq_ignore_ascii_case(text))
            {
                found(Violation {
                    pointer: pointer.to_owned(),
                    keyword: vocabulary::ENUM.to_owned(),
                    clause: shape.clause.clone(),
                    message: violation::spelt(expected, text),
                    severity: Severity::Remark,
                });
            }
        });
    }

    fn walk<'a, 'v, T: Tree<'v>>(&'a self, value: T, pointer: &mut String, found: &mut dyn FnMut(&'a Self, &str, T)) {
        if self.kind.is_some() || !self.spellings.is_empty() {
            found(self, pointer, value);
        }
        if !self.has_members() && self.prefix.is_empty() && self.items.is_none() {
            return;
        }
        if let Some(members) = value.members().filter(|_| self.has_members()) {
            for (key, value) in members {
                if let Some(shape) = self.member(key) {
                    descend(pointer, &escape(key), |pointer| shape.walk(value, pointer, found));
                }
            }
        } else if let Some(items) = value.elements() {
            for (index, item) in items.enumerate() {
                let shape = self.prefix.get(index).or(self.items.as_deref());
                if let Some(shape) = shape {
                    descend(pointer, &index.to_string(), |pointer| shape.walk(item, pointer, found));
                }
            }
        }
    }

    fn has_members(&self) -> bool {
        !self.properties.is_empty() || !self.patterns.is_empty() || self.additional.is_some()
    }

    fn member(&self, key: &str) -> Option<&Self> {
        let named = self.properties.iter().find(|(known, _)| known == key);
        if let Some((_, shape)) = named {
            return Some(shape);
        }
        let matched = self.patterns.iter().find(|(pattern, _)| pattern.is_match(key));
        matched.map(|(_, shape)| shape).or(self.additional.as_deref())
    }
}

impl document::Names for Shape {
    fn unknown(&self, document: &Document) -> Vec<usize> {
        let mut found = Vec::new();
        self.find_unknown(document.root(), &mut found);
        found
    }
}

fn descend(pointer: &mut String, token: &str, inside: impl FnOnce(&mut String)) {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(token);
    inside(pointer);
    pointer.truncate(length);
}
