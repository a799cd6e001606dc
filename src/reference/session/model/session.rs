//! One state of a session: the document, and what can be asked of it without any rule.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::admission::{Restriction, Visibility};
use super::capability::Capability;
use super::constants::Constants;
use super::initialization::Initialization;
use super::member::{Member, Status, Subscription};
use super::members::Members;
use super::properties::Properties;
use super::roles::RoleTypes;
use super::servers::Servers;
use crate::rules::Rules;
use crate::session_ref::SessionRef;

/// One state of a session. Cloning is cheap: states share what they have in common.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(in crate::session) at: Arc<SessionRef>,
    pub(in crate::session) branch: Uuid,
    /// Names this state, and no other: the `ETag`.
    pub(in crate::session) state: Uuid,
    pub(in crate::session) change_number: u64,
    pub(in crate::session) correlation_id: Uuid,
    pub(in crate::session) start_time: Timestamp,
    pub(in crate::session) constants: Arc<Constants>,
    pub(in crate::session) properties: Properties,
    pub(in crate::session) members: Arc<Members>,
    pub(in crate::session) servers: Arc<Servers>,
    pub(in crate::session) role_types: Arc<RoleTypes>,
    pub(in crate::session) empty_since: Option<Timestamp>,
    pub(in crate::session) initialization: Initialization,
    /// The search handle that leads here. Not part of the state: whoever made it left the session alone (SRCH-HDL-007).
    pub(in crate::session) search_handle: Option<Uuid>,
}

/// What survives a deleted session at its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Former {
    /// The correlation id (SES-CREATE-019).
    pub correlation_id: Uuid,
}

/// A member, as queries, handles and taps see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemberView<'s> {
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
pub(crate) struct RoleView {
    /// How many members have it.
    pub count: u64,
    /// How many may have it.
    pub max: Option<u64>,
    /// How many should have it.
    pub target: Option<u64>,
}

impl Session {
    /// The `ETag`, quoted: another one for each state, the same for every contract version. The document shows the search
    /// handle, so the tag tells it as well.
    pub(crate) fn etag(&self) -> String {
        match self.search_handle {
            None => format!("\"{}\"", self.state),
            Some(handle) => format!("\"{}.{handle}\"", self.state),
        }
    }

    /// The branch within which change numbers can be compared.
    pub(crate) fn branch(&self) -> Uuid {
        self.branch
    }

    /// How many changes this branch has seen; 1 when created.
    pub(crate) fn change_number(&self) -> u64 {
        self.change_number
    }

    /// The id that survives deletion.
    pub(crate) fn correlation_id(&self) -> Uuid {
        self.correlation_id
    }

    /// When the session was created.
    pub(crate) fn start_time(&self) -> Timestamp {
        self.start_time
    }

    /// The session's address.
    pub(crate) fn at(&self) -> &SessionRef {
        &self.at
    }

    /// The next state, in which nothing else has changed (LIVE-002, LIVE-003).
    #[must_use]
    pub(crate) fn touched(&self, rules: &Rules) -> Self {
        Self {
            change_number: rules.freedom.next_change(self.change_number),
            state: Uuid::new_v4(),
            ..self.clone()
        }
    }

    /// When each member came.
    pub(crate) fn join_times(&self) -> impl Iterator<Item = (Timestamp, u64)> {
        self.members.iter().map(|member| (member.join_time, member.xuid))
    }

    /// The activity handles bound to members, with the xuid of each.
    pub(crate) fn bound_activities(&self) -> impl Iterator<Item = (u64, Uuid)> {
        self.members
            .iter()
            .filter_map(|member| Some((member.xuid, member.activity?)))
    }

    /// The same state, found through another search handle or none.
    #[must_use]
    pub(crate) fn with_search_handle(&self, handle: Option<Uuid>) -> Self {
        Self {
            search_handle: handle,
            ..self.clone()
        }
    }

    /// The search handle that leads here.
    pub(crate) fn search_handle(&self) -> Option<Uuid> {
        self.search_handle
    }

    /// The members in the order of their indices, whoever may see them.
    pub(crate) fn members(&self) -> impl Iterator<Item = MemberView<'_>> {
        self.members.iter().map(|member| self.member_view(member))
    }

    /// The member with that xuid.
    pub(crate) fn member(&self, xuid: u64) -> Option<MemberView<'_>> {
        self.members.by_xuid(xuid).map(|member| self.member_view(member))
    }

    fn member_view<'s>(&'s self, member: &'s Member) -> MemberView<'s> {
        let system = &self.properties.system;
        MemberView {
            xuid: member.xuid,
            status: member.status,
            in_turn: system.turn.contains(&member.index),
            is_owner: system.owners.contains(&member.index),
            connection: member.system.connection,
            subscription: member.system.subscription.as_ref(),
        }
    }

    /// The constant; a full session is still shown as open here.
    pub(crate) fn visibility(&self) -> Visibility {
        self.constants.visibility
    }

    /// The restriction in force on joins.
    pub(crate) fn join_restriction(&self) -> Restriction {
        self.properties.join_restriction(&self.constants)
    }

    /// Whether only reserved users may join.
    pub(crate) fn closed(&self) -> bool {
        self.properties.system.closed
    }

    /// Whether only members of before may join.
    pub(crate) fn locked(&self) -> bool {
        self.properties.system.locked
    }

    /// How many members there may be.
    pub(crate) fn max_members(&self) -> u64 {
        self.constants.max_members
    }

    /// How many members there are, reserved ones included.
    pub(crate) fn count(&self) -> u64 {
        self.members.len() as u64
    }

    /// How many members there are, reserved ones excluded.
    pub(crate) fn accepted(&self) -> u64 {
        self.members.accepted() as u64
    }

    /// Whether every place is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.count() >= self.max_members()
    }

    /// The keywords, in the case they were sent.
    pub(crate) fn keywords(&self) -> &[String] {
        self.properties.system.keywords.as_deref().unwrap_or_default()
    }

    /// When it is scheduled to start.
    pub(crate) fn scheduled_time(&self) -> Option<Timestamp> {
        self.properties.system.scheduled_time
    }

    /// What it says about itself: `text` and `locale`.
    pub(crate) fn description(&self) -> Option<&Value> {
        self.properties.system.description.as_ref()
    }

    /// Who is to find it by search, as its members say.
    pub(crate) fn search_handle_visibility(&self) -> Option<&str> {
        self.properties.system.search_handle_visibility.as_deref()
    }

    /// `properties.custom`.
    pub(crate) fn custom_properties(&self) -> &Value {
        &self.properties.custom
    }

    /// Whether the session has the capability.
    pub(crate) fn has_capability(&self, capability: Capability) -> bool {
        self.constants.has(capability)
    }

    /// `constants.system.inviteProtocol`.
    pub(crate) fn invite_protocol(&self) -> Option<&str> {
        self.constants.invite_protocol.as_deref()
    }

    /// `constants.system.version`, 1 unless given.
    pub(crate) fn major_version(&self) -> u64 {
        self.constants.major_version
    }
}
