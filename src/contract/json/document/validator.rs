//! Documents as the JSON Schema validator sees them, so that no body becomes a [`Value`] to be validated.

use std::borrow::Cow;

use jsonschema::{JsonType, json};
use serde_json::{Number, Value};

use crate::contract::json::document::Document;
use crate::contract::json::document::parts::Kind;
use crate::contract::json::document::place::{Elements, Inside, Members, Place};
use crate::contract::json::tree::{Tree, equal};

/// Documents, as validators see them.
#[derive(Debug)]
pub struct Documents;

impl json::Json for Documents {
    type Node<'a> = Place<'a>;
    type PreparedKey = String;
    type StringBuffer = Option<Document>;

    // Members are found one after the other, so a pass through them costs no more than looking for one.
    const KEYS_PER_LOOKUP: usize = 2;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut Option<Document>, string: &str, f: impl FnOnce(Place<'_>) -> T) -> T {
        f(buffer.insert(Document::of_text(string.to_owned())).root())
    }
}

impl<'a> json::Node<'a, Documents> for Place<'a> {
    type Object = Inside<'a>;
    type Array = Inside<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Inside<'a>> {
        self.object()
    }

    fn as_array(&self) -> Option<Inside<'a>> {
        self.array()
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.text().map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a Number> {
        self.number()
    }

    fn as_boolean(&self) -> Option<bool> {
        self.boolean()
    }

    fn is_null(&self) -> bool {
        Tree::is_null(*self)
    }

    fn json_type(&self) -> JsonType {
        match self.kind() {
            Kind::Null => JsonType::Null,
            Kind::Bool(_) => JsonType::Boolean,
            Kind::Number(_) => JsonType::Number,
            Kind::Text(..) | Kind::Unescaped(_) => JsonType::String,
            Kind::Array(_) => JsonType::Array,
            Kind::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        equal(expected, *self)
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(Tree::to_value(*self))
    }

    fn identity(&self) -> Option<json::NodeIdentity> {
        self.part()
            .map(|part| json::NodeIdentity::new(std::ptr::from_ref(part).addr()))
    }
}

impl<'a> json::Object<'a, Documents> for Inside<'a> {
    type Node = Place<'a>;
    type MemberName = &'a str;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        self.count as usize
    }

    fn get(&self, key: &String) -> Option<Place<'a>> {
        self.outer.member(key)
    }

    fn members(&self) -> Members<'a> {
        Self::members(*self)
    }
}

impl<'a> json::Array<'a, Documents> for Inside<'a> {
    type Node = Place<'a>;
    type ElementsIter = Elements<'a>;

    fn len(&self) -> usize {
        self.count as usize
    }

    fn elements(&self) -> Elements<'a> {
        Self::elements(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validators_see_documents_as_they_want_them() {
        let document = Document::from(&json::conformance::document());
        json::conformance::assert_conformance::<Documents>(&document.root());
    }
}
