//! What an assertion is about. Its text is part of the interface: lists of deviations, reports and recorded faults hold it.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What was asserted of a response, a frame, or of several of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assertion {
    /// The status.
    Status,
    /// A header, by its name.
    Header(String),
    /// Whether there is a body, and whether it is JSON.
    Content,
    /// A place in the body, a JSON Pointer.
    Body(String),
    /// A place in the session document where the list of members is broken, a JSON Pointer; `None` where the body is not JSON.
    Roster(Option<String>),
    /// The response repeats that of a named step; `None` where that step has none.
    SameAs(String, Option<Difference>),
    /// The session is what it was before the step.
    Unchanged(Difference),
    /// The response follows one of the readings of a ledger entry, by the entry's id.
    Reading(String),
    /// A place in the body, a JSON Pointer, follows its schema.
    Schema(String),
    /// A place in the body of the request, a JSON Pointer, follows its schema; only in watched traffic.
    Request(String),
    /// So many of several responses have one of these statuses.
    Tally(String),
    /// There is a value to capture, by the name of its variable.
    Capture(String),
    /// A socket opens.
    Handshake,
    /// A frame comes, and is JSON.
    Frame,
    /// A frame does not come.
    NoFrame,
    /// What the report of another version of this program has.
    Other(String),
}

/// In what two responses about one document differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Their status.
    Status,
    /// A header, by its name.
    Header(String),
    /// A place in their bodies, a JSON Pointer.
    Body(String),
    /// Only one of them has a JSON body.
    Content,
}

impl Assertion {
    /// Whether it is about what kind of response came at all, so that a failure explains whatever else is wrong with it.
    pub fn is_of_response(&self) -> bool {
        matches!(self, Self::Status | Self::Reading(_) | Self::Tally(_) | Self::Frame)
    }

    /// The same for all members and elements: their indices, and keys as long as a GUID, become `*`.
    #[must_use]
    pub fn general(mut self) -> Self {
        let pointer = match &mut self {
            Self::Body(pointer) | Self::Schema(pointer) | Self::Request(pointer) | Self::Roster(Some(pointer)) => {
                pointer
            }
            Self::SameAs(_, Some(Difference::Body(pointer))) | Self::Unchanged(Difference::Body(pointer)) => pointer,
            _ => return self,
        };
        let is_own =
            |token: &str| token.len() >= 36 || !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
        let tokens = pointer.split('/').map(|token| if is_own(token) { "*" } else { token });
        *pointer = tokens.collect::<Vec<_>>().join("/");
        self
    }

    /// Rewrites whatever came from a case, a request or a response.
    pub fn rewrite(&mut self, rewrite: impl FnOnce(&mut String)) {
        match self {
            Self::Header(text)
            | Self::Body(text)
            | Self::Roster(Some(text))
            | Self::Reading(text)
            | Self::Schema(text)
            | Self::Request(text)
            | Self::Tally(text)
            | Self::Capture(text)
            | Self::Other(text)
            | Self::SameAs(_, Some(Difference::Header(text) | Difference::Body(text)))
            | Self::Unchanged(Difference::Header(text) | Difference::Body(text)) => rewrite(text),
            Self::Status
            | Self::Content
            | Self::Roster(None)
            | Self::SameAs(..)
            | Self::Unchanged(_)
            | Self::Handshake
            | Self::Frame
            | Self::NoFrame => {}
        }
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Content => f.write_str("content"),
            Self::Body(pointer) => write!(f, "body {pointer}"),
            Self::Roster(None) => f.write_str("roster"),
            Self::Roster(Some(pointer)) => write!(f, "roster {pointer}"),
            Self::SameAs(step, None) => write!(f, "same as {step}"),
            Self::SameAs(step, Some(difference)) => write!(f, "same as {step}: {difference}"),
            Self::Unchanged(difference) => write!(f, "unchanged: {difference}"),
            Self::Reading(entry) => write!(f, "reading {entry}"),
            Self::Schema(pointer) => write!(f, "schema {pointer}"),
            Self::Request(pointer) => write!(f, "request {pointer}"),
            Self::Tally(statuses) => write!(f, "tally {statuses}"),
            Self::Capture(name) => write!(f, "capture {name}"),
            Self::Handshake => f.write_str("handshake"),
            Self::Frame => f.write_str("frame"),
            Self::NoFrame => f.write_str("no frame"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Body(pointer) => write!(f, "body {pointer}"),
            Self::Content => f.write_str("body"),
        }
    }
}

