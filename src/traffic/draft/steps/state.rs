//! What a response shows of a session, and whether it is later than another.

use jiff::Timestamp;
use serde_json::Value;

use crate::traffic::draft::{address, json as parse, session_of};
use crate::traffic::{Passed, without_query};

/// What an exchange tells of the order in which things took effect.
pub(super) struct State {
    /// The session, or the path, that it is about.
    key: String,
    branch: Option<Value>,
    number: Option<u64>,
    status: u16,
    is_read: bool,
    /// The handle that it removed.
    removed: Option<String>,
    /// The handles that its answer lists.
    listed: Vec<String>,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl State {
    pub(super) fn of(one: &Passed) -> Option<Self> {
        let (method, status) = (one.request.method.as_str(), one.response.status);
        let path = without_query(&one.request.path);
        let key = match session_of(path) {
            Some((parts, _)) => {
                let (scid, template, name) = address(parts);
                format!("{scid}/{template}/{name}")
            }
            None => path.to_lowercase(),
        };
        let removed = key
            .strip_prefix("/handles/")
            .filter(|_| method == "DELETE" && status < 300);
        let document = parse(&one.response.body).filter(|_| status < 300);
        let document = document.as_ref();
        let results = document.and_then(|document| document.get("results")?.as_array());
        let ids = results
            .into_iter()
            .flatten()
            .filter_map(|result| result.get("id")?.as_str());
        Some(Self {
            branch: document.and_then(|document| document.get("branch").cloned()),
            number: document.and_then(|document| document.get("changeNumber")?.as_u64()),
            status,
            is_read: matches!(method, "GET" | "HEAD" | "OPTIONS"),
            removed: removed.map(str::to_owned),
            listed: ids.map(str::to_lowercase).collect(),
            start: one.started?,
            end: ended(one)?,
            key,
        })
    }

    /// Whether it took effect after another one that was sent while it was under way; `None` if they do not touch.
    pub(super) fn is_later(&self, other: &Self) -> Option<bool> {
        if let Some(removed) = &self.removed
            && other.listed.contains(removed)
        {
            return Some(true);
        }
        if self.key != other.key {
            return None;
        }
        if let (Some(number), Some(others)) = (self.number, other.number) {
            return Some(self.branch == other.branch && number > others);
        }
        let is_made = |state: &Self| state.status == 201;
        let is_lacking = |state: &Self| state.status == 404 || state.is_read && state.status == 204;
        if is_lacking(self) && is_made(other) || is_made(self) && is_lacking(other) {
            return Some(is_made(self));
        }
        let is_refused = self.status >= 400 && !self.is_read;
        Some(is_refused && other.status < 300 && (!other.is_read || other.number.is_some()))
    }
}

/// When an exchange, or a socket, was over.
pub(super) fn ended(one: &Passed) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "an exchange does not take an age")]
    let micros = (one.milliseconds * 1000.0) as i64;
    Timestamp::from_microsecond(one.started?.as_microsecond().checked_add(micros)?).ok()
}
