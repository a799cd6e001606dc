//! What a document consists of: a flat list of its values, read from the text in one pass.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// What a document consists of.
#[derive(Clone, Default)]
pub(super) struct Parts {
    /// Texts that had to be written anew, since something in them was escaped.
    pub(super) unescaped: Vec<String>,
    /// The numbers.
    pub(super) numbers: Vec<Number>,
    /// All values in the order in which they stand; in an object each is preceded by its key.
    pub(super) all: Vec<Part>,
}

/// A value of a document, or a key.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) kind: Kind,
    /// Where in [`Parts::all`] the next one stands that is not inside this one.
    pub(super) end: Size,
}

/// Sizes and places in a document: small ones, since every body is walked through again and again.
pub(super) type Size = u32;

/// What a part is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    /// Its place in [`Parts::numbers`].
    Number(Size),
    /// Where it begins in the text, and its length.
    Text(Size, Size),
    /// Its place in [`Parts::unescaped`].
    Unescaped(Size),
    Array(Size),
    Object(Size),
}

/// A size of a text that is no longer than a [`Size`] can say.
fn size(size: usize) -> Size {
    Size::try_from(size).unwrap_or(Size::MAX)
}

impl Parts {
    /// Reads a text; `None` if it is no JSON.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut reading = Reading {
            start: text.as_ptr().addr(),
            length: text.len(),
            parts: Self {
                // Keys and values both; more are rare.
                all: Vec::with_capacity(text.len() / 10 + 1),
                ..Self::default()
            },
        };
        let mut input = serde_json::Deserializer::from_str(text);
        Next(&mut reading).deserialize(&mut input).ok()?;
        input.end().ok()?;
        Some(reading.parts)
    }

    /// The whole text as one string.
    pub(super) fn of_text(text: &str) -> Self {
        let kind = Kind::Text(0, size(text.len()));
        Self {
            all: vec![Part { kind, end: 1 }],
            ..Self::default()
        }
    }
}

/// What was read of a text so far.
struct Reading {
    /// Where the text is in memory: the address of what is borrowed from it shows its place.
    start: usize,
    length: usize,
    parts: Parts,
}

impl Reading {
    fn add(&mut self, kind: Kind) {
        let end = size(self.parts.all.len() + 1);
        self.parts.all.push(Part { kind, end });
    }

    fn add_number(&mut self, number: Number) {
        self.add(Kind::Number(size(self.parts.numbers.len())));
        self.parts.numbers.push(number);
    }

    /// Adds an array or an object with all that `read` finds inside.
    fn add_around<E>(
        &mut self,
        kind: fn(Size) -> Kind,
        read: impl FnOnce(&mut Self) -> Result<Size, E>,
    ) -> Result<(), E> {
        let at = self.parts.all.len();
        self.add(Kind::Null);
        let count = read(self)?;
        let end = size(self.parts.all.len());
        if let Some(part) = self.parts.all.get_mut(at) {
            *part = Part { kind: kind(count), end };
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str) {
        let kind = match text.as_ptr().addr().checked_sub(self.start) {
            Some(start) if start + text.len() <= self.length => Kind::Text(size(start), size(text.len())),
            _ => {
                self.parts.unescaped.push(text.to_owned());
                Kind::Unescaped(size(self.parts.unescaped.len() - 1))
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
