//! The engines of the commands, which the command line and the tests share: which cases are run, the embedded reference, and
//! the checks before a run. Nothing here prints.

pub mod embedded;
pub mod preflight;
pub mod selection;
pub mod shard;
