//! Reading JSON that people write: duplicate keys are refused, and every mistake of a file is found, not only the first.

pub mod document;
pub mod problem;
pub mod tree;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use crate::contract::json::problem::{Place, Problem};

/// Parses a file's text. A key that appears twice in one object is a mistake, and so is a number that would be sent, or compared, as
/// another one.
pub fn parse(file: &str, text: &str) -> Result<Value, Problem> {
    let problem = |place, message: &str, expected: &str| Problem {
        file: file.to_owned(),
        place: Place::Bytes(place),
        message: message.to_owned(),
        expected: expected.to_owned(),
    };
    if text.trim().is_empty() {
        return Err(problem(0..text.len(), "the file is empty", "expected JSON"));
    }
    let mut input = serde_json::Deserializer::from_str(text);
    let has_doubles = Cell::new(false);
    let parsed = Strict(&has_doubles)
        .deserialize(&mut input)
        .and_then(|value| input.end().map(|()| value));
    if parsed.is_ok()
        && has_doubles.get()
        && let Some(place) = numbers(text).find(|place| !document::is_kept(text.get(place.clone()).unwrap_or_default()))
    {
        let message = "a number with more digits than can be kept";
        let expected = "at most 64 bits, or 15 digits; a request may have it in `text`, and a matcher as a string";
        return Err(problem(place, message, expected));
    }
    parsed.map_err(|error| {
        let offset = offset(text, error.line(), error.column());
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        let (place, expected) = match message.strip_prefix("duplicate key ") {
            Some(_) => (last_string(text, offset), "this key is in the object already"),
            None => (offset.saturating_sub(1)..offset.max(1), "not JSON from here on"),
        };
        Problem {
            file: file.to_owned(),
            place: Place::Bytes(place),
            message,
            expected: expected.to_owned(),
        }
    })
}

/// The places of the numbers in a text that is JSON.
fn numbers(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    at += 1;
                    while let Some(byte) = bytes.get(at).filter(|byte| **byte != b'"') {
                        at += if *byte == b'\\' { 2 } else { 1 };
                    }
                }
                b'-' | b'0'..=b'9' => {
                    let start = at;
                    let is_part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                    while bytes.get(at).is_some_and(is_part) {
                        at += 1;
                    }
                    return Some(start..at);
                }
                _ => {}
            }
            at += 1;
        }
        None
    })
}

/// The byte offset of `serde_json`'s line and column, both counted from 1, columns in bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    (start + column).min(text.len())
}

/// The string literal that ends at or before `end`.
fn last_string(text: &str, end: usize) -> Range<usize> {
    let before = text.get(..end).unwrap_or(text);
    let close = before.rfind('"').unwrap_or(0);
    let open = before.get(..close).and_then(|text| text.rfind('"')).unwrap_or(close);
    open..(close + 1).min(text.len())
}

/// Refuses a key that is there already, and notes whether there was a double.
#[derive(Clone, Copy)]
struct Strict<'n>(&'n Cell<bool>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        self.0.set(true);
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = input.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = input.next_key::<String>()? {
            match map.entry(key) {
                Entry::Occupied(known) => {
                    return Err(de::Error::custom(format!("duplicate key `{}`", known.key())));
                }
                Entry::Vacant(free) => _ = free.insert(input.next_value_seed(self)?),
            }
        }
        Ok(Value::Object(map))
    }
}

/// Collects the problems of one file while it is read.
#[derive(Debug)]
pub struct Problems<'a> {
    file: &'a str,
    found: RefCell<Vec<Problem>>,
}

impl<'a> Problems<'a> {
    /// None yet, of a file.
    pub fn new(file: &'a str) -> Self {
        Self {
            file,
            found: RefCell::default(),
        }
    }

    /// What was found.
    pub fn into_vec(self) -> Vec<Problem> {
        self.found.into_inner()
    }

    /// Whether nothing was found so far.
    pub fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    fn add(&self, place: Place, message: String, expected: String) {
        // Rows of a table are read one by one, and repeat what is wrong with the steps they share.
        let problem = Problem {
            file: self.file.to_owned(),
            place,
            message,
            expected,
        };
        let mut found = self.found.borrow_mut();
        if !found.contains(&problem) {
            found.push(problem);
        }
    }
}

/// A key as a JSON Pointer spells it.
pub fn escape(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) {
        Cow::Owned(key.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(key)
    }
}

/// A token of a JSON Pointer, as the key that it stands for.
pub(super) fn unescape(token: &str) -> Cow<'_, str> {
    if token.contains('~') {
        Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(token)
    }
}

/// Where a value is in its file: a JSON Pointer that costs nothing until it is shown.
#[derive(Clone, Copy, Debug)]
enum Path<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
    /// A place given as text, for values that were computed from another place of the file.
    Known(&'a str),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(parent, key) => write!(f, "{parent}/{}", escape(key)),
            Path::Index(parent, index) => write!(f, "{parent}/{index}"),
            Path::Known(pointer) => f.write_str(pointer),
        }
    }
}

/// A value of a file together with its place.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    value: &'a Value,
    path: Path<'a>,
    problems: &'a Problems<'a>,
}

impl<'a> Item<'a> {
    /// The root of a file.
    pub fn root(value: &'a Value, problems: &'a Problems<'a>) -> Self {
        Self {
            value,
            path: Path::Root,
            problems,
        }
    }

    /// A value that stands, or came from what stands, at `pointer`.
    pub fn at(value: &'a Value, pointer: &'a str, problems: &'a Problems<'a>) -> Self {
        Self {
            value,
            path: Path::Known(pointer),
            problems,
        }
    }

