//! Reading a time limit.

use serde_json::Value;

use super::super::field::{At, integer};
use super::super::model::Timeout;
use super::super::refusal::Refusal;

impl Timeout {
    pub(super) fn read(value: &Value, at: &At<'_>) -> Result<Self, Refusal> {
        match value {
            Value::Null => Ok(Self::Never),
            _ => match integer(value) {
                Some(milliseconds) => Ok(Self::After(milliseconds)),
                None => Err(at.wrong(value, "a number of milliseconds from 0, or null for no limit")),
            },
        }
    }
}
