//! Documents: JSON as it came over the wire, read without copying what it says.
//!
//! A run reads tens of thousands of bodies, asks each a few dozen questions, and forgets it. A [`Value`] would take an
//! allocation for every key and text of it; a document takes two. It becomes a [`Value`] where somebody wants one: to show
//! what is wrong, to keep a part of it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::string::FromUtf8Error;
use std::sync::{Arc, OnceLock};
use std::{fmt, mem};

use bytes::Bytes;
use jsonschema::{JsonType, json};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::contract::json::unescape;

/// A JSON body; no object in it names a member twice.
#[derive(Clone)]
pub struct Document {
    text: String,
    /// Texts that had to be written anew, since something in them was escaped.
    unescaped: Vec<String>,
    numbers: Vec<Number>,
    /// All values in the order in which they stand; in an object each is preceded by its key.
    parts: Vec<Part>,
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

#[derive(Clone, Copy)]
struct Part {
    kind: Kind,
    /// Where in [`Document::parts`] the next one stands that is not inside this one.
    end: Size,
}

/// Sizes and places in a document: small ones, since every body is walked through again and again.
type Size = u32;

#[derive(Clone, Copy)]
enum Kind {
    Null,
    Bool(bool),
    /// Its place in [`Document::numbers`].
    Number(Size),
    /// Where it begins in [`Document::text`], and its length.
    Text(Size, Size),
    /// Its place in [`Document::unescaped`].
    Unescaped(Size),
    Array(Size),
    Object(Size),
}

/// A size of a text that is no longer than a [`Size`] can say.
fn size(size: usize) -> Size {
    Size::try_from(size).unwrap_or(Size::MAX)
}

impl Document {
    /// Reads a body; `None` if it is no JSON, names a member twice, or has more than 4 GiB.
    pub fn parse(body: &[u8]) -> Option<Self> {
        Self::read(std::str::from_utf8(body).ok()?.to_owned()).ok()
    }

    /// As [`Self::parse`], without a copy: the document and the body share their bytes from now on.
    pub fn share(body: &mut Bytes) -> Option<Arc<Self>> {
        let bytes = Vec::from(mem::take(body));
        let read = String::from_utf8(bytes).map_err(FromUtf8Error::into_bytes);
        match read.and_then(|text| Self::read(text).map_err(String::into_bytes)) {
            Ok(document) => {
                let document = Arc::new(document);
                *body = Bytes::from_owner(Body(Arc::clone(&document)));
                Some(document)
            }
            Err(bytes) => {
                *body = bytes.into();
                None
            }
        }
    }

    /// Reads a text, which is given back if it is no document.
    fn read(text: String) -> Result<Self, String> {
        let mut reading = Reading {
            start: text.as_ptr().addr(),
            length: text.len(),
            unescaped: Vec::new(),
            numbers: Vec::new(),
            // Keys and values both; more are rare.
            parts: Vec::with_capacity(text.len() / 10 + 1),
        };
        let mut input = serde_json::Deserializer::from_str(&text);
        let is_json = Next(&mut reading)
            .deserialize(&mut input)
            .and_then(|()| input.end())
            .is_ok();
        if !is_json || Size::try_from(text.len()).is_err() {
            return Err(text);
        }
        let Reading {
            unescaped,
            numbers,
            parts,
            ..
        } = reading;
        let document = Self {
            text,
            unescaped,
            numbers,
            parts,
            value: OnceLock::new(),
            follows: OnceLock::new(),
            names: OnceLock::new(),
            unknown: OnceLock::new(),
        };
        if document.has_unique_keys() {
            Ok(document)
        } else {
            Err(document.text)
        }
    }

    /// A body that is no JSON, as matchers see it: a string.
    pub fn of_text(text: String) -> Self {
        let kind = Kind::Text(0, size(text.len()));
        Self {
            text,
            unescaped: Vec::new(),
            numbers: Vec::new(),
            parts: vec![Part { kind, end: 1 }],
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
        let mut seen = Seen::default();
        self.parts.iter().enumerate().all(|(at, part)| {
            let Kind::Object(count) = part.kind else { return true };
            let outer = Place { document: self, at };
            let keys = || Inside { outer, count }.members().map(|(key, _)| key);
            seen.forget(count as usize);
            keys().all(|key| seen.is_new(key)) || keys().collect::<HashSet<_>>().len() == count as usize
        })
    }
}

/// Tells of nearly all keys of an object that they were not there before.
///
/// Looking each up takes as long as reading it did; so a bit stands for all that begin alike and are of one length.
struct Seen {
    bits: [u64; 64],
    /// How many of them are in use, a power of two.
    words: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            bits: [0; 64],
            words: 1,
        }
    }
}

