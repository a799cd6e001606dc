//! One member of a session.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::capabilities::Capability;
use super::constants::Constants;
use super::field::{At, decimal, integer};
use super::initialization::Failure;
use super::merge::{self, same};
use super::request::{Bag, MemberDelta};
use super::{Access, Refusal, RefusalKind};
use crate::principal::User;
use crate::rules::{DeviceToken, InitializeText, MissingConnection, ReadyToActive, Rules};

/// What a member is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Somebody holds a place for the user, who has not written to the session yet.
    Reserved,
    /// In the session, but not playing.
    Inactive,
    /// About to play.
    Ready,
    /// Playing.
    Active,
}

/// The kinds of change that a member may subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeType {
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
}

impl ChangeType {
    pub(super) const ALL: &[(&str, Self)] = &[
        ("everything", Self::Everything),
        ("host", Self::Host),
        ("initialization", Self::Initialization),
        ("matchmakingStatus", Self::MatchmakingStatus),
        ("membersList", Self::MembersList),
        ("membersStatus", Self::MembersStatus),
        ("joinability", Self::Joinability),
        ("customProperty", Self::CustomProperty),
        ("membersCustomProperty", Self::MembersCustomProperty),
        ("tournaments", Self::Tournaments),
    ];

    /// The value in documents.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("everything", |(name, _)| name)
    }
}

/// A member's wish to be told of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The client's own GUID, in its spelling; taps name it.
    pub id: String,
    /// Which changes; none ends the subscription.
    pub change_types: Vec<ChangeType>,
}

/// `members.{index}.constants`, fixed when the member is added.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MemberConstants {
    pub(super) initialize: bool,
    pub(super) team: Option<String>,
    pub(super) matchmaking_result: Option<Value>,
    pub(super) custom: Value,
}

/// `members.{index}.properties.system` without the status.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MemberSystem {
    pub(super) connection: Option<Uuid>,
    pub(super) subscription: Option<Subscription>,
    pub(super) subscriptions: Map<String, Value>,
    pub(super) secondary_subscriptions: Option<Value>,
    pub(super) secure_device_address: Option<SecureDeviceAddress>,
    pub(super) initialization_group: Option<Vec<u32>>,
    pub(super) groups: Vec<String>,
    pub(super) role_preference: Option<Value>,
    pub(super) measurements: Option<Value>,
    pub(super) server_measurements: Option<Value>,
    pub(super) arbitration: Option<Value>,
}

/// An uploaded address, and what the service derives from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SecureDeviceAddress {
    pub(super) text: String,
    pub(super) device_token: String,
    /// Whether the address has version 1, and so a NAT type.
    pub(super) is_version_1: bool,
}

/// A member of a session.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) index: u32,
    pub(super) xuid: u64,
    pub(super) constants: Arc<MemberConstants>,
    pub(super) status: Status,
    /// Since when it has the status.
    pub(super) since: Timestamp,
    pub(super) join_time: Timestamp,
    pub(super) gamertag: Option<String>,
    pub(super) device_id: Option<String>,
    /// The title it is active in.
    pub(super) title_id: u32,
    pub(super) system: Arc<MemberSystem>,
    pub(super) custom: Arc<Value>,
    pub(super) roles: BTreeMap<String, String>,
    /// The activity handle bound to it.
    pub(super) activity: Option<Uuid>,
    /// The episode of initialization that it waits for or is in (INIT-003, INIT-004).
    pub(super) episode: Option<u32>,
    /// Why it failed to be initialized.
    pub(super) failure: Option<Failure>,
}

const SYSTEM_CONSTANTS: &[&str] = &["xuid", "initialize", "matchmakingResult", "team", "index"];

