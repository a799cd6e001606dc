//! Tests of the service as a whole, without a socket.

pub(crate) mod faults;
mod handles;
mod queries;
mod requests;
pub(super) mod sample;
mod sessions;
