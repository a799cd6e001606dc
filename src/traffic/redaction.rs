//! What must not get out of captured traffic: tokens, cookies and signatures, wherever they stand.
//!
//! The secrets of captured traffic are not known beforehand. They are learnt from the headers that carry them, and from then
//! on found in every text; what merely looks like a token is replaced too.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::{Captures, Regex};
use serde_json::Value;

use crate::contract::json::document::Document;

/// A shorter value is no secret, and would be found everywhere.
const SHORTEST: usize = 8;

/// Headers whose values are secrets as a whole.
const HEADERS: [&str; 5] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "signature",
];

/// Words in the name of a header, a query parameter or a JSON member whose value is a secret.
static NAMES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = "(?i)(authorization|cookie|signature|secret|password|api-?key|tokens?$|^sig$|^auth)";
    Regex::new(words).ok()
});

/// Texts that are secrets wherever they stand: Xbox tokens, bearer tokens, and signed or encrypted JSON tokens.
static SHAPES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let shapes = r#"XBL3\.0 x=[^;"\s]*;[^"\s,]+|(?i:Bearer) [A-Za-z0-9._~+/=-]{8,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*"#;
    Regex::new(shapes).ok()
});

/// Parameters, of a URL or a form, wherever they stand: what is before the name, the name and the value.
static PARAMETERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let parameters = r#"(^|[^A-Za-z0-9_.~-])([A-Za-z0-9_.~-]+)=([^&;\s"'\\<>]{8,})"#;
    Regex::new(parameters).ok()
});

/// Members of the contract's own documents that are called tokens and open no door.
const HARMLESS: [&str; 3] = ["devicetoken", "hostdevicetoken", "continuationtoken"];

/// How many secrets are known at a time: of more, those that were not seen for the longest time are forgotten.
const MANY: usize = 256;
/// How many of them are looked for one by one, before they are all looked for at once.
const FRESH: usize = 16;
/// How much of a secret it is found by, in bytes.
const TELLING: usize = 128;

/// The secrets that were seen of late, each with the mark that stands for it: `<secret:1>`, or `<secret:alice>`.
#[derive(Default)]
pub struct Redaction {
    known: HashMap<Trace, Secret>,
    /// How many of them have a number for a name.
    count: usize,
    /// How often something was learnt or seen again.
    clock: usize,
    /// Finds what was known when it was made, by `marks`.
    search: Option<AhoCorasick>,
    marks: Vec<(Trace, bool)>,
    /// Those that were learnt since.
    fresh: Vec<Trace>,
}

/// Stands for a value without holding it.
type Trace = (usize, u64);

/// What is known of a secret.
struct Secret {
    mark: String,
    /// When it was seen last.
    seen: usize,
    /// Whether somebody named its owner: it is never forgotten.
    is_named: bool,
    /// What it is found by, and whether it goes on after that.
    spellings: Vec<(String, bool)>,
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redaction of {} secrets", self.known.len())
    }
}

/// Whether the values of a header, a query parameter or a JSON member of this name are secrets.
pub fn is_secret_name(name: &str) -> bool {
    let is_harmless = HARMLESS.iter().any(|known| name.eq_ignore_ascii_case(known));
    let is_known = HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known));
    is_known || (!is_harmless && NAMES.as_ref().is_some_and(|names| names.is_match(name)))
}

/// The part after the scheme and the user's hash: the one that opens doors.
fn bare(value: &str) -> &str {
    value.rsplit([';', ' ']).next().unwrap_or(value)
}

fn trace(value: &str) -> Trace {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    (value.len(), hasher.finish())
}

impl Redaction {
    /// Learns a secret and whose it is.
    pub fn name(&mut self, value: &str, owner: &str) {
        self.add(value, &format!("<secret:{owner}>"), true);
    }

