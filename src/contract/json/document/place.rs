//! Places in a document, and the ways between them.

use std::collections::HashSet;
use std::fmt;

use serde_json::{Map, Number, Value};

use crate::contract::json::document::Document;
use crate::contract::json::document::parts::{Kind, Part, Size, size};
use crate::contract::json::tree::Tree;

/// One value of a document.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub(super) document: &'a Document,
    pub(super) at: usize,
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(f)
    }
}

impl<'a> Place<'a> {
    /// Where it is among the values of its document.
    pub(crate) fn position(self) -> usize {
        self.at
    }

    pub(super) fn part(self) -> Option<&'a Part> {
        self.document.parts.all.get(self.at)
    }

    pub(super) fn kind(self) -> Kind {
        self.part().map_or(Kind::Null, |part| part.kind)
    }

    /// The letters of a text that begins there and is so long.
    fn letters(self, start: Size, length: Size) -> Option<&'a str> {
        self.document.text.get(start as usize..start as usize + length as usize)
    }

    /// Whether it is this text; what has another length is not looked at.
    fn is_text(self, text: &str) -> bool {
        let found = match self.kind() {
            Kind::Text(start, length) if length as usize == text.len() => self.letters(start, length),
            Kind::Unescaped(_) => self.text(),
            _ => None,
        };
        found == Some(text)
    }

    /// Adds a copy of it to `parts`, with the last of several members of one name, which is noted.
    pub(super) fn copy_last(self, parts: &mut Vec<Part>, repeated: &mut Option<&'a str>) {
        let at = parts.len();
        parts.push(Part {
            kind: self.kind(),
            end: 0,
        });
        if let Some(array) = self.array() {
            array.elements().for_each(|element| element.copy_last(parts, repeated));
        } else if let Some(object) = self.object() {
            let mut walk = object.walk();
            let mut members = Vec::with_capacity(object.count as usize);
            while walk.left > 0 {
                walk.left -= 1;
                members.push((walk.step(), walk.step()));
            }
            let mut seen = HashSet::new();
            let mut last: Vec<_> = members
                .into_iter()
                .rev()
                .filter(|(key, _)| {
                    let name = key.text().unwrap_or_default();
                    let is_new = seen.insert(name);
                    if !is_new {
                        *repeated = Some(name);
                    }
                    is_new
                })
                .collect();
            last.reverse();
            if let Some(part) = parts.get_mut(at) {
                part.kind = Kind::Object(size(last.len()));
            }
            for (key, value) in last {
                key.copy_last(parts, repeated);
                value.copy_last(parts, repeated);
            }
        }
        let end = size(parts.len());
        if let Some(part) = parts.get_mut(at) {
            part.end = end;
        }
    }

    pub(super) fn array(self) -> Option<Inside<'a>> {
        match self.kind() {
            Kind::Array(count) => Some(Inside { outer: self, count }),
            _ => None,
        }
    }

    pub(super) fn object(self) -> Option<Inside<'a>> {
        match self.kind() {
            Kind::Object(count) => Some(Inside { outer: self, count }),
            _ => None,
        }
    }
}

/// An array or an object.
#[derive(Clone, Copy, Debug)]
pub struct Inside<'a> {
    pub(super) outer: Place<'a>,
    pub(super) count: Size,
}

impl<'a> Inside<'a> {
    fn walk(self) -> Walk<'a> {
        let (document, at) = (self.outer.document, self.outer.at + 1);
        Walk {
            next: Place { document, at },
            left: self.count,
        }
    }

    pub(super) fn elements(self) -> Elements<'a> {
        Elements(self.walk())
    }

    pub(super) fn members(self) -> Members<'a> {
        Members(self.walk())
    }
}

/// The values inside another one, keys included.
#[derive(Clone, Debug)]
struct Walk<'a> {
    next: Place<'a>,
    left: Size,
}

impl<'a> Walk<'a> {
    fn step(&mut self) -> Place<'a> {
        let found = self.next;
        self.next.at = found.part().map_or(usize::MAX, |part| part.end as usize);
        found
    }
}

/// The elements of an array.
#[derive(Clone, Debug)]
pub struct Elements<'a>(Walk<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Place<'a>;

    fn next(&mut self) -> Option<Place<'a>> {
        self.0.left = self.0.left.checked_sub(1)?;
        Some(self.0.step())
    }
}

/// The members of an object.
#[derive(Clone, Debug)]
pub struct Members<'a>(Walk<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Place<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.left = self.0.left.checked_sub(1)?;
        let key = self.0.step().text().unwrap_or_default();
        Some((key, self.0.step()))
    }
}

impl<'a> Tree<'a> for Place<'a> {
    fn text(self) -> Option<&'a str> {
        match self.kind() {
            Kind::Text(start, length) => self.letters(start, length),
            Kind::Unescaped(index) => self.document.parts.unescaped.get(index as usize).map(String::as_str),
            _ => None,
        }
    }

    fn number(self) -> Option<&'a Number> {
        match self.kind() {
            Kind::Number(index) => self.document.parts.numbers.get(index as usize),
            _ => None,
        }
    }

    fn boolean(self) -> Option<bool> {
        match self.kind() {
            Kind::Bool(value) => Some(value),
            _ => None,
        }
    }

    fn is_null(self) -> bool {
        matches!(self.kind(), Kind::Null)
    }

    fn elements(self) -> Option<impl Iterator<Item = Self> + Clone> {
        self.array().map(Inside::elements)
    }

    fn members(self) -> Option<impl Iterator<Item = (&'a str, Self)> + Clone> {
        self.object().map(Inside::members)
    }

    fn known_members(self) -> Option<impl Iterator<Item = (&'a str, Self)> + Clone> {
        let is_known = move |(_, value): &(&str, Self)| self.document.is_known(value.at);
        self.object().map(|object| object.members().filter(is_known))
    }

    fn count(self) -> Option<usize> {
        match self.kind() {
            Kind::Array(count) | Kind::Object(count) => Some(count as usize),
            _ => None,
        }
    }

    fn member(self, key: &str) -> Option<Self> {
        let mut inside = self.object()?.walk();
        while inside.left > 0 {
            inside.left -= 1;
            let (name, value) = (inside.step(), inside.step());
            if name.is_text(key) {
                return Some(value);
            }
        }
        None
    }

    fn to_value(self) -> Value {
        match self.kind() {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(value),
            Kind::Number(_) => self.number().cloned().map_or(Value::Null, Value::Number),
            Kind::Text(..) | Kind::Unescaped(_) => Value::from(self.text().unwrap_or_default()),
            Kind::Array(_) => self.elements().into_iter().flatten().map(Self::to_value).collect(),
            Kind::Object(count) => {
                let mut map = Map::with_capacity(count as usize);
                let members = self.members().into_iter().flatten();
                map.extend(members.map(|(key, value)| (key.to_owned(), value.to_value())));
                Value::Object(map)
            }
        }
    }
}