impl MemberConstants {
    /// Reads the constants of a new member, and the xuid that they name.
    pub(super) fn read(
        bag: Option<Bag<'_>>,
        session: &Constants,
        access: &Access<'_>,
        at: &At<'_>,
    ) -> Result<(Self, Option<u64>), Refusal> {
        let mut constants = Self {
            initialize: false,
            team: None,
            matchmaking_result: None,
            custom: json!({}),
        };
        let mut xuid = None;
        let bag = bag.unwrap_or_default();
        if let Some(system) = bag.system {
            let at = at.then("system");
            for (key, value) in system {
                let at = at.then(key);
                match key.as_str() {
                    "xuid" => xuid = Some(at.xuid(value, access.rules)?),
                    _ if value.is_null() && SYSTEM_CONSTANTS.contains(&key.as_str()) => {}
                    "initialize" => {
                        // Without member initialization it means nothing and is not kept (LIVE-014).
                        constants.initialize = read_initialize(value, access.rules, &at)?
                            && (session.member_initialization.is_some()
                                || !access.rules.initialize_needs_initialization.kept());
                    }
                    "team" => constants.team = Some(at.text(value)?.to_owned()),
                    "matchmakingResult" => {
                        at.object(value)?;
                        if !access.caller.is_server() {
                            return Err(at.refuse_as(RefusalKind::Forbidden, "only the matchmaking service sets it"));
                        }
                        constants.matchmaking_result = Some(value.clone());
                    }
                    "index" => return Err(at.refuse("the service gives a new member its index")),
                    _ => return Err(at.unknown(SYSTEM_CONSTANTS)),
                }
            }
        }
        if let Some(custom) = bag.custom
            && !custom.is_null()
        {
            constants.custom = custom.clone();
        }
        Ok((constants, xuid))
    }
}

fn read_initialize(value: &Value, rules: &Rules, at: &At<'_>) -> Result<bool, Refusal> {
    match value.as_str() {
        Some("true") if rules.initialize_text == InitializeText::Accepted => Ok(true),
        Some("false") if rules.initialize_text == InitializeText::Accepted => Ok(false),
        _ => at.boolean(value),
    }
}

