//! The constants of a session: the template's and the creator's, fixed for the session's life.
//!
//! They are stored in the names of contract version 107, whatever version the template and the request are written in.

mod capabilities;
mod given;
mod initialization;
mod later;
mod network;
mod policies;
mod request;
#[cfg(test)]
mod tests;
mod timeout;

use serde_json::{Map, Value, json};

use self::given::Given;
use self::request::read_request;
use super::access::Access;
use super::field::{At, decimal};
use super::merge::same;
use super::model::{Capability, Constants, ContractVersion, Template};
use super::refusal::{Refusal, RefusalKind};
use super::request::Bag;
use super::version;
use crate::rules::{DefaultInactive, ImpliedGameplay, Rules};
use crate::session_ref::SessionRef;

impl Template {
    /// Refuses a template from which no session could be created, whatever its creator adds. Places in messages begin with
    /// `/template`.
    pub(crate) fn check(&self, rules: &Rules) -> Result<(), Refusal> {
        let Fixed {
            version,
            mut system,
            custom,
            ..
        } = Fixed::read(self, rules)?;
        // The creator may still give owners.
        let capabilities = system.entry("capabilities").or_insert_with(|| json!({}));
        if let Some(capabilities) = capabilities.as_object_mut() {
            capabilities.insert(Capability::HasOwners.name().to_owned(), Value::Bool(true));
        }
        let at = At::ROOT.then("template");
        let at = at.then("constants");
        let given = Given::read(&system, &at.then("system"), rules)?;
        let constants = given.settle(system, custom, version, rules);
        super::roles::create(&self.role_types, None, &constants, rules).map(|_| ())
    }
}

impl Constants {
    /// The constants of a new session: the template's, and what the creator adds to them (TPL-006).
    pub(super) fn create(template: &Template, asked: Option<Bag<'_>>, access: &Access<'_>) -> Result<Self, Refusal> {
        let rules = access.rules;
        let Fixed {
            version,
            mut system,
            mut custom,
            initialization_is_old,
        } = Fixed::read(template, rules)?;

        if let Some(asked) = asked {
            let at = At::ROOT.then("constants");
            if let Some(bag) = asked.system {
                let at = at.then("system");
                let bag = read_request(bag, access, &at)?;
                add_system(&mut system, &bag, rules, &at)?;
            }
            if let Some(bag) = asked.custom {
                add_custom(&mut custom, bag, &at.then("custom"))?;
            }
        }

        let defaults = match rules.default_inactive {
            DefaultInactive::ByRequest => access.version,
            _ if !rules.old_default_is_two_hours.kept() => ContractVersion::V107,
            DefaultInactive::ByVersion | DefaultInactive::TwoHours => version,
        };
        let initialization_is_old = initialization_is_old.unwrap_or(access.version.has_old_names());
        if let (true, Some(Value::Object(bag))) = (initialization_is_old, system.get_mut("memberInitialization"))
            && rules.old_initialization_has_defaults.kept()
        {
            version::fill_old_initialization(bag);
        }
        if defaults.has_old_names() && rules.implied_gameplay == ImpliedGameplay::Implied {
            imply_gameplay(&mut system);
        }

        let at = At::ROOT.then("constants");
        let at = at.then("system");
        let given = Given::read(&system, &at, rules)?;
        given.check(&at, rules)?;
        Ok(given.settle(system, custom, defaults, rules))
    }

    /// The constants that 107 shows as `system`.
    pub(super) fn restore(system: &Map<String, Value>, custom: Value, rules: &Rules) -> Result<Self, Refusal> {
        let at = At::ROOT.then("constants");
        let given = Given::read(system, &at.then("system"), rules)?;
        let mut constants = given.settle(system.clone(), custom, ContractVersion::V107, rules);
        // What the template pinned is not shown, and must not be defaulted now.
        constants.system.clone_from(system);
        constants.old_system = version::downgrade(system);
        Ok(constants)
    }

