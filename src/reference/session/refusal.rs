//! Why a request was refused, and what that means for its status.

use std::fmt;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What the refusal means for the status.
    pub kind: RefusalKind,
    /// Where, what was found and what was expected; for people.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// The kinds of [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// The request makes no sense (400).
    Malformed,
    /// The caller may not see the session (403 with a text).
    Unreadable,
    /// The caller may not do that to the session (403, with the session where the caller may read it).
    Unwritable,
    /// This kind of caller may not do that at all (403 with a text).
    Forbidden,
    /// The request contradicts what is fixed (409).
    Conflict,
}
