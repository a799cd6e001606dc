//! The order of results.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::super::rules::Rules;
use super::attributes::compared;
use super::filter::{Cursor, Field, FilterError, Subject, Token, Value, field, single};

/// The order that `orderBy` names: by an attribute, ascending or descending.
///
/// Handles that lack the attribute come last in either direction; equal ones come in the order they were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    by: By,
    descending: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Field(Field),
    /// A bare name: the number of this name, else the string of this name.
    Name(String),
}

/// What a handle is sorted by. Numbers come before texts, which a bare name may mix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortKey {
    Number(Number),
    Time(Timestamp),
    Text(String),
}

/// A finite number, sortable. Never the negative zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(pub(super) f64);

impl Order {
    /// Reads `<attribute> asc` or `<attribute> desc` (SRCH-QRY-003); without a direction it is ascending. An attribute
    /// is a path of the filter language that has one value, `timestamp` for the time the handle was made, or the bare
    /// name of a number or string, which no handle needs to have (SRCH-QRY-012).
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Self::parse_under(text, &Rules::default())
    }

    /// Reads an order under other rules.
    pub fn parse_under(text: &str, rules: &Rules) -> Result<Self, FilterError> {
        let mut cursor = Cursor::new(text)?;
        let (word, start) = cursor.word("the attribute to order by")?;
        let by = match field(&mut cursor, word, start, rules)? {
            Some(field) => By::Field(single(field, &cursor, word, start)?),
            None if word.eq_ignore_ascii_case("timestamp") => By::Field(Field::PostedTime),
            None => By::Name(compared(word, rules)),
        };
        let descending = cursor.at_keyword("desc");
        if descending || cursor.at_keyword("asc") {
            cursor.advance()?;
            cursor.expect(Token::End, "the end")?;
        } else {
            cursor.expect(Token::End, "`asc`, `desc` or the end")?;
        }
        Ok(Self { by, descending })
    }

    /// Whether sessions must be looked at to sort.
    pub(super) fn is_by_session(&self) -> bool {
        matches!(&self.by, By::Field(field) if field.is_of_session())
    }

    pub(super) fn key(&self, subject: Subject<'_>) -> Option<SortKey> {
        let value = match &self.by {
            By::Field(field) => subject.value(field),
            By::Name(name) => {
                let attributes = subject.handle.attributes();
                let number = attributes.numbers().get(name).map(|number| Value::Number(*number));
                number.or_else(|| attributes.strings().get(name).map(|text| Value::Text(text)))
            }
        };
        Some(match value? {
            Value::Number(number) => SortKey::Number(Number::new(number)),
            Value::Time(time) => SortKey::Time(time),
            Value::Text(text) => SortKey::Text(text.to_owned()),
            Value::Xuid(_) => return None,
        })
    }

    /// How two handles of these keys are ordered.
    pub(super) fn compare(&self, one: Option<&SortKey>, other: Option<&SortKey>) -> Ordering {
        match (one, other) {
            (Some(one), Some(other)) if self.descending => other.cmp(one),
            (Some(one), Some(other)) => one.cmp(other),
            (one, other) => one.is_none().cmp(&other.is_none()),
        }
    }
}

impl Number {
    pub(super) fn new(number: f64) -> Self {
        Self(number + 0.0)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}
