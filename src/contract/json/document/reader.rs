//! Reads JSON as RFC 8259 has it: whatever is JSON there is read, and what is not is refused with its byte and reason.
//!
//! A library would refuse half a surrogate pair, a number beyond a double or deep nesting, all of which the standard allows, and
//! charge it to whoever wrote them.

use std::fmt;

use serde_json::Number;

use crate::contract::json::document::parts::{Kind, Part, Parts, Size, size};

/// The deepest nesting that is read.
pub const MAX_DEPTH: usize = 500;
/// Beyond this not every whole number is a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Why a body was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is not JSON.
    NotJson {
        /// The byte at which it stops being JSON, counted from 0.
        byte: usize,
        /// What is wrong there.
        reason: String,
    },
    /// It is beyond what this program reads, which says nothing of whoever wrote it.
    Limit(String),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { byte, reason } => write!(f, "byte {byte}: {reason}"),
            Self::Limit(reason) => f.write_str(reason),
        }
    }
}

/// Why bytes that are no UTF-8 are not JSON (RFC 8259 8.1).
pub(super) fn not_utf8(body: &[u8], error: std::str::Utf8Error) -> Unread {
    let (byte, reason) = match body {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => (0, "it is UTF-16, and JSON is sent as UTF-8"),
        _ => (error.valid_up_to(), "these bytes are not UTF-8"),
    };
    Unread::NotJson {
        byte,
        reason: reason.to_owned(),
    }
}

/// Reads a text.
pub(super) fn read(text: &str) -> Result<Parts, Unread> {
    if Size::try_from(text.len()).is_err() {
        return Err(Unread::Limit("the body has more than 4 GiB".to_owned()));
    }
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        open: Vec::new(),
        read: Parts {
            // Keys and values both; more are rare.
            all: Vec::with_capacity(text.len() / 10 + 1),
            ..Parts::default()
        },
    };
    reader.document()?;
    Ok(reader.read)
}