impl Member {
    /// A member that holds a place only.
    pub(super) fn reserved(index: u32, xuid: u64, constants: MemberConstants, now: Timestamp) -> Self {
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

    pub(super) fn is_accepted(&self) -> bool {
        self.status != Status::Reserved
    }

    /// Takes the status on; its timer starts anew only if it is another one (TMO-020).
    pub(super) fn become_status(&mut self, status: Status, now: Timestamp, rules: &Rules) {
        if self.status != status {
            self.status = status;
            if rules.timer_starts_anew.kept() {
                self.since = now;
            }
        }
        if status == Status::Inactive && rules.inactive_has_no_activity.kept() {
            // HDL-ACT-004: an inactive member has no activity.
            self.activity = None;
        }
    }

    /// The user's first write: the reservation becomes a membership (SES-RSV-013).
    pub(super) fn accept(&mut self, user: &User, title_id: u32, now: Timestamp, rules: &Rules) {
        if self.status == Status::Reserved {
            self.become_status(Status::Inactive, now, rules);
            if rules.accepted_join_time == crate::rules::AcceptedJoinTime::Joined {
                self.join_time = now;
            }
            self.title_id = title_id;
        }
        self.gamertag.clone_from(&user.gamertag);
        self.device_id.clone_from(&user.device_id);
    }

    /// Checks the constants that a member sends again, which must be its own (LIVE-023, SES-JOIN-012).
    ///
    /// A reserved user may add custom constants that its reservation does not have (SES-MCON-008).
    pub(super) fn repeat_constants(
        &mut self,
        bag: Bag<'_>,
        was_reserved: bool,
        session: &Constants,
        rules: &Rules,
        at: &At<'_>,
    ) -> Result<(), Refusal> {
        if let Some(system) = bag.system {
            let at = at.then("system");
            for (key, value) in system {
                let at = at.then(key);
                let own = match key.as_str() {
                    "xuid" => {
                        check_own_xuid(at.xuid(value, rules)?, self.xuid, value, rules, &at)?;
                        continue;
                    }
                    _ if value.is_null() && SYSTEM_CONSTANTS.contains(&key.as_str()) => continue,
                    "index" => json!(self.index),
                    "initialize" => {
                        let asked = read_initialize(value, rules, &at)?;
                        if session.member_initialization.is_none() || asked == self.constants.initialize {
                            continue;
                        }
                        json!(self.constants.initialize)
                    }
                    "team" => {
                        at.text(value)?;
                        self.constants.team.as_deref().map_or(Value::Null, Value::from)
                    }
                    "matchmakingResult" => self.constants.matchmaking_result.clone().unwrap_or_default(),
                    _ => return Err(at.unknown(SYSTEM_CONSTANTS)),
                };
                if !same(&own, value) {
                    return Err(at.conflict(value, Some(&own)));
                }
            }
        }
        if let Some(asked) = bag.custom {
            let at = at.then("custom");
            match (&self.constants.custom, asked) {
                (_, Value::Null) => {}
                (Value::Object(own), Value::Object(asked)) => {
                    let mut added = Vec::new();
                    for (key, value) in asked {
                        match own.get(key) {
                            Some(own) if same(own, value) => {}
                            None if was_reserved => added.push((key.clone(), value.clone())),
                            None if value.is_null() => {}
                            own => return Err(at.then(key).conflict(value, own)),
                        }
                    }
                    if !added.is_empty()
                        && let Value::Object(own) = &mut Arc::make_mut(&mut self.constants).custom
                    {
                        own.extend(added);
                    }
                }
                (own, asked) if same(own, asked) => {}
                (Value::Object(own), asked) if was_reserved && own.is_empty() => {
                    Arc::make_mut(&mut self.constants).custom = asked.clone();
                }
                (own, asked) => return Err(at.conflict(asked, Some(own))),
            }
        }
        Ok(())
    }

    /// Merges what the member writes of itself. `next` is the session's next index.
    pub(super) fn merge(
        &mut self,
        delta: &MemberDelta<'_>,
        session: &Constants,
        next: u32,
        access: &Access<'_>,
        at: &At<'_>,
    ) -> Result<(), Refusal> {
        let Some(bag) = delta.properties else { return Ok(()) };
        let at = at.then("properties");
        if let Some(sent) = bag.system.filter(|sent| !sent.is_empty()) {
            let at = at.then("system");
            let mut system = MemberSystem::clone(&self.system);
            let (mut active, mut ready) = (None, None);
            for (field, value) in sent {
                let at = at.then(field);
                match field.as_str() {
                    "active" => active = Some(!value.is_null() && at.boolean(value)?),
                    "ready" => ready = Some(!value.is_null() && at.boolean(value)?),
                    _ => system.write(
                        field,
                        value,
                        session,
                        self.device_id.as_deref(),
                        next,
                        access.rules,
                        &at,
                    )?,
                }
            }
            system.check(access.rules, &at)?;
            let connection_changed = system.connection != self.system.connection;
            if system != *self.system {
                self.system = Arc::new(system);
            }
            if connection_changed
                && let Some(owner) = self
                    .system
                    .connection
                    .and_then(|connection| access.connections.owner(connection))
                && owner != self.xuid
            {
                return Err(at
                    .then("connection")
                    .refuse_as(RefusalKind::Forbidden, "the connection is another user's"));
            }
            let status = self.wanted_status(active, ready, access.rules, &at)?;
            self.move_to(status, active == Some(true), connection_changed, session, access, &at)?;
        }
        if let Some(custom) = bag.custom
            && merge::changes_custom(&self.custom, custom, access.rules)
        {
            merge::merge_custom(Arc::make_mut(&mut self.custom), custom, access.rules);
        }
        Ok(())
    }

    /// The status that the flags ask for: false is the same as absent (SES-MEMBER-008..011).
    fn wanted_status(
        &self,
        active: Option<bool>,
        ready: Option<bool>,
        rules: &Rules,
        at: &At<'_>,
    ) -> Result<Status, Refusal> {
        let refuse = || at.then("ready").refuse("active and ready exclude each other");
        match (active, ready) {
            (Some(true), Some(true)) if rules.flags_exclude.kept() => Err(refuse()),
            (Some(true), None) if self.status == Status::Ready && rules.ready_to_active == ReadyToActive::Refused => {
                Err(refuse())
            }
            (Some(true), _) => Ok(Status::Active),
            (_, Some(true)) => Ok(Status::Ready),
            (Some(false), _) if self.status == Status::Active => Ok(Status::Inactive),
            (_, Some(false)) if self.status == Status::Ready => Ok(Status::Inactive),
            _ => Ok(self.status),
        }
    }

    fn move_to(
        &mut self,
        status: Status,
        says_active: bool,
        connection_changed: bool,
        session: &Constants,
        access: &Access<'_>,
        at: &At<'_>,
    ) -> Result<(), Refusal> {
        let enters = status == Status::Active && (self.status != Status::Active || connection_changed);
        if enters && session.has(Capability::ConnectionRequiredForActiveMembers) && !self.has_live_connection(access) {
            return match access.rules.missing_connection {
                MissingConnection::Inactive => {
                    self.become_status(Status::Inactive, access.now, access.rules);
                    Ok(())
                }
                MissingConnection::Refused => Err(at
                    .then("connection")
                    .refuse("an active member of this session needs a live connection")),
            };
        }
        self.become_status(status, access.now, access.rules);
        if status == Status::Active && (enters || says_active) {
            self.title_id = access.caller.title_id;
        }
        Ok(())
    }

    fn has_live_connection(&self, access: &Access<'_>) -> bool {
        self.system.connection.is_some_and(|connection| {
            access.connections.owner(connection) == Some(self.xuid) && access.connections.lost_at(connection).is_none()
        })
    }

    pub(super) fn device_token(&self) -> Option<&str> {
        self.system
            .secure_device_address
            .as_ref()
            .map(|address| address.device_token.as_str())
    }
}

/// Refuses a xuid other than the caller's (SES-JOIN-003).
pub(super) fn check_own_xuid(asked: u64, own: u64, value: &Value, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
    if asked == own || !rules.caller_is_itself.kept() {
        Ok(())
    } else {
        Err(at.refuse_as(
            RefusalKind::Forbidden,
            format_args!("found {value}, but `me` is the caller, whose xuid is \"{own}\""),
        ))
    }
}

impl MemberSystem {
    const FIELDS: &[&str] = &[
        "active",
        "ready",
        "connection",
        "subscription",
        "subscriptions",
        "secondarySubscriptions",
        "secureDeviceAddress",
        "initializationGroup",
        "groups",
        "encounters",
        "RolePreference",
        "measurements",
        "serverMeasurements",
        "arbitration",
    ];

