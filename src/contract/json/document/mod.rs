//! Documents: JSON as it came over the wire, read without copying what it says.
//!
//! A run reads tens of thousands of bodies, asks each a few dozen questions, and forgets it. A [`Value`] would take an
//! allocation for every key and text of it; a document takes two. It becomes a [`Value`] where somebody wants one: to show
//! what is wrong, to keep a part of it.

mod parts;
mod place;
mod reader;
mod validator;

use std::collections::HashSet;
use std::string::FromUtf8Error;
use std::sync::{Arc, OnceLock};
use std::{fmt, mem};

use bytes::Bytes;
use serde_json::Value;

pub use place::{Elements, Inside, Members, Place};
pub(super) use reader::is_kept;
pub use reader::{MAX_DEPTH, Unread};
pub use validator::Documents;

use crate::contract::json::document::parts::{Kind, Parts};
use crate::contract::json::tree::Tree;

/// A JSON body. Of several members of an object that have one name, it has the last.
#[derive(Clone)]
pub struct Document {
    text: String,
    parts: Parts,
    /// A name that several members of one object of the text have.
    repeated: Option<Box<str>>,
    value: OnceLock<Value>,
    /// The schema that it was found to follow, without a remark.
    follows: OnceLock<String>,
    /// Knows which members the contract has.
    names: OnceLock<Arc<dyn Names>>,
    /// Where the members are that it does not have, in order; worked out when somebody asks.
    unknown: OnceLock<Vec<usize>>,
}

/// Knows which members of a document the contract has: a service may show more, and readers pass over them.
pub trait Names: Send + Sync {
    /// The places of the values of all other members, in the document's order.
    fn unknown(&self, document: &Document) -> Vec<usize>;
}

impl Document {
    /// Reads a body, of which a copy is made.
    pub fn parse(body: &[u8]) -> Result<Self, Unread> {
        match std::str::from_utf8(body) {
            Ok(text) => Self::read(text.to_owned()).map_err(|(_, unread)| unread),
            Err(error) => Err(reader::not_utf8(body, error)),
        }
    }

    /// A body as a value; `None` if it is not read.
    pub fn value_of(body: &[u8]) -> Option<Value> {
        Self::parse(body).ok().map(|document| document.root().to_value())
    }

    /// As [`Self::parse`], without a copy: the document and the body share their bytes from now on.
    pub fn share(body: &mut Bytes) -> Result<Arc<Self>, Unread> {
        let bytes = Vec::from(mem::take(body));
        let read = String::from_utf8(bytes).map_err(|error: FromUtf8Error| {
            let reason = error.utf8_error();
            let bytes = error.into_bytes();
            let unread = reader::not_utf8(&bytes, reason);
            (bytes, unread)
        });
        match read.and_then(|text| Self::read(text).map_err(|(text, unread)| (text.into_bytes(), unread))) {
            Ok(document) => {
                let document = Arc::new(document);
                *body = Bytes::from_owner(Body(Arc::clone(&document)));
                Ok(document)
            }
            Err((bytes, unread)) => {
                *body = bytes.into();
                Err(unread)
            }
        }
    }

    /// Reads a text, which is given back if it is no document.
    fn read(text: String) -> Result<Self, (String, Unread)> {
        match reader::read(&text) {
            Ok(parts) => {
                let mut document = Self::new(text, parts);
                if !document.has_unique_keys() {
                    document.forget_repeated();
                }
                Ok(document)
            }
            Err(unread) => Err((text, unread)),
        }
    }

    /// A name that several members of one object of the text have; the document has the last of them.
    pub fn repeated_name(&self) -> Option<&str> {
        self.repeated.as_deref()
    }

    /// The strings of the text in which something was escaped, as what they stand for.
    pub fn escaped_texts(&self) -> impl Iterator<Item = &str> {
        self.parts.unescaped.iter().map(String::as_str)
    }

    /// Keeps the last of several members that have one name, as nearly all readers do.
    fn forget_repeated(&mut self) {
        let mut parts = Vec::with_capacity(self.parts.all.len());
        let mut repeated = None;
        self.root().copy_last(&mut parts, &mut repeated);
        self.repeated = repeated.map(Box::from);
        self.parts.all = parts;
    }

    /// A body that is no JSON, as matchers see it: a string.
    pub fn of_text(text: String) -> Self {
        let parts = Parts::of_text(&text);
        Self::new(text, parts)
    }

    fn new(text: String, parts: Parts) -> Self {
        Self {
            text,
            parts,
            repeated: None,
            value: OnceLock::new(),
            follows: OnceLock::new(),
            names: OnceLock::new(),
            unknown: OnceLock::new(),
        }
    }

