//! Role types and roles: creating and changing them, and assigning roles to members.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::field::At;
use super::model::{Capability, Constants, Members, Role, RoleType, RoleTypes, RoleView, Session, Setting};
use super::refusal::{Refusal, RefusalKind};
use crate::rules::{Rules, TemplateRoleTypes};

impl Session {
    /// How many members have a role of a role type, if there is one of these names.
    pub(crate) fn role(&self, role_type: &str, role: &str) -> Option<RoleView> {
        let Role { max, target } = *self.role_types.get(role_type)?.roles.get(role)?;
        Some(RoleView {
            count: count(&self.members, role_type, role),
            max,
            target,
        })
    }
}

/// The role types of a new session: the template's, and those that the creator adds (SES-CONST-018, X-19).
pub(super) fn create(
    template: &Value,
    asked: Option<&Map<String, Value>>,
    constants: &Constants,
    rules: &Rules,
) -> Result<RoleTypes, Refusal> {
    let mut types = RoleTypes::new();
    let place = At::ROOT.then("template");
    let place = place.then("roleTypes");
    if !template.is_null() {
        for (name, value) in place.object(template)? {
            types.insert(
                name.clone(),
                RoleType::read(name, value, constants, rules, &place.then(name))?,
            );
        }
    }
    let at = At::ROOT.then("roleTypes");
    for (name, value) in asked.into_iter().flatten() {
        if types.contains_key(name) && rules.template_role_types == TemplateRoleTypes::Merged {
            let asked = Map::from_iter([(name.clone(), value.clone())]);
            change(&mut types, &asked, true, &Members::default())?;
            continue;
        }
        let at = at.then(name);
        let asked = RoleType::read(name, value, constants, rules, &at)?;
        match types.get(name) {
            None => {
                types.insert(name.clone(), asked);
            }
            Some(fixed) if *fixed == asked => {}
            Some(_) => return Err(at.refuse_as(RefusalKind::Conflict, "the template fixes this role type otherwise")),
        }
    }
    Ok(types)
}

/// Changes mutable settings of roles (SES-ROLE-009); says whether anything changed.
pub(super) fn change(
    types: &mut RoleTypes,
    asked: &Map<String, Value>,
    may_change: bool,
    members: &Members,
) -> Result<bool, Refusal> {
    let at = At::ROOT.then("roleTypes");
    let mut changed = false;
    for (name, value) in asked {
        let at = at.then(name);
        let Some(own) = types.get_mut(name) else {
            return Err(at.refuse_as(RefusalKind::Conflict, "role types can be added only at creation"));
        };
        for (key, value) in at.object(value)? {
            let at = at.then(key);
            match key.as_str() {
                "roles" => {
                    for (role, value) in at.object(value)? {
                        let taken = count(members, name, role);
                        let settings = own.mutable_settings.clone();
                        let Some(own) = own.roles.get_mut(role) else {
                            return Err(at.then(role).refuse("there is no such role"));
                        };
                        let mut wanted = own.clone();
                        wanted.read(value, &at.then(role))?;
                        if wanted == *own {
                            continue;
                        }
                        for (differs, setting) in [
                            (wanted.max != own.max, Setting::Max),
                            (wanted.target != own.target, Setting::Target),
                        ] {
                            let at = at.then(role);
                            let at = at.then(setting.name());
                            if differs && !settings.contains(&setting) {
                                return Err(at.refuse_as(RefusalKind::Conflict, "it is not among mutableRoleSettings"));
                            }
                            if differs && !may_change {
                                return Err(
                                    at.refuse_as(RefusalKind::Unwritable, "only an owner of the session may change it")
                                );
                            }
                        }
                        if wanted.max.is_some_and(|max| max < taken) {
                            return Err(at
                                .then(role)
                                .then("max")
                                .refuse(format_args!("{taken} members have the role")));
                        }
                        *own = wanted;
                        changed = true;
                    }
                }
                "ownerManaged" => {
                    if at.boolean(value)? != own.owner_managed {
                        return Err(at.refuse_as(RefusalKind::Conflict, "it is fixed at creation"));
                    }
                }
                "mutableRoleSettings" => {
                    if read_settings(value, &at)? != own.mutable_settings {
                        return Err(at.refuse_as(RefusalKind::Conflict, "it is fixed at creation"));
                    }
                }
                _ => return Err(at.unknown(&["ownerManaged", "mutableRoleSettings", "roles"])),
            }
        }
    }
    Ok(changed)
}

/// Gives a member the roles it asks for: one of each type, null for none (SES-ROLE-004..008).
#[expect(
    clippy::too_many_arguments,
    reason = "a role depends on the member, the session and the other members"
)]
pub(super) fn assign(
    own: &mut BTreeMap<String, String>,
    index: u32,
    asked: &Map<String, Value>,
    types: &RoleTypes,
    is_owner: bool,
    members: &Members,
    rules: &Rules,
    at: &At<'_>,
) -> Result<(), Refusal> {
    for (name, value) in asked {
        let at = at.then(name);
        let Some(role_type) = types.get(name) else {
            return Err(at.refuse("there is no such role type"));
        };
        let wanted = if value.is_null() { None } else { Some(at.text(value)?) };
        if own.get(name).map(String::as_str) == wanted {
            continue;
        }
        if role_type.owner_managed && !is_owner {
            return Err(at.refuse_as(
                RefusalKind::Unwritable,
                "only an owner of the session assigns this role",
            ));
        }
        let Some(wanted) = wanted else {
            own.remove(name);
            continue;
        };
        let Some(role) = role_type.roles.get(wanted) else {
            let known: Vec<_> = role_type.roles.keys().map(String::as_str).collect();
            return Err(at.wrong(value, format_args!("one of {}", known.join(", "))));
        };
        let others = members.iter().filter(|member| member.index != index);
        let taken = others
            .filter(|member| member.roles.get(name).is_some_and(|role| role == wanted))
            .count();
        let max = role.max.filter(|_| rules.role_max_holds.kept());
        let target = role.target.filter(|_| !rules.role_target_is_a_wish.kept());
        let mut limits = max.into_iter().chain(target);
        if limits.any(|limit| u64::try_from(taken).is_ok_and(|taken| taken >= limit)) {
            return Err(at.refuse_as(RefusalKind::Unwritable, format_args!("the role {wanted} is full")));
        }
        own.insert(name.clone(), wanted.to_owned());
    }
    Ok(())
}

