//! The document as a caller sees it.
//!
//! Everything is written from borrowed parts straight into the serializer: showing a session copies nothing.

use std::fmt::Display;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::Offset;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value};

use super::access::Access;
use super::model::{
    Capability, ContractVersion, Initialization, Member, Restriction, Session, Status, Subscription, SystemProperties,
};
use super::roles;
use crate::json;
use crate::rules::{ActiveCount, Rules};

impl Session {
    /// The document for the caller and its contract version, as a value.
    pub(crate) fn to_json(&self, access: &Access<'_>) -> Value {
        json::value(&self.view(access))
    }

    /// The document for the caller and its contract version, as bytes; cheaper than [`to_json`](Self::to_json).
    pub(crate) fn to_bytes(&self, access: &Access<'_>) -> Bytes {
        json::bytes(&self.view(access), 2048)
    }

    fn view<'s>(&'s self, access: &Access<'s>) -> View<'s> {
        let version = if access.rules.versions_differ.kept() {
            access.version
        } else {
            ContractVersion::V107
        };
        View {
            session: self,
            version,
            caller: access.user().map(|user| user.xuid),
            shows_me_only: self.view_is_personal() && access.shows_me_only(),
            rules: access.rules,
        }
    }

    /// Whether documents differ from caller to caller: a large session shows each member only itself.
    pub(crate) fn view_is_personal(&self) -> bool {
        self.constants.has(Capability::Large)
    }

    /// An element of the document, addressed by the segments behind the session's path; `None` if there is none.
    pub(crate) fn element(&self, path: &[&str], access: &Access<'_>) -> Option<Value> {
        let mut document = self.to_json(access);
        let (first, rest) = path.split_first()?;
        let mut element = document.get_mut(first.to_lowercase())?.take();
        for (depth, segment) in rest.iter().enumerate() {
            let is_me = depth == 0 && first.eq_ignore_ascii_case("members") && segment.eq_ignore_ascii_case("me");
            let key = if is_me && !self.view_is_personal() {
                access
                    .user()
                    .and_then(|user| self.members.by_xuid(user.xuid))?
                    .index
                    .to_string()
            } else if is_me {
                "me".to_owned()
            } else {
                (*segment).to_owned()
            };
            element = element.get_mut(&key)?.take();
        }
        Some(element)
    }

    /// `roleTypes` as the document shows it; an empty object if there are none.
    pub(crate) fn roles_json(&self) -> Value {
        roles::to_json(&self.role_types, &self.members)
    }
}

/// A session as one caller sees it.
struct View<'s> {
    session: &'s Session,
    version: ContractVersion,
    /// The user for whom the caller speaks.
    caller: Option<u64>,
    /// Whether only this user is shown among the members.
    shows_me_only: bool,
    rules: &'s Rules,
}

impl Serialize for View<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let session = self.session;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("contractVersion", &self.version.number())?;
        map.serialize_entry("branch", &Text(session.branch))?;
        map.serialize_entry("changeNumber", &session.change_number)?;
        map.serialize_entry("correlationId", &Text(session.correlation_id))?;
        map.serialize_entry("startTime", &Time(session.start_time))?;
        if let Some(timer) = session.next_timer().filter(|_| self.rules.next_timer_is_shown.kept()) {
            map.serialize_entry("nextTimer", &Time(timer))?;
        }
        let initialization = &session.initialization;
        if initialization.is_shown() && self.rules.initializing_is_shown.kept() {
            map.serialize_entry("initializing", &Initializing(initialization))?;
        }
        if !initialization.host_candidates.is_empty() {
            map.serialize_entry("hostCandidates", &*initialization.host_candidates)?;
        }
        // SRCH-HDL-006
        if let Some(handle) = session.search_handle {
            map.serialize_entry("searchHandle", &Text(handle))?;
        }
        let constants = &session.constants;
        let system = if self.version.has_old_names() {
            &constants.old_system
        } else {
            &constants.system
        };
        map.serialize_entry(
            "constants",
            &Bags {
                system,
                custom: &constants.custom,
            },
        )?;
        let system = SystemView {
            session,
            system: &session.properties.system,
            version: self.version,
        };
        map.serialize_entry(
            "properties",
            &Bags {
                system: &system,
                custom: session.properties.custom.as_ref(),
            },
        )?;
        if !session.role_types.is_empty() {
            map.serialize_entry("roleTypes", &session.roles_json())?;
        }
        map.serialize_entry("members", &MembersView(self))?;
        map.serialize_entry("membersInfo", &MembersInfo(self))?;
        map.serialize_entry("servers", &ServersView(session))?;
        map.end()
    }
}

/// `initializing`: the running episode, or the one that failed (INIT-006).
struct Initializing<'s>(&'s Initialization);