impl FromStr for Assertion {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let other = || Self::Other(text.to_owned());
        if let Some(difference) = text.strip_prefix("unchanged: ") {
            return Ok(Difference::read(difference).map_or_else(other, Self::Unchanged));
        }
        if let Some(rest) = text.strip_prefix("same as ") {
            return Ok(match rest.split_once(": ") {
                None => Self::SameAs(rest.to_owned(), None),
                Some((step, difference)) => match Difference::read(difference) {
                    Some(difference) => Self::SameAs(step.to_owned(), Some(difference)),
                    None => other(),
                },
            });
        }
        let (word, rest) = match text.split_once(' ') {
            Some((word, rest)) => (word, Some(rest.to_owned())),
            None => (text, None),
        };
        Ok(match (word, rest) {
            ("status", None) => Self::Status,
            ("content", None) => Self::Content,
            ("handshake", None) => Self::Handshake,
            ("frame", None) => Self::Frame,
            ("no", Some(rest)) if rest == "frame" => Self::NoFrame,
            ("roster", pointer) => Self::Roster(pointer),
            ("header", Some(name)) => Self::Header(name),
            ("body", Some(pointer)) => Self::Body(pointer),
            ("reading", Some(entry)) => Self::Reading(entry),
            ("schema", Some(pointer)) => Self::Schema(pointer),
            ("request", Some(pointer)) => Self::Request(pointer),
            ("tally", Some(statuses)) => Self::Tally(statuses),
            ("capture", Some(name)) => Self::Capture(name),
            _ => other(),
        })
    }
}

impl Difference {
    fn read(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            None if text == "status" => Some(Self::Status),
            None if text == "body" => Some(Self::Content),
            Some(("header", name)) => Some(Self::Header(name.to_owned())),
            Some(("body", pointer)) => Some(Self::Body(pointer.to_owned())),
            _ => None,
        }
    }
}

impl From<&str> for Assertion {
    fn from(text: &str) -> Self {
        let Ok(assertion) = text.parse();
        assertion
    }
}

impl Serialize for Assertion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Assertion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::files::Files;
    use crate::contract::signature::Signatures;

    /// Lists of deviations and recorded faults hold these texts: to change one breaks them.
    #[test]
    fn each_assertion_keeps_its_text() {
        use Assertion as A;
        let text = str::to_owned;
        let texts = [
            (A::Status, "status"),
            (A::Header(text("ETag")), "header ETag"),
            (A::Content, "content"),
            (A::Body(text("/members/0")), "body /members/0"),
            (A::Body(String::new()), "body "),
            (A::Roster(None), "roster"),
            (A::Roster(Some(text("/membersInfo/first"))), "roster /membersInfo/first"),
            (A::SameAs(text("made"), None), "same as made"),
            (
                A::SameAs(text("made"), Some(Difference::Status)),
                "same as made: status",
            ),
            (A::SameAs(text("made"), Some(Difference::Content)), "same as made: body"),
            (
                A::SameAs(text("made"), Some(Difference::Body(String::new()))),
                "same as made: body ",
            ),
            (A::Unchanged(Difference::Header(text("ETag"))), "unchanged: header ETag"),
            (A::Unchanged(Difference::Body(text("/a"))), "unchanged: body /a"),
            (A::Reading(text("X-20")), "reading X-20"),
            (A::Schema(text("/branch")), "schema /branch"),
            (A::Schema(String::new()), "schema "),
            (A::Request(text("/members")), "request /members"),
            (A::Tally(text("200, 201")), "tally 200, 201"),
            (A::Capture(text("tag")), "capture tag"),
            (A::Handshake, "handshake"),
            (A::Frame, "frame"),
            (A::NoFrame, "no frame"),
            (A::Other(text("unchanged: mind")), "unchanged: mind"),
        ];
        for (assertion, text) in texts {
            assert_eq!(assertion.to_string(), text);
            assert_eq!(A::from(text), assertion);
        }
    }

    #[test]
    fn the_recorded_faults_show_in_assertions_that_are_known() {
        let signatures = Signatures::read(&Files::embedded()).unwrap().unwrap();
        for sign in signatures.faults.iter().flat_map(|fault| &fault.signs) {
            // A status is recorded with the status that came.
            let text = if sign.starts_with("status ") { "status" } else { sign };
            let assertion = Assertion::from(text);
            assert_eq!(assertion.to_string(), text);
            assert!(!matches!(assertion, Assertion::Other(_)), "{sign}");
        }
    }

    #[test]
    fn the_same_defect_of_two_members_is_one() {
        let general = |text: &str| Assertion::from(text).general().to_string();
        assert_eq!(general("schema /members/12/joinTime"), "schema /members/*/joinTime");
        assert_eq!(
            general("unchanged: body /members/3/next"),
            "unchanged: body /members/*/next"
        );
        assert_eq!(general("tally 200"), "tally 200");
        let guid = "body /custom/0b7a6e0e-97a6-4d0c-9e3e-5f6a4f6f8f21";
        assert_eq!(general(guid), "body /custom/*");
    }
}
