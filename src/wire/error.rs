//! Why a request has no response.

use std::time::Duration;

use thiserror::Error;

/// Why there is no answer.
#[derive(Clone, Debug, Error)]
pub enum WireError {
    /// No connection could be made.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The target and the suite do not agree on who they are, or on TLS at all.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The target asked for less, again and again, or for a longer pause than a case has.
    #[error("throttled: {0}")]
    Throttled(String),
    /// There is no token to speak with.
    #[error("{0}")]
    Token(String),
    /// The time limit passed.
    #[error("no response within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// A kept connection was closed under the request; another connection may do.
    #[error("{0}")]
    Closed(String),
    /// The connection broke, or the answer is not HTTP.
    #[error("{0}")]
    Broken(String),
    /// The response is longer than this program reads, which says nothing of the target.
    #[error("{0}, and this program reads no more")]
    Limit(String),
    /// This machine does not give what a connection takes, which says nothing of the target.
    #[error("this machine: {0}")]
    Machine(String),
    /// The request cannot be put on the wire.
    #[error("cannot send: {0}")]
    Unsendable(String),
}