    /// Learns the secrets among the headers of a message.
    pub fn learn(&mut self, headers: &[(String, String)]) {
        for (name, value) in headers.iter().filter(|(name, _)| is_secret_name(name)) {
            if name.eq_ignore_ascii_case("cookie") || name.eq_ignore_ascii_case("set-cookie") {
                // The attributes of a cookie are no secrets, its value is.
                let values = value.split(';').filter_map(|part| part.split_once('='));
                for (_, value) in values {
                    self.number(value.trim());
                }
            } else {
                self.number(value);
            }
        }
    }

    /// The mark that stands for a value in place of it.
    pub fn mark(&mut self, value: &str) -> String {
        self.number(value);
        self.marked(value)
    }

    fn marked(&self, value: &str) -> String {
        let secret = self.known.get(&trace(value));
        secret.map_or_else(|| "<secret>".to_owned(), |secret| secret.mark.clone())
    }

    fn number(&mut self, value: &str) {
        self.clock += 1;
        for part in [value, bare(value)] {
            if let Some(secret) = self.known.get_mut(&trace(part)) {
                secret.seen = self.clock;
            }
        }
        if self.known.contains_key(&trace(value)) {
            return;
        }
        let is_mark = value.starts_with('<') && value.ends_with('>');
        if value.len() >= SHORTEST && !is_mark {
            self.count += 1;
            self.add(value, &format!("<secret:{}>", self.count), false);
        }
    }

    fn add(&mut self, value: &str, mark: &str, is_named: bool) {
        if value.len() < SHORTEST {
            return;
        }
        for part in [value, bare(value)].into_iter().filter(|part| part.len() >= SHORTEST) {
            let json = Value::from(part).to_string();
            let mut spellings: Vec<(String, bool)> = Vec::new();
            for spelling in [part, json.trim_matches('"')] {
                let end = (0..=spelling.len().min(TELLING))
                    .rev()
                    .find(|end| spelling.is_char_boundary(*end));
                let telling = spelling.get(..end.unwrap_or_default()).unwrap_or(spelling);
                let found = (telling.to_owned(), telling.len() < spelling.len());
                if !spellings.contains(&found) {
                    spellings.push(found);
                }
            }
            let secret = Secret {
                mark: mark.to_owned(),
                seen: self.clock,
                is_named,
                spellings,
            };
            let trace = trace(part);
            if self.known.contains_key(&trace) {
                continue;
            }
            self.known.insert(trace, secret);
            self.fresh.push(trace);
        }
        if self.fresh.len() > FRESH {
            self.settle();
        }
    }

    /// Forgets what was not seen for long, and makes ready to look for the rest at once.
    fn settle(&mut self) {
        if self.known.len() > MANY {
            let mut ages: Vec<(usize, Trace)> = self
                .known
                .iter()
                .filter(|(_, secret)| !secret.is_named)
                .map(|(trace, secret)| (secret.seen, *trace))
                .collect();
            ages.sort_unstable();
            for (_, trace) in ages.iter().take(self.known.len() - MANY) {
                self.known.remove(trace);
            }
        }
        let mut spellings = Vec::new();
        self.marks.clear();
        for (trace, secret) in &self.known {
            for (spelling, goes_on) in &secret.spellings {
                spellings.push(spelling);
                self.marks.push((*trace, *goes_on));
            }
        }
        self.search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(spellings)
            .ok();
        self.fresh.clear();
    }

