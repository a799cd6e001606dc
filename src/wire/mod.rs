//! The wire: HTTP and web sockets to one target, with the TLS, proxy, pace and tokens that its description declares, and without
//! its secrets in anything that comes back. It knows targets, and nothing of cases or verdicts.
//!
//! A case's request has to arrive as the case states it, byte for byte, so everything goes through `hyper`'s own client, which
//! changes nothing. What a service may do on a connection, and what becomes of it here, is the table in `docs/transport.md`.

pub mod client;
pub mod coding;
pub(crate) mod connection;
pub mod error;
pub mod files;
pub mod halt;
pub mod message;
pub mod pacing;
pub mod secrets;
pub(crate) mod socket;
pub(crate) mod tap;
pub mod transport;
