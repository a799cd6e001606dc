//! The session document: what is stored, how writes change it, how it is shown.
//!
//! Pure: no HTTP, no I/O, no clock. A [`Session`] is a value; a write makes another one or is refused as a whole.
//!
//! From the lowest floor up:
//!
//! - [`model`]: the document as data, without rules.
//! - [`refusal`], [`field`], [`merge`], [`version`], [`request`], [`access`]: what every rule needs: how a request is refused,
//!   how its fields are read, how bags are merged, the names of each contract version, the shape of a write, and who
//!   accesses the session.
//! - [`constants`], [`member`], [`properties`], [`roles`], [`servers`]: the rules of one part of the document each.
//! - [`permission`], [`departure`], [`initialization`], [`outcome`], [`activity`]: the rules across parts.
//! - [mod@write] and [`timers`]: the two ways in which a session changes. [`changes`]: what subscribers learn of it.
//! - [`render`] and [`stored`]: the document for callers, and for the journal.

mod access;
mod activity;
mod changes;
mod constants;
mod departure;
mod field;
mod initialization;
mod member;
mod merge;
mod model;
mod outcome;
mod permission;
mod properties;
mod refusal;
mod render;
mod request;
mod roles;
mod servers;
mod stored;
#[cfg(test)]
mod tests;
mod timers;
mod version;
mod write;

pub(crate) use self::access::{Access, Connections, Grant};
pub(crate) use self::changes::Changes;
pub(crate) use self::model::{
    Capability, ContractVersion, Former, MemberView, Restriction, Session, Status, Subscription, Template, Visibility,
};
pub(crate) use self::outcome::Outcome;
pub(crate) use self::refusal::{Refusal, RefusalKind};
pub(crate) use self::render::time_text;
pub(crate) use self::timers::CONNECTION_GRACE;
