//! The requests of a draft, with variables for what is not the same in every run.

use serde_json::{Map, Value, json};

use crate::traffic::Passed;
use crate::traffic::draft::names::Place;
use crate::traffic::draft::steps::{HEADERS, Writer, is_same};
use crate::traffic::draft::{address, session_of};

impl Writer<'_> {
    /// A path with variables; the one of a session as the suite spells it is its variable.
    pub(super) fn path(&self, path: &str, at: usize) -> String {
        if let Some((parts, rest)) = session_of(path) {
            let key = address(parts);
            let canonical = format!(
                "/serviceconfigs/{}/sessiontemplates/{}/sessions/{}",
                parts[0], parts[1], parts[2]
            );
            let is_plain = |place: Option<Place>, text: &str| {
                let whole = self.names.placed(place, text, at);
                whole.is_some_and(|whole| !whole.contains('|'))
            };
            if let Some(session) = self.sessions.iter().find(|known| known.address == key)
                && session.is_named
                && path.starts_with(&canonical)
                && parts[2] == session.name
                && is_plain(None, parts[0])
                && is_plain(Some(Place::Template), parts[1])
            {
                return format!("{{{}}}{}", session.variable, self.pieces(rest, at));
            }
        }
        self.pieces(path, at)
    }

    pub(super) fn pieces(&self, path: &str, at: usize) -> String {
        let mut out = String::new();
        let mut rest = path;
        let mut place = None;
        while let Some(end) = rest.find(['/', '?', '&', '=', ',', '~']) {
            let (piece, tail) = rest.split_at(end);
            out.push_str(&self.names.text_at(place, piece, at));
            let mut chars = tail.chars();
            let mark = chars.next();
            place = Place::after(piece).filter(|_| mark == Some('/'));
            out.extend(mark);
            rest = chars.as_str();
        }
        out.push_str(&self.names.text_at(place, rest, at));
        out
    }

    pub(super) fn headers(&self, one: &Passed, at: usize) -> Map<String, Value> {
        let mut headers = Map::new();
        let mut add = |name: &str, value: Value| match headers.get_mut(name) {
            None => _ = headers.insert(name.to_owned(), value),
            Some(Value::Array(values)) => values.push(value),
            Some(known) => *known = json!([known.take(), value]),
        };
        for (name, value) in &one.request.headers {
            let lower = name.to_ascii_lowercase();
            let is_wanted = HEADERS.contains(&lower.as_str()) || lower == "accept" && one.response.status == 406;
            let is_usual = match lower.as_str() {
                "content-type" => value == "application/json" && one.request.body.is_some(),
                "x-xbl-contract-version" => value.trim() == self.version.to_string(),
                _ => false,
            };
            // A title or a body that nobody sends means nothing.
            let is_idle = lower == "content-type" && one.request.body.is_none();
            if is_wanted && !is_usual && !is_idle {
                add(name, self.names.text(value, at).into());
            }
        }
        if one.header("x-xbl-contract-version").is_none() {
            headers.insert("X-Xbl-Contract-Version".to_owned(), Value::Null);
        }
        if one.request.body.is_some() && one.header("content-type").is_none() {
            headers.insert("Content-Type".to_owned(), Value::Null);
        }
        headers
    }

    /// A body as JSON where that says the same, else as text, else as bytes.
    pub(super) fn body(&self, body: &[u8], at: usize) -> (&'static str, Value) {
        use base64::Engine as _;
        let Ok(text) = std::str::from_utf8(body) else {
            let packed = base64::engine::general_purpose::STANDARD.encode(body);
            return ("base64", packed.into());
        };
        match crate::contract::json::parse("", text) {
            Ok(value) if is_same(text, &value) => ("body", self.names.json(&value, at)),
            _ => ("text", self.names.text(text, at).into()),
        }
    }
}
