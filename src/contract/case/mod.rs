//! The language of cases: a case is a file with a sequence of exchanges that tests one or a few clauses.
//!
//! [`words`] declares the keys and rules of the language, once. `model` has the case, its variants and their scripts, `step`,
//! `expectation`, `status` and [`matcher`] what a script consists of, each with its reader; `read` puts them together.
//! [`needs`], [`adapt`] and [`strength`] work out what a variant requires of a target, how it is sent to one that has less,
//! and how much it asserts. Nothing here sends anything: that is [`crate::replay`].

pub mod adapt;
mod expectation;
pub mod matcher;
mod model;
pub mod needs;
mod read;
mod status;
mod step;
pub mod strength;
mod table;
pub mod variable;
pub mod words;

pub(super) use expectation::{CONTENTS, read_expectation};
pub use expectation::{Content, Expectation, Source};
pub use model::{Case, DRAFTS, Script, Scripts, SessionSpec, Variant, chapter_of, is_draft};
pub(super) use read::read;
pub use status::StatusSet;
pub(super) use status::read_status;
pub use step::{Action, Body, Request, Step};
