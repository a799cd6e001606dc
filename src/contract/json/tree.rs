//! What matchers, pointers and comparisons need of JSON, whether it is a [`Value`], a place in a document or a header's text.

use serde_json::{Map, Number, Value};

use crate::contract::json::unescape;

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
