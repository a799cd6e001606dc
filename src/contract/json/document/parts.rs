//! What a document consists of: a flat list of its values.

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
pub(super) fn size(size: usize) -> Size {
    Size::try_from(size).unwrap_or(Size::MAX)
}

impl Parts {
    /// The whole text as one string.
    pub(super) fn of_text(text: &str) -> Self {
        let kind = Kind::Text(0, size(text.len()));
        Self {
            all: vec![Part { kind, end: 1 }],
            ..Self::default()
        }
    }
}