impl Seen {
    /// Begins anew, for so many keys: with so many bits that two of them seldom share one.
    fn forget(&mut self, count: usize) {
        self.words = (count * count / 8).next_power_of_two().min(self.bits.len());
        self.bits.iter_mut().take(self.words).for_each(|word| *word = 0);
    }

    fn is_new(&mut self, key: &str) -> bool {
        let mut beginning = [0; 8];
        let length = key.len().min(beginning.len());
        beginning[..length].copy_from_slice(&key.as_bytes()[..length]);
        let hash = (u64::from_le_bytes(beginning) ^ key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
        let bit = 1 << (hash % 64);
        let word = &mut self.bits[(hash / 64) as usize & (self.words - 1)];
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
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
        // What a value says is JSON, and names no member twice.
        Self::parse(value.to_string().as_bytes()).unwrap_or_else(|| Self::of_text(value.to_string()))
    }
}

/// What was read of a body so far.
struct Reading {
    /// Where the text stands in memory: what is borrowed from it tells its place by that.
    start: usize,
    length: usize,
    unescaped: Vec<String>,
    numbers: Vec<Number>,
    parts: Vec<Part>,
}

impl Reading {
    fn add(&mut self, kind: Kind) {
        let end = size(self.parts.len() + 1);
        self.parts.push(Part { kind, end });
    }

    fn add_number(&mut self, number: Number) {
        self.add(Kind::Number(size(self.numbers.len())));
        self.numbers.push(number);
    }

    /// Adds an array or an object with all that `read` finds inside.
    fn add_around<E>(
        &mut self,
        kind: fn(Size) -> Kind,
        read: impl FnOnce(&mut Self) -> Result<Size, E>,
    ) -> Result<(), E> {
        let at = self.parts.len();
        self.add(Kind::Null);
        let count = read(self)?;
        let end = size(self.parts.len());
        if let Some(part) = self.parts.get_mut(at) {
            *part = Part { kind: kind(count), end };
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str) {
        let kind = match text.as_ptr().addr().checked_sub(self.start) {
            Some(start) if start + text.len() <= self.length => Kind::Text(size(start), size(text.len())),
            _ => {
                self.unescaped.push(text.to_owned());
                Kind::Unescaped(size(self.unescaped.len() - 1))
            }
        };
        self.add(kind);
    }
}

/// Beyond this not every whole number is a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads the next value.
struct Next<'r>(&'r mut Reading);

impl<'de> DeserializeSeed<'de> for Next<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Next<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.add(Kind::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.add(Kind::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.add_number(value.into());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.add_number(value.into());
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        // `1.0` and `1e0` are 1: JSON has one kind of number, and clients count with it.
        #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is in range")]
        match Number::from_f64(value) {
            Some(_) if value.fract() == 0.0 && value.abs() <= EXACT => self.0.add_number((value as i64).into()),
            Some(number) => self.0.add_number(number),
            None => self.0.add(Kind::Null),
        }
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.0.add_text(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<(), A::Error> {
        self.0.add_around(Kind::Array, |reading| {
            let mut count = 0;
            while input.next_element_seed(Next(reading))?.is_some() {
                count += 1;
            }
            Ok(count)
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<(), A::Error> {
        self.0.add_around(Kind::Object, |reading| {
            let mut count = 0;
            while input.next_key_seed(Next(reading))?.is_some() {
                input.next_value_seed(Next(reading))?;
                count += 1;
            }
            Ok(count)
        })
    }
}

/// One value of a document.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    document: &'a Document,
    at: usize,
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(f)
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

impl<'a> Place<'a> {
    /// Where it is among the values of its document.
    pub(crate) fn position(self) -> usize {
        self.at
    }

    fn part(self) -> Option<&'a Part> {
        self.document.parts.get(self.at)
    }

    fn kind(self) -> Kind {
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

    fn array(self) -> Option<Inside<'a>> {
        match self.kind() {
            Kind::Array(count) => Some(Inside { outer: self, count }),
            _ => None,
        }
    }

    fn object(self) -> Option<Inside<'a>> {
        match self.kind() {
            Kind::Object(count) => Some(Inside { outer: self, count }),
            _ => None,
        }
    }
}

/// An array or an object.
#[derive(Clone, Copy, Debug)]
pub struct Inside<'a> {
    outer: Place<'a>,
    count: Size,
}

impl<'a> Inside<'a> {
    fn walk(self) -> Walk<'a> {
        let (document, at) = (self.outer.document, self.outer.at + 1);
        Walk {
            next: Place { document, at },
            left: self.count,
        }
    }

    fn elements(self) -> Elements<'a> {
        Elements(self.walk())
    }

    fn members(self) -> Members<'a> {
        Members(self.walk())
    }
}

