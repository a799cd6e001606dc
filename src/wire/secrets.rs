//! What must never be written: the tokens of a target's identities, and a canary that shows whether the watch works.

use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use aho_corasick::{AhoCorasick, Anchored, Input, Match, MatchKind, StartKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::target::{Secret, Target};

/// What stands in place of a secret.
const REDACTED: &str = "<secret>";
/// A shorter value is no secret, and would be found everywhere.
const SHORTEST: usize = 8;
/// A part of a secret that is so long is one itself.
const LONG: usize = 16;

/// The secrets of one run, in every spelling in which they could be written.
///
/// More may be learnt while it goes on: a token that is renewed does not make the old one public.
pub struct Secrets {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// Each spelling, with whose it is.
    spellings: Vec<(String, String)>,
    search: Option<AhoCorasick>,
    sieve: Sieve,
}

/// Tells of nearly every text at once that no spelling is in it, and of the others where one may begin.
///
/// Of a text only every `stride`th window is looked at: whatever holds a spelling holds one of the spelling's first `stride`
/// windows there, as every spelling is longer than a stride and a window less one letter.
#[derive(Default)]
struct Sieve {
    /// In bytes; 0 when there is a spelling too short for this.
    stride: usize,
    /// The first windows of all spellings, in order.
    windows: Vec<u32>,
    /// A bit for the hash of each of them.
    bits: Vec<u64>,
}

/// A window's length in bytes.
const WINDOW: usize = 4;
/// The longest stride in bytes: a longer one knows so many windows that it meets one of them by chance.
const STRIDE: usize = 16;
/// The number of bits of a window's hash.
const HASH: u32 = 16;

impl Sieve {
    fn new(spellings: &[&str]) -> Self {
        // What holds another spelling is found by that one: a whole header by its token, not by its user, whom answers name.
        let holds = |one: &str, other: &str| one.len() > other.len() && one.contains(other);
        let is_least = |one: &&&str| !spellings.iter().any(|other| holds(one, other));
        let spellings = spellings.iter().filter(is_least).copied();
        let shortest = spellings.clone().map(str::len).min().unwrap_or_default();
        let stride = (shortest + 1).saturating_sub(WINDOW).min(STRIDE);
        if stride < WINDOW {
            return Self::default();
        }
        let first = |spelling| str::as_bytes(spelling).array_windows().take(stride);
        let mut windows: Vec<u32> = spellings.flat_map(first).map(|window| letters(*window)).collect();
        windows.sort_unstable();
        windows.dedup();
        let mut bits = vec![0; 1 << (HASH - u64::BITS.trailing_zeros())];
        for window in &windows {
            let (word, bit) = place(*window);
            if let Some(word) = bits.get_mut(word) {
                *word |= bit;
            }
        }
        Self { stride, windows, bits }
    }

    /// The first spelling in a text.
    fn find(&self, search: &AhoCorasick, text: &str) -> Option<Match> {
        if self.stride == 0 {
            return search.find(text);
        }
        let begins = |start: usize| {
            let here = Input::new(text).range(start..).anchored(Anchored::Yes);
            search.try_find(here).ok()?
        };
        let mut hits = self.hits(text.as_bytes());
        hits.find_map(|hit| ((hit + 1).saturating_sub(self.stride)..=hit).find_map(begins))
    }

    /// The places of a text that are looked at and have a known window.
    fn hits(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let has = |window: u32| {
            let (word, bit) = place(window);
            self.bits.get(word).is_some_and(|word| word & bit != 0) && self.windows.binary_search(&window).is_ok()
        };
        let windows = text.chunks(self.stride).map(<[u8]>::first_chunk);
        let hits = windows
            .enumerate()
            .filter(move |(_, window)| window.is_some_and(|window| has(letters(*window))));
        hits.map(|(index, _)| index * self.stride)
    }
}

/// A window as a number, the same for upper and lower case.
fn letters(window: [u8; WINDOW]) -> u32 {
    u32::from_le_bytes(window) | 0x2020_2020
}

/// Where a window's bit is.
fn place(window: u32) -> (usize, u64) {
    let hash = window.wrapping_mul(0x9e37_79b1) >> (u32::BITS - HASH);
    ((hash / u64::BITS) as usize, 1 << (hash % u64::BITS))
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.known().fmt(f)
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets of {} spellings", self.spellings.len())
    }
}

