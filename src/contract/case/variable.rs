//! The `{variables}` of a case: found in its texts, and replaced by values.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use crate::contract::case::words::Generator;
use crate::contract::json::{Item, Word as _};

/// A piece of a text that may hold variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text that stands for itself.
    Text(&'a str),
    /// The name in `{{name}}`, which stands for the text `{name}`.
    Escaped(&'a str),
    /// The name in `{name}`.
    Variable(&'a str),
}

/// What variables stand for.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The value of a name; `None` leaves it as it stands.
    pub value: &'a dyn Fn(&str) -> Option<Value>,
    /// Whether this is the last scope to be applied: only then `{{name}}` becomes `{name}`.
    pub is_last: bool,
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("is_last", &self.is_last)
            .finish_non_exhaustive()
    }
}

/// Splits a text into pieces; `{{name}}` is the text `{name}`.
pub fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut from = 0;
        while let Some(open) = rest.get(from..).and_then(|tail| tail.find('{')).map(|at| at + from) {
            let escaped = rest[open..].starts_with("{{");
            let start = open + 1 + usize::from(escaped);
            let length = name_length(&rest[start..]);
            let close = if escaped { "}}" } else { "}" };
            if length == 0 || !rest[start + length..].starts_with(close) {
                from = open + 1;
                continue;
            }
            if open > 0 {
                let (text, tail) = rest.split_at(open);
                rest = tail;
                return Some(Piece::Text(text));
            }
            let end = start + length + close.len();
            let name = &rest[start..start + length];
            let piece = if escaped {
                Piece::Escaped(name)
            } else {
                Piece::Variable(name)
            };
            rest = &rest[end..];
            return Some(piece);
        }
        Some(Piece::Text(std::mem::take(&mut rest)))
    })
}

fn name_length(text: &str) -> usize {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || "._:|+-".contains(c)))
        .unwrap_or(text.len())
}

/// The variables of a text, without what is added to them (`n` for `{n+1}`).
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|piece| match piece {
        Piece::Variable(name) => Some(name),
        Piece::Text(_) | Piece::Escaped(_) => None,
    })
}

/// Splits `n+1` into `n` and `1`, `n-2` into `n` and `-2`.
pub fn split_sum(name: &str) -> Option<(&str, i64)> {
    let at = name.rfind(['+', '-'])?;
    Some((&name[..at], name[at..].parse().ok()?))
}

/// Replaces the variables of a text; a text that is nothing but a variable takes its type.
fn substitute(text: &str, scope: Scope<'_>) -> Value {
    let mut parts = pieces(text);
    if let (Some(Piece::Variable(name)), None) = (parts.next(), parts.next())
        && let Some(value) = (scope.value)(name)
    {
        return value;
    }
    Value::String(substitute_text(text, scope))
}

/// Replaces the variables of a text by their text form.
pub fn substitute_text(text: &str, scope: Scope<'_>) -> String {
    pieces(text).fold(String::with_capacity(text.len()), |mut out, piece| {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Escaped(name) if scope.is_last => out.extend(["{", name, "}"]),
            Piece::Escaped(name) => out.extend(["{{", name, "}}"]),
            Piece::Variable(name) => match (scope.value)(name) {
                Some(Value::String(value)) => out.push_str(&value),
                Some(value) => out.push_str(&value.to_string()),
                None => out.extend(["{", name, "}"]),
            },
        }
        out
    })
}

/// What can be done with a value: `{etag|bare}`.
pub const TRANSFORMS: [&str; 4] = ["upper", "lower", "bare", "last"];

/// Splits `name|upper` into `name` and `upper`.
pub fn split_transform(name: &str) -> Option<(&str, &str)> {
    name.split_once('|')
}

/// Applies one of [`TRANSFORMS`] to a text: `bare` takes the quotes, and the mark of a weak tag, off an entity tag; `last` is
/// the last segment of a path.
pub fn transform(text: &str, transform: &str) -> Option<String> {
    match transform {
        "upper" => Some(text.to_uppercase()),
        "lower" => Some(text.to_lowercase()),
        "last" => text.rsplit('/').next().map(str::to_owned),
        "bare" => Some(text.trim_start_matches("W/").trim_matches('"').to_owned()),
        _ => None,
    }
}

