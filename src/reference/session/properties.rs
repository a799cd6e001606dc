//! Writing the properties of a session: what members may change at any time.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::field::At;
use super::merge;
use super::model::{Capability, Constants, Properties, Restriction, SYSTEM_FIELDS, SystemProperties, Visibility};
use super::refusal::{Refusal, RefusalKind};
use super::request::Bag;
use crate::rules::Rules;

/// Who writes properties, as far as they depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// An owner, a server principal, or any member where there are no owners.
    Full,
    /// A member of a session that others own.
    NonOwner,
}

impl Properties {
    /// Merges a bag of a request, and checks the result as a whole (SES-MERGE-016).
    ///
    /// `is_member` says whether an index is a member's.
    pub(super) fn merge(
        &mut self,
        bag: Bag<'_>,
        constants: &Constants,
        writer: Writer,
        is_member: &dyn Fn(u32) -> bool,
        rules: &Rules,
        at: &At<'_>,
    ) -> Result<(), Refusal> {
        if let Some(sent) = bag.system.filter(|sent| !sent.is_empty()) {
            let at = at.then("system");
            let mut system = SystemProperties::clone(&self.system);
            for (field, value) in sent {
                let before = (writer == Writer::NonOwner
                    && rules.owners_rule.kept()
                    && !constants.ownership.non_owner_fields.contains(field))
                .then(|| system.clone());
                system.write(field, value, constants, is_member, rules, &at.then(field))?;
                if before.is_some_and(|before| before != system) {
                    return Err(at
                        .then(field)
                        .refuse_as(RefusalKind::Unwritable, "only an owner of the session may change it"));
                }
            }
            system.check(constants, rules, &at)?;
            if system != *self.system {
                self.system = Arc::new(system);
            }
        }
        let custom = bag.custom.filter(|custom| !custom.is_null());
        if let Some(custom) = custom {
            at.then("custom").object(custom)?;
        }
        if let Some(custom) = custom
            && merge::changes_custom(&self.custom, custom, rules)
        {
            merge::merge_custom(Arc::make_mut(&mut self.custom), custom, rules);
        }
        Ok(())
    }
}

impl SystemProperties {
    /// Replaces one field as a whole; null unsets it (SES-MERGE-012, SES-MERGE-015).
    pub(super) fn write(
        &mut self,
        field: &str,
        value: &Value,
        constants: &Constants,
        is_member: &dyn Fn(u32) -> bool,
        rules: &Rules,
        at: &At<'_>,
    ) -> Result<(), Refusal> {
        let given = (!value.is_null()).then_some(value);
        let members = |at: &At<'_>, value: &Value| {
            at.each(value, |at, item| {
                let index = at.index(item)?;
                if is_member(index) {
                    Ok(index)
                } else {
                    Err(at.wrong(item, "the index of a member"))
                }
            })
        };
        let not_large = || {
            if constants.has(Capability::Large) && given.is_some() {
                Err(at.refuse("a large session cannot have it"))
            } else {
                Ok(())
            }
        };
        match field {
            "keywords" => {
                let before = self.keywords.take();
                self.keywords = given.map(|value| at.texts(value)).transpose()?;
                if let (Some(keywords), Some(before), false) =
                    (&mut self.keywords, before, rules.system_fields_are_replaced.kept())
                {
                    keywords.splice(0..0, before);
                }
            }
            "turn" => {
                not_large()?;
                self.turn = given.map(|value| members(at, value)).transpose()?.unwrap_or_default();
            }
            "joinRestriction" | "readRestriction" => {
                let restriction = given
                    .map(|value| at.choice(value, Restriction::ALL, rules))
                    .transpose()?;
                if restriction == Some(Restriction::None)
                    && constants.has(Capability::UserAuthorizationStyle)
                    && rules.style_forbids_none.kept()
                {
                    return Err(at.refuse("userAuthorizationStyle does not allow none, expected local or followed"));
                }
                if field == "joinRestriction" {
                    self.join_restriction = restriction;
                } else {
                    self.read_restriction = restriction;
                }
            }
            "closed" => self.closed = flag(given, at)?,
            "locked" => self.locked = flag(given, at)?,
            "host" => {
                not_large()?;
                self.host = given
                    .map(|value| at.text(value))
                    .transpose()?
                    .filter(|token| !token.is_empty())
                    .map(str::to_owned);
            }
            "initializationSucceeded" => {
                self.initialization_succeeded = given.map(|value| at.boolean(value)).transpose()?;
            }
            "serverConnectionStringCandidates" => {
                self.server_candidates = given.map(|value| at.texts(value)).transpose()?;
            }
            "matchmaking" => {
                self.matchmaking = match given {
                    None => Map::new(),
                    Some(value) => read_matchmaking(value, constants, rules, at)?,
                };
            }
            "matchmakingResubmit" => self.matchmaking_resubmit = given.map(|value| at.boolean(value)).transpose()?,
            "allocateCloudCompute" => self.allocate_cloud_compute = flag(given, at)?,
            "owners" => {
                if !constants.has(Capability::HasOwners) {
                    return match given {
                        None => Ok(()),
                        Some(_) => Err(at.refuse("it needs the capability hasOwners")),
                    };
                }
                let owners = given.map(|value| members(at, value)).transpose()?.unwrap_or_default();
                if owners.is_empty() && !self.owners.is_empty() {
                    return Err(at.wrong(value, "the index of at least one member"));
                }
                self.owners = owners;
            }
            "description" => {
                if let Some(value) = given {
                    for (key, text) in at.object(value)? {
                        let at = at.then(key);
                        if !["text", "locale"].contains(&key.as_str()) {
                            return Err(at.unknown(&["text", "locale"]));
                        }
                        at.text(text)?;
                    }
                }
                self.description = given.cloned();
            }
            "searchHandleVisibility" => {
                self.search_handle_visibility = given.map(|value| at.text(value).map(str::to_owned)).transpose()?;
            }
            "scheduledTime" => {
                let time = given.map(|value| at.time(value)).transpose()?;
                self.scheduled_time = time.filter(|_| rules.scheduled_time_is_kept.kept());
            }
            _ => return Err(at.unknown(SYSTEM_FIELDS)),
        }
        Ok(())
    }

    /// The rules across fields.
    fn check(&self, constants: &Constants, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
        if constants.visibility == Visibility::Private
            && self.keywords.is_some()
            && rules.private_has_no_keywords.kept()
        {
            return Err(at.then("keywords").refuse("a private session cannot have keywords"));
        }
        let join = self.join_restriction.unwrap_or(constants.default_restriction);
        let read = self.read_restriction.unwrap_or(constants.default_restriction);
        if constants.has(Capability::Large) && join != Restriction::None {
            return Err(at.then("joinRestriction").refuse("a large session cannot have it"));
        }
        if read < join && rules.read_is_no_stricter.kept() {
            return Err(at.then("readRestriction").refuse(format_args!(
                "{} is stricter than the joinRestriction {}, expected one at least as permissive",
                read.name(),
                join.name()
            )));
        }
        if self.locked && !self.closed {
            return Err(at
                .then("locked")
                .refuse("a session that is locked must be closed as well"));
        }
        Ok(())
    }
}