impl Secrets {
    /// The tokens of a target and whatever else it keeps to itself, and the canary of a run: a token that nobody has, sent
    /// by the unknown speaker.
    pub fn new(target: &Target, canary: &Secret) -> Self {
        let mut known = Known::default();
        for (name, identity) in &target.identities {
            known.add(name, &identity.token.reveal());
        }
        for header in target.headers.iter().filter(|header| header.is_secret) {
            known.add(&format!("the header `{}`", header.name), &header.value);
        }
        if let Some(authorization) = target.proxy.as_ref().and_then(|proxy| proxy.authorization.as_ref()) {
            known.add("the proxy", authorization.reveal());
        }
        known.add("the canary", canary.reveal());
        known.build();
        Self {
            known: RwLock::new(known),
        }
    }

    /// Watches for one more value.
    pub fn learn(&self, owner: &str, value: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.add(owner, value);
        known.build();
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose secret a text holds; `None` when it holds none.
    pub fn find(&self, text: &str) -> Option<String> {
        let known = self.known();
        let Some(search) = &known.search else {
            return Some("the tokens of the target cannot be redacted".to_owned());
        };
        let found = known.sieve.find(search, text)?;
        known
            .spellings
            .get(found.pattern().as_usize())
            .map(|(_, owner)| owner.clone())
    }

    /// Whoever redacts many texts asks but once what the secrets are.
    pub fn redactor(&self) -> Redactor<'_> {
        Redactor(self.known())
    }

    /// Redacts a text in place.
    pub fn redact_text(&self, text: &mut String) {
        self.redactor().redact_text(text);
    }
}

/// Takes secrets out of texts; no secret is learnt meanwhile.
#[derive(Debug)]
pub struct Redactor<'a>(RwLockReadGuard<'a, Known>);

impl Redactor<'_> {
    /// The text with a mark in place of each secret; `None` when it holds none.
    pub fn redact(&self, text: &str) -> Option<String> {
        let search = self.0.search.as_ref()?;
        self.0.sieve.find(search, text)?;
        Some(search.replace_all(text, &vec![REDACTED; self.0.spellings.len()]))
    }

    /// Redacts a text in place.
    pub fn redact_text(&self, text: &mut String) {
        if let Some(redacted) = self.redact(text) {
            *text = redacted;
        }
    }
}

impl Known {
    fn add(&mut self, owner: &str, secret: &str) {
        // The part after the scheme and the user's hash is the one that opens doors; where it is long enough to be found, so
        // is the whole.
        let bare = secret.rsplit([';', ' ']).next().unwrap_or(secret);
        let value = if bare.len() >= SHORTEST { bare } else { secret };
        if value.len() >= SHORTEST {
            self.add_spelling(owner, secret.to_owned());
            for spelling in spell(value) {
                self.add_spelling(owner, spelling);
            }
        }
        // Long runs of letters that no escaping changes, whatever becomes of the rest.
        for run in bare.split(|c: char| !is_unreserved(c)).filter(|run| run.len() >= LONG) {
            self.add_spelling(owner, run.to_owned());
        }
    }

    fn add_spelling(&mut self, owner: &str, spelling: String) {
        if !self.spellings.iter().any(|(known, _)| *known == spelling) {
            self.spellings.push((spelling, owner.to_owned()));
        }
    }

    fn build(&mut self) {
        let spellings: Vec<&str> = self.spellings.iter().map(|(spelling, _)| spelling.as_str()).collect();
        self.sieve = Sieve::new(&spellings);
        self.search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .start_kind(StartKind::Both)
            .ascii_case_insensitive(true)
            .build(self.spellings.iter().map(|(spelling, _)| spelling))
            .ok();
    }
}

/// A value as it stands in a header, in JSON, XML, HTML, a URL, and base64; upper and lower case are taken for the same.
fn spell(value: &str) -> Vec<String> {
    let json = Value::from(value).to_string();
    let html = value
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    let is_unreserved = |byte: u8| is_unreserved(char::from(byte));
    let is_left_alone = |byte: u8| is_unreserved(byte) || b";,/?:@&=+$#!*'()".contains(&byte);
    let is_plain_json = |byte: u8| is_unreserved(byte) || b" !#$%()*,/:;=?@[]^{|}".contains(&byte);
    let percent = |byte| format!("%{byte:02X}");
    let mut spellings = vec![
        value.to_owned(),
        json.trim_matches('"').to_owned(),
        html.replace('\'', "&apos;"),
        html.replace('\'', "&#39;"),
        html,
        escape(value, is_unreserved, percent),
        escape(value, is_left_alone, percent),
        escape(value, is_unreserved, percent).replace("%20", "+"),
        // As servers write JSON that is safe in HTML, with slashes escaped or not.
        escape(value, is_plain_json, |byte| format!("\\u{byte:04X}")),
        escape(value, is_plain_json, |byte| format!("\\u{byte:04X}")).replace('/', "\\/"),
        json.trim_matches('"').replace('/', "\\/"),
        escape(value, |_| false, |byte| format!("{byte:02x}")),
    ];
    spellings.extend(base64(value));
    spellings.sort();
    spellings.dedup();
    spellings
}

