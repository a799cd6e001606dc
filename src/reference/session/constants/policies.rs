//! Constants about invites, tournaments, cloud compute and ownership.

use serde_json::Value;

use super::super::field::At;
use super::super::model::{Migration, OwnershipPolicies, SYSTEM_FIELDS};
use super::super::refusal::Refusal;
use crate::rules::{InviteProtocols, Rules};

pub(super) fn read_invite_protocol(value: &Value, at: &At<'_>, rules: &Rules) -> Result<String, Refusal> {
    const LISTED: &[(&str, &str)] = &[
        ("game", "game"),
        ("tournamentgame", "tournamentgame"),
        ("chat", "chat"),
        ("gameparty", "gameparty"),
    ];
    match rules.invite_protocols {
        InviteProtocols::Listed => at.choice(value, LISTED, rules).map(str::to_owned),
        InviteProtocols::Any => at.text(value).map(str::to_owned),
    }
}

pub(super) fn read_arbitration(value: &Value, at: &At<'_>) -> Result<(), Refusal> {
    let (mut forfeit, mut arbitration) = (60_000, 300_000);
    for (name, value) in at.object(value)? {
        let at = at.then(name);
        match name.as_str() {
            "forfeitTimeout" => forfeit = at.integer(value, 0..=u64::MAX)?,
            "arbitrationTimeout" => arbitration = at.integer(value, 0..=u64::MAX)?,
            _ => return Err(at.unknown(&["forfeitTimeout", "arbitrationTimeout"])),
        }
    }
    if arbitration < forfeit {
        return Err(at.then("arbitrationTimeout").refuse(format_args!(
            "found {arbitration}, expected at least the forfeitTimeout, which is {forfeit}"
        )));
    }
    Ok(())
}

pub(super) fn read_ownership(value: &Value, at: &At<'_>, rules: &Rules) -> Result<OwnershipPolicies, Refusal> {
    let mut policies = OwnershipPolicies::default();
    for (name, value) in at.object(value)? {
        let at = at.then(name);
        match name.as_str() {
            "migration" => {
                let choices = [("oldest", Migration::Oldest), ("endsession", Migration::EndSession)];
                policies.migration = at.choice(value, &choices, rules)?;
            }
            "allowNonOwnerInviteHandles" => policies.allow_non_owner_invite_handles = at.boolean(value)?,
            "nonOwnerModifiableSystemProperties" => {
                policies.non_owner_fields = at.each(value, |at, field| {
                    let name = at.text(field)?;
                    if SYSTEM_FIELDS.contains(&name) {
                        Ok(name.to_owned())
                    } else {
                        Err(at.wrong(field, "the name of a field of properties.system"))
                    }
                })?;
            }
            _ => {
                return Err(at.unknown(&[
                    "migration",
                    "allowNonOwnerInviteHandles",
                    "nonOwnerModifiableSystemProperties",
                ]));
            }
        }
    }
    Ok(policies)
}