fn count(members: &Members, role_type: &str, role: &str) -> u64 {
    let taken = members
        .iter()
        .filter(|member| member.roles.get(role_type).is_some_and(|own| own == role));
    taken.map(|_| 1).sum()
}

/// `roleTypes` as documents show it (SES-ROLE-011).
pub(super) fn to_json(types: &RoleTypes, members: &Members) -> Value {
    shown(types, |role_type, role, shown| {
        let holders = members
            .iter()
            .filter(|member| member.roles.get(role_type).is_some_and(|own| own == role));
        let xuids: Vec<_> = holders.map(|member| Value::String(member.xuid.to_string())).collect();
        shown.insert("count".to_owned(), json!(xuids.len()));
        shown.insert("memberXuids".to_owned(), Value::Array(xuids));
    })
}

/// `roleTypes` as a request would give it.
pub(super) fn settings_to_json(types: &RoleTypes) -> Value {
    shown(types, |_, _, _| {})
}

fn shown(types: &RoleTypes, add_holders: impl Fn(&str, &str, &mut Map<String, Value>)) -> Value {
    let shown = types.iter().map(|(name, role_type)| {
        let roles = role_type.roles.iter().map(|(role, settings)| {
            let mut shown = Map::with_capacity(4);
            for (setting, value) in [(Setting::Max, settings.max), (Setting::Target, settings.target)] {
                if let Some(value) = value {
                    shown.insert(setting.name().to_owned(), json!(value));
                }
            }
            add_holders(name, role, &mut shown);
            (role.clone(), Value::Object(shown))
        });
        let mut shown = Map::with_capacity(3);
        if role_type.owner_managed {
            shown.insert("ownerManaged".to_owned(), Value::Bool(true));
        }
        if !role_type.mutable_settings.is_empty() {
            let settings = role_type
                .mutable_settings
                .iter()
                .map(|setting| setting.name().into())
                .collect();
            shown.insert("mutableRoleSettings".to_owned(), Value::Array(settings));
        }
        shown.insert("roles".to_owned(), Value::Object(roles.collect()));
        (name.clone(), Value::Object(shown))
    });
    Value::Object(shown.collect())
}

impl RoleType {
    fn read(name: &str, value: &Value, constants: &Constants, rules: &Rules, at: &At<'_>) -> Result<Self, Refusal> {
        check_name(name, at)?;
        let mut read = Self::default();
        for (key, value) in at.object(value)? {
            let at = at.then(key);
            match key.as_str() {
                "ownerManaged" => {
                    read.owner_managed = at.boolean(value)?;
                    if read.owner_managed
                        && !constants.has(Capability::HasOwners)
                        && rules.managed_roles_need_owners.kept()
                    {
                        return Err(at.refuse("it needs the capability hasOwners"));
                    }
                }
                "mutableRoleSettings" => read.mutable_settings = read_settings(value, &at)?,
                "roles" => {
                    for (role, value) in at.object(value)? {
                        let at = at.then(role);
                        check_name(role, &at)?;
                        let mut settings = Role::default();
                        settings.read(value, &at)?;
                        read.roles.insert(role.clone(), settings);
                    }
                }
                _ => return Err(at.unknown(&["ownerManaged", "mutableRoleSettings", "roles"])),
            }
        }
        Ok(read)
    }
}

impl Role {
    fn read(&mut self, value: &Value, at: &At<'_>) -> Result<(), Refusal> {
        for (key, value) in at.object(value)? {
            let at = at.then(key);
            let given = if value.is_null() {
                None
            } else {
                Some(at.integer(value, 1..=u64::MAX)?)
            };
            match key.as_str() {
                "max" => self.max = given,
                "target" => self.target = given,
                _ => return Err(at.unknown(&["max", "target"])),
            }
        }
        match (self.target, self.max) {
            (Some(target), Some(max)) if target > max => Err(at
                .then("target")
                .refuse(format_args!("found {target}, expected at most max, which is {max}"))),
            _ => Ok(()),
        }
    }
}

fn read_settings(value: &Value, at: &At<'_>) -> Result<Vec<Setting>, Refusal> {
    at.each(value, |at, setting| {
        let named = Setting::ALL.iter().find(|(name, _)| setting.as_str() == Some(name));
        named.map_or_else(|| Err(at.wrong(setting, "max or target")), |(_, setting)| Ok(*setting))
    })
}

/// Lower-case letters and digits, at most 100 (SES-ROLE-003).
fn check_name(name: &str, at: &At<'_>) -> Result<(), Refusal> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if (1..=100).contains(&name.len()) && name.bytes().all(fits) {
        Ok(())
    } else {
        Err(at.refuse("a name of roles has 1 to 100 lower-case letters and digits"))
    }
}