    /// A text without the secrets that are known, and without what looks like one.
    pub fn text(&self, text: &str) -> String {
        let known = self.without_known(text);
        let shaped = match SHAPES.as_ref() {
            Some(shapes) => shapes.replace_all(&known, "<secret>"),
            None => known,
        };
        let Some(parameters) = PARAMETERS.as_ref() else {
            return shaped.into_owned();
        };
        let hidden = parameters.replace_all(&shaped, |found: &Captures<'_>| {
            let part = |index| found.get(index).map_or("", |part| part.as_str());
            if is_secret_name(part(2)) && !part(3).starts_with('<') {
                format!("{}{}=<secret>", part(1), part(2))
            } else {
                part(0).to_owned()
            }
        });
        hidden.into_owned()
    }

    fn without_known<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut found: Vec<(usize, usize, &str)> = Vec::new();
        let mut add = |start: usize, end: usize, trace: &Trace, goes_on: bool| {
            let Some(secret) = self.known.get(trace) else { return };
            let rest = text.get(end..).unwrap_or_default();
            let is_end = |c: char| !(c.is_ascii_alphanumeric() || "-._~+/=".contains(c));
            let more = if goes_on {
                rest.find(is_end).unwrap_or(rest.len())
            } else {
                0
            };
            found.push((start, end + more, &secret.mark));
        };
        for hit in self.search.iter().flat_map(|search| search.find_iter(text)) {
            if let Some((trace, goes_on)) = self.marks.get(hit.pattern().as_usize()) {
                add(hit.start(), hit.end(), trace, *goes_on);
            }
        }
        for trace in &self.fresh {
            let spellings = self.known.get(trace).map(|secret| secret.spellings.as_slice());
            for (spelling, goes_on) in spellings.unwrap_or_default() {
                for (start, hit) in text.match_indices(spelling.as_str()) {
                    add(start, start + hit.len(), trace, *goes_on);
                }
            }
        }
        if found.is_empty() {
            return text.into();
        }
        // Of those that begin at one place the longest names what all of them cover.
        found.sort_unstable_by_key(|(start, end, _)| (*start, Reverse(*end)));
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (start, end, mark) in found {
            if start >= done {
                out.push_str(text.get(done..start).unwrap_or_default());
                out.push_str(mark);
            }
            done = done.max(end);
        }
        out.push_str(text.get(done..).unwrap_or_default());
        out.into()
    }

    /// The headers of a message, those that carry secrets with a mark.
    pub fn headers(&mut self, headers: &[(String, String)]) -> Vec<(String, String)> {
        self.learn(headers);
        let redact = |(name, value): &(String, String)| {
            let value = if is_secret_name(name) {
                self.marked(value)
            } else {
                self.text(value)
            };
            (name.clone(), value)
        };
        headers.iter().map(redact).collect()
    }

    /// A path and query; the values of parameters that are called secret are replaced.
    pub fn path(&mut self, path: &str) -> String {
        let Some((path, query)) = path.split_once('?') else {
            return self.text(path);
        };
        let parts: Vec<String> = query
            .split('&')
            .map(|part| match part.split_once('=') {
                Some((name, value)) if is_secret_name(name) => format!("{name}={}", self.mark(value)),
                _ => self.text(part),
            })
            .collect();
        format!("{}?{}", self.text(path), parts.join("&"))
    }

    /// A JSON value; the members that are called secret are replaced.
    pub fn json(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Object(map) => {
                let redacted = map.iter().map(|(key, value)| {
                    let value = match value {
                        Value::String(text) if is_secret_name(key) && !text.is_empty() => self.mark(text).into(),
                        value => self.json(value),
                    };
                    (self.text(key), value)
                });
                Value::Object(redacted.collect())
            }
            other => other.clone(),
        }
    }

    /// A message on a socket, as a body is.
    pub fn message(&mut self, text: &str) -> String {
        String::from_utf8_lossy(&self.body(text.as_bytes())).into_owned()
    }

    /// A body: as JSON where it is some and holds a secret, else as text; as it is where there is nothing to hide.
    pub fn body(&mut self, body: &[u8]) -> Vec<u8> {
        if let Ok(document) = Document::parse(body) {
            let redacted = self.json(document.value());
            // Of members with one name only the last was looked at, and only that one is shown.
            return if redacted == *document.value() && document.repeated_name().is_none() {
                body.to_vec()
            } else {
                redacted.to_string().into_bytes()
            };
        }
        match std::str::from_utf8(body) {
            Ok(text) => self.text(text).into_bytes(),
            Err(_) => body.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "XBL3.0 x=17;dG9rZW4tb2YtYWxpY2U";

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_token_is_replaced_by_one_mark_wherever_it_stands() {
        let mut redaction = Redaction::default();
        let headers = redaction.headers(&[
            pair("Authorization", TOKEN),
            pair("X-Echo", TOKEN),
            pair("Accept", "*/*"),
        ]);
        assert_eq!(headers[0], pair("Authorization", "<secret:1>"));
        assert_eq!(headers[1], pair("X-Echo", "<secret:1>"));
        assert_eq!(headers[2], pair("Accept", "*/*"));
        assert_eq!(redaction.text("you sent dG9rZW4tb2YtYWxpY2U"), "you sent <secret:1>");
    }

    #[test]
    fn a_token_of_somebody_known_is_called_after_them() {
        let mut redaction = Redaction::default();
        redaction.name(TOKEN, "alice");
        assert_eq!(
            redaction.headers(&[pair("authorization", TOKEN)])[0].1,
            "<secret:alice>"
        );
    }

    #[test]
    fn cookies_signatures_and_parameters_are_hidden_and_attributes_stay_findable() {
        let mut redaction = Redaction::default();
        let headers = redaction.headers(&[
            pair("Set-Cookie", "sid=0123456789; Path=/"),
            pair("Signature", "AAAAAQHcVtC1"),
        ]);
        assert_eq!(
            (headers[0].1.as_str(), headers[1].1.as_str()),
            ("<secret>", "<secret:2>")
        );
        assert_eq!(
            redaction.path("/a?token=abcdefghij&x=0123456789"),
            "/a?token=<secret:3>&x=<secret:1>"
        );
    }

    #[test]
    fn what_looks_like_a_token_is_hidden_though_nobody_said_so() {
        let redaction = Redaction::default();
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
        assert_eq!(
            redaction.text(&format!("saw {jwt} and {TOKEN}")),
            "saw <secret> and <secret>"
        );
    }

    #[test]
    fn members_called_tokens_are_hidden_but_for_those_of_the_contract() {
        let mut redaction = Redaction::default();
        let body = json!({ "joinToken": "0123456789", "deviceToken": "abc12345", "n": [1, "0123456789"] });
        let hidden = redaction.json(&body);
        assert_eq!(
            hidden,
            json!({ "joinToken": "<secret:1>", "deviceToken": "abc12345", "n": [1, "<secret:1>"] })
        );
    }

    #[test]
    fn parameters_called_secret_are_hidden_in_any_text() {
        let mut redaction = Redaction::default();
        let link = "see https://example.com/a?sv=1&sig=abc%2Fdefgh123&continuationToken=12345678";
        let hidden = "see https://example.com/a?sv=1&sig=<secret>&continuationToken=12345678";
        assert_eq!(redaction.text(link), hidden);
        assert_eq!(redaction.headers(&[pair("Location", link)])[0].1, hidden);
        let form = redaction.body(b"grant=x&client_secret=0123456789&a=1");
        assert_eq!(String::from_utf8_lossy(&form), "grant=x&client_secret=<secret>&a=1");
    }

    #[test]
    fn a_long_secret_is_found_by_its_beginning_and_hidden_whole() {
        let mut redaction = Redaction::default();
        let long = "k1".repeat(5_000);
        redaction.learn(&[pair("Signature", &long)]);
        assert_eq!(redaction.text(&format!("\"{long}\" sent")), "\"<secret:1>\" sent");
    }

    #[test]
    fn of_many_secrets_those_in_use_and_those_with_a_name_are_remembered() {
        let mut redaction = Redaction::default();
        redaction.name("a-token-of-alice", "alice");
        for number in 0..10_000 {
            redaction.learn(&[
                pair("Authorization", TOKEN),
                pair("Signature", &format!("signature-{number:05}")),
            ]);
        }
        assert!(redaction.known.len() <= MANY + FRESH + 2, "{redaction:?}");
        assert_eq!(redaction.text("a-token-of-alice"), "<secret:alice>");
        assert_eq!(
            redaction.text("dG9rZW4tb2YtYWxpY2U signature-09999"),
            "<secret:1> <secret:10001>"
        );
    }

    #[test]
    fn a_body_without_a_secret_stays_as_it_is() {
        let body = b"{ \"a\" :  1.0 }";
        assert_eq!(Redaction::default().body(body), body);
    }
}