/// Whether no text of a value, keys included, holds a variable; the braces of a regular expression are none.
pub fn is_plain(value: &Value) -> bool {
    match value {
        Value::String(text) => !has_variable(text),
        Value::Array(values) => values.iter().all(is_plain),
        Value::Object(map) => map.iter().all(|(key, value)| !has_variable(key) && is_plain(value)),
        _ => true,
    }
}

/// Whether any text of a value, keys included, holds a variable of some name, transformed or added to or not.
pub fn mentions(value: &Value, is_wanted: &dyn Fn(&str) -> bool) -> bool {
    let in_text = |text: &str| {
        text.contains('{')
            && names(text).any(|whole| {
                let name = split_transform(whole).map_or(whole, |(name, _)| name);
                is_wanted(whole) || is_wanted(name) || split_sum(name).is_some_and(|(name, _)| is_wanted(name))
            })
    };
    match value {
        Value::String(text) => in_text(text),
        Value::Array(values) => values.iter().any(|value| mentions(value, is_wanted)),
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| in_text(key) || mentions(value, is_wanted)),
        _ => false,
    }
}

/// Whether a text names a variable.
pub(super) fn has_variable(text: &str) -> bool {
    text.contains('{') && pieces(text).any(|piece| !matches!(piece, Piece::Text(_)))
}

/// Replaces the variables in all texts of a value, keys included; borrowed when there are none.
pub fn resolve<'a>(value: &'a Value, scope: Scope<'_>) -> Cow<'a, Value> {
    match value {
        Value::String(text) if has_variable(text) => Cow::Owned(substitute(text, scope)),
        Value::Array(values) => {
            let changed = values
                .iter()
                .enumerate()
                .find_map(|(index, value)| Some((index, owned(resolve(value, scope))?)));
            let Some((index, changed)) = changed else {
                return Cow::Borrowed(value);
            };
            let (before, after) = values.split_at(index);
            let after = after.iter().skip(1).map(|value| resolve(value, scope).into_owned());
            Cow::Owned(Value::Array(
                before.iter().cloned().chain([changed]).chain(after).collect(),
            ))
        }
        Value::Object(map) => {
            let entry = |(key, value): (&'a String, &'a Value)| {
                let is_plain = !has_variable(key);
                match (is_plain, resolve(value, scope)) {
                    (true, Cow::Borrowed(_)) => None,
                    (true, Cow::Owned(value)) => Some((key.clone(), value)),
                    (false, value) => Some((substitute_text(key, scope), value.into_owned())),
                }
            };
            let changed = map
                .iter()
                .enumerate()
                .find_map(|(index, member)| Some((index, entry(member)?)));
            let Some((index, changed)) = changed else {
                return Cow::Borrowed(value);
            };
            let whole = |(key, value): (&'a String, &'a Value)| {
                entry((key, value)).unwrap_or_else(|| (key.clone(), value.clone()))
            };
            let before = map.iter().take(index).map(|(key, value)| (key.clone(), value.clone()));
            let after = map.iter().skip(index + 1).map(whole);
            Cow::Owned(Value::Object(
                before.chain([changed]).chain(after).collect::<Map<_, _>>(),
            ))
        }
        _ => Cow::Borrowed(value),
    }
}

fn owned(value: Cow<'_, Value>) -> Option<Value> {
    match value {
        Cow::Borrowed(_) => None,
        Cow::Owned(value) => Some(value),
    }
}

/// The most that a generator makes, in bytes.
const MOST: usize = 16 << 20;

