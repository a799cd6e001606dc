//! Constants in later writes: they may be repeated, and not changed (SES-CONST-001, SES-CONST-006).

use serde_json::{Map, Value};

use super::super::access::Access;
use super::super::field::At;
use super::super::merge::same;
use super::super::model::Constants;
use super::super::refusal::Refusal;
use super::super::request::Bag;
use super::super::version;
use super::request::read_request;
use crate::rules::{LateConstant, Rules};

impl Constants {
    /// Refuses constants of a later write that differ from the session's (SES-CONST-001, SES-CONST-006).
    pub(in crate::session) fn check_later(&self, asked: Bag<'_>, access: &Access<'_>) -> Result<(), Refusal> {
        if !access.rules.constants_are_fixed.kept() {
            return Ok(());
        }
        let at = At::ROOT.then("constants");
        if let Some(bag) = asked.system {
            let at = at.then("system");
            let bag = read_request(bag, access, &at)?;
            for (key, value) in bag.as_ref() {
                let own = self.system.get(key);
                let filled = match (key.as_str(), own) {
                    // Whoever read it in the old form repeats its defaults.
                    ("memberInitialization", Some(Value::Object(own))) => {
                        let mut own = own.clone();
                        version::fill_initialization(&mut own);
                        Some(Value::Object(own))
                    }
                    _ => None,
                };
                let is_flags = key == "capabilities";
                check_equal(filled.as_ref().or(own), value, is_flags, access.rules, &at.then(key))?;
            }
        }
        if let Some(asked) = asked.custom {
            let at = at.then("custom");
            match (&self.custom, asked) {
                (Value::Object(fixed), Value::Object(asked)) => {
                    for (key, value) in asked {
                        check_equal_value(fixed.get(key), value, access.rules, &at.then(key))?;
                    }
                }
                (fixed, asked) => check_equal_value(Some(fixed), asked, access.rules, &at)?,
            }
        }
        Ok(())
    }
}

/// Compares a constant of a later write with the effective one; objects may be repeated in part.
fn check_equal(fixed: Option<&Value>, asked: &Value, flags: bool, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
    let unset = Value::Object(Map::new());
    match (fixed, asked) {
        (fixed, Value::Object(asked)) if flags || matches!(fixed, Some(Value::Object(_))) => {
            for (name, value) in asked {
                let own = fixed.unwrap_or(&unset).get(name);
                // A capability that is absent is false.
                if !(flags && own.is_none() && value != &Value::Bool(true)) {
                    check_equal_value(own, value, rules, &at.then(name))?;
                }
            }
            Ok(())
        }
        (fixed, asked) => check_equal_value(fixed, asked, rules, at),
    }
}

fn check_equal_value(fixed: Option<&Value>, asked: &Value, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
    match fixed {
        Some(fixed) if same(fixed, asked) => Ok(()),
        None if asked.is_null() || rules.late_constant == LateConstant::Ignored => Ok(()),
        fixed => Err(at.conflict(asked, fixed)),
    }
}
