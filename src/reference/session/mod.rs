//! The session document: what is stored, how writes change it, how it is shown.
//!
//! Pure: no HTTP, no I/O, no clock. A [`Session`] is a value; a write makes another one or is refused as a whole.

mod access;
#[cfg(test)]
mod acting;
mod capabilities;
mod changes;
mod constants;
mod departure;
#[cfg(test)]
mod faults;
mod field;
mod initialization;
#[cfg(test)]
mod laws;
mod member;
mod members;
mod merge;
mod properties;
mod render;
mod request;
mod roles;
#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "tests hand over bodies as they write them")]
mod sample;
mod servers;
mod stored;
mod timers;
mod version;
mod write;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

pub use capabilities::Capability;
pub use changes::Changes;
pub use constants::Visibility;
pub use member::{ChangeType, Status, Subscription};
pub use properties::Restriction;
pub use render::time_text;
pub use timers::CONNECTION_GRACE;
pub use version::{ContractVersion, UnsupportedContractVersion};

use crate::principal::{Principal, User};
use crate::rules::Rules;
use crate::session_ref::{SessionKey, SessionRef};
use crate::social::Social;
use crate::template::Template;
use constants::Constants;
use initialization::Initialization;
use member::Member;
use members::Members;
use properties::Properties;
use roles::RoleTypes;
use servers::Servers;

/// What a handle brought the caller, on top of its own rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grant {
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
pub struct Access<'a> {
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
    pub fn users(&self) -> &'a [User] {
        self.caller.user().map_or(self.acting, std::slice::from_ref)
    }

    /// The user for whom the caller speaks, if there is exactly one.
    pub fn user(&self) -> Option<&'a User> {
        match self.users() {
            [user] => Some(user),
            _ => None,
        }
    }

    /// The user whose activity the caller may set: services set none (HDL-ACT-011).
    pub fn activity_owner(&self) -> Option<&'a User> {
        if self.rules.services_set_no_activity.kept() {
            self.caller.user()
        } else {
            self.user()
        }
    }

    /// Whether of a large session the caller sees no member but its user (SES-LARGE-001, AUTH-021).
    fn shows_me_only(&self) -> bool {
        self.rules.large_shows_me_only.kept()
            && (self.acting.is_empty() || self.rules.large_shows_acting_user_only.kept())
    }

    /// Whether the caller is a service whose access stands above the rights of users (AUTH-013).
    pub fn manages(&self) -> bool {
        let overrides = self.acting.is_empty() || self.rules.manage_overrides.kept();
        self.caller.is_server() && !self.denies_manage && overrides
    }
}

/// Which real-time connections are open.
pub trait Connections {
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

/// One state of a session. Cloning is cheap: states share what they have in common.
#[derive(Clone, Debug)]
pub struct Session {
    at: Arc<SessionRef>,
    branch: Uuid,
    /// Names this state, and no other: the `ETag`.
    state: Uuid,
    change_number: u64,
    correlation_id: Uuid,
    start_time: Timestamp,
    constants: Arc<Constants>,
    properties: Properties,
    members: Arc<Members>,
    servers: Arc<Servers>,
    role_types: Arc<RoleTypes>,
    empty_since: Option<Timestamp>,
    initialization: Initialization,
    /// The search handle that leads here. Not part of the state: whoever made it left the session alone (SRCH-HDL-007).
    search_handle: Option<Uuid>,
}

/// What survives a deleted session at its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Former {
    /// The correlation id (SES-CREATE-019).
    pub correlation_id: Uuid,
}

/// What a write, or the passing of time, made of a session.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A new session.
    Created(Session),
    /// Another state of the session.
    Changed(Session),
    /// Nothing.
    Unchanged,
    /// The session is no more.
    Gone,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the refusal means for the status.
    pub kind: RefusalKind,
    /// Where, what was found and what was expected; for people.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// The kinds of [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request makes no sense (400).
    Malformed,
    /// The caller may not see the session (403 with a text).
    Unreadable,
    /// The caller may not do that to the session (403, with the session where the caller may read it).
    Unwritable,
    /// This kind of caller may not do that at all (403 with a text).
    Forbidden,
    /// The request contradicts what is fixed (409).
    Conflict,
    /// The session can have no such element (404).
    NotFound,
}