    /// Replaces one field as a whole; null unsets it. Subscriptions are merged one by one (SES-MERGE-013, 014).
    #[expect(
        clippy::too_many_arguments,
        reason = "each field depends on something else of the session"
    )]
    pub(super) fn write(
        &mut self,
        field: &str,
        value: &Value,
        session: &Constants,
        device_id: Option<&str>,
        next: u32,
        rules: &Rules,
        at: &At<'_>,
    ) -> Result<(), Refusal> {
        let given = (!value.is_null()).then_some(value);
        let large = session.has(Capability::Large);
        let not_large = || {
            if large && given.is_some() {
                Err(at.refuse("a large session cannot have it"))
            } else {
                Ok(())
            }
        };
        match field {
            "connection" => self.connection = given.map(|value| at.guid(value)).transpose()?,
            "subscription" => {
                if rules.large_refuses_subscriptions.kept() {
                    not_large()?;
                }
                self.subscription = given
                    .map(|value| read_subscription(value, rules, at))
                    .transpose()?
                    .flatten();
            }
            "subscriptions" => {
                not_large()?;
                match given {
                    None => self.subscriptions = Map::new(),
                    Some(value) => {
                        if !rules.subscriptions_are_merged.kept() {
                            self.subscriptions.clear();
                        }
                        self.merge_subscriptions(value, rules, at)?;
                    }
                }
            }
            "secondarySubscriptions" => {
                not_large()?;
                if let Some(value) = given {
                    at.object(value)?;
                }
                self.secondary_subscriptions = given.cloned();
            }
            "secureDeviceAddress" => {
                self.secure_device_address = match given.filter(|value| value.as_str() != Some("")) {
                    None => None,
                    Some(_) if !session.has(Capability::Connectivity) && rules.addresses_need_connectivity.kept() => {
                        return Err(at.refuse("it needs the capability connectivity"));
                    }
                    Some(value) => {
                        let bytes = at.base64(value)?;
                        Some(SecureDeviceAddress::new(at.text(value)?, &bytes, device_id, rules))
                    }
                };
            }
            "initializationGroup" => {
                not_large()?;
                let read = |at: &At<'_>, item: &Value| {
                    at.index(item)
                        .ok()
                        .filter(|index| *index < next || !rules.groups_have_members.kept())
                        .ok_or_else(|| at.wrong(item, format_args!("the index of a member, below {next}")))
                };
                self.initialization_group = given.map(|value| at.each(value, read)).transpose()?;
            }
            "groups" => {
                self.groups = given.map(|value| at.names(value)).transpose()?.unwrap_or_default();
            }
            // An encounter is consumed at once and never shown (LRG-007).
            "encounters" => {
                given.map(|value| at.names(value)).transpose()?;
            }
            "RolePreference" => {
                if let Some(value) = given {
                    for (role, weight) in at.object(value)? {
                        at.then(role).integer(weight, 0..=100)?;
                    }
                }
                self.role_preference = given.cloned();
            }
            "measurements" => {
                if let Some(value) = given {
                    read_measurements(value, session, at)?;
                }
                self.measurements = given.cloned();
            }
            "serverMeasurements" => {
                if let Some(value) = given {
                    for (server, measured) in at.object(value)? {
                        let at = at.then(server);
                        for (metric, value) in at.object(measured)? {
                            let at = at.then(metric);
                            if metric != "latency" {
                                return Err(at.unknown(&["latency"]));
                            }
                            at.amount(value)?;
                        }
                    }
                }
                self.server_measurements = given.cloned();
            }
            "arbitration" => {
                if let Some(value) = given {
                    at.object(value)?;
                }
                self.arbitration = given.cloned();
            }
            _ => return Err(at.unknown(Self::FIELDS)),
        }
        Ok(())
    }

    fn merge_subscriptions(&mut self, value: &Value, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
        const PROFILES: &[(&str, ())] = &[
            ("party", ()),
            ("matchmaking", ()),
            ("initialization", ()),
            ("roster", ()),
            ("queuehost", ()),
            ("queue", ()),
        ];
        for (id, entry) in at.object(value)? {
            let at = at.then(id);
            if Uuid::try_parse(id).is_err() {
                return Err(at.refuse("the key of a subscription must be a GUID"));
            }
            if entry.is_null() {
                self.subscriptions.shift_remove(id);
                continue;
            }
            for (key, value) in at.object(entry)? {
                let at = at.then(key);
                match key.as_str() {
                    "profile" => at.choice(value, PROFILES, rules)?,
                    "onBehalfOfTitleId" => {
                        let title = match value {
                            Value::String(text) => decimal(text),
                            _ => integer(value),
                        };
                        let fits = title.is_some_and(|title| u32::try_from(title).is_ok());
                        if !fits && rules.subscribed_titles_are_numbers.kept() {
                            return Err(at.wrong(value, "the id of a title, a decimal number"));
                        }
                    }
                    _ => return Err(at.unknown(&["profile", "onBehalfOfTitleId"])),
                }
            }
            self.subscriptions.insert(id.clone(), entry.clone());
        }
        Ok(())
    }

    /// The rules across fields.
    fn check(&self, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
        if let (Some(Value::Object(measured)), Some(own)) = (&self.measurements, &self.secure_device_address)
            && rules.own_device_is_not_measured.kept()
            && let Some(key) = measured.keys().find(|key| key.eq_ignore_ascii_case(&own.device_token))
        {
            return Err(at
                .then("measurements")
                .then(key)
                .refuse("a member does not measure its own device"));
        }
        Ok(())
    }
}

