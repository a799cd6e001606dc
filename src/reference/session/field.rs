//! Reading the fields of a request, with messages that say where, what was found and what was expected.

use std::fmt::{self, Display, Write as _};
use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::refusal::{Refusal, RefusalKind};
use crate::rules::{EnumCase, Rules, XuidNumber};

/// A place in a request. It becomes a JSON pointer only in a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'p> {
    parent: Option<&'p Self>,
    key: &'p str,
}

impl<'p> At<'p> {
    /// The whole document.
    pub(super) const ROOT: At<'static> = At { parent: None, key: "" };

    /// The member `key` of this place.
    pub(super) fn then<'c>(&'c self, key: &'c str) -> At<'c>
    where
        'p: 'c,
    {
        At {
            parent: Some(self),
            key,
        }
    }

    fn write_pointer(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.write_pointer(out);
            out.push('/');
            out.push_str(&self.key.replace('~', "~0").replace('/', "~1"));
        }
    }

    /// A refusal (400) of what stands at this place.
    pub(super) fn refuse(&self, why: impl Display) -> Refusal {
        self.refuse_as(RefusalKind::Malformed, why)
    }

    /// A refusal of what stands at this place.
    pub(super) fn refuse_as(&self, kind: RefusalKind, why: impl Display) -> Refusal {
        let mut message = String::new();
        self.write_pointer(&mut message);
        if message.is_empty() {
            message.push_str("the request");
        }
        // Writing to a string does not fail.
        let _ = write!(message, ": {why}");
        Refusal { kind, message }
    }

    /// A refusal because of the type or value found.
    pub(super) fn wrong(&self, found: &Value, expected: impl Display) -> Refusal {
        self.refuse(format_args!("found {}, expected {expected}", Found(found)))
    }

    /// A refusal because the place has no meaning.
    pub(super) fn unknown(&self, known: &[&str]) -> Refusal {
        self.refuse(format_args!("unknown field, expected one of {}", known.join(", ")))
    }

    /// A refusal (409) because a constant already has another value.
    pub(super) fn conflict(&self, asked: &Value, fixed: Option<&Value>) -> Refusal {
        let why = match fixed {
            Some(fixed) => format!("found {}, but the constant is fixed as {}", Found(asked), Found(fixed)),
            None => format!(
                "found {}, but the constant was left unset and cannot be set any more",
                Found(asked)
            ),
        };
        self.refuse_as(RefusalKind::Conflict, why)
    }

    pub(super) fn object<'v>(&self, value: &'v Value) -> Result<&'v Map<String, Value>, Refusal> {
        value.as_object().ok_or_else(|| self.wrong(value, "an object"))
    }

    pub(super) fn list<'v>(&self, value: &'v Value) -> Result<&'v [Value], Refusal> {
        value
            .as_array()
            .map(Vec::as_slice)
            .ok_or_else(|| self.wrong(value, "an array"))
    }

    pub(super) fn boolean(&self, value: &Value) -> Result<bool, Refusal> {
        value.as_bool().ok_or_else(|| self.wrong(value, "true or false"))
    }

    pub(super) fn text<'v>(&self, value: &'v Value) -> Result<&'v str, Refusal> {
        value.as_str().ok_or_else(|| self.wrong(value, "a string"))
    }

    /// An integer in `range`; `1.0` is one too.
    pub(super) fn integer(&self, value: &Value, range: RangeInclusive<u64>) -> Result<u64, Refusal> {
        integer(value).filter(|number| range.contains(number)).ok_or_else(|| {
            if *range.end() == u64::MAX {
                self.wrong(value, format_args!("an integer from {}", range.start()))
            } else {
                self.wrong(
                    value,
                    format_args!("an integer from {} to {}", range.start(), range.end()),
                )
            }
        })
    }

    /// The index of a member, or one that could be.
    pub(super) fn index(&self, value: &Value) -> Result<u32, Refusal> {
        integer(value)
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| self.wrong(value, "the index of a member"))
    }

    /// A number that is not negative.
    pub(super) fn amount(&self, value: &Value) -> Result<f64, Refusal> {
        value
            .as_f64()
            .filter(|number| *number >= 0.0)
            .ok_or_else(|| self.wrong(value, "a number that is not negative"))
    }

    pub(super) fn texts(&self, value: &Value) -> Result<Vec<String>, Refusal> {
        self.each(value, |at, item| at.text(item).map(str::to_owned))
    }

    pub(super) fn each<T>(
        &self,
        value: &Value,
        mut read: impl FnMut(&At<'_>, &Value) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let list = self.list(value)?;
        let mut items = Vec::with_capacity(list.len());
        for (position, item) in list.iter().enumerate() {
            // The pointer is spelt only if the item is refused.
            items.push(match read(self, item) {
                Ok(item) => item,
                Err(_) => read(&self.then(&position.to_string()), item)?,
            });
        }
        Ok(items)
    }

    /// One of the enumerated `choices`.
    pub(super) fn choice<T: Copy>(&self, value: &Value, choices: &[(&str, T)], rules: &Rules) -> Result<T, Refusal> {
        let same = |name: &str, text: &str| match rules.enum_case {
            EnumCase::Any => name.eq_ignore_ascii_case(text),
            EnumCase::Exact => name == text,
        };
        value
            .as_str()
            .and_then(|text| choices.iter().find(|(name, _)| same(name, text)))
            .map(|(_, choice)| *choice)
            .ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
                self.wrong(value, format_args!("one of {}", names.join(", ")))
            })
    }

    /// A user's id: a decimal string, or a number where the rules allow it.
    pub(super) fn xuid(&self, value: &Value, rules: &Rules) -> Result<u64, Refusal> {
        let number = match value {
            Value::String(text) => decimal(text),
            Value::Number(_) if rules.xuid_number == XuidNumber::Accepted => integer(value),
            _ => None,
        };
        number
            .filter(|xuid| *xuid != 0)
            .ok_or_else(|| self.wrong(value, "a xuid, a decimal string"))
    }

    pub(super) fn guid(&self, value: &Value) -> Result<Uuid, Refusal> {
        value
            .as_str()
            .and_then(|text| Uuid::try_parse(text).ok())
            .ok_or_else(|| self.wrong(value, "a GUID"))
    }

    /// Names under the rules of session names (SES-MSYS-012).
    /// A time with an offset (RFC 3339), and in no other form of ISO 8601.
    pub(super) fn time(&self, value: &Value) -> Result<Timestamp, Refusal> {
        let text = self.text(value)?;
        let is_at = |place: usize, marks: &str| text.get(place..=place).is_some_and(|found| marks.contains(found));
        let has_date = is_at(4, "-") && is_at(7, "-") && is_at(10, "Tt") && is_at(13, ":") && is_at(16, ":");
        let offset = text
            .len()
            .checked_sub(6)
            .and_then(|start| text.get(start..))
            .unwrap_or_default();
        let has_offset = text.ends_with(['Z', 'z'])
            || offset.starts_with(['+', '-']) && offset.get(3..4) == Some(":") && text.len() > 19;
        let time = text.parse().ok().filter(|_| has_date && has_offset);
        time.ok_or_else(|| self.wrong(value, "a time such as 2030-01-31T20:00:00Z"))
    }

    pub(super) fn names(&self, value: &Value) -> Result<Vec<String>, Refusal> {
        let fits = |name: &&str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            (1..=100).contains(&name.len()) && name.bytes().all(known)
        };
        self.each(value, |at, name| {
            let fitting = name.as_str().filter(fits).map(str::to_owned);
            fitting.ok_or_else(|| {
                at.wrong(
                    name,
                    "a name of 1 to 100 letters, digits, dots, hyphens and underscores",
                )
            })
        })
    }

    /// The bytes that base64 text stands for.
    pub(super) fn base64(&self, value: &Value) -> Result<Vec<u8>, Refusal> {
        use base64::Engine as _;
        value
            .as_str()
            .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok())
            .ok_or_else(|| self.wrong(value, "base64"))
    }
}

