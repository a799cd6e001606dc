//! One member of a session, as it is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::initialization::InitializationFailure;
use super::names::names;

/// What a member is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Somebody holds a place for the user, who has not written to the session yet.
    Reserved,
    /// In the session, but not playing.
    Inactive,
    /// About to play.
    Ready,
    /// Playing.
    Active,
}

names!(Status {
    Reserved = "reserved",
    Inactive = "inactive",
    Ready = "ready",
    Active = "active",
});

/// The kinds of change that a member may subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeType {
    /// Any change.
    Everything,
    /// `properties.system.host`.
    Host,
    /// The stage of initialization.
    Initialization,
    /// The matchmaking server's status.
    MatchmakingStatus,
    /// A member came or went.
    MembersList,
    /// A member became reserved, inactive, ready or active.
    MembersStatus,
    /// Who may join.
    Joinability,
    /// `properties.custom`.
    CustomProperty,
    /// Some member's `properties.custom`.
    MembersCustomProperty,
    /// The server entry `tournaments`.
    Tournaments,
    /// Some member's roles (RTA-039).
    Roles,
    /// `properties.system.scheduledTime`, which the service does not have: nobody is tapped for it (RTA-039).
    ScheduledTime,
}

names!(ChangeType {
    Everything = "everything",
    Host = "host",
    Initialization = "initialization",
    MatchmakingStatus = "matchmakingStatus",
    MembersList = "membersList",
    MembersStatus = "membersStatus",
    Joinability = "joinability",
    CustomProperty = "customProperty",
    MembersCustomProperty = "membersCustomProperty",
    Tournaments = "tournaments",
    Roles = "roles",
    ScheduledTime = "scheduledtime",
});

/// A member's wish to be told of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// The client's own GUID, in its spelling; taps name it.
    pub id: String,
    /// Which changes; none ends the subscription.
    pub change_types: Vec<ChangeType>,
}

/// `members.{index}.constants`, fixed when the member is added.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::session) struct MemberConstants {
    pub(in crate::session) initialize: bool,
    pub(in crate::session) team: Option<String>,
    pub(in crate::session) matchmaking_result: Option<Value>,
    pub(in crate::session) custom: Value,
}

/// `members.{index}.properties.system` without the status.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::session) struct MemberSystem {
    pub(in crate::session) connection: Option<Uuid>,
    pub(in crate::session) subscription: Option<Subscription>,
    pub(in crate::session) subscriptions: Map<String, Value>,
    pub(in crate::session) secondary_subscriptions: Option<Value>,
    pub(in crate::session) secure_device_address: Option<SecureDeviceAddress>,
    pub(in crate::session) initialization_group: Option<Vec<u32>>,
    pub(in crate::session) groups: Vec<String>,
    pub(in crate::session) role_preference: Option<Value>,
    pub(in crate::session) measurements: Option<Value>,
    pub(in crate::session) server_measurements: Option<Value>,
    pub(in crate::session) arbitration: Option<Value>,
}

/// An uploaded address, and what the service derives from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) struct SecureDeviceAddress {
    pub(in crate::session) text: String,
    pub(in crate::session) device_token: String,
    /// Whether the address has version 1, and so a NAT type.
    pub(in crate::session) is_version_1: bool,
}

/// A member of a session.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::session) struct Member {
    pub(in crate::session) index: u32,
    pub(in crate::session) xuid: u64,
    pub(in crate::session) constants: Arc<MemberConstants>,
    pub(in crate::session) status: Status,
    /// Since when it has the status.
    pub(in crate::session) since: Timestamp,
    pub(in crate::session) join_time: Timestamp,
    pub(in crate::session) gamertag: Option<String>,
    pub(in crate::session) device_id: Option<String>,
    /// The title it is active in.
    pub(in crate::session) title_id: u32,
    pub(in crate::session) system: Arc<MemberSystem>,
    pub(in crate::session) custom: Arc<Value>,
    pub(in crate::session) roles: BTreeMap<String, String>,
    /// The activity handle bound to it.
    pub(in crate::session) activity: Option<Uuid>,
    /// The episode of initialization that it waits for or is in (INIT-003, INIT-004).
    pub(in crate::session) episode: Option<u32>,
    /// Why it failed to be initialized.
    pub(in crate::session) failure: Option<InitializationFailure>,
}

impl Member {
    /// A member that holds a place only.
    pub(in crate::session) fn reserved(index: u32, xuid: u64, constants: MemberConstants, now: Timestamp) -> Self {
        Self {
            index,
            xuid,
            constants: Arc::new(constants),
            status: Status::Reserved,
            since: now,
            join_time: now,
            gamertag: None,
            device_id: None,
            title_id: 0,
            system: Arc::default(),
            custom: Arc::new(json!({})),
            roles: BTreeMap::new(),
            activity: None,
            episode: None,
            failure: None,
        }
    }

    pub(in crate::session) fn is_accepted(&self) -> bool {
        self.status != Status::Reserved
    }

    pub(in crate::session) fn device_token(&self) -> Option<&str> {
        self.system
            .secure_device_address
            .as_ref()
            .map(|address| address.device_token.as_str())
    }
}
