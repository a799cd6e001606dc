//! Why an engine comes to no result, by whose fault it is: the target's, the suite's, this machine's, or the run's own.

use std::io;

use mpsd_reference::{ConfigError, StartError};
use thiserror::Error;

use crate::contract::json::problem::Problem;
use crate::snapshot::SnapshotError;
use crate::wire::error::WireError;

/// Why there is no result. The variants say who has to act; a caller decides what to print and how to end.
#[derive(Debug, Error)]
pub enum RunError {
    /// The target's description cannot be used.
    #[error(transparent)]
    Target(#[from] WireError),
    /// The suite is wrong; its author has to correct it.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// This machine does not give what a run needs.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// A conversation cannot be recorded.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The run broke off inside this program, which is a defect of it.
    #[error("internal error: {0}; please report this")]
    Run(String),
}

/// What is wrong with the suite.
#[derive(Debug, Error)]
pub enum SuiteError {
    /// The reference cannot be provisioned with the suite's fixtures.
    #[error("cannot serve the suite's test fixtures")]
    World(#[source] ConfigError),
    /// A file that was recorded cannot be read.
    #[error("cannot read {file}")]
    Recorded {
        /// Its path in the suite.
        file: &'static str,
        /// What is wrong in it, with places.
        problems: Vec<Problem>,
    },
    /// Cases that find something without any fault seeded, so that their findings prove nothing.
    #[error("these cases fail without any fault, so they prove nothing: {}", .0.join(", "))]
    ProveNothing(Vec<String>),
}

/// What this machine refuses.
#[derive(Debug, Error)]
#[error("{what}")]
pub struct MachineError {
    what: String,
    #[source]
    source: io::Error,
}

impl MachineError {
    /// `what` says what could not be done, and where.
    pub fn new(what: impl Into<String>, source: io::Error) -> Self {
        Self {
            what: what.into(),
            source,
        }
    }
}

impl From<StartError> for RunError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(error) => SuiteError::World(error).into(),
            StartError::Listen { address, source } => {
                MachineError::new(format!("cannot listen on {address}"), source).into()
            }
            other => Self::Run(other.to_string()),
        }
    }
}