/// The unsigned integer that a JSON number stands for, however it is written.
pub(super) fn integer(value: &Value) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let number = value
            .as_f64()
            .filter(|number| number.fract() == 0.0 && (0.0..=EXACT).contains(number))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number that is neither negative nor above 2^53"
        )]
        Some(number as u64)
    })
}

/// A decimal number, without sign.
pub(super) fn decimal(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A value as a message shows it: short.
struct Found<'v>(&'v Value);

impl Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Object(_) | Value::Array(_) => {
                let text = self.0.to_string();
                if text.len() <= 60 {
                    f.write_str(&text)
                } else if self.0.is_object() {
                    f.write_str("an object")
                } else {
                    f.write_str("an array")
                }
            }
            Value::String(text) if text.len() > 60 => {
                let start: String = text.chars().take(50).collect();
                write!(f, "{start:?}...")
            }
            other => other.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_names_the_place_what_was_found_and_what_was_expected() {
        let system = At::ROOT.then("constants");
        let field = system.then("a/b");
        let refusal = field.boolean(&json!("yes")).expect_err("not a boolean");
        assert_eq!(refusal.kind, RefusalKind::Malformed);
        assert_eq!(
            refusal.message,
            "/constants/a~1b: found \"yes\", expected true or false"
        );
    }

    #[test]
    fn a_refused_item_of_a_list_is_named_by_its_position() {
        let refusal = At::ROOT
            .then("keywords")
            .texts(&json!(["a", 2]))
            .expect_err("not a string");
        assert_eq!(refusal.message, "/keywords/1: found 2, expected a string");
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        assert_eq!(integer(&json!(1.0)), Some(1));
        assert_eq!(integer(&json!(u64::MAX)), Some(u64::MAX));
        assert_eq!(integer(&json!(1.5)), None);
        assert_eq!(integer(&json!(-1)), None);
    }

    #[test]
    fn a_xuid_is_a_decimal_string_or_a_number() {
        let rules = Rules::default();
        assert_eq!(
            At::ROOT.xuid(&json!("281474976710656"), &rules).ok(),
            Some(281_474_976_710_656)
        );
        assert_eq!(At::ROOT.xuid(&json!(12), &rules).ok(), Some(12));
        for wrong in [json!(""), json!("+1"), json!("0"), json!(null), json!("1a")] {
            assert!(At::ROOT.xuid(&wrong, &rules).is_err(), "{wrong}");
        }
    }
}
