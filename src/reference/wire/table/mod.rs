//! The table of wire faults, by what they alter.
//!
//! A fault is data: when it happens, and what happens then. Most are small: one status, one header, one field.

mod access;
mod answers;
mod documents;
mod handles;
mod initialization;
mod queries;
mod real_time;
mod requests;
mod versions;

use super::{Change, Edit, Is, Kind, On, WireFault};

/// Every fault of the wire.
pub(crate) fn wire_faults() -> impl Iterator<Item = &'static WireFault> {
    let tables = [
        answers::TABLE,
        documents::TABLE,
        requests::TABLE,
        access::TABLE,
        initialization::TABLE,
        versions::TABLE,
        handles::TABLE,
        queries::TABLE,
        real_time::TABLE,
    ];
    tables.into_iter().flatten()
}

const fn fault(
    id: &'static str,
    text: &'static str,
    clauses: &'static [&'static str],
    on: &'static [On],
    does: &'static [Change],
) -> WireFault {
    WireFault {
        id,
        text,
        clauses,
        on,
        does,
    }
}

const GET: On = On::Verb(&["GET"]);
const PUT: On = On::Verb(&["PUT"]);
const POST: On = On::Verb(&["POST"]);
const DELETE: On = On::Verb(&["DELETE"]);
/// A session at its own path.
const SESSION: On = On::Path(&[Kind::Session]);
/// A session, at its own path or through a handle.
const SESSIONS: On = On::Path(&[Kind::Session, Kind::HandleSession]);
const THROUGH_HANDLE: On = On::Path(&[Kind::HandleSession]);
const ELEMENTS: On = On::Path(&[Kind::Properties, Kind::Me, Kind::Member, Kind::Server, Kind::Part]);
const HANDLES: On = On::Path(&[Kind::Handles]);
const HANDLE: On = On::Path(&[Kind::Handle]);
const HANDLE_QUERY: On = On::Path(&[Kind::HandleQuery]);
const QUERY: On = On::Path(&[Kind::Sessions, Kind::Batch]);
const TEMPLATES: On = On::Path(&[Kind::Templates, Kind::Template]);
const DONE: On = On::Status(&[200, 201]);
const REFUSED: On = On::Status(&[400, 403, 409]);
const NO: &[Change] = &[
    Change::Status(400),
    Change::Head("content-type", "text/plain"),
    Change::Body("No."),
];
const FORBIDDEN: &[Change] = &[
    Change::Status(403),
    Change::Head("content-type", "text/plain"),
    Change::Body("No."),
];
const CONFLICT: &[Change] = &[
    Change::Status(409),
    Change::Head("content-type", "text/plain"),
    Change::Body("No."),
];
const NOT_FOUND: &[Change] = &[
    Change::Status(404),
    Change::Head("content-type", "text/plain"),
    Change::Body("No."),
];
const NOTHING: &[Change] = &[Change::Status(204), Change::Empty];
const YES: &[Change] = &[Change::Status(200)];
