//! The role types of a session, as they are stored. Members hold the roles themselves.

use std::collections::BTreeMap;

use super::names::names;

/// The role types of a session, by name.
pub(in crate::session) type RoleTypes = BTreeMap<String, RoleType>;

#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::session) struct RoleType {
    pub(in crate::session) owner_managed: bool,
    pub(in crate::session) mutable_settings: Vec<Setting>,
    pub(in crate::session) roles: BTreeMap<String, Role>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::session) struct Role {
    pub(in crate::session) max: Option<u64>,
    pub(in crate::session) target: Option<u64>,
}

/// A setting of a role that may be changed after creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Setting {
    Max,
    Target,
}

names!(Setting {
    Max = "max",
    Target = "target",
});