/// JSON that can be looked into: a value, or a place in a document.
pub trait Tree<'a>: Copy {
    /// The text, if it is one.
    fn text(self) -> Option<&'a str>;
    /// The number, if it is one.
    fn number(self) -> Option<&'a Number>;
    /// `true` or `false`, if it is either.
    fn boolean(self) -> Option<bool>;
    /// Whether it is `null`.
    fn is_null(self) -> bool;
    /// The elements, if it is an array.
    fn elements(self) -> Option<impl Iterator<Item = Self> + Clone>;
    /// The members, if it is an object.
    fn members(self) -> Option<impl Iterator<Item = (&'a str, Self)> + Clone>;
    /// The members that the contract has, if it is an object.
    fn known_members(self) -> Option<impl Iterator<Item = (&'a str, Self)> + Clone> {
        self.members()
    }
    /// The number of elements or members.
    fn count(self) -> Option<usize>;
    /// A member of an object.
    fn member(self, key: &str) -> Option<Self>;
    /// A copy.
    fn to_value(self) -> Value;

    /// A copy of what the contract has of it.
    fn to_known_value(self) -> Value {
        match (self.known_members(), self.elements()) {
            (Some(members), _) => {
                let members = members.map(|(key, value)| (key.to_owned(), value.to_known_value()));
                Value::Object(members.collect())
            }
            (None, Some(elements)) => elements.map(Self::to_known_value).collect(),
            (None, None) => self.to_value(),
        }
    }

    /// What stands at a JSON Pointer.
    fn at(self, pointer: &str) -> Option<Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |place, token| {
            let token = unescape(token);
            match place.elements() {
                Some(mut elements) => elements.nth(index(&token)?),
                None => place.member(&token),
            }
        })
    }
}

/// An index as JSON Pointers spell it.
fn index(token: &str) -> Option<usize> {
    let is_spelt_so = token == "0" || !token.starts_with(['0', '+']);
    is_spelt_so.then(|| token.parse().ok())?
}

impl<'a> Tree<'a> for Place<'a> {
    fn text(self) -> Option<&'a str> {
        match self.kind() {
            Kind::Text(start, length) => self.letters(start, length),
            Kind::Unescaped(index) => self.document.unescaped.get(index as usize).map(String::as_str),
            _ => None,
        }
    }

    fn number(self) -> Option<&'a Number> {
        match self.kind() {
            Kind::Number(index) => self.document.numbers.get(index as usize),
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

impl<'a> Tree<'a> for &'a Value {
    fn text(self) -> Option<&'a str> {
        self.as_str()
    }

    fn number(self) -> Option<&'a Number> {
        self.as_number()
    }

    fn boolean(self) -> Option<bool> {
        self.as_bool()
    }

    fn is_null(self) -> bool {
        Value::is_null(self)
    }

    fn elements(self) -> Option<impl Iterator<Item = Self> + Clone> {
        self.as_array().map(|array| array.iter())
    }

    fn members(self) -> Option<impl Iterator<Item = (&'a str, Self)> + Clone> {
        self.as_object()
            .map(|map| map.iter().map(|(key, value)| (key.as_str(), value)))
    }

    fn count(self) -> Option<usize> {
        let elements = self.as_array().map(Vec::len);
        elements.or_else(|| self.as_object().map(Map::len))
    }

    fn member(self, key: &str) -> Option<Self> {
        self.get(key)
    }

    fn to_value(self) -> Value {
        self.clone()
    }
}

/// A text that is no part of a document: a header's value.
impl<'a> Tree<'a> for &'a str {
    fn text(self) -> Option<&'a str> {
        Some(self)
    }

    fn number(self) -> Option<&'a Number> {
        None
    }

    fn boolean(self) -> Option<bool> {
        None
    }

    fn is_null(self) -> bool {
        false
    }

    fn elements(self) -> Option<impl Iterator<Item = Self> + Clone> {
        None::<std::iter::Empty<Self>>
    }

    fn members(self) -> Option<impl Iterator<Item = (&'a str, Self)> + Clone> {
        None::<std::iter::Empty<(&'a str, Self)>>
    }

    fn count(self) -> Option<usize> {
        None
    }

    fn member(self, _: &str) -> Option<Self> {
        None
    }

    fn to_value(self) -> Value {
        Value::from(self)
    }
}

