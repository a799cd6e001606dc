//! The reference MPSD: a complete, embeddable service.
//!
//! A [`Config`] says which service configs, templates, principals and rules there are; [`Server::start`] serves it on a
//! socket, [`Service`] answers requests in the process. A [`Clock`] is where the time comes from. Contested points are
//! decided by [`rules`], and a service is made wrong on purpose by [`faults`].
//!
//! Nothing here knows the conformance suite, and the suite knows nothing of this package: they meet over HTTP.
//!
//! # The rooms, from the lowest floor up
//!
//! Imports point downwards only.
//!
//! - `config`, [`rules`]: what an operator configures; the table of every decision that sources leave open or settle.
//! - `session_ref`, `principal`, `social`, `clock`, `json`: names of sessions, callers, relations, time, bounded JSON.
//! - `wire`, [`faults`]: the seeded faults: those of requests, responses and frames, and those of rules.
//! - `auth`, `nonce`, `rate`: whose token it is; what stands for a token; how many requests a user has left.
//! - `session`: the document, pure: its model at the bottom, the rules of each part, then those across parts.
//! - [`search`]: search attributes, filters, and the index of search handles.
//! - `realtime`: sockets, connections, subscriptions, and who is told of which change.
//! - `document`, `failure`: a rendered session; why the service does not do what a request asks.
//! - `provisions`, `handle`: the configuration, ready for use; handles, which name a session and say why.
//! - `store`: sessions and handles, each session with a lock of its own, and the journal.
//! - `http`: from a request to a response. `server`: HTTP on a socket.
//!
//! # Where is
//!
//! - *a status decided?* `session` refuses with a `RefusalKind`, the rest with a `Failure`; `http/answer.rs` alone turns
//!   a failure into a status.
//! - *the policy of a rule?* In the table of [`rules`]: each decision asks for its rule by name, at one place.
//! - *a template provisioned?* `provisions.rs` reads it, `session/constants` makes constants of it.
//!
//! # How a PUT becomes a stored document
//!
//! 1. `server` hands the request to [`Service::answer`], which finds the time, the caller, the resource and the contract
//!    version, in the order that `http` documents, and reads the body.
//! 2. `http/sessions.rs` locks the session's slot in the `store`; timers that are due are applied first.
//! 3. The caller may read the session, the preconditions hold, and the body is JSON: only then it is written.
//! 4. `session/write` applies the request to a copy, part by part. The first refusal ends it, and nothing has changed.
//! 5. The next state is committed: indices, handles, subscribers and the journal learn of it while the slot is locked.
//! 6. The document is rendered for the caller's contract version, once for all who see the same.

mod auth;
mod clock;
pub mod config;
mod defect;
mod document;
mod failure;
pub mod faults;
mod handle;
mod http;
mod json;
mod nonce;
mod principal;
mod provisions;
mod rate;
mod realtime;
pub mod rules;
pub mod search;
mod server;
mod session;
mod session_ref;
mod social;
mod store;
pub mod variations;
mod wire;

pub use self::clock::Clock;
pub use self::config::{Config, ConfigError};
pub use self::http::{Response, Service};
pub use self::server::{Server, StartError};
pub use self::session_ref::{SessionKey, SessionRef};
