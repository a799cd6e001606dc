//! Tests of the session as a whole.

mod acting;
mod faults;
mod laws;
#[expect(clippy::needless_pass_by_value, reason = "tests hand over bodies as they write them")]
pub(in crate::session) mod sample;