/// An empty object asks for nothing, like null.
fn read_subscription(value: &Value, rules: &Rules, at: &At<'_>) -> Result<Option<Subscription>, Refusal> {
    let mut id = None;
    let mut change_types = Vec::new();
    let bag = at.object(value)?;
    for (key, value) in bag {
        let at = at.then(key);
        match key.as_str() {
            "id" => {
                at.guid(value)?;
                id = Some(at.text(value)?.to_owned());
            }
            "changeTypes" => {
                change_types = at.each(value, |at, kind| at.choice(kind, ChangeType::ALL, rules))?;
            }
            _ => return Err(at.unknown(&["id", "changeTypes"])),
        }
    }
    match id {
        Some(id) => Ok(Some(Subscription { id, change_types })),
        None if change_types.is_empty() => Ok(None),
        None => Err(at
            .then("id")
            .refuse("a subscription needs an id, a GUID of the client's own")),
    }
}

fn read_measurements(value: &Value, session: &Constants, at: &At<'_>) -> Result<(), Refusal> {
    if !session.metrics.any() {
        return Err(at.refuse("the session has no metrics to measure"));
    }
    for (token, measured) in at.object(value)? {
        let at = at.then(token);
        if token.chars().any(char::is_uppercase) {
            return Err(at.refuse("a device token must be in lower case here"));
        }
        for (metric, value) in at.object(measured)? {
            let at = at.then(metric);
            match metric.as_str() {
                "latency" | "bandwidthDown" | "bandwidthUp" => {
                    at.amount(value)?;
                }
                // The official client sends null where the title gave nothing.
                "custom" if value.is_null() => {}
                "custom" => {
                    at.object(value)?;
                }
                _ => return Err(at.unknown(&["latency", "bandwidthDown", "bandwidthUp", "custom"])),
            }
        }
    }
    Ok(())
}

impl SecureDeviceAddress {
    fn new(text: &str, bytes: &[u8], device_id: Option<&str>, rules: &Rules) -> Self {
        let source = match (rules.device_token, device_id) {
            (DeviceToken::Device, Some(device)) => device,
            _ => text,
        };
        Self {
            text: text.to_owned(),
            device_token: token(source),
            is_version_1: bytes.first() == Some(&1),
        }
    }
}

/// A short token that is the same wherever and whenever it is made from the same source (FNV-1a).
fn token(source: &str) -> String {
    let hash = source.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}