impl Serialize for Initializing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("stage", self.0.stage.name())?;
        map.serialize_entry("stageStartTime", &Time(self.0.stage_start))?;
        map.serialize_entry("episode", &self.0.episode)?;
        map.end()
    }
}

/// `{system, custom}`.
struct Bags<'b, S> {
    system: &'b S,
    custom: &'b Value,
}

impl<T: Serialize> Serialize for Bags<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("system", self.system)?;
        map.serialize_entry("custom", self.custom)?;
        map.end()
    }
}

pub(super) struct SystemView<'s> {
    pub(super) session: &'s Session,
    pub(super) system: &'s SystemProperties,
    pub(super) version: ContractVersion,
}

impl Serialize for SystemView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let system = self.system;
        let constants = &self.session.constants;
        let mut map = serializer.serialize_map(None)?;
        if let Some(keywords) = &system.keywords {
            map.serialize_entry("keywords", keywords)?;
        }
        // LIVE-009, SES-LARGE-008.
        if !constants.has(Capability::Large) {
            map.serialize_entry("turn", &system.turn)?;
        }
        // LIVE-012: with userAuthorizationStyle the default is shown.
        let default = Some(constants.default_restriction).filter(|default| *default != Restriction::None);
        let shown = |given: Option<Restriction>| given.or(default);
        if let Some(restriction) = shown(system.join_restriction) {
            map.serialize_entry("joinRestriction", restriction.name())?;
        }
        if let Some(restriction) = shown(system.read_restriction) {
            map.serialize_entry("readRestriction", restriction.name())?;
        }
        for (name, flag) in [
            ("closed", system.closed),
            ("locked", system.locked),
            ("allocateCloudCompute", system.allocate_cloud_compute),
        ] {
            if flag {
                map.serialize_entry(name, &true)?;
            }
        }
        if let Some(host) = &system.host {
            map.serialize_entry("host", host)?;
        }
        if let Some(verdict) = system.initialization_succeeded {
            map.serialize_entry("initializationSucceeded", &verdict)?;
        }
        if let Some(candidates) = &system.server_candidates {
            map.serialize_entry("serverConnectionStringCandidates", candidates)?;
        }
        // LIVE-006: before 107 it is shown even when empty.
        if !system.matchmaking.is_empty() || self.version.has_old_names() {
            map.serialize_entry("matchmaking", &system.matchmaking)?;
        }
        if let Some(resubmit) = system.matchmaking_resubmit {
            map.serialize_entry("matchmakingResubmit", &resubmit)?;
        }
        if !system.owners.is_empty() {
            map.serialize_entry("owners", &system.owners)?;
        }
        if let Some(description) = &system.description {
            map.serialize_entry("description", description)?;
        }
        if let Some(visibility) = &system.search_handle_visibility {
            map.serialize_entry("searchHandleVisibility", visibility)?;
        }
        if let Some(time) = system.scheduled_time {
            map.serialize_entry("scheduledTime", &time_text(time))?;
        }
        map.end()
    }
}

/// `members`: all by index, or in a large session only the caller, as `me` (LRG-001).
struct MembersView<'s>(&'s View<'s>);

impl Serialize for MembersView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let session = self.0.session;
        let members = &session.members;
        let turn = &session.properties.system.turn;
        let mut map = serializer.serialize_map(None)?;
        let rules = self.0.rules;
        if self.0.shows_me_only {
            if let Some(position) = self.0.caller.and_then(|xuid| members.position_of_xuid(xuid))
                && let Some(member) = members.at(position)
            {
                let next = members.at(position + 1).map_or(members.next(), |next| next.index);
                map.serialize_entry(
                    "me",
                    &MemberDocument {
                        member,
                        next,
                        in_turn: false,
                        rules,
                    },
                )?;
            }
            return map.end();
        }
        let mut list = members.iter().peekable();
        while let Some(member) = list.next() {
            let next = if rules.chain_visits_members.kept() {
                list.peek().map_or(members.next(), |next| next.index)
            } else {
                member.index + 1
            };
            let in_turn = turn.contains(&member.index) && rules.turn_is_marked.kept();
            map.serialize_entry(
                &member.index,
                &MemberDocument {
                    member,
                    next,
                    in_turn,
                    rules,
                },
            )?;
        }
        map.end()
    }
}

struct MemberDocument<'s> {
    member: &'s Member,
    next: u32,
    in_turn: bool,
    rules: &'s Rules,
}