    /// Refuses a creation that the constants do not allow to this caller under this name.
    pub(super) fn check_creation(&self, at: &SessionRef, access: &Access<'_>) -> Result<(), Refusal> {
        let place = At::ROOT.then("constants");
        let place = place.then("system");
        // AUTH-020
        if let Some(initiators) = &self.initiators
            && !access.manages()
            && access.users().iter().any(|user| !initiators.contains(&user.xuid))
            && access.rules.initiators_are_asked.kept()
        {
            return Err(place.then("initiators").refuse_as(
                RefusalKind::Forbidden,
                "the caller is not among those who may create the session",
            ));
        }
        let capabilities = place.then("capabilities");
        if self.has(Capability::Broadcast) {
            let named_for = decimal(&at.name);
            let right = match access.user() {
                Some(user) if !access.manages() => named_for == Some(user.xuid),
                _ => named_for.is_some(),
            };
            if !right {
                return Err(capabilities
                    .then("broadcast")
                    .refuse("a broadcast session must have the broadcaster's xuid as its name"));
            }
        }
        if self.has(Capability::Arbitration) && !access.caller.is_server() {
            return Err(capabilities.then("arbitration").refuse_as(
                RefusalKind::Forbidden,
                "only a server principal creates an arbitrated session",
            ));
        }
        Ok(())
    }
}

/// What a template fixes, in the names of 107.
struct Fixed {
    version: ContractVersion,
    system: Map<String, Value>,
    custom: Value,
    /// Whether the template spells initialization in the old names, if it has any.
    initialization_is_old: Option<bool>,
}

impl Fixed {
    fn read(template: &Template, rules: &Rules) -> Result<Self, Refusal> {
        let place = At::ROOT.then("template");
        let version = template.contract_version;
        let place = place.then("constants");
        let bag = if template.constants.is_null() {
            Bag::default()
        } else {
            Bag::read(&template.constants, &place)?
        };
        let at = place.then("system");
        let nothing = Map::new();
        let given = bag.system.unwrap_or(&nothing);
        let system = version::upgrade(given, version, false, &at)?.into_owned();
        Given::read(&system, &at, rules)?;
        let initialization_is_old = if given.contains_key("managedInitialization") {
            Some(true)
        } else {
            given.contains_key("memberInitialization").then_some(false)
        };
        Ok(Self {
            version,
            system,
            custom: bag.custom.cloned().unwrap_or_else(|| json!({})),
            initialization_is_old,
        })
    }
}

/// Adds what the creator asks to what the template fixes; a different value is a conflict (TPL-007..010).
fn add_system(
    fixed: &mut Map<String, Value>,
    asked: &Map<String, Value>,
    rules: &Rules,
    at: &At<'_>,
) -> Result<(), Refusal> {
    for (key, value) in asked {
        let at = at.then(key);
        let Some(own) = fixed.get_mut(key) else {
            fixed.insert(key.clone(), value.clone());
            continue;
        };
        if !rules.template_wins.kept() {
            own.clone_from(value);
            continue;
        }
        match (&mut *own, value) {
            (Value::Object(own), Value::Object(asked)) => {
                for (name, value) in asked {
                    match own.get(name) {
                        Some(own) if same(own, value) => {}
                        Some(own) => return Err(at.then(name).conflict(value, Some(own))),
                        // A template that has the object closes it against further capabilities (TPL-010).
                        None if key == "capabilities" && rules.template_closes_capabilities.kept() => {
                            if value == &Value::Bool(true) {
                                return Err(at.then(name).conflict(value, Some(&Value::Bool(false))));
                            }
                        }
                        None => {
                            own.insert(name.clone(), value.clone());
                        }
                    }
                }
            }
            (own, value) if same(own, value) => {}
            // Null in the template pins the constant unset (TPL-009).
            (own, value) => return Err(at.conflict(value, Some(own))),
        }
    }
    Ok(())
}

fn add_custom(fixed: &mut Value, asked: &Value, at: &At<'_>) -> Result<(), Refusal> {
    match (&mut *fixed, asked) {
        (Value::Object(fixed), Value::Object(asked)) => {
            for (key, value) in asked {
                match fixed.get(key) {
                    None if value.is_null() => {}
                    None => {
                        fixed.insert(key.clone(), value.clone());
                    }
                    Some(own) if same(own, value) => {}
                    Some(own) => return Err(at.then(key).conflict(value, Some(own))),
                }
            }
            Ok(())
        }
        (_, Value::Null) => Ok(()),
        (Value::Object(own), asked) if own.is_empty() => {
            *fixed = asked.clone();
            Ok(())
        }
        (own, asked) if same(own, asked) => Ok(()),
        (own, asked) => Err(at.conflict(asked, Some(own))),
    }
}

/// Before 107 every session counted as gameplay (VER-013); a team cannot.
fn imply_gameplay(system: &mut Map<String, Value>) {
    let capabilities = system.entry("capabilities").or_insert_with(|| json!({}));
    if let Value::Object(capabilities) = capabilities
        && !capabilities.contains_key("gameplay")
        && capabilities.get("team") != Some(&Value::Bool(true))
    {
        capabilities.insert("gameplay".to_owned(), Value::Bool(true));
    }
}
