//! The reference MPSD: a complete, embeddable service.
//!
//! A house of its own: nothing here knows the suite, and the suite knows nothing of it. They meet over HTTP only.

pub mod auth;
pub mod clock;
pub mod config;
mod document;
mod failure;
pub mod fault;
mod handle;
pub mod http;
mod json;
pub mod principal;
mod provisions;
mod rate;
mod realtime;
pub mod rules;
pub mod search;
pub mod server;
pub mod session;
pub mod session_ref;
pub mod social;
mod store;
pub mod wire;