impl Serialize for MemberDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let member = self.member;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("next", &self.next)?;
        map.serialize_entry("joinTime", &Time(member.join_time))?;
        if member.is_accepted()
            && let Some(gamertag) = &member.gamertag
        {
            map.serialize_entry("gamertag", gamertag)?;
        }
        if let Some(address) = &member.system.secure_device_address {
            map.serialize_entry("deviceToken", &address.device_token)?;
            if address.is_version_1 {
                map.serialize_entry("nat", "open")?;
            }
        }
        if member.status == Status::Reserved {
            map.serialize_entry("reserved", &true)?;
        }
        if member.status == Status::Active || !self.rules.title_is_shown_while_active.kept() {
            map.serialize_entry("activeTitleId", &Text(member.title_id))?;
        }
        if self.in_turn {
            map.serialize_entry("turn", &true)?;
        }
        if let Some(failure) = member.failure {
            map.serialize_entry("initializationFailure", failure.name())?;
        }
        if let Some(episode) = member.episode {
            map.serialize_entry("initializationEpisode", &episode)?;
        }
        if !member.roles.is_empty() {
            map.serialize_entry("roles", &member.roles)?;
        }
        map.serialize_entry(
            "constants",
            &Bags {
                system: &MemberConstantsView {
                    member,
                    rules: self.rules,
                },
                custom: &member.constants.custom,
            },
        )?;
        map.serialize_entry(
            "properties",
            &Bags {
                system: &MemberSystemView(member),
                custom: member.custom.as_ref(),
            },
        )?;
        map.end()
    }
}

struct MemberConstantsView<'s> {
    member: &'s Member,
    rules: &'s Rules,
}

impl Serialize for MemberConstantsView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let constants = &self.member.constants;
        let mut map = serializer.serialize_map(None)?;
        if self.rules.xuid_is_text.kept() {
            map.serialize_entry("xuid", &Text(self.member.xuid))?;
        } else {
            map.serialize_entry("xuid", &self.member.xuid)?;
        }
        if self.rules.index_is_shown.kept() {
            map.serialize_entry("index", &self.member.index)?;
        }
        if constants.initialize {
            map.serialize_entry("initialize", &true)?;
        }
        if let Some(team) = &constants.team {
            map.serialize_entry("team", team)?;
        }
        if let Some(result) = &constants.matchmaking_result {
            map.serialize_entry("matchmakingResult", result)?;
        }
        map.end()
    }
}

pub(super) struct MemberSystemView<'s>(pub(super) &'s Member);

impl Serialize for MemberSystemView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let system = &self.0.system;
        let mut map = serializer.serialize_map(None)?;
        match self.0.status {
            Status::Active => map.serialize_entry("active", &true)?,
            Status::Ready => map.serialize_entry("ready", &true)?,
            Status::Reserved | Status::Inactive => {}
        }
        if let Some(connection) = system.connection {
            map.serialize_entry("connection", &Text(connection))?;
        }
        if let Some(subscription) = &system.subscription {
            map.serialize_entry("subscription", subscription)?;
        }
        if !system.subscriptions.is_empty() {
            map.serialize_entry("subscriptions", &system.subscriptions)?;
        }
        if let Some(address) = &system.secure_device_address {
            map.serialize_entry("secureDeviceAddress", &address.text)?;
        }
        if let Some(group) = &system.initialization_group {
            map.serialize_entry("initializationGroup", group)?;
        }
        if !system.groups.is_empty() {
            map.serialize_entry("groups", &system.groups)?;
        }
        for (name, value) in [
            ("secondarySubscriptions", &system.secondary_subscriptions),
            ("RolePreference", &system.role_preference),
            ("measurements", &system.measurements),
            ("serverMeasurements", &system.server_measurements),
            ("arbitration", &system.arbitration),
        ] {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

impl Serialize for Subscription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct ChangeTypes<'s>(&'s Subscription);
        impl Serialize for ChangeTypes<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut list = serializer.serialize_seq(Some(self.0.change_types.len()))?;
                for kind in &self.0.change_types {
                    list.serialize_element(kind.name())?;
                }
                list.end()
            }
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("changeTypes", &ChangeTypes(self))?;
        map.end()
    }
}

struct MembersInfo<'s>(&'s View<'s>);

impl Serialize for MembersInfo<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = &self.0.session.members;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("first", &members.first())?;
        map.serialize_entry("next", &members.next())?;
        map.serialize_entry("count", &members.len())?;
        map.serialize_entry("accepted", &members.accepted())?;
        if self.0.rules.active_count == ActiveCount::Shown {
            map.serialize_entry("active", &members.active())?;
        }
        map.end()
    }
}

struct ServersView<'s>(&'s Session);

impl Serialize for ServersView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let servers: Map<String, Value> = self
            .0
            .servers
            .iter()
            .map(|(name, server)| (name.clone(), server.to_json()))
            .collect();
        servers.serialize(serializer)
    }
}

/// Whatever is shown as text.
struct Text<T>(T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// UTC with seven fractional digits (LIVE-010).
struct Time(Timestamp);

impl Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = Offset::UTC.to_datetime(self.0);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}Z",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.subsec_nanosecond() / 100
        )
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A time as documents show it: UTC with seven fractional digits (LIVE-010).
pub(crate) fn time_text(time: Timestamp) -> String {
    Time(time).to_string()
}
