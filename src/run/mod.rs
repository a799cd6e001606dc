//! The engines of the commands, which the command line and the tests share: which cases are selected, the embedded reference,
//! the checks before a run, the run itself with its comparisons, and the proof. Nothing here prints or knows exit codes.

pub mod embedded;
pub mod error;
pub mod preflight;
pub mod prove;
pub mod record;
pub mod runner;
pub mod selection;
pub mod shard;
pub(crate) mod sparing;
#[cfg(test)]
mod transport_table;
pub mod worth;
