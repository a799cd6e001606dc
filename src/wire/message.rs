//! Requests and responses as they are on the wire.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderMap, HeaderValue, SET_COOKIE};

use crate::contract::json::document::Document;
use crate::wire::coding::{self, CodingError};
use crate::wire::error::WireError;
use crate::wire::secrets::{Redactor, Secrets};

/// The largest body that is read, in bytes.
pub(crate) const MAX_BODY: usize = 16 << 20;

/// A request as it goes over the wire.
#[derive(Clone, Debug, Default)]
pub struct WireRequest {
    /// The verb.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers in order; names may repeat.
    pub headers: Vec<(String, String)>,
    /// The body; `None` sends none.
    pub body: Option<Bytes>,
}

/// An answer as it came.
#[derive(Clone, Debug, Default)]
pub struct WireResponse {
    /// The status code.
    pub status: u16,
    /// Headers in order; bytes that are no text become U+FFFD.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Whether the request went out twice, and the service may have seen it twice.
    pub was_sent_twice: bool,
}

impl WireResponse {
    /// A response as its body is meant: without the coding that a service may put on it unasked (RFC 9110 12.5.3).
    pub(crate) fn read(status: u16, mut headers: Vec<(String, String)>, mut body: Vec<u8>) -> Result<Self, WireError> {
        let coded = headers
            .iter()
            .position(|(name, _)| name.eq_ignore_ascii_case(CONTENT_ENCODING.as_str()));
        if let Some(place) = coded {
            let (_, coding) = headers.remove(place);
            if !body.is_empty() {
                body = coding::decode(&coding, &body, MAX_BODY).map_err(|error| match error {
                    CodingError::Beyond(reason) => WireError::Limit(format!("the body cannot be read: {reason}")),
                    CodingError::Wrong(reason) => WireError::Broken(format!("the body cannot be read: {reason}")),
                })?;
            }
        }
        Ok(Self {
            status,
            headers,
            body: body.into(),
            was_sent_twice: false,
        })
    }

    /// The value of a header; one that comes several times has the values of all, with commas between them.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Takes out secrets that the target sent back, before anybody looks at the answer: a part of one that is shown is
    /// shown too much.
    pub(crate) fn redact(&mut self, secrets: &Secrets) {
        let redactor = secrets.redactor();
        for (_, value) in &mut self.headers {
            redactor.redact_text(value);
        }
        // Nearly every body is a text, which this finds out faster.
        let text = std::str::from_utf8(&self.body).map_or_else(|_| String::from_utf8_lossy(&self.body), Cow::Borrowed);
        let redacted = redact_text(&text, &redactor);
        drop(text);
        if let Some(redacted) = redacted {
            self.body = redacted.into();
        }
    }
}

/// A body or a frame without its secrets; `None` when it has none.
pub(crate) fn redact_text(text: &str, redactor: &Redactor<'_>) -> Option<String> {
    let redacted = redactor.redact(text);
    // Any letter may be escaped in JSON; what it says then is only seen in what it stands for.
    let shown = redacted.as_deref().unwrap_or(text);
    if shown.as_bytes().contains(&b'\\')
        && shown.contains("\\u")
        && let Ok(document) = Document::parse(shown.as_bytes())
        && document.escaped_texts().any(|text| redactor.redact(text).is_some())
    {
        let json = document.value().to_string();
        return Some(redactor.redact(&json).unwrap_or(json));
    }
    redacted
}

/// Headers in order, with bytes that are no text replaced; one that comes several times is a list (RFC 9110 5.3).
pub(crate) fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut texts: Vec<(String, String)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        match texts.last_mut() {
            Some((known, list)) if known == name.as_str() && name != SET_COOKIE => {
                list.push_str(", ");
                list.push_str(&text(value));
            }
            _ => texts.push((name.as_str().to_owned(), text(value))),
        }
    }
    texts
}
