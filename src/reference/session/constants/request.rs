//! Constants as a request gives them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::super::access::Access;
use super::super::field::At;
use super::super::refusal::Refusal;
use super::super::version;
use super::given::Given;
use crate::rules::ForeignNames;

/// Brings constants of a request into the names of 107 and refuses what is malformed.
pub(super) fn read_request<'v>(
    bag: &'v Map<String, Value>,
    access: &Access<'_>,
    at: &At<'_>,
) -> Result<Cow<'v, Map<String, Value>>, Refusal> {
    let strict = access.rules.foreign_names == ForeignNames::Refused;
    let bag = version::upgrade(bag, access.version, strict, at)?;
    Given::read(&bag, at, access.rules)?;
    Ok(bag)
}
