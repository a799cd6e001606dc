//! Why the service does not do what a request asks. Knows nothing of HTTP: the edge turns each kind into a status.

use super::auth::Unauthenticated;
use super::document::Document;
use super::rate::Throttled;
use super::session::{Refusal, RefusalKind};

/// A refused request. Messages are for people; a client decides by the kind.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody the service knows speaks (AUTH-003).
    Unauthenticated(Unauthenticated),
    /// The path names nothing that there could be.
    UnknownPath,
    /// The path is known, but not with this verb; `allowed` lists those that are.
    UnsupportedVerb { allowed: &'static str },
    /// The contract version is well formed, but none that the service speaks (CONTRA-43).
    UnsupportedVersion(String),
    /// What the request says makes no sense, whatever is stored.
    Malformed(String),
    /// The body is not JSON by its own account (HDR-008).
    MediaType(String),
    /// The body has a content coding that the service does not undo (HDR-022).
    ContentCoding(String),
    /// The body is longer than the service reads.
    BodyTooLong { limit: usize },
    /// The header section is longer than the service reads.
    HeadersTooLong { limit: usize },
    /// The body did not arrive in time.
    TooSlow,
    /// A service config, template, session, element or handle that there is not.
    NotFound(String),
    /// The caller may not do that.
    Forbidden(String),
    /// The caller may read the session, but not write it: it is told what there is (STAT-014).
    Unwritable(Document),
    /// The request conflicts with what cannot be changed.
    Conflict(String),
    /// A precondition does not hold. With the session if `If-Match` failed on a write to one that is there (STAT-019).
    Precondition(Option<Document>),
    /// The caller asks too often (STAT-020).
    Throttled(Throttled),
    /// The path only speaks WebSocket.
    UpgradeRequired,
    /// The service is to keep its data and cannot.
    Unkept(String),
    /// The service found an invariant of its own broken, and said so on standard error.
    Defect,
}

/// ERR-004. One text for all causes, so that it tells a stranger nothing about the session (LIVE-026).
const INACCESSIBLE: &str = "The requested session cannot be accessed. Possible reasons: the user has no multiplayer privilege, is not a member of the session, is excluded by its visibility or its restrictions, is banned, or uses a platform that the session's authorization style does not admit. In a large session, no user sees other members.";

impl Failure {
    /// The caller has no access to the session, for a reason that is not told.
    pub(super) fn inaccessible() -> Self {
        Self::Forbidden(INACCESSIBLE.to_owned())
    }
}

impl From<Unauthenticated> for Failure {
    fn from(why: Unauthenticated) -> Self {
        Self::Unauthenticated(why)
    }
}

impl From<Refusal> for Failure {
    /// An unwritable session is told as forbidden here; who has the session at hand shows it instead.
    fn from(refusal: Refusal) -> Self {
        match refusal.kind {
            RefusalKind::Malformed => Self::Malformed(refusal.message),
            RefusalKind::Unreadable | RefusalKind::Unwritable => Self::inaccessible(),
            RefusalKind::Forbidden => Self::Forbidden(refusal.message),
            RefusalKind::Conflict => Self::Conflict(refusal.message),
        }
    }
}
