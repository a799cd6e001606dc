//! The wire: how requests reach a target and responses come back, and what must never be written on the way.

pub mod client;
pub mod coding;
pub(crate) mod connection;
pub mod pacing;
pub mod secrets;
