//! Stable names for values that change from run to run.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::contract::schemas::VolatileKind;

/// A shorter value is replaced only where it stands alone: `1` in `11` says nothing.
const LONG_ENOUGH: usize = 8;

static GUID: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").ok());

static TIME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$").ok());

static ANY_TIME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)").ok());

/// The names given so far in one variant, in order of first appearance.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Value in lower case, and what is shown for it; the longest first.
    shown: Vec<(String, String)>,
    /// Whether a value begins with this byte, in lower case: nowhere else does anything need to be looked for.
    begins: Begins,
    etags: HashMap<String, String>,
    counts: HashMap<String, usize>,
}

/// The bytes that values begin with.
#[derive(Debug)]
struct Begins([bool; 256]);

impl Default for Begins {
    fn default() -> Self {
        Self([false; 256])
    }
}

impl Begins {
    fn add(&mut self, value: &str) {
        if let Some(first) = value.as_bytes().first() {
            self.0[usize::from(first.to_ascii_lowercase())] = true;
        }
    }

    fn has(&self, first: u8) -> bool {
        self.0[usize::from(first.to_ascii_lowercase())]
    }
}

impl Names {
    /// Starts with what the run knows; `{name}` is shown for each value.
    pub(super) fn new(known: &[(String, String)]) -> Self {
        let mut names = Self::default();
        for (value, name) in known {
            names.insert(value, format!("{{{name}}}"));
        }
        names
    }

    /// Gives a value its name, if it is new and of a kind that has names.
    pub(super) fn meet(&mut self, kind: &VolatileKind, value: &str) {
        match kind {
            VolatileKind::Guid(label) => {
                let label = if label.is_empty() { "guid" } else { label };
                let found: Vec<String> = guids(value).map(str::to_owned).collect();
                for guid in found {
                    self.meet_value(label, &guid);
                }
            }
            VolatileKind::Token(label) => self.meet_value(label, value),
            VolatileKind::Etag => {
                if !self.etags.contains_key(value) {
                    let name = self.next("etag");
                    self.etags.insert(value.to_owned(), name);
                }
            }
            VolatileKind::Time | VolatileKind::Number => {}
        }
    }

    fn meet_value(&mut self, label: &str, value: &str) {
        if !value.is_empty() && !self.shown.iter().any(|(known, _)| known.eq_ignore_ascii_case(value)) {
            let name = self.next(label);
            self.insert(value, name);
        }
    }

    fn next(&mut self, label: &str) -> String {
        let count = self.counts.entry(label.to_owned()).or_default();
        *count += 1;
        format!("<{label}:{count}>")
    }

    fn insert(&mut self, value: &str, name: String) {
        if !value.is_empty() {
            let at = self.shown.partition_point(|(known, _)| known.len() >= value.len());
            self.begins.add(value);
            self.shown.insert(at, (value.to_ascii_lowercase(), name));
        }
    }

    /// What is shown for a value that stands where this kind of value stands.
    pub(super) fn of(&self, kind: &VolatileKind, value: &str) -> String {
        match kind {
            VolatileKind::Time if TIME.as_ref().is_some_and(|time| time.is_match(value)) => "<time>".to_owned(),
            VolatileKind::Number if value.parse::<f64>().is_ok() => "<number>".to_owned(),
            VolatileKind::Etag => self.etag(value),
            _ => self.text(value),
        }
    }

    /// An entity tag, or a list of them, as a condition carries it.
    pub(super) fn etag(&self, value: &str) -> String {
        if let Some(name) = self.etags.get(value) {
            return name.clone();
        }
        let named: Vec<String> = value
            .split(", ")
            .map(|one| {
                // A condition may carry a tag without its quotes (COND-020).
                let known = self.etags.get(one).or_else(|| self.etags.get(&format!("\"{one}\"")));
                known.cloned().unwrap_or_else(|| self.text(one))
            })
            .collect();
        named.join(", ")
    }

    /// The name of a number; a short one means something else too often.
    pub(super) fn number(&self, digits: &str) -> Option<&str> {
        let mut long = self.shown.iter().take_while(|(known, _)| known.len() >= LONG_ENOUGH);
        long.find(|(known, _)| known == digits).map(|(_, name)| name.as_str())
    }

    /// A text with every known value replaced by its name.
    pub(super) fn text(&self, text: &str) -> String {
        let mut named = String::with_capacity(text.len());
        let (mut start, mut at) = (0, 0);
        while let Some(byte) = text.as_bytes().get(at) {
            let found = match text.split_at_checked(at) {
                Some((before, rest)) if self.begins.has(*byte) => self.at(rest, before.chars().next_back()),
                _ => None,
            };
            match found {
                Some((length, name)) => {
                    named.push_str(&text[start..at]);
                    named.push_str(name);
                    at += length;
                    start = at;
                }
                None => at += 1,
            }
        }
        named.push_str(&text[start..]);
        named
    }

    /// A text in which nothing is left that changes from run to run, as far as that can be seen.
    pub(super) fn stable(&self, text: &str) -> String {
        let mut named = self.text(text);
        for (etag, name) in &self.etags {
            if etag.len() >= LONG_ENOUGH {
                named = named
                    .replace(etag.as_str(), name)
                    .replace(&etag.replace('"', "\\\""), name);
            }
        }
        for (pattern, name) in [(&ANY_TIME, "<time>"), (&GUID, "<guid>")] {
            if let Some(pattern) = pattern.as_ref() {
                named = pattern.replace_all(&named, name).into_owned();
            }
        }
        named
    }

    /// The longest known value that `text` starts with: its length and its name.
    fn at(&self, text: &str, before: Option<char>) -> Option<(usize, &str)> {
        let alone = |length: usize| {
            let after = text[length..].chars().next();
            let joins = |next: Option<char>| next.is_some_and(char::is_alphanumeric);
            !joins(before) && !joins(after)
        };
        let found = self.shown.iter().find(|(value, _)| {
            let length = value.len();
            let start = text
                .get(..length)
                .is_some_and(|start| start.eq_ignore_ascii_case(value));
            start && (length >= LONG_ENOUGH || alone(length))
        });
        found.map(|(value, name)| (value.len(), name.as_str()))
    }
}

fn guids(text: &str) -> impl Iterator<Item = &str> {
    GUID.as_ref()
        .into_iter()
        .flat_map(move |guid| guid.captures_iter(text).filter_map(|found| whole(&found)))
}

fn whole<'a>(found: &Captures<'a>) -> Option<&'a str> {
    found.get(0).map(|found| found.as_str())
}