    /// The value itself.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Its JSON Pointer.
    pub fn pointer(&self) -> String {
        self.path.to_string()
    }

    /// Reports a problem with this value.
    pub fn wrong(&self, message: impl Into<String>, expected: impl Into<String>) {
        self.problems
            .add(Place::Value(self.pointer()), message.into(), expected.into());
    }

    /// Reports a problem with this value's key.
    pub fn wrong_key(&self, message: impl Into<String>, expected: impl Into<String>) {
        self.problems
            .add(Place::Key(self.pointer()), message.into(), expected.into());
    }

    fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        self.wrong(
            format!("expected {expected}, found {}", kind(self.value)),
            format!("{expected} goes here"),
        );
        None
    }

    /// A string.
    pub fn string(&self) -> Option<&'a str> {
        self.value.as_str().or_else(|| self.wrong_type("a string"))
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.wrong_type("`true` or `false`"))
    }

    /// An integer, not negative.
    pub fn unsigned(&self) -> Option<u64> {
        self.value
            .as_u64()
            .or_else(|| self.wrong_type("an integer, not negative"))
    }

    /// One of the named values.
    pub fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string()?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong(format!("unknown value `{text}`"), expected_one_of(text, &names));
        }
        found
    }

    /// The elements of an array, with their places handed to `read`.
    pub fn elements<T>(&self, mut read: impl FnMut(Item<'_>) -> Option<T>) -> Option<Vec<T>> {
        let Some(array) = self.value.as_array() else {
            return self.wrong_type("an array");
        };
        let item = |(index, value)| Item {
            value,
            path: Path::Index(&self.path, index),
            problems: self.problems,
        };
        Some(
            array
                .iter()
                .enumerate()
                .filter_map(|element| read(item(element)))
                .collect(),
        )
    }

    /// The members of an object, with their keys and places handed to `read`.
    pub fn members<T>(&self, mut read: impl FnMut(&'a str, Item<'_>) -> Option<T>) -> Option<Vec<T>> {
        let Some(object) = self.value.as_object() else {
            return self.wrong_type("an object");
        };
        let members = object.iter().filter_map(|(key, value)| {
            read(
                key,
                Item {
                    value,
                    path: Path::Key(&self.path, key),
                    problems: self.problems,
                },
            )
        });
        Some(members.collect())
    }

    /// An object with no keys but `known` ones.
    pub fn object(&self, known: &[&str]) -> Option<Fields<'a, '_>> {
        let Some(object) = self.value.as_object() else {
            return self.wrong_type("an object");
        };
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            let item = Item {
                value: self.value,
                path: Path::Key(&self.path, key),
                problems: self.problems,
            };
            item.wrong_key(format!("unknown key `{key}`"), expected_one_of(key, known));
        }
        Some(Fields {
            item: *self,
            path: &self.path,
            object,
        })
    }

    /// The strings of an array of strings.
    pub fn strings(&self) -> Option<Vec<String>> {
        self.elements(|item| item.string().map(str::to_owned))
    }
}

/// A set of keys, each a word of its own: see `case::words`.
pub trait Word: Sized {
    /// All of them.
    const NAMES: &'static [&'static str];

    /// The word with a name.
    fn named(name: &str) -> Option<Self>;
}

/// The members of an object whose keys are known.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a, 'p> {
    item: Item<'a>,
    path: &'p Path<'a>,
    object: &'a Map<String, Value>,
}

impl<'a, 'p> Fields<'a, 'p>
where
    'a: 'p,
{
    /// The members whose keys are words, in the order of the file.
    pub fn words<W: Word>(&self) -> impl Iterator<Item = (W, Item<'p>)> {
        let (path, problems) = (self.path, self.item.problems);
        self.object.iter().filter_map(move |(key, value)| {
            let path = Path::Key(path, key);
            Some((W::named(key)?, Item { value, path, problems }))
        })
    }

    /// A member, if it is there.
    pub fn get(&self, key: impl Into<&'p str>) -> Option<Item<'p>> {
        let key = key.into();
        let value = self.object.get(key)?;
        Some(Item {
            value,
            path: Path::Key(self.path, key),
            problems: self.item.problems,
        })
    }

    /// A member that must be there.
    pub fn require(&self, key: impl Into<&'p str>) -> Option<Item<'p>> {
        let key = key.into();
        let item = self.get(key);
        if item.is_none() {
            self.item
                .wrong(format!("missing key `{key}`"), format!("`{key}` belongs here"));
        }
        item
    }

    /// A required string.
    pub fn string(&self, key: impl Into<&'p str>) -> String {
        self.require(key)
            .and_then(|item| item.string().map(str::to_owned))
            .unwrap_or_default()
    }

    /// An optional string.
    pub fn optional_string(&self, key: impl Into<&'p str>) -> Option<String> {
        self.get(key).and_then(|item| item.string().map(str::to_owned))
    }

    /// An optional array of strings; empty when absent.
    pub fn strings(&self, key: impl Into<&'p str>) -> Vec<String> {
        self.get(key).and_then(|item| item.strings()).unwrap_or_default()
    }
}

/// More names than this are not listed.
const MANY: usize = 24;

/// "expected one of ...", with the likely one first.
pub fn expected_one_of(found: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|name| (similarity(found, name), *name))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((likeness, name)) if likeness > 0.6 => format!("did you mean `{name}`?"),
        _ if known.len() > MANY => "see `mpsd-conformance list` for the known names".to_owned(),
        _ => format!("expected one of `{}`", known.join("`, `")),
    }
}

fn similarity(a: &str, b: &str) -> f32 {
    similar::TextDiff::from_chars(a, b).ratio()
}

/// What a JSON value is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
