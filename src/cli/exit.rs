//! The exit codes of the process.

use std::process::ExitCode;

/// The exit codes; documented in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Conforms, apart from listed deviations.
    Conforms = 0,
    /// Nonconformance, or a stale or unmatched deviation.
    Nonconformance = 1,
    /// Usage error, or an error in a file of the suite or the user.
    Fault = 2,
    /// Nothing was executed.
    NothingExecuted = 3,
    /// The target could not be reached, or refused every identity.
    Unreachable = 4,
    /// Nothing failed, but some cases were inconclusive.
    Inconclusive = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
