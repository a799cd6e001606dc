//! What must never be written: the tokens of a target's identities, and a canary that shows whether the watch works.

use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{Secret, Target};

/// What stands in place of a secret.
const REDACTED: &str = "<secret>";
/// A shorter value is no secret, and would be found everywhere.
const SHORTEST: usize = 8;

/// The secrets of one run, in every spelling in which they could be written.
pub struct Secrets {
    search: Option<AhoCorasick>,
    /// Whose each spelling is.
    owners: Vec<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets of {} spellings", self.owners.len())
    }
}

impl Secrets {
    /// The tokens of a target, and the canary of a run: a token that nobody has, sent by the unknown speaker.
    pub fn new(target: &Target, canary: &Secret) -> Self {
        let mut spellings: Vec<(String, String)> = Vec::new();
        let tokens = target
            .identities
            .iter()
            .map(|(name, identity)| (name.as_str(), identity.authorization.reveal()));
        for (owner, token) in tokens.chain([("the canary", canary.reveal())]) {
            // The part after the scheme and the user's hash is the one that opens doors.
            let bare = token.rsplit([';', ' ']).next().unwrap_or(token);
            for value in [token, bare].into_iter().filter(|value| value.len() >= SHORTEST) {
                for spelling in spell(value) {
                    if !spellings.iter().any(|(known, _)| *known == spelling) {
                        spellings.push((spelling, owner.to_owned()));
                    }
                }
            }
        }
        let (patterns, owners): (Vec<String>, Vec<String>) = spellings.into_iter().unzip();
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns)
            .ok();
        Self { search, owners }
    }

    /// Whose secret a text holds; `None` when it holds none.
    pub fn find(&self, text: &str) -> Option<&str> {
        let Some(search) = &self.search else {
            return Some("a target whose tokens cannot be watched for");
        };
        let found = search.find(text)?;
        self.owners.get(found.pattern().as_usize()).map(String::as_str)
    }

    /// The text with a mark in place of each secret; `None` when it holds none.
    pub fn redact(&self, text: &str) -> Option<String> {
        let search = self.search.as_ref()?;
        search.find(text)?;
        Some(search.replace_all(text, &vec![REDACTED; self.owners.len()]))
    }

    /// Redacts a text in place.
    pub fn redact_text(&self, text: &mut String) {
        if let Some(redacted) = self.redact(text) {
            *text = redacted;
        }
    }
}

/// A value as it stands in a header, in JSON, XML, HTML, a URL, and base64.
fn spell(value: &str) -> Vec<String> {
    let json = Value::from(value).to_string();
    let html = value
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    let mut spellings = vec![
        value.to_owned(),
        json.trim_matches('"').to_owned(),
        html.replace('\'', "&apos;"),
        html,
        percent(value, |byte| format!("%{byte:02X}")),
        percent(value, |byte| format!("%{byte:02x}")),
        STANDARD_NO_PAD.encode(value),
        URL_SAFE_NO_PAD.encode(value),
    ];
    spellings.dedup();
    spellings
}

fn percent(value: &str, escape: impl Fn(u8) -> String) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    value
        .bytes()
        .map(|byte| {
            if is_plain(byte) {
                char::from(byte).to_string()
            } else {
                escape(byte)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::target::Identity;

    fn secrets(token: &str) -> Secrets {
        let identity = Identity {
            xuid: None,
            gamertag: None,
            title: "1".to_owned(),
            device: None,
            authorization: Secret::new(token.to_owned()),
        };
        let target = Target {
            name: String::new(),
            base_url: String::new(),
            scid: String::new(),
            templates: BTreeMap::new(),
            identities: [("alice".to_owned(), identity)].into(),
            lacks: BTreeSet::new(),
            advance_header: None,
            in_flight: None,
            lock: None,
            is_disposable: false,
        };
        Secrets::new(&target, &Secret::new("XBL3.0 x=0;canary-canary".to_owned()))
    }

    #[test]
    fn a_token_is_found_in_every_spelling() {
        let secrets = secrets("XBL3.0 x=17;ey+J\"h&bGci");
        for text in [
            "Authorization: XBL3.0 x=17;ey+J\"h&bGci",
            "the token ey+J\"h&bGci alone",
            r#"{"token": "ey+J\"h&bGci"}"#,
            "<p>ey+J&quot;h&amp;bGci</p>",
            "?token=ey%2BJ%22h%26bGci",
            "ZXkrSiJoJmJHY2k",
        ] {
            assert_eq!(secrets.find(text), Some("alice"), "{text}");
            assert_eq!(secrets.find(&secrets.redact(text).unwrap()), None, "{text}");
        }
        assert_eq!(secrets.find("x=canary-canary"), Some("the canary"));
        assert_eq!(secrets.find("nothing to see"), None);
    }

    #[test]
    fn a_token_too_short_to_be_one_is_not_searched_for_alone() {
        let secrets = secrets("XBL3.0 x=1;t0");
        assert_eq!(secrets.find("t0"), None);
        assert_eq!(secrets.find("XBL3.0 x=1;t0"), Some("alice"));
    }
}
