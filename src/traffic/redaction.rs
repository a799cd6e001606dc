//! What must not get out of captured traffic: tokens, cookies and signatures, wherever they stand.
//!
//! The secrets of captured traffic are not known beforehand. They are learnt from the headers that carry them, and from then
//! on found in every text; what merely looks like a token is replaced too.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;
use serde_json::Value;

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
    let words = "(?i)(authorization|cookie|signature|secret|password|api-?key|token$|^sig$|^auth)";
    Regex::new(words).ok()
});

/// Texts that are secrets wherever they stand: Xbox tokens, bearer tokens, and signed or encrypted JSON tokens.
static SHAPES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let shapes = r#"XBL3\.0 x=[^;"\s]*;[^"\s,]+|(?i:Bearer) [A-Za-z0-9._~+/=-]{8,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*"#;
    Regex::new(shapes).ok()
});

/// Members of the contract's own documents that are called tokens and open no door.
const HARMLESS: [&str; 3] = ["devicetoken", "hostdevicetoken", "continuationtoken"];

/// The secrets that were seen so far, each with the name that stands for it: `<secret:1>`, or `<secret:alice>`.
#[derive(Default)]
pub struct Redaction {
    names: BTreeMap<String, String>,
    /// How many of them have a number for a name.
    count: usize,
    search: Option<AhoCorasick>,
    marks: Vec<String>,
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redaction of {} secrets", self.names.len())
    }
}

/// Whether the values of a header, a query parameter or a JSON member of this name are secrets.
pub fn is_secret_name(name: &str) -> bool {
    let is_harmless = HARMLESS.iter().any(|known| name.eq_ignore_ascii_case(known));
    let is_known = HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known));
    is_known || (!is_harmless && NAMES.as_ref().is_some_and(|names| names.is_match(name)))
}

impl Redaction {
    /// Learns a secret and whose it is.
    pub fn name(&mut self, value: &str, owner: &str) {
        self.add(value, &format!("<secret:{owner}>"));
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
        self.names.get(value).cloned().unwrap_or_else(|| "<secret>".to_owned())
    }

    fn number(&mut self, value: &str) {
        let is_mark = value.starts_with('<') && value.ends_with('>');
        if value.len() >= SHORTEST && !is_mark && !self.names.contains_key(value) {
            self.count += 1;
            self.add(value, &format!("<secret:{}>", self.count));
        }
    }

    fn add(&mut self, value: &str, mark: &str) {
        if value.len() < SHORTEST {
            return;
        }
        // The part after the scheme and the user's hash is the one that opens doors.
        let bare = value.rsplit([';', ' ']).next().unwrap_or(value);
        for part in [value, bare].into_iter().filter(|part| part.len() >= SHORTEST) {
            let json = Value::from(part).to_string();
            for spelling in [part, json.trim_matches('"')] {
                self.names.entry(spelling.to_owned()).or_insert_with(|| mark.to_owned());
            }
        }
        self.marks = self.names.values().cloned().collect();
        self.search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(self.names.keys())
            .ok();
    }

    /// A text without the secrets that are known, and without what looks like one.
    pub fn text(&self, text: &str) -> String {
        let known = match &self.search {
            Some(search) => search.replace_all(text, &self.marks),
            None => text.to_owned(),
        };
        match SHAPES.as_ref() {
            Some(shapes) => shapes.replace_all(&known, "<secret>").into_owned(),
            None => known,
        }
    }

    /// The headers of a message, those that carry secrets with a mark.
    pub fn headers(&mut self, headers: &[(String, String)]) -> Vec<(String, String)> {
        self.learn(headers);
        let redact = |(name, value): &(String, String)| {
            let value = if is_secret_name(name) {
                self.names.get(value).cloned().unwrap_or_else(|| "<secret>".to_owned())
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

    /// A body: as JSON where it is some and holds a secret, else as text; as it is where there is nothing to hide.
    pub fn body(&mut self, body: &[u8]) -> Vec<u8> {
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            let redacted = self.json(&value);
            return if redacted == value {
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
    fn a_body_without_a_secret_stays_as_it_is() {
        let body = b"{ \"a\" :  1.0 }";
        assert_eq!(Redaction::default().body(body), body);
    }
}