/// Compares two JSON values by the contract's rules.
///
/// Numbers are equal when their values are (`1` and `1.0`), as in JSON Schema; `serde_json` would tell them apart.
/// The order of keys is ignored, that of elements is not; members of `right` that the contract does not have are passed over.
pub fn equal<'a>(left: &Value, right: impl Tree<'a>) -> bool {
    match left {
        Value::Null => right.is_null(),
        Value::Bool(left) => right.boolean() == Some(*left),
        Value::Number(left) => right.number().is_some_and(|right| equal_numbers(left, right)),
        Value::String(left) => right.text() == Some(left),
        Value::Array(left) => {
            right.count() == Some(left.len())
                && right
                    .elements()
                    .is_some_and(|mut right| left.iter().zip(&mut right).all(|(left, right)| equal(left, right)))
        }
        Value::Object(left) => {
            // What the contract does not have counts only where it is asked for.
            let has_no_more = || {
                let known = right.known_members();
                known.is_some_and(|mut known| known.all(|(key, _)| left.contains_key(key)))
            };
            let same = right.members().into_iter().flatten().filter(|(key, right)| {
                let left = left.get(*key);
                left.is_some_and(|left| equal(left, *right))
            });
            right.count().is_some_and(|count| count >= left.len()) && same.count() == left.len() && has_no_more()
        }
    }
}

fn equal_numbers(a: &Number, b: &Number) -> bool {
    a == b || (a.is_f64() != b.is_f64()) && whole(a).zip(whole(b)).is_some_and(|(a, b)| a == b)
}

/// The number, if it is whole: `2.0` is 2. A double that large integers were rounded to is another number than they are.
fn whole(number: &Number) -> Option<i128> {
    let integer = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is in range")]
    integer.or_else(|| {
        let double = number.as_f64()?;
        (double.fract() == 0.0 && double.abs() < 1e30).then_some(double as i128)
    })
}

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
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_read_as_any_reader_would() {
        let text = r#"{"a":[1,-2,1.5,"x\u00e9\n",true,null,{"b":18446744073709551615}], "c":{}, "d":[]}"#;
        let read = Document::parse(text.as_bytes()).map(|document| document.value().clone());
        assert_eq!(read, serde_json::from_str(text).ok());
    }

    #[test]
    fn a_body_stays_what_it_was_when_its_document_shares_it() {
        let texts: [&[u8]; 4] = [b"{\"a\":1}", b"{\"a\":1,\"a\":1}", b"no JSON", b"\xff"];
        for (index, text) in texts.into_iter().enumerate() {
            let mut body = Bytes::from(text.to_vec());
            let document = Document::share(&mut body);
            assert_eq!(body, text);
            assert_eq!(document.is_some(), index == 0);
            drop(document);
            assert_eq!(body, text);
        }
    }

    #[test]
    fn a_member_that_is_named_twice_is_no_json() {
        assert!(Document::parse(br#"{"a":{"b":1,"b":1}}"#).is_none());
        assert!(Document::parse(br#"{"a":1,"\u0061":1}"#).is_none());
        let many: Vec<String> = (0..40).map(|index| format!("\"k{}\":1", index % 39)).collect();
        assert!(Document::parse(format!("{{{}}}", many.join(",")).as_bytes()).is_none());
        assert!(Document::parse(format!("{{{}}}", many[..39].join(",")).as_bytes()).is_some());
    }

    #[test]
    fn what_follows_the_value_is_no_json() {
        assert!(Document::parse(b"{} {}").is_none());
        assert!(Document::parse(b"").is_none());
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

    #[test]
    fn validators_see_documents_as_they_want_them() {
        let document = Document::from(&json::conformance::document());
        json::conformance::assert_conformance::<Documents>(&document.root());
    }

    #[test]
    fn large_integers_are_told_apart() {
        let (one, other) = (
            json!(18_446_744_073_709_551_615_u64),
            json!(18_446_744_073_709_551_614_u64),
        );
        assert!(equal(&one, &one) && !equal(&one, &other));
        assert!(equal(&json!([2.0]), &json!([2])) && !equal(&json!([2.0]), &json!([2, 2])));
    }
}
