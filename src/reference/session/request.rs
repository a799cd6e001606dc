//! The shape of a write: which parts it has, before anything is decided about them.

use serde_json::{Map, Value};

use super::field::{At, decimal};
use super::refusal::Refusal;
use crate::rules::{RoleTypesInRequest, Rules};

/// A bag of the document: `system` has a schema, `custom` belongs to the title.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bag<'v> {
    pub(super) system: Option<&'v Map<String, Value>>,
    pub(super) custom: Option<&'v Value>,
}

impl<'v> Bag<'v> {
    pub(super) fn read(value: &'v Value, at: &At<'_>) -> Result<Self, Refusal> {
        let mut bag = Self::default();
        for (key, value) in at.object(value)? {
            let at = at.then(key);
            match key.as_str() {
                "system" => bag.system = Some(at.object(value)?),
                "custom" => bag.custom = Some(value),
                _ => return Err(at.unknown(&["system", "custom"])),
            }
        }
        Ok(bag)
    }
}

/// What a write says about a user for whom the caller speaks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Me<'v> {
    /// The user leaves.
    Leave,
    Write(MemberDelta<'v>),
}

/// Which of these users a member of the request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// `me`: the only one.
    Me,
    /// `me_{xuid}`
    Xuid(u64),
    /// `me_all`
    All,
    /// `me_allInSession`: those who are members already.
    AllInSession,
}

impl Whom {
    fn read(key: &str) -> Option<Self> {
        match key {
            "me" => Some(Self::Me),
            "me_all" => Some(Self::All),
            "me_allInSession" => Some(Self::AllInSession),
            _ => key.strip_prefix("me_").and_then(decimal).map(Self::Xuid),
        }
    }
}

/// A member of the request that stands for users, not for an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'v> {
    pub(super) key: &'v str,
    pub(super) whom: Whom,
    pub(super) me: Me<'v>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MemberDelta<'v> {
    pub(super) constants: Option<Bag<'v>>,
    pub(super) properties: Option<Bag<'v>>,
    pub(super) roles: Option<&'v Map<String, Value>>,
}

impl<'v> MemberDelta<'v> {
    fn read(value: &'v Value, at: &At<'_>) -> Result<Self, Refusal> {
        let mut delta = Self::default();
        for (key, value) in at.object(value)? {
            let at = at.then(key);
            match key.as_str() {
                "constants" => delta.constants = Some(Bag::read(value, &at)?),
                "properties" => delta.properties = Some(Bag::read(value, &at)?),
                "roles" => delta.roles = Some(at.object(value)?),
                _ => return Err(at.unknown(&["constants", "properties", "roles"])),
            }
        }
        Ok(delta)
    }
}

/// A member reference by index, as it stands in a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Indexed<'v> {
    pub(super) key: &'v str,
    pub(super) index: u32,
    pub(super) removes: bool,
}

/// A write of a session.
#[derive(Debug, Default)]
pub(super) struct Request<'v> {
    pub(super) constants: Option<Bag<'v>>,
    pub(super) properties: Option<Bag<'v>>,
    /// Whether the properties are the whole request, which shortens their pointers.
    pub(super) is_properties_element: bool,
    /// What is written of the users for whom the caller speaks, in the order of the request.
    pub(super) own: Vec<Own<'v>>,
    /// The constants of each reservation, in the order of their numbers.
    pub(super) reservations: Vec<(&'v str, Bag<'v>)>,
    /// Whether `me` stands after a reservation, and so gets the higher index.
    pub(super) me_is_last: bool,
    pub(super) indexed: Vec<Indexed<'v>>,
    pub(super) servers: Option<&'v Map<String, Value>>,
    pub(super) role_types: Option<&'v Map<String, Value>>,
}

impl<'v> Request<'v> {
    /// Reads a write of the whole session (SES-BODY-002..010).
    pub(super) fn read(body: &'v Value, rules: &Rules) -> Result<Self, Refusal> {
        let mut request = Self::default();
        for (key, value) in At::ROOT.object(body)? {
            let at = At::ROOT.then(key);
            match key.as_str() {
                "constants" => request.constants = Some(Bag::read(value, &at)?),
                "properties" => request.properties = Some(Bag::read(value, &at)?),
                "members" => request.read_members(at.object(value)?, &at)?,
                "servers" => request.servers = Some(at.object(value)?),
                "roleTypes" if rules.role_types_in_request == RoleTypesInRequest::Accepted => {
                    request.role_types = Some(at.object(value)?);
                }
                _ if !rules.unknown_keys_are_refused.kept() => {}
                _ => return Err(at.unknown(&["constants", "properties", "members", "servers"])),
            }
        }
        Ok(request)
    }

    /// Reads a write of `properties` only, which is the bag itself (SES-ELEM-005).
    pub(super) fn read_properties(bag: &'v Value) -> Result<Self, Refusal> {
        let properties = Some(Bag::read(bag, &At::ROOT)?);
        Ok(Self {
            properties,
            is_properties_element: true,
            ..Self::default()
        })
    }

    /// Whether nothing but what [`own`](Self::own) has is written.
    pub(super) fn is_only_own(&self) -> bool {
        let Self {
            constants,
            properties,
            reservations,
            indexed,
            servers,
            role_types,
            ..
        } = self;
        constants.is_none()
            && properties.is_none()
            && reservations.is_empty()
            && indexed.is_empty()
            && servers.is_none_or(Map::is_empty)
            && role_types.is_none_or(Map::is_empty)
    }

    fn read_members(&mut self, members: &'v Map<String, Value>, at: &At<'_>) -> Result<(), Refusal> {
        let mut numbered = Vec::new();
        for (key, value) in members {
            let at = at.then(key);
            if let Some(whom) = Whom::read(key) {
                self.me_is_last = !numbered.is_empty();
                let me = match value {
                    Value::Null => Me::Leave,
                    _ => Me::Write(MemberDelta::read(value, &at)?),
                };
                self.own.push(Own { key, whom, me });
            } else if let Some(number) = key.strip_prefix("reserve_").and_then(canonical) {
                let mut constants = Bag::default();
                for (name, value) in at.object(value)? {
                    let at = at.then(name);
                    match name.as_str() {
                        "constants" => constants = Bag::read(value, &at)?,
                        _ => return Err(at.unknown(&["constants"])),
                    }
                }
                numbered.push((number, key.as_str(), constants));
            } else if let Some(index) = canonical(key) {
                self.indexed.push(Indexed {
                    key,
                    index,
                    removes: value.is_null(),
                });
            } else {
                return Err(
                    at.refuse("unknown member, expected me, reserve_0, reserve_1, ... or the index of a member")
                );
            }
        }
        numbered.sort_unstable_by_key(|(number, ..)| *number);
        for (expected, (number, key, constants)) in (0..).zip(numbered) {
            if number != expected {
                return Err(at.then(key).refuse(format_args!(
                    "reservations are numbered from 0 without gaps, expected reserve_{expected}"
                )));
            }
            self.reservations.push((key, constants));
        }
        Ok(())
    }
}

/// A decimal number in its one spelling: no sign, no leading zeros.
fn canonical(text: &str) -> Option<u32> {
    let number = text.parse().ok()?;
    (text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'))).then_some(number)
}
