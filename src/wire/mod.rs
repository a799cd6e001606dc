//! The wire: HTTP and web sockets to one target, with the TLS, proxy, pace and tokens that its description declares, and without
//! its secrets in anything that comes back. It knows targets, and nothing of cases or verdicts.
//!
//! A case's request has to arrive as the case states it, byte for byte, and `reqwest` sends it wherever it changes nothing. Two
//! other ways stand behind the same type, [`client::Client`], which decides between them for each request:
//! - a path that a `Url` would rewrite (it resolves `..` and escapes quotes) goes through `hyper`'s own client;
//! - everything through a proxy does too, since `reqwest` does not say what a proxy refuses.
//!
//! `traffic::proxy`, which passes on what others send, uses `hyper` as well: it must not even change the case of a header.

pub mod client;
pub mod coding;
pub(crate) mod connection;
pub mod error;
pub mod halt;
pub mod message;
pub mod pacing;
pub mod secrets;
pub(crate) mod socket;
pub(crate) mod tap;
pub mod transport;