/// A member, as queries, handles and taps see it.
#[derive(Clone, Copy, Debug)]
pub struct MemberView<'s> {
    /// Its index.
    pub index: u32,
    /// Its user.
    pub xuid: u64,
    /// What it is doing.
    pub status: Status,
    /// Whether it is in `turn`.
    pub in_turn: bool,
    /// Whether it owns the session.
    pub is_owner: bool,
    /// The real-time connection that it wrote, if any.
    pub connection: Option<Uuid>,
    /// The changes that it subscribed to, if any.
    pub subscription: Option<&'s Subscription>,
}

/// A role, as queries see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleView {
    /// How many members have it.
    pub count: u64,
    /// How many may have it.
    pub max: Option<u64>,
    /// How many should have it.
    pub target: Option<u64>,
}

impl Session {
    /// Refuses constants of a template from which no session could be made.
    pub fn check_template(template: &Template, rules: &Rules) -> Result<(), Refusal> {
        constants::check_template(template, rules)
    }

    /// Refuses the caller who may not see the session.
    pub fn may_read(&self, access: &Access<'_>) -> Result<(), Refusal> {
        access::may_read(self, access)
    }

    /// The `ETag`, quoted: another one for each state, the same for every contract version. The document shows the search
    /// handle, so the tag tells it as well.
    pub fn etag(&self) -> String {
        match self.search_handle {
            None => format!("\"{}\"", self.state),
            Some(handle) => format!("\"{}.{handle}\"", self.state),
        }
    }

    /// The branch within which change numbers can be compared.
    pub fn branch(&self) -> Uuid {
        self.branch
    }

    /// How many changes this branch has seen; 1 when created.
    pub fn change_number(&self) -> u64 {
        self.change_number
    }

    /// The id that survives deletion.
    pub fn correlation_id(&self) -> Uuid {
        self.correlation_id
    }

    /// When the session was created.
    pub fn start_time(&self) -> Timestamp {
        self.start_time
    }

    /// The session's address.
    pub fn at(&self) -> &SessionRef {
        &self.at
    }

    /// The next state, in which nothing else has changed (LIVE-002, LIVE-003).
    #[must_use]
    pub fn touched(&self) -> Self {
        Self {
            change_number: self.change_number + 1,
            state: Uuid::new_v4(),
            ..self.clone()
        }
    }

    /// The state after a change.
    fn next_state(&self, rules: &Rules) -> Self {
        let mut next = self.touched();
        if !rules.change_number_grows.kept() {
            next.change_number = self.change_number;
        }
        if !rules.etag_changes.kept() {
            next.state = self.state;
        }
        next
    }

    /// Binds an activity handle to the caller's member, who must be active; returns the handle it replaces (LIVE-002).
    pub fn bind_activity(&self, handle: Uuid, access: &Access<'_>) -> Result<(Self, Option<Uuid>), Refusal> {
        let refuse = |why: &str| Refusal {
            kind: RefusalKind::Forbidden,
            message: why.to_owned(),
        };
        let Some(user) = access.activity_owner() else {
            return Err(refuse("only a user has an activity"));
        };
        self.may_read(access)?;
        let Some(position) = self.members.position_of_xuid(user.xuid) else {
            return Err(refuse("the user is not a member of the session"));
        };
        let Some(member) = self
            .members
            .at(position)
            .filter(|member| member.status == Status::Active)
        else {
            return Err(refuse("the user is not active in the session"));
        };
        let replaced = member.activity;
        let mut after = if access.rules.activity_is_a_change.kept() {
            self.touched()
        } else {
            self.clone()
        };
        let member = Member {
            activity: Some(handle),
            ..member.clone()
        };
        Arc::make_mut(&mut after.members).replace(position, member);
        Ok((after, replaced))
    }

    /// The session without that activity; the document and the `ETag` stay as they are.
    #[must_use]
    pub fn unbind_activity(&self, handle: Uuid) -> Self {
        let mut after = self.clone();
        let bound = self
            .members
            .iter()
            .enumerate()
            .find(|(_, member)| member.activity == Some(handle));
        if let Some((position, member)) = bound {
            Arc::make_mut(&mut after.members).replace(
                position,
                Member {
                    activity: None,
                    ..member.clone()
                },
            );
        }
        after
    }

