//! JSON texts of another form, and of the same meaning (RFC 8259).

use std::fmt::Write as _;

use serde_json::{Number, Value};

use super::Order;

/// A form in which JSON is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// The order of fields.
    Fields(Order),
    /// What stands between tokens.
    Space(&'static str),
    /// Which letters are escaped.
    Escape(Escape),
    /// How whole numbers are written.
    Number(Numbers),
}

/// Which letters are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// Each, with its code.
    All,
    /// Each that is not ASCII, with its code.
    Foreign,
    /// The slash.
    Slash,
    /// The first letter of each text and of each name.
    First,
}

/// How whole numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// `1.0`
    Fraction,
    /// `1e0`
    Exponent,
    /// `10e-1`
    Negative,
    /// `1.000E+0`
    Long,
}

/// The forms in force.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Writer {
    order: Option<Order>,
    space: &'static str,
    escape: Option<Escape>,
    numbers: Option<Numbers>,
}

impl Writer {
    pub(super) fn take(&mut self, form: Form) {
        match form {
            Form::Fields(order) => self.order = Some(order),
            Form::Space(space) => self.space = space,
            Form::Escape(escape) => self.escape = Some(escape),
            Form::Number(numbers) => self.numbers = Some(numbers),
        }
    }

    pub(super) fn write(&self, value: &Value) -> String {
        let mut out = String::new();
        out.push_str(self.space);
        self.value(&mut out, value);
        out.push_str(self.space);
        out
    }

    fn value(&self, out: &mut String, value: &Value) {
        let space = self.space;
        match value {
            Value::Object(object) => {
                let mut fields: Vec<(&String, &Value)> = object.iter().collect();
                match self.order {
                    Some(Order::Reverse) => fields.reverse(),
                    Some(Order::Sorted) => fields.sort_by_key(|(key, _)| *key),
                    Some(Order::Rotated) if !fields.is_empty() => fields.rotate_left(1),
                    _ => {}
                }
                self.list(out, ['{', '}'], fields, |out, (key, value)| {
                    self.text(out, key);
                    // Writing to a string cannot fail.
                    let _ = write!(out, "{space}:{space}");
                    self.value(out, value);
                });
            }
            Value::Array(array) => self.list(out, ['[', ']'], array, |out, value| self.value(out, value)),
            Value::String(text) => self.text(out, text),
            Value::Number(number) => self.number(out, number),
            Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
        }
    }

    fn list<T>(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        of: impl IntoIterator<Item = T>,
        each: impl Fn(&mut String, T),
    ) {
        out.push(open);
        out.push_str(self.space);
        for (place, one) in of.into_iter().enumerate() {
            if place > 0 {
                out.push(',');
                out.push_str(self.space);
            }
            each(out, one);
            out.push_str(self.space);
        }
        out.push(close);
    }

    fn text(&self, out: &mut String, text: &str) {
        out.push('"');
        for (place, letter) in text.chars().enumerate() {
            let is_escaped = match self.escape {
                Some(Escape::All) => true,
                Some(Escape::Foreign) => !letter.is_ascii(),
                Some(Escape::First) => place == 0,
                Some(Escape::Slash) | None => false,
            };
            match letter {
                _ if is_escaped => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04X}");
                    }
                }
                '/' if self.escape == Some(Escape::Slash) => out.push_str("\\/"),
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                letter if letter < ' ' => _ = write!(out, "\\u{:04x}", u32::from(letter)),
                letter => out.push(letter),
            }
        }
        out.push('"');
    }

    fn number(&self, out: &mut String, number: &Number) {
        /// Beyond these not every whole number is a double.
        const EXACT: i64 = 1 << 53;
        let whole = number.as_i64().filter(|whole| (-EXACT..EXACT).contains(whole));
        let _ = match (whole, self.numbers) {
            (Some(whole), Some(Numbers::Fraction)) => write!(out, "{whole}.0"),
            (Some(whole), Some(Numbers::Exponent)) => write!(out, "{whole}e0"),
            (Some(0), Some(Numbers::Negative)) => write!(out, "0e-1"),
            (Some(whole), Some(Numbers::Negative)) => write!(out, "{whole}0e-1"),
            (Some(whole), Some(Numbers::Long)) => write!(out, "{whole}.000E+0"),
            _ => write!(out, "{number}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn another_form_has_the_same_meaning() {
        let value = json!({ "a/b": ["\u{1f600}ü\"\\\n", 1, -20, 0, 18_446_744_073_709_551_615_u64, 0.5, null, {}], "c": { "d": [] } });
        let forms = [
            Form::Fields(Order::Reverse),
            Form::Fields(Order::Sorted),
            Form::Fields(Order::Rotated),
            Form::Space(" \r\n\t"),
            Form::Escape(Escape::All),
            Form::Escape(Escape::Foreign),
            Form::Escape(Escape::Slash),
            Form::Escape(Escape::First),
            Form::Number(Numbers::Fraction),
            Form::Number(Numbers::Exponent),
            Form::Number(Numbers::Negative),
            Form::Number(Numbers::Long),
        ];
        let of = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            let numbers = |number: &Value| number.as_f64();
            let list = value["a/b"].as_array().unwrap();
            (
                list.iter().map(numbers).collect::<Vec<_>>(),
                list[0].clone(),
                value["c"].clone(),
            )
        };
        for form in forms {
            let mut writer = Writer::default();
            writer.take(form);
            let text = writer.write(&value);
            assert_ne!(text, value.to_string(), "{form:?}");
            assert_eq!(of(&text), of(&value.to_string()), "{form:?}");
        }
    }
}
