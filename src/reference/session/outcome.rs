//! What a write, or the passing of time, makes of a session: whether anything differs, and the state that follows.

use std::sync::Arc;

use jiff::Timestamp;

use super::model::{Session, Timeout};
use crate::rules::Rules;

/// What a write, or the passing of time, made of a session.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A new session.
    Created(Session),
    /// Another state of the session.
    Changed(Session),
    /// Nothing.
    Unchanged,
    /// The session is no more.
    Gone,
}

impl Session {
    /// The state after a change.
    pub(super) fn next_state(&self, rules: &Rules) -> Self {
        let mut next = self.touched(rules);
        if !rules.change_number_grows.kept() {
            next.change_number = self.change_number;
        }
        if !rules.etag_changes.kept() {
            next.state = self.state;
        }
        next
    }

    /// Whether a stored part is another one: parts are shared until something in them changes.
    pub(super) fn differs_from(&self, before: &Self) -> bool {
        !(Arc::ptr_eq(&self.constants, &before.constants)
            && Arc::ptr_eq(&self.properties.system, &before.properties.system)
            && Arc::ptr_eq(&self.properties.custom, &before.properties.custom)
            && Arc::ptr_eq(&self.members, &before.members)
            && Arc::ptr_eq(&self.servers, &before.servers)
            && Arc::ptr_eq(&self.role_types, &before.role_types)
            && self.initialization == before.initialization)
    }

    /// Starts or stops the clock of an empty session; `None` if it ends at once (TMO-010, TMO-013).
    pub(super) fn after_emptying(mut self, now: Timestamp, rules: &Rules) -> Option<Self> {
        if !self.members.is_empty() {
            if rules.joins_stop_the_clock.kept() {
                self.empty_since = None;
            }
        } else if self.empty_since.is_none() {
            if self.constants.timeouts.session_empty == Timeout::After(0) && rules.last_member_ends_session.kept() {
                return None;
            }
            self.empty_since = Some(now);
        }
        Some(self)
    }
}
