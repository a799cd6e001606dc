//! A search handle, as the index keeps it.

use jiff::Timestamp;
use uuid::Uuid;

use super::super::session_ref::{SessionKey, SessionRef};
use super::attributes::SearchAttributes;

/// What makes a session found.
#[derive(Clone, Debug)]
pub struct SearchHandle {
    id: Uuid,
    session: SessionRef,
    key: SessionKey,
    created: Timestamp,
    attributes: SearchAttributes,
}

impl SearchHandle {
    /// A handle of `session`, made at `created`.
    pub fn new(id: Uuid, session: SessionRef, created: Timestamp, attributes: SearchAttributes) -> Self {
        Self {
            id,
            key: session.key(),
            session,
            created,
            attributes,
        }
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The session that it leads to.
    pub fn session(&self) -> &SessionRef {
        &self.session
    }

    /// The key of [`session`](Self::session).
    pub fn key(&self) -> &SessionKey {
        &self.key
    }

    /// When it was made.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// What it says about the session.
    pub fn attributes(&self) -> &SearchAttributes {
        &self.attributes
    }
}
