//! What a filter may ask of the session that a search handle leads to.

use jiff::Timestamp;

use super::super::session_ref::SessionKey;
use super::handle::SearchHandle;

/// The sessions, as they are while a query runs (SRCH-QRY-010, SRCH-QRY-011).
pub trait Sessions {
    /// What is known of one session.
    type Facts: SessionFacts;

    /// The session of a handle; `None` leaves the handle out of the results: the session is gone (SRCH-HDL-018), or the
    /// caller has reasons of its own. No lock of the index is held meanwhile.
    fn facts(&self, handle: &SearchHandle) -> Option<Self::Facts>;

    /// The sessions that a user may be a member of, none left out; `None` if that cannot be told without looking at each.
    fn of_member(&self, _xuid: u64) -> Option<Vec<SessionKey>> {
        None
    }
}

/// One session.
pub trait SessionFacts {
    /// How many members it has (SRCH-FLT-020).
    fn members_count(&self) -> u64;
    /// How many members it may have.
    fn max_members_count(&self) -> u64;
    /// How many members it aims at, if it says so.
    fn target_members_count(&self) -> Option<u64>;
    /// A role of a role type, if there is one of these names (SRCH-FLT-023).
    fn role(&self, role_type: &str, role: &str) -> Option<RoleFacts>;
    /// Its members.
    fn member_xuids(&self) -> Vec<u64>;
    /// Those of its members who own it.
    fn owner_xuids(&self) -> Vec<u64>;
    /// Its keywords, in their own spelling.
    fn keywords(&self) -> &[String];
    /// When it is scheduled to start, if it is.
    fn scheduled_time(&self) -> Option<Timestamp>;
    /// The title that its service config belongs to, if that is known (SRCH-FLT-031).
    fn title_id(&self) -> Option<u64>;
    /// The state of its registration, if it has one.
    fn registration_state(&self) -> Option<&str>;
}

/// One role of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoleFacts {
    /// How many members hold it.
    pub count: u64,
    /// How many members may hold it.
    pub max: Option<u64>,
    /// How many members it aims at.
    pub target: Option<u64>,
}
