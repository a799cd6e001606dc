//! Why a filter is refused.

use thiserror::Error;

/// What a text is refused for: where, what is there, and what should be there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("column {column}: found {found}, expected {expected}")]
pub struct FilterError {
    /// The offset in bytes.
    pub position: usize,
    /// The character, counted from 1.
    pub column: usize,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: String,
}