/// An array or an object that has begun.
struct Open {
    /// Its place among the parts.
    part: usize,
    is_object: bool,
    count: usize,
}

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    open: Vec<Open>,
    read: Parts,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), Unread> {
        if self.text.starts_with('\u{feff}') {
            return Err(self.wrong("a byte order mark, which JSON that is sent does not have (RFC 8259 8.1)"));
        }
        self.skip_space();
        loop {
            if !self.begin_value()? {
                // What begins an array or an object with something inside has a value next.
                continue;
            }
            if self.after_value()? {
                return Ok(());
            }
        }
    }

    /// Reads a value, or the beginning of one that has others inside; whether it is whole.
    fn begin_value(&mut self) -> Result<bool, Unread> {
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => return self.begin(true),
            Some(b'[') => return self.begin(false),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Kind::Bool(true))?,
            Some(b'f') => self.word("false", Kind::Bool(false))?,
            Some(b'n') => self.word("null", Kind::Null)?,
            Some(_) => return Err(self.wrong("expected a value")),
            None => return Err(self.wrong("the input ends where a value is expected")),
        }
        Ok(true)
    }

    /// Goes on after a value, up to the next one; whether that was the last.
    fn after_value(&mut self) -> Result<bool, Unread> {
        loop {
            self.skip_space();
            let Some(open) = self.open.last_mut() else {
                return match self.peek() {
                    None => Ok(true),
                    Some(_) => Err(self.wrong("something follows the value")),
                };
            };
            open.count += 1;
            let is_object = open.is_object;
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.skip_space();
                    if is_object {
                        self.key()?;
                    }
                    return Ok(false);
                }
                Some(b'}') if is_object => self.end(),
                Some(b']') if !is_object => self.end(),
                Some(_) if is_object => return Err(self.wrong("expected `,` or `}`")),
                Some(_) => return Err(self.wrong("expected `,` or `]`")),
                None => return Err(self.wrong("the input ends inside an array or an object")),
            }
        }
    }

    fn begin(&mut self, is_object: bool) -> Result<bool, Unread> {
        if self.open.len() == MAX_DEPTH {
            return Err(Unread::Limit(format!(
                "the body is nested more than {MAX_DEPTH} deep, and this program reads no more"
            )));
        }
        self.open.push(Open {
            part: self.read.all.len(),
            is_object,
            count: 0,
        });
        self.add(Kind::Null);
        self.at += 1;
        self.skip_space();
        match self.peek() {
            Some(b'}') if is_object => self.end(),
            Some(b']') if !is_object => self.end(),
            _ => {
                if is_object {
                    self.key()?;
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends the array or object that began last.
    fn end(&mut self) {
        self.at += 1;
        let end = size(self.read.all.len());
        let Some(open) = self.open.pop() else { return };
        if let Some(part) = self.read.all.get_mut(open.part) {
            let count = size(open.count);
            let kind = if open.is_object {
                Kind::Object(count)
            } else {
                Kind::Array(count)
            };
            *part = Part { kind, end };
        }
    }

    /// A member's name and the colon after it.
    fn key(&mut self) -> Result<(), Unread> {
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(_) => return Err(self.wrong("expected a member's name in quotation marks")),
            None => return Err(self.wrong("the input ends inside an object")),
        }
        self.skip_space();
        match self.peek() {
            Some(b':') => self.at += 1,
            _ => return Err(self.wrong("expected `:` after a member's name")),
        }
        self.skip_space();
        Ok(())
    }

    fn string(&mut self) -> Result<(), Unread> {
        self.at += 1;
        let start = self.at;
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
        self.at += self.rest().iter().position(is_special).unwrap_or(self.rest().len());
        if self.peek() == Some(b'"') {
            self.add(Kind::Text(size(start), size(self.at - start)));
            self.at += 1;
            return Ok(());
        }
        let mut meant = String::with_capacity(self.at - start + 16);
        let mut plain = start;
        loop {
            self.at += self.rest().iter().position(is_special).unwrap_or(self.rest().len());
            // What is special is ASCII, so both are ends of characters.
            meant.push_str(self.text.get(plain..self.at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => meant.push(self.escape()?),
                Some(_) => return Err(self.wrong("a control character in a string, which has to be escaped")),
                None => return Err(self.wrong("the input ends inside a string")),
            }
            plain = self.at;
        }
        self.at += 1;
        self.add(Kind::Unescaped(size(self.read.unescaped.len())));
        self.read.unescaped.push(meant);
        Ok(())
    }

    /// What an escape stands for; half a surrogate pair, which no text can hold, becomes U+FFFD.
    fn escape(&mut self) -> Result<char, Unread> {
        let meant = match self.bytes.get(self.at + 1) {
            Some(b'u') => return self.unicode(),
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.wrong("a backslash that begins no escape")),
        };
        self.at += 2;
        Ok(meant)
    }

    fn unicode(&mut self) -> Result<char, Unread> {
        let Some(unit) = self.unit(self.at) else {
            return Err(self.wrong("`\\u` without four hexadecimal digits"));
        };
        self.at += 6;
        if (0xd800..0xdc00).contains(&unit)
            && let Some(low) = self.unit(self.at).filter(|low| (0xdc00..0xe000).contains(low))
        {
            self.at += 6;
            let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// The code unit that is escaped at a place.
    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            Some(unit << 4 | digit)
        })
    }

    fn number(&mut self) -> Result<(), Unread> {
        let start = self.at;
        let is_negative = self.peek() == Some(b'-');
        self.at += usize::from(is_negative);
        match self.peek() {
            Some(b'0') => {
                self.at += 1;
                if matches!(self.peek(), Some(b'0'..=b'9')) {
                    return Err(self.wrong("a number with a 0 before it"));
                }
            }
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.wrong("expected a digit")),
        }
        let is_whole = !matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.some_digits()?;
        }
        let literal = self.text.get(start..self.at).unwrap_or_default();
        let number = whole(literal).filter(|_| is_whole).unwrap_or_else(|| double(literal));
        self.add(Kind::Number(size(self.read.numbers.len())));
        self.read.numbers.push(number);
        Ok(())
    }

    fn digits(&mut self) {
        let is_other = |byte: &u8| !byte.is_ascii_digit();
        self.at += self.rest().iter().position(is_other).unwrap_or(self.rest().len());
    }

    fn some_digits(&mut self) -> Result<(), Unread> {
        let start = self.at;
        self.digits();
        if self.at == start {
            return Err(self.wrong("expected a digit"));
        }
        Ok(())
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<(), Unread> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.wrong("expected a value"));
        }
        self.at += word.len();
        self.add(kind);
        Ok(())
    }

    fn add(&mut self, kind: Kind) {
        let end = size(self.read.all.len() + 1);
        self.read.all.push(Part { kind, end });
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn wrong(&self, reason: &str) -> Unread {
        Unread::NotJson {
            byte: self.at,
            reason: reason.to_owned(),
        }
    }
}

/// A whole number that fits 64 bits.
fn whole(literal: &str) -> Option<Number> {
    match literal.parse::<i64>() {
        Ok(number) => Some(number.into()),
        Err(_) => literal.parse::<u64>().ok().map(Number::from),
    }
}

/// A number as clients count with it: JSON has one kind of number, so `1.0` and `1e0` are 1, and one that is beyond a double is
/// the nearest of them (RFC 8259 6).
fn double(literal: &str) -> Number {
    let value: f64 = literal.parse().unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is in range")]
    if value.fract() == 0.0 && value.abs() <= EXACT {
        (value as i64).into()
    } else {
        Number::from_f64(value.clamp(f64::MIN, f64::MAX)).unwrap_or_else(|| 0.into())
    }
}

/// Whether a number means the same when it is written as this program writes it: a literal with more digits than a double has is
/// sent as another number.
pub(in super::super) fn is_kept(literal: &str) -> bool {
    if whole(literal).is_some() {
        return true;
    }
    let Some(value) = literal.parse::<f64>().ok().filter(|value| value.is_finite()) else {
        return false;
    };
    decimal(literal) == decimal(&format!("{value:e}"))
}

