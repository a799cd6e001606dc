//! Who accesses a session, how and when: what every rule about a caller is given.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use super::model::ContractVersion;
use crate::principal::{Principal, User};
use crate::rules::Rules;
use crate::session_ref::SessionKey;
use crate::social::Social;

/// What a handle brought the caller, on top of its own rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Nothing: the session's own address was used.
    #[default]
    None,
    /// An invite handle, and the caller is the invited user.
    Invite,
    /// A transfer handle, and the caller is in the origin session.
    Transfer,
    /// A search handle.
    Search,
    /// An activity handle.
    Activity,
}

/// Who accesses a session, how and when.
#[derive(Clone, Copy)]
pub(crate) struct Access<'a> {
    /// The authenticated caller.
    pub caller: &'a Principal,
    /// The users for whom the caller acts, if it is a service (AUTH-008).
    pub acting: &'a [User],
    /// Whether a service wants the rights of these users to be asked (AUTH-013).
    pub denies_manage: bool,
    /// The contract version of the request.
    pub version: ContractVersion,
    /// When.
    pub now: Timestamp,
    /// What the handle brought, if one was used.
    pub grant: Grant,
    /// The readings in force.
    pub rules: &'a Rules,
    /// Who follows and blocks whom.
    pub social: &'a Social,
    /// The real-time connections.
    pub connections: &'a dyn Connections,
}

impl fmt::Debug for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            caller,
            acting,
            denies_manage,
            version,
            now,
            grant,
            ..
        } = self;
        f.debug_struct("Access")
            .field("caller", caller)
            .field("acting", acting)
            .field("denies_manage", denies_manage)
            .field("version", version)
            .field("now", now)
            .field("grant", grant)
            .finish_non_exhaustive()
    }
}

impl<'a> Access<'a> {
    /// The users for whom the caller speaks: itself, or those for whom a service acts.
    pub(crate) fn users(&self) -> &'a [User] {
        self.caller.user().map_or(self.acting, std::slice::from_ref)
    }

    /// The user for whom the caller speaks, if there is exactly one.
    pub(crate) fn user(&self) -> Option<&'a User> {
        match self.users() {
            [user] => Some(user),
            _ => None,
        }
    }

    /// The user whose activity the caller may set: services set none (HDL-ACT-011).
    pub(crate) fn activity_owner(&self) -> Option<&'a User> {
        if self.rules.services_set_no_activity.kept() {
            self.caller.user()
        } else {
            self.user()
        }
    }

    /// Whether of a large session the caller sees no member but its user (SES-LARGE-001, AUTH-021).
    pub(super) fn shows_me_only(&self) -> bool {
        self.rules.large_shows_me_only.kept()
            && (self.acting.is_empty() || self.rules.large_shows_acting_user_only.kept())
    }

    /// Whether the caller is a service whose access stands above the rights of users (AUTH-013).
    pub(crate) fn manages(&self) -> bool {
        let overrides = self.acting.is_empty() || self.rules.manage_overrides.kept();
        self.caller.is_server() && !self.denies_manage && overrides
    }
}

/// Which real-time connections are open.
pub(crate) trait Connections {
    /// The xuid of the user whose connection it is or was; `None` if it is not known.
    fn owner(&self, connection: Uuid) -> Option<u64>;
    /// When the connection was lost; `None` while it lives, or if it is not known.
    fn lost_at(&self, connection: Uuid) -> Option<Timestamp>;
    /// Whether the connection may be told of `session` as well (RTA-023).
    fn has_room(&self, connection: Uuid, session: &SessionKey) -> bool;
}

/// A service without real-time connections.
impl Connections for () {
    fn owner(&self, _: Uuid) -> Option<u64> {
        None
    }

    fn lost_at(&self, _: Uuid) -> Option<Timestamp> {
        None
    }

    fn has_room(&self, _: Uuid, _: &SessionKey) -> bool {
        true
    }
}
