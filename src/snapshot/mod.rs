//! What a case looked like on the wire, as canonical text: the same conversation gives the same text in every run.
//!
//! What changes from run to run is replaced by stable names; the schemas say what that is. Secrets are never shown.
//! The text is kept in files that `cargo insta review` understands, and needs no cargo to be read or written.

pub mod baseline;
mod compare;
pub mod example;
mod file;
mod json;
mod names;
mod reading;
mod render;

use crate::contract::version::ContractVersion;

pub use compare::{Difference, compare};
pub use file::{SnapshotError, parse, read, write};
pub use reading::{Exchange, Message, Section, sections};
pub use render::{document, render, section};

use crate::replay::label::StepLabel;

/// One replayed case, in each of its variants.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    /// The title of the case.
    pub title: String,
    /// The variants, in the order in which they are shown.
    pub variants: Vec<VariantTranscript>,
}

/// One replayed variant of a case.
#[derive(Clone, Debug, Default)]
pub struct VariantTranscript {
    /// Names the variant within its case: a contract version, for example.
    pub id: String,
    /// Values that the run made up or was given, each with the name that is shown for it, without braces.
    ///
    /// They are replaced wherever they occur, whatever the case of their letters, the longest first.
    pub known: Vec<(String, String)>,
    /// What was said, in order.
    pub exchanges: Vec<RecordedExchange>,
}

/// One request and its response, as they were on the wire.
#[derive(Clone, Debug)]
pub struct RecordedExchange {
    /// The step of the case.
    pub step: StepLabel,
    /// Who spoke, in the words of the case.
    pub speaker: String,
    /// The method, in capitals; for a real-time frame a word for its direction.
    pub method: String,
    /// The path with its query; empty for a real-time frame.
    pub path: String,
    /// All request headers that were sent.
    pub request_headers: Vec<(String, String)>,
    /// `None` if there was no body at all.
    pub request_body: Option<Vec<u8>>,
    /// The status code; 0 for a real-time frame, which has none.
    pub status: u16,
    /// All response headers.
    pub response_headers: Vec<(String, String)>,
    /// Empty if there was none.
    pub response_body: Vec<u8>,
    /// The name of the schema of the request body.
    pub request_schema: Option<String>,
    /// The name of the schema of the response body.
    pub response_schema: Option<String>,
    /// The contract version that was spoken.
    pub version: ContractVersion,
}

#[cfg(test)]
mod tests;
