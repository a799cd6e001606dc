//! The reference MPSD: a complete, embeddable service.
//!
//! A house of its own: nothing here knows the suite, and the suite knows nothing of it. They meet over HTTP only.

pub mod clock;
pub mod principal;
pub mod rules;
pub mod session;
pub mod session_ref;
pub mod social;
pub mod template;
