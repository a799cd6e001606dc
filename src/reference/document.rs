//! A session rendered for a caller: what goes over the wire, with what headers tell of it.

use bytes::Bytes;
use jiff::Timestamp;

use super::session::{Access, Session};

/// A session rendered for a caller.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) body: Bytes,
    /// The tag of the stored state; `None` if nothing is stored.
    pub(super) etag: Option<String>,
    /// When the next timer is due.
    pub(super) expires: Option<Timestamp>,
}

impl Document {
    /// The document of a session that is not stored (`nocommit`); `etag` is that of the stored state.
    pub(super) fn of(session: &Session, etag: Option<String>, access: &Access<'_>) -> Self {
        Self {
            body: session.to_bytes(access),
            etag,
            expires: session.next_timer(),
        }
    }
}