    /// The activity handles bound to members, with the xuid of each.
    pub fn bound_activities(&self) -> impl Iterator<Item = (u64, Uuid)> {
        self.members
            .iter()
            .filter_map(|member| Some((member.xuid, member.activity?)))
    }

    /// When each member came.
    pub fn join_times(&self) -> impl Iterator<Item = (Timestamp, u64)> {
        self.members.iter().map(|member| (member.join_time, member.xuid))
    }

    /// The same state, found through another search handle or none.
    #[must_use]
    pub fn with_search_handle(&self, handle: Option<Uuid>) -> Self {
        Self {
            search_handle: handle,
            ..self.clone()
        }
    }

    /// The search handle that leads here.
    pub fn search_handle(&self) -> Option<Uuid> {
        self.search_handle
    }

    /// The members in the order of their indices, whoever may see them.
    pub fn members(&self) -> impl Iterator<Item = MemberView<'_>> {
        self.members.iter().map(|member| self.member_view(member))
    }

    /// The member with that xuid.
    pub fn member(&self, xuid: u64) -> Option<MemberView<'_>> {
        self.members.by_xuid(xuid).map(|member| self.member_view(member))
    }

    fn member_view<'s>(&'s self, member: &'s Member) -> MemberView<'s> {
        let system = &self.properties.system;
        MemberView {
            index: member.index,
            xuid: member.xuid,
            status: member.status,
            in_turn: system.turn.contains(&member.index),
            is_owner: system.owners.contains(&member.index),
            connection: member.system.connection,
            subscription: member.system.subscription.as_ref(),
        }
    }

    /// The constant; a full session is still shown as open here.
    pub fn visibility(&self) -> Visibility {
        self.constants.visibility
    }

    /// The restriction in force on joins.
    pub fn join_restriction(&self) -> Restriction {
        self.properties.join_restriction(&self.constants)
    }

    /// The restriction in force on reads.
    pub fn read_restriction(&self) -> Restriction {
        self.properties.read_restriction(&self.constants)
    }

    /// Whether only reserved users may join.
    pub fn closed(&self) -> bool {
        self.properties.system.closed
    }

    /// Whether only members of before may join.
    pub fn locked(&self) -> bool {
        self.properties.system.locked
    }

    /// How many members there may be.
    pub fn max_members(&self) -> u64 {
        self.constants.max_members
    }

    /// How many members there are, reserved ones included.
    pub fn count(&self) -> u64 {
        self.members.len() as u64
    }

    /// How many members there are, reserved ones excluded.
    pub fn accepted(&self) -> u64 {
        self.members.accepted() as u64
    }

    /// Whether every place is taken.
    pub fn is_full(&self) -> bool {
        self.count() >= self.max_members()
    }

    /// The keywords, in the case they were sent.
    pub fn keywords(&self) -> &[String] {
        self.properties.system.keywords.as_deref().unwrap_or_default()
    }

    /// `properties.custom`.
    pub fn custom_properties(&self) -> &Value {
        &self.properties.custom
    }

    /// Whether the session has the capability.
    pub fn has_capability(&self, capability: Capability) -> bool {
        self.constants.has(capability)
    }

    /// The indices of the owners.
    pub fn owners(&self) -> &[u32] {
        &self.properties.system.owners
    }

    /// Whether the user speaks for the session: an accepted member, and an owner where there are owners.
    pub fn is_in_charge(&self, xuid: u64) -> bool {
        self.member(xuid).is_some_and(|member| {
            member.status != Status::Reserved && (member.is_owner || !self.has_capability(Capability::HasOwners))
        })
    }

    /// How many members have a role of a role type, if there is one of these names.
    pub fn role(&self, role_type: &str, role: &str) -> Option<RoleView> {
        roles::view(&self.role_types, &self.members, role_type, role)
    }

    /// `constants.system.inviteProtocol`.
    pub fn invite_protocol(&self) -> Option<&str> {
        self.constants.invite_protocol.as_deref()
    }

    /// `constants.system.version`, 1 unless given.
    pub fn major_version(&self) -> u64 {
        self.constants.major_version
    }

    /// Whether the user, a member, may invite others (HDL-INV-014).
    pub fn may_invite(&self, xuid: u64) -> bool {
        !self.constants.has(Capability::HasOwners)
            || self.constants.ownership.allow_non_owner_invite_handles
            || self.member(xuid).is_some_and(|member| member.is_owner)
    }
}
