//! The constants of a member: fixed when it is added, and repeated at most.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::access::Access;
use super::super::field::At;
use super::super::merge::same;
use super::super::model::{Constants, Member, MemberConstants};
use super::super::refusal::{Refusal, RefusalKind};
use super::super::request::Bag;
use crate::rules::{InitializeText, Rules};

const SYSTEM_CONSTANTS: &[&str] = &["xuid", "initialize", "matchmakingResult", "team", "index"];

impl MemberConstants {
    /// Reads the constants of a new member, and the xuid that they name.
    pub(in crate::session) fn read(
        bag: Option<Bag<'_>>,
        session: &Constants,
        access: &Access<'_>,
        at: &At<'_>,
    ) -> Result<(Self, Option<u64>), Refusal> {
        let mut constants = Self {
            initialize: false,
            team: None,
            matchmaking_result: None,
            custom: json!({}),
        };
        let mut xuid = None;
        let bag = bag.unwrap_or_default();
        if let Some(system) = bag.system {
            let at = at.then("system");
            for (key, value) in system {
                let at = at.then(key);
                match key.as_str() {
                    "xuid" => xuid = Some(at.xuid(value, access.rules)?),
                    _ if value.is_null() && SYSTEM_CONSTANTS.contains(&key.as_str()) => {}
                    "initialize" => {
                        // Without member initialization it means nothing and is not kept (LIVE-014).
                        constants.initialize = read_initialize(value, access.rules, &at)?
                            && (session.member_initialization.is_some()
                                || !access.rules.initialize_needs_initialization.kept());
                    }
                    "team" => constants.team = Some(at.text(value)?.to_owned()),
                    "matchmakingResult" => {
                        at.object(value)?;
                        if !access.caller.is_server() {
                            return Err(at.refuse_as(RefusalKind::Forbidden, "only the matchmaking service sets it"));
                        }
                        constants.matchmaking_result = Some(value.clone());
                    }
                    "index" => return Err(at.refuse("the service gives a new member its index")),
                    _ => return Err(at.unknown(SYSTEM_CONSTANTS)),
                }
            }
        }
        if let Some(custom) = bag.custom
            && !custom.is_null()
        {
            constants.custom = custom.clone();
        }
        Ok((constants, xuid))
    }
}

fn read_initialize(value: &Value, rules: &Rules, at: &At<'_>) -> Result<bool, Refusal> {
    match value.as_str() {
        Some("true") if rules.initialize_text == InitializeText::Accepted => Ok(true),
        Some("false") if rules.initialize_text == InitializeText::Accepted => Ok(false),
        _ => at.boolean(value),
    }
}

impl Member {
    /// Checks the constants that a member sends again, which must be its own (LIVE-023, SES-JOIN-012).
    ///
    /// A reserved user may add custom constants that its reservation does not have (SES-MCON-008).
    pub(in crate::session) fn repeat_constants(
        &mut self,
        bag: Bag<'_>,
        was_reserved: bool,
        session: &Constants,
        rules: &Rules,
        at: &At<'_>,
    ) -> Result<(), Refusal> {
        if let Some(system) = bag.system {
            let at = at.then("system");
            for (key, value) in system {
                let at = at.then(key);
                let own = match key.as_str() {
                    "xuid" => {
                        check_own_xuid(at.xuid(value, rules)?, self.xuid, value, rules, &at)?;
                        continue;
                    }
                    _ if value.is_null() && SYSTEM_CONSTANTS.contains(&key.as_str()) => continue,
                    "index" => json!(self.index),
                    "initialize" => {
                        let asked = read_initialize(value, rules, &at)?;
                        if session.member_initialization.is_none() || asked == self.constants.initialize {
                            continue;
                        }
                        json!(self.constants.initialize)
                    }
                    "team" => {
                        at.text(value)?;
                        self.constants.team.as_deref().map_or(Value::Null, Value::from)
                    }
                    "matchmakingResult" => self.constants.matchmaking_result.clone().unwrap_or(Value::Null),
                    _ => return Err(at.unknown(SYSTEM_CONSTANTS)),
                };
                if !same(&own, value) {
                    return Err(at.conflict(value, Some(&own)));
                }
            }
        }
        if let Some(asked) = bag.custom {
            let at = at.then("custom");
            match (&self.constants.custom, asked) {
                (_, Value::Null) => {}
                (Value::Object(own), Value::Object(asked)) => {
                    let mut added = Vec::new();
                    for (key, value) in asked {
                        match own.get(key) {
                            Some(own) if same(own, value) => {}
                            None if was_reserved => added.push((key.clone(), value.clone())),
                            None if value.is_null() => {}
                            own => return Err(at.then(key).conflict(value, own)),
                        }
                    }
                    if !added.is_empty()
                        && let Value::Object(own) = &mut Arc::make_mut(&mut self.constants).custom
                    {
                        own.extend(added);
                    }
                }
                (own, asked) if same(own, asked) => {}
                (Value::Object(own), asked) if was_reserved && own.is_empty() => {
                    Arc::make_mut(&mut self.constants).custom = asked.clone();
                }
                (own, asked) => return Err(at.conflict(asked, Some(own))),
            }
        }
        Ok(())
    }
}

/// Refuses a xuid other than the caller's (SES-JOIN-003).
pub(in crate::session) fn check_own_xuid(
    asked: u64,
    own: u64,
    value: &Value,
    rules: &Rules,
    at: &At<'_>,
) -> Result<(), Refusal> {
    if asked == own || !rules.caller_is_itself.kept() {
        Ok(())
    } else {
        Err(at.refuse_as(
            RefusalKind::Forbidden,
            format_args!("found {value}, but `me` is the caller, whose xuid is \"{own}\""),
        ))
    }
}