/// Carries out the generators in a body.
pub fn generate(value: &Value) -> Cow<'_, Value> {
    if !has_generator(value) {
        return Cow::Borrowed(value);
    }
    let Value::Object(map) = value else {
        return match value {
            Value::Array(values) => Cow::Owned(values.iter().map(|value| generate(value).into_owned()).collect()),
            _ => Cow::Borrowed(value),
        };
    };
    if let Some((name, arguments)) = generator(map) {
        let count = |key: &str| {
            arguments
                .get(key)
                .and_then(Value::as_u64)
                .and_then(|n| usize::try_from(n).ok())
        };
        // No more than fits, however much a case wants.
        let times = |size: usize| count("times").unwrap_or_default().min(MOST / size.max(1));
        let of = || generate(arguments.get("of").unwrap_or(&Value::Null)).into_owned();
        return Cow::Owned(match name {
            Generator::Repeat => {
                let text = arguments.get("text").and_then(Value::as_str).unwrap_or_default();
                Value::String(text.repeat(times(text.len())))
            }
            Generator::List => {
                let of = of();
                Value::Array(vec![of.clone(); times(size(&of))])
            }
        });
    }
    Cow::Owned(Value::Object(
        map.iter()
            .map(|(key, value)| (key.clone(), generate(value).into_owned()))
            .collect(),
    ))
}

/// About how many bytes a value takes.
fn size(value: &Value) -> usize {
    const OWN: usize = size_of::<Value>();
    match value {
        Value::String(text) => OWN + text.len(),
        Value::Array(values) => OWN + values.iter().map(size).sum::<usize>(),
        Value::Object(map) => {
            OWN + map
                .iter()
                .map(|(key, value)| OWN + key.len() + size(value))
                .sum::<usize>()
        }
        _ => OWN,
    }
}

fn generator(map: &Map<String, Value>) -> Option<(Generator, &Map<String, Value>)> {
    let (name, arguments) = map.iter().next().filter(|_| map.len() == 1)?;
    Some((Generator::named(name)?, arguments.as_object()?))
}

/// Reports generators that miss an argument.
pub(super) fn check_generators(item: Item<'_>) {
    let inside = |item: Item<'_>| {
        check_generators(item);
        Some(())
    };
    match item.value() {
        Value::Array(_) => _ = item.elements(inside),
        Value::Object(map) => match generator(map) {
            Some((generator, _)) => {
                let keys = match generator {
                    Generator::Repeat => ["text", "times"],
                    Generator::List => ["of", "times"],
                };
                item.members(|_, arguments| {
                    let fields = arguments.object(&keys)?;
                    keys.map(|key| fields.require(key))
                        .into_iter()
                        .all(|found| found.is_some())
                        .then_some(())
                });
            }
            None => _ = item.members(|_, item| inside(item)),
        },
        _ => {}
    }
}

/// Whether there is a generator in a body.
pub fn has_generator(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(has_generator),
        Value::Object(map) => generator(map).is_some() || map.values().any(has_generator),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCOPE: Scope<'_> = Scope {
        value: &lookup,
        is_last: true,
    };

    fn lookup(name: &str) -> Option<Value> {
        match name {
            "n" => Some(json!(7)),
            "who" => Some(json!("alice")),
            _ => None,
        }
    }

    fn resolved(value: &Value) -> Value {
        resolve(value, SCOPE).into_owned()
    }

    #[test]
    fn a_text_that_is_nothing_but_a_variable_takes_its_type() {
        assert_eq!(resolved(&json!({"a": ["{n}", "{who}"]})), json!({"a": [7, "alice"]}));
    }

    #[test]
    fn variables_inside_a_text_and_in_keys_are_spliced() {
        assert_eq!(resolved(&json!({"k-{n}": "x{who}y{n}"})), json!({"k-7": "xalicey7"}));
    }

    #[test]
    fn doubled_braces_stand_for_themselves() {
        assert_eq!(resolved(&json!("{{who}} {who}")), json!("{who} alice"));
    }

    #[test]
    fn braces_that_hold_no_name_are_text() {
        let text = json!("{\"a\": {}} {1} { {");
        assert_eq!(resolved(&text), text);
    }

    #[test]
    fn generators_make_long_and_many() {
        let made = |value: &Value| generate(value).into_owned();
        let body = json!({"a": {"$repeat": {"text": "ab", "times": 2}}, "b": [{"$list": {"of": 1, "times": 2}}]});
        assert_eq!(made(&body), json!({"a": "abab", "b": [[1, 1]]}));
    }
}