/// What is the same in the base64 of every text that has the value in it, by where in a group of three bytes it begins.
fn base64(value: &str) -> Vec<String> {
    let at = |before: usize| {
        let bytes: Vec<u8> = vec![0; before].into_iter().chain(value.bytes()).collect();
        let (whole, first) = (bytes.len() * 8 / 6, (before * 8).div_ceil(6));
        [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)]
            .map(|text| text.get(first..whole).unwrap_or_default().to_owned())
    };
    let found = [0, 1, 2].into_iter().flat_map(at);
    found.filter(|text| text.len() >= SHORTEST).collect()
}

/// Whether it stands for itself everywhere.
fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')
}

fn escape(value: &str, is_plain: impl Fn(u8) -> bool, escape: impl Fn(u8) -> String) -> String {
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
    use super::*;
    use crate::target::Identity;
    use crate::target::token::Token;

    fn secrets(token: &str) -> Secrets {
        let identity = Identity {
            xuid: None,
            gamertag: None,
            title: "1".to_owned(),
            device: None,
            token: Token::fixed(token),
        };
        let target = Target {
            identities: [("alice".to_owned(), identity)].into(),
            ..Target::default()
        };
        Secrets::new(&target, &Secret::new("XBL3.0 x=0;canary-canary".to_owned()))
    }

    #[test]
    fn a_token_is_found_in_every_spelling() {
        let secrets = secrets("XBL3.0 x=17;ey+J\"h&bGci/k");
        for text in [
            "Authorization: XBL3.0 x=17;ey+J\"h&bGci/k",
            "the token ey+J\"h&bGci/k alone",
            "THE TOKEN EY+J\"H&BGCI/K IN CAPITALS",
            r#"{"token": "ey+J\"h&bGci/k"}"#,
            r#"{"token": "ey\u002bJ\u0022h\u0026bGci/k"}"#,
            r#"{"token": "ey+J\"h&bGci\/k"}"#,
            "<p>ey+J&quot;h&amp;bGci/k</p>",
            "?token=ey%2BJ%22h%26bGci%2fk",
            "?token=ey+J%22h&bGci/k",
            "65792b4a226826624763692f6b",
        ] {
            assert_eq!(secrets.find(text).as_deref(), Some("alice"), "{text}");
            assert_eq!(secrets.find(&secrets.redactor().redact(text).unwrap()), None, "{text}");
        }
        assert_eq!(secrets.find("x=canary-canary").as_deref(), Some("the canary"));
        assert_eq!(secrets.find("nothing to see"), None);
    }

    #[test]
    fn a_token_is_found_in_base64_wherever_it_begins() {
        let secrets = secrets("XBL3.0 x=17;ey+J\"h&bGci/k");
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "z", "zz"] {
                let text = STANDARD_NO_PAD.encode(format!("{before}ey+J\"h&bGci/k{after}"));
                assert!(secrets.find(&text).is_some(), "{before} {after}: {text}");
            }
        }
    }

    #[test]
    fn a_token_is_found_wherever_it_begins_and_ends() {
        let secrets = secrets("XBL3.0 x=17;sixteen-letters!");
        for before in 0..9 {
            for after in 0..9 {
                let text = format!("{}SIXTEEN-letters!{}", "é".repeat(before), ".".repeat(after));
                assert!(secrets.find(&text).is_some(), "{text}");
            }
        }
    }

    #[test]
    fn a_token_that_was_replaced_stays_a_secret() {
        let secrets = secrets("XBL3.0 x=1;the-old-one");
        secrets.learn("alice", "XBL3.0 x=1;the-new-one");
        assert!(secrets.find("the-old-one").is_some() && secrets.find("the-new-one").is_some());
    }

    #[test]
    fn a_token_too_short_to_be_one_is_not_searched_for_alone() {
        let secrets = secrets("XBL3.0 x=1;t0");
        assert_eq!(secrets.find("t0"), None);
        assert_eq!(secrets.find("XBL3.0 x=1;t0").as_deref(), Some("alice"));
    }
}