fn flag(given: Option<&Value>, at: &At<'_>) -> Result<bool, Refusal> {
    given.map_or(Ok(false), |value| at.boolean(value))
}

const MATCHMAKING_STATUS: &[(&str, ())] = &[
    ("searching", ()),
    ("expired", ()),
    ("found", ()),
    ("failed", ()),
    ("canceled", ()),
];

fn read_matchmaking(
    value: &Value,
    constants: &Constants,
    rules: &Rules,
    at: &At<'_>,
) -> Result<Map<String, Value>, Refusal> {
    let bag = at.object(value)?;
    for (key, value) in bag {
        let at = at.then(key);
        match key.as_str() {
            "targetSessionConstants" => {
                at.object(value)?;
            }
            "serverConnectionString" => {
                at.text(value)?;
            }
            "resubmit" => {
                at.boolean(value)?;
            }
            "clientResult" => {
                if !constants.has(Capability::ClientMatchmaking) {
                    return Err(at.refuse("it needs the capability clientMatchmaking"));
                }
                for (key, value) in at.object(value)? {
                    read_matchmaking_result(key, value, rules, &at.then(key))?;
                }
            }
            _ => {
                return Err(at.unknown(&[
                    "targetSessionConstants",
                    "serverConnectionString",
                    "clientResult",
                    "resubmit",
                ]));
            }
        }
    }
    Ok(bag.clone())
}

/// Checks one field of a result of matchmaking, as clients and the matchmaking server write it (SES-PSYS-013, SES-SERVER-008).
pub(super) fn read_matchmaking_result(key: &str, value: &Value, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
    match key {
        _ if value.is_null() => Ok(()),
        "status" => at.choice(value, MATCHMAKING_STATUS, rules),
        "statusDetails" => at.text(value).map(|_| ()),
        "typicalWait" => at.integer(value, 0..=u64::MAX).map(|_| ()),
        "targetSessionRef" => {
            for (key, value) in at.object(value)? {
                let at = at.then(key);
                if !["scid", "templateName", "name"].contains(&key.as_str()) {
                    return Err(at.unknown(&["scid", "templateName", "name"]));
                }
                at.text(value)?;
            }
            Ok(())
        }
        _ => Err(at.unknown(&["status", "statusDetails", "typicalWait", "targetSessionRef"])),
    }
}
