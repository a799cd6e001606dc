//! What must not happen: an invariant of this package that does not hold.

use std::fmt::Display;

/// Ends the request that found the defect: the panic is reported on standard error with its place, the caller gets a 500,
/// and the service goes on. For what the types cannot rule out; never for what callers or operators can cause.
#[expect(clippy::panic, reason = "the one way in which a defect ends a request")]
#[track_caller]
pub(crate) fn defect(what: impl Display) -> ! {
    panic!("defect of the reference: {what}")
}
