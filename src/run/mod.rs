//! The engines of the commands, which the command line and the tests share: which cases are run, the embedded reference,
//! the checks before a run, and the proof. Nothing here prints or knows exit codes.

pub mod embedded;
pub mod error;
pub mod preflight;
pub mod prove;
pub mod selection;
pub mod shard;
pub(crate) mod sparing;
pub mod worth;