    /// The whole of it.
    pub fn root(&self) -> Place<'_> {
        Place { document: self, at: 0 }
    }

    /// The whole of it as a value, made when it is first wanted.
    pub fn value(&self) -> &Value {
        self.value.get_or_init(|| self.root().to_value())
    }

    /// Whether it was found to follow a schema, as [`Self::note_schema`] says.
    pub(crate) fn follows(&self, schema: &str) -> bool {
        self.follows.get().is_some_and(|known| known == schema)
    }

    /// Notes that it follows a schema and gives no cause for a remark, so that nobody has to look again.
    pub(crate) fn note_schema(&self, schema: &str) {
        self.follows.get_or_init(|| schema.to_owned());
    }

    /// Notes who knows which of its members the contract has; until then it is taken to have them all.
    pub(crate) fn note_names(&self, names: &Arc<dyn Names>) {
        self.names.get_or_init(|| Arc::clone(names));
    }

    fn is_known(&self, at: usize) -> bool {
        let Some(names) = self.names.get() else { return true };
        let unknown = self.unknown.get_or_init(|| names.unknown(self));
        unknown.is_empty() || unknown.binary_search(&at).is_err()
    }

    fn has_unique_keys(&self) -> bool {
        let mut seen = HashSet::new();
        self.parts.all.iter().enumerate().all(|(at, part)| {
            let Kind::Object(count) = part.kind else { return true };
            let outer = Place { document: self, at };
            seen.clear();
            Inside { outer, count }.members().all(|(key, _)| seen.insert(key))
        })
    }
}

/// The bytes of a document.
struct Body(Arc<Document>);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self.0.text.as_bytes()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&Value> for Document {
    fn from(value: &Value) -> Self {
        // What a value says is JSON; it may be nested deeper than is read.
        Self::parse(value.to_string().as_bytes()).unwrap_or_else(|_| Self::of_text(value.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_read_as_any_reader_would() {
        let text = r#"{"a":[1,-2,1.5,"x\u00e9\n",true,null,{"b":18446744073709551615}], "c":{}, "d":[]}"#;
        let read = Document::parse(text.as_bytes()).unwrap().value().clone();
        assert_eq!(read, serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn a_body_stays_what_it_was_when_its_document_shares_it() {
        let texts: [&[u8]; 4] = [b"{\"a\":1}", b"{\"a\":1 \"b\":1}", b"no JSON", b"\xff"];
        for (index, text) in texts.into_iter().enumerate() {
            let mut body = Bytes::from(text.to_vec());
            let document = Document::share(&mut body);
            assert_eq!(body, text);
            assert_eq!(document.is_ok(), index == 0);
            drop(document);
            assert_eq!(body, text);
        }
    }

    #[test]
    fn of_members_with_one_name_the_last_one_counts() {
        let read = |text: &str| Document::parse(text.as_bytes()).unwrap();
        let document = read(r#"{"a":{"b":1,"c":[{"d":1,"d":2}],"b":{"e":3}},"f":4}"#);
        assert_eq!(document.repeated_name(), Some("d"));
        assert_eq!(
            *document.value(),
            json!({"a": {"c": [{"d": 2}], "b": {"e": 3}}, "f": 4})
        );
        assert_eq!(document.root().at("/f").map(Tree::to_value), Some(json!(4)));
        assert_eq!(*read(r#"{"a":1,"\u0061":2}"#).value(), json!({"a": 2}));
        let many: Vec<String> = (0..40).map(|index| format!("\"k{}\":{index}", index % 39)).collect();
        assert_eq!(read(&format!("{{{}}}", many.join(","))).value()["k0"], 39);
        assert_eq!(read(&format!("{{{}}}", many[..39].join(","))).repeated_name(), None);
    }

    #[test]
    fn what_follows_the_value_is_no_json() {
        assert!(Document::parse(b"{} {}").is_err());
        assert!(Document::parse(b"").is_err());
    }

    #[test]
    fn places_are_found_as_json_pointers_say() {
        let value = json!({"a": [{"b/c": 1}, {"~": "x"}], "": {"0": 2}});
        let document = Document::from(&value);
        for pointer in [
            "",
            "/a",
            "/a/0/b~1c",
            "/a/1/~0",
            "/a/01",
            "/a/2",
            "//0",
            "/b",
            "a",
            "/a/-",
            "//00",
        ] {
            let found = document.root().at(pointer).map(Tree::to_value);
            assert_eq!(found.as_ref(), value.pointer(pointer), "{pointer}");
            assert_eq!((&value).at(pointer), value.pointer(pointer), "{pointer}");
        }
    }
}