/// The digits of a number without zeros at their ends, and the power of ten of the last of them.
fn decimal(literal: &str) -> (String, i64) {
    let literal = literal.trim_start_matches('-').to_ascii_lowercase();
    let (digits, exponent) = literal.split_once('e').unwrap_or((&literal, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return (String::new(), 0);
    }
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
    let power = exponent
        .saturating_sub(length(fraction))
        .saturating_add(length(digits) - length(kept));
    (kept.to_owned(), power)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::contract::json::document::Document;

    fn read(text: &str) -> Result<Value, Unread> {
        Document::parse(text.as_bytes()).map(|document| document.value().clone())
    }

    #[test]
    fn what_the_standard_allows_is_read() {
        for (text, meant) in [
            (" \t\r\n{ } ", json!({})),
            ("[ ]", json!([])),
            ("[[],{},[[]]]", json!([[], {}, [[]]])),
            ("null", Value::Null),
            (r#""\u00e9\ud83d\ude00\/\b""#, json!("é😀/\u{8}")),
            (r#""\ud83d""#, json!("\u{fffd}")),
            (r#""\ude00\ud83dx""#, json!("\u{fffd}\u{fffd}x")),
            (r#""\ud83d\u0041""#, json!("\u{fffd}A")),
            ("\"\u{7f}\u{2028}\u{ffff}\"", json!("\u{7f}\u{2028}\u{ffff}")),
            ("-0", json!(0)),
            ("1.0", json!(1)),
            ("1E+2", json!(100)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("1e999", json!(f64::MAX)),
            ("-1e999", json!(f64::MIN)),
            ("1e-999", json!(0)),
            ("0.1", json!(0.1)),
            ("123456789012345678901234567890", json!(1.234_567_890_123_456_8e29)),
        ] {
            assert_eq!(read(text), Ok(meant), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_at_its_byte() {
        for (text, at, part) in [
            ("", 0, "ends where a value"),
            ("  ", 2, "ends where a value"),
            ("\u{feff}{}", 0, "byte order mark"),
            ("{} x", 3, "follows the value"),
            ("[1,]", 3, "expected a value"),
            ("[1 2]", 3, "`,` or `]`"),
            ("{\"a\":1,}", 7, "name in quotation marks"),
            ("{a:1}", 1, "name in quotation marks"),
            ("{\"a\" 1}", 5, "`:`"),
            ("{\"a\":1]", 6, "`,` or `}`"),
            ("[1", 2, "ends inside"),
            ("{\"a\":", 5, "ends where a value"),
            ("\"a\nb\"", 2, "control character"),
            ("\"a", 2, "ends inside a string"),
            (r#""\x41""#, 1, "begins no escape"),
            (r#""\u12g4""#, 1, "four hexadecimal"),
            (r#""\u12"#, 1, "four hexadecimal"),
            ("01", 1, "a 0 before it"),
            ("-", 1, "a digit"),
            ("1.", 2, "a digit"),
            (".5", 0, "expected a value"),
            ("+1", 0, "expected a value"),
            ("1e", 2, "a digit"),
            ("NaN", 0, "expected a value"),
            ("nul", 0, "expected a value"),
            ("'a'", 0, "expected a value"),
            ("{} // no", 3, "follows the value"),
            ("\u{a0}1", 0, "expected a value"),
        ] {
            let Err(Unread::NotJson { byte, reason }) = read(text) else {
                panic!("{text} is read");
            };
            assert!(byte == at && reason.contains(part), "{text}: byte {byte}: {reason}");
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
        for (bytes, at, part) in [(&b"\"a\xff\""[..], 2, "UTF-8"), (b"\xff\xfe{\0}\0", 0, "UTF-16")] {
            let Err(Unread::NotJson { byte, reason }) = Document::parse(bytes) else {
                panic!("{bytes:?} is read");
            };
            assert!(byte == at && reason.contains(part), "byte {byte}: {reason}");
        }
    }

    #[test]
    fn nesting_is_read_up_to_a_limit_that_is_this_programs() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        assert!(matches!(read(&nested(MAX_DEPTH + 1)), Err(Unread::Limit(_))));
        assert!(matches!(read(&"{\"a\":".repeat(1 << 20)), Err(Unread::Limit(_))));
    }

    #[test]
    fn a_number_is_kept_if_it_is_sent_as_it_is_written() {
        for literal in [
            "0",
            "1.50",
            "0.1",
            "1e3",
            "-2.5E-7",
            "18446744073709551615",
            "0.30000000000000004",
            "1e22",
            "-0.0",
        ] {
            assert!(is_kept(literal), "{literal}");
        }
        for literal in [
            "123456789012345678901234567890",
            "0.12345678901234567890123",
            "1e999",
            "18446744073709551617",
            "1e-999",
        ] {
            assert!(!is_kept(literal), "{literal}");
        }
    }
}
