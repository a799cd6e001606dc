//! The constants of a session: the template's and the creator's, fixed for the session's life.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::capabilities::{Capabilities, Capability};
use super::field::{At, decimal, integer};
use super::merge::same;
use super::properties::{Restriction, SYSTEM_FIELDS};
use super::request::Bag;
use super::version::{self, ContractVersion, TIMEOUTS};
use super::{Access, Refusal, RefusalKind};
use crate::rules::{
    DefaultsOf, ForeignNames, ImpliedGameplay, InviteProtocols, LargeLimit, LateConstant, NeededToStart, Rules,
};
use crate::session_ref::SessionRef;
use crate::template::Template;

/// Who may see and join a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Only members and reserved users see and join it.
    Private,
    /// Everyone sees it, only reserved users join it.
    Visible,
    /// Everyone sees and joins it, unless a restriction says otherwise.
    #[default]
    Open,
}

impl Visibility {
    const ALL: &[(&str, Self)] = &[
        ("private", Self::Private),
        ("visible", Self::Visible),
        ("open", Self::Open),
    ];

    /// The value in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Visible => "visible",
            Self::Open => "open",
        }
    }
}

/// A time limit of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timeout {
    Never,
    /// After so many milliseconds.
    After(u64),
}

impl Timeout {
    fn read(value: &Value, at: &At<'_>) -> Result<Self, Refusal> {
        match value {
            Value::Null => Ok(Self::Never),
            _ => match integer(value) {
                Some(milliseconds) => Ok(Self::After(milliseconds)),
                None => Err(at.wrong(value, "a number of milliseconds from 0, or null for no limit")),
            },
        }
    }

    /// When the limit that started to run at `start` is reached; `None` if never.
    pub(super) fn due(self, start: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::After(milliseconds) => {
                let span = SignedDuration::from_millis(i64::try_from(milliseconds).ok()?);
                start.checked_add(span).ok()
            }
        }
    }

    fn to_json(self) -> Value {
        match self {
            Self::Never => Value::Null,
            Self::After(milliseconds) => json!(milliseconds),
        }
    }
}

/// The four timeouts of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) reserved: Timeout,
    pub(super) inactive: Timeout,
    pub(super) ready: Timeout,
    pub(super) session_empty: Timeout,
}

/// Who becomes the owner when the last one leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Migration {
    /// The member of the longest standing.
    Oldest,
    /// Nobody: the session ends.
    #[default]
    EndSession,
}

#[derive(Clone, Debug, Default)]
pub(super) struct OwnershipPolicies {
    pub(super) migration: Migration,
    pub(super) allow_non_owner_invite_handles: bool,
    pub(super) non_owner_fields: Vec<String>,
}

/// What members measure of their network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four metrics, each measured or not")]
pub(super) struct Metrics {
    pub(super) latency: bool,
    pub(super) bandwidth_down: bool,
    pub(super) bandwidth_up: bool,
    pub(super) custom: bool,
}

impl Metrics {
    pub(super) fn any(self) -> bool {
        self.latency || self.bandwidth_down || self.bandwidth_up || self.custom
    }
}

/// What a link between two members must achieve: milliseconds and kilobits per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Thresholds {
    pub(super) latency_maximum: f64,
    pub(super) bandwidth_down_minimum: f64,
    pub(super) bandwidth_up_minimum: f64,
}

/// By which metric hosts are preferred (INIT-036).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum HostMetric {
    BandwidthUp,
    BandwidthDown,
    /// Both directions together.
    Bandwidth,
    #[default]
    Latency,
}

/// `peerToHostRequirements`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HostRequirements {
    pub(super) thresholds: Thresholds,
    pub(super) metric: HostMetric,
}

/// How members are initialized; the defaults are those of 107 (INIT-029).
#[derive(Clone, Copy, Debug)]
pub(super) struct MemberInitialization {
    pub(super) join_timeout: Timeout,
    pub(super) measurement_timeout: Timeout,
    pub(super) evaluation_timeout: Timeout,
    pub(super) external_evaluation: bool,
    pub(super) members_needed_to_start: u64,
    /// Whether members in an episode are spared the session's timeouts for reserved and ready ones (TMO-015).
    pub(super) overrides_timeouts: bool,
}

/// The effective constants of one session.
#[derive(Clone, Debug)]
pub(super) struct Constants {
    /// `constants.system` as 107 shows it, defaults included.
    pub(super) system: Map<String, Value>,
    /// The same in the names of 104 and 105.
    pub(super) old_system: Map<String, Value>,
    pub(super) custom: Value,
    pub(super) major_version: u64,
    pub(super) max_members: u64,
    pub(super) visibility: Visibility,
    pub(super) invite_protocol: Option<String>,
    pub(super) initiators: Option<Vec<u64>>,
    pub(super) timeouts: Timeouts,
    pub(super) capabilities: Capabilities,
    pub(super) metrics: Metrics,
    /// What each link between two members must achieve.
    pub(super) peer_to_peer: Option<Thresholds>,
    pub(super) peer_to_host: Option<HostRequirements>,
    pub(super) has_measurement_servers: bool,
    pub(super) member_initialization: Option<MemberInitialization>,
    pub(super) ownership: OwnershipPolicies,
    pub(super) broadcast_viewers: Vec<u64>,
    default_restriction: Restriction,
}

const SYSTEM: &[&str] = &[
    "version",
    "maxMembersCount",
    "visibility",
    "inviteProtocol",
    "initiators",
    "reservedRemovalTimeout",
    "inactiveRemovalTimeout",
    "readyRemovalTimeout",
    "sessionEmptyTimeout",
    "capabilities",
    "metrics",
    "memberInitialization",
    "peerToPeerRequirements",
    "peerToHostRequirements",
    "measurementServerAddresses",
    "cloudComputePackage",
    "arbitration",
    "broadcastViewerTitleIds",
    "ownershipPolicies",
];

/// What one bag of constants gives, typed; nothing is defaulted.
#[derive(Debug, Default)]
struct Given {
    version: Option<u64>,
    max_members: Option<u64>,
    visibility: Option<Visibility>,
    invite_protocol: Option<String>,
    initiators: Option<Vec<u64>>,
    timeouts: [Option<Timeout>; 4],
    capabilities: Capabilities,
    metrics: Option<Metrics>,
    required: Metrics,
    peer_to_peer: Option<Thresholds>,
    peer_to_host: Option<HostRequirements>,
    initialization: Option<Initialization>,
    has_measurement_servers: bool,
    has_cloud_compute_package: bool,
    has_arbitration: bool,
    broadcast_viewers: Vec<u64>,
    ownership: Option<OwnershipPolicies>,
}

#[derive(Debug, Default)]
struct Initialization {
    join: Option<Timeout>,
    measurement: Option<Timeout>,
    evaluation: Option<Timeout>,
    external: bool,
    needed: Option<u64>,
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

        let defaults = match rules.defaults_of {
            DefaultsOf::Template if !rules.old_default_is_two_hours.kept() => ContractVersion::V107,
            DefaultsOf::Template => version,
            DefaultsOf::Request => access.version,
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

    /// Refuses constants of a later write that differ from the session's (SES-CONST-001, SES-CONST-006).
    pub(super) fn check_later(&self, asked: Bag<'_>, access: &Access<'_>) -> Result<(), Refusal> {
        if !access.rules.constants_are_fixed.kept() {
            return Ok(());
        }
        let at = At::ROOT.then("constants");
        if let Some(bag) = asked.system {
            let at = at.then("system");
            let bag = read_request(bag, access, &at)?;
            for (key, value) in bag.as_ref() {
                let own = self.system.get(key);
                let filled = match (key.as_str(), own) {
                    // Whoever read it in the old form repeats its defaults.
                    ("memberInitialization", Some(Value::Object(own))) => {
                        let mut own = own.clone();
                        version::fill_initialization(&mut own);
                        Some(Value::Object(own))
                    }
                    _ => None,
                };
                let is_flags = key == "capabilities";
                check_equal(filled.as_ref().or(own), value, is_flags, access.rules, &at.then(key))?;
            }
        }
        if let Some(asked) = asked.custom {
            let at = at.then("custom");
            match (&self.custom, asked) {
                (Value::Object(fixed), Value::Object(asked)) => {
                    for (key, value) in asked {
                        check_equal_value(fixed.get(key), value, access.rules, &at.then(key))?;
                    }
                }
                (fixed, asked) => check_equal_value(Some(fixed), asked, access.rules, &at)?,
            }
        }
        Ok(())
    }

    pub(super) fn has(&self, capability: Capability) -> bool {
        self.capabilities.has(capability)
    }

    /// The restriction in force where none is given (LIVE-012).
    pub(super) fn default_restriction(&self) -> Restriction {
        self.default_restriction
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
        let version = ContractVersion::try_from(template.contract_version).map_err(|error| place.refuse(error))?;
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

/// Refuses a template from which no session could be made; what its creators may still add is not missed.
pub(super) fn check_template(template: &Template, rules: &Rules) -> Result<(), Refusal> {
    Fixed::read(template, rules).map(|_| ())
}

/// Brings constants of a request into the names of 107 and refuses what is malformed.
fn read_request<'v>(
    bag: &'v Map<String, Value>,
    access: &Access<'_>,
    at: &At<'_>,
) -> Result<std::borrow::Cow<'v, Map<String, Value>>, Refusal> {
    let strict = access.rules.foreign_names == ForeignNames::Refused;
    let bag = version::upgrade(bag, access.version, strict, at)?;
    Given::read(&bag, at, access.rules)?;
    Ok(bag)
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

/// Compares a constant of a later write with the effective one; objects may be repeated in part.
fn check_equal(fixed: Option<&Value>, asked: &Value, flags: bool, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
    let unset = Value::Object(Map::new());
    match (fixed, asked) {
        (fixed, Value::Object(asked)) if flags || matches!(fixed, Some(Value::Object(_))) => {
            for (name, value) in asked {
                let own = fixed.unwrap_or(&unset).get(name);
                // A capability that is absent is false.
                if !(flags && own.is_none() && value != &Value::Bool(true)) {
                    check_equal_value(own, value, rules, &at.then(name))?;
                }
            }
            Ok(())
        }
        (fixed, asked) => check_equal_value(fixed, asked, rules, at),
    }
}

fn check_equal_value(fixed: Option<&Value>, asked: &Value, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
    match fixed {
        Some(fixed) if same(fixed, asked) => Ok(()),
        None if asked.is_null() || rules.late_constant == LateConstant::Ignored => Ok(()),
        fixed => Err(at.conflict(asked, fixed)),
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

impl Given {
    fn read(system: &Map<String, Value>, at: &At<'_>, rules: &Rules) -> Result<Self, Refusal> {
        let mut given = Self::default();
        for (key, value) in system {
            let at = &at.then(key);
            if let Some(position) = TIMEOUTS.iter().position(|(_, name)| name == key) {
                given.timeouts[position] = Some(Timeout::read(value, at)?);
                continue;
            }
            if value.is_null() {
                if !SYSTEM.contains(&key.as_str()) {
                    return Err(at.unknown(SYSTEM));
                }
                continue;
            }
            match key.as_str() {
                "version" => given.version = Some(at.integer(value, 1..=u64::MAX)?),
                "maxMembersCount" => given.max_members = Some(at.integer(value, 1..=large_limit(rules))?),
                "visibility" => given.visibility = Some(at.choice(value, Visibility::ALL, rules)?),
                "inviteProtocol" => given.invite_protocol = Some(read_invite_protocol(value, at, rules)?),
                "initiators" => given.initiators = Some(at.each(value, |at, xuid| at.xuid(xuid, rules))?),
                "capabilities" => given.capabilities = Capabilities::read(value, at)?,
                "metrics" => given.metrics = Some(read_metrics(value, at)?),
                "memberInitialization" => given.initialization = Some(Initialization::read(value, at)?),
                "peerToPeerRequirements" => {
                    given.peer_to_peer = Some(read_peer_requirements(value, &mut given.required, at)?);
                }
                "peerToHostRequirements" => {
                    given.peer_to_host = Some(read_host_requirements(value, &mut given.required, at, rules)?);
                }
                "measurementServerAddresses" => {
                    given.has_measurement_servers = true;
                    read_measurement_servers(value, rules, at)?;
                }
                "cloudComputePackage" => {
                    given.has_cloud_compute_package = true;
                    for (name, value) in at.object(value)? {
                        let at = at.then(name);
                        match name.as_str() {
                            "titleId" if value.is_number() => {}
                            "titleId" | "gsiSet" | "variant" => {
                                at.text(value)?;
                            }
                            "crossSandbox" => {
                                at.boolean(value)?;
                            }
                            _ => return Err(at.unknown(&["titleId", "gsiSet", "variant", "crossSandbox"])),
                        }
                    }
                }
                "arbitration" => {
                    given.has_arbitration = true;
                    read_arbitration(value, at)?;
                }
                "broadcastViewerTitleIds" => {
                    given.broadcast_viewers = at.each(value, |at, title| {
                        title
                            .as_str()
                            .and_then(decimal)
                            .ok_or_else(|| at.wrong(title, "a title id, a decimal string"))
                    })?;
                }
                "ownershipPolicies" => given.ownership = Some(read_ownership(value, at, rules)?),
                _ => return Err(at.unknown(SYSTEM)),
            }
        }
        Ok(given)
    }

    /// The rules across fields.
    fn check(&self, at: &At<'_>, rules: &Rules) -> Result<(), Refusal> {
        let has = |capability| self.capabilities.has(capability);
        self.capabilities.check(rules, &at.then("capabilities"))?;

        let max = self.max_members.unwrap_or(100);
        if max > 100 && !has(Capability::Large) && rules.large_is_needed.kept() {
            let at = at.then("maxMembersCount");
            return Err(at.refuse(format_args!(
                "found {max}, expected at most 100 without the capability large"
            )));
        }
        if has(Capability::Large) && rules.large_is_not_initialized.kept() {
            for (set, key) in [
                (self.initialization.is_some(), "memberInitialization"),
                (self.has_measurement_servers, "measurementServerAddresses"),
            ] {
                if set {
                    return Err(at.then(key).refuse("a large session cannot have it"));
                }
            }
        }
        if !has(Capability::Connectivity) && rules.metrics_need_connectivity.kept() {
            if self.metrics.is_some_and(Metrics::any) {
                return Err(at.then("metrics").refuse("it needs the capability connectivity"));
            }
            if self.peer_to_peer.is_some() || self.peer_to_host.is_some() {
                return Err(at.refuse("network requirements need the capability connectivity"));
            }
        }
        if let Some(metrics) = self.metrics {
            for (needed, has, name) in [
                (self.required.latency, metrics.latency, "latency"),
                (self.required.bandwidth_down, metrics.bandwidth_down, "bandwidthDown"),
                (self.required.bandwidth_up, metrics.bandwidth_up, "bandwidthUp"),
            ] {
                if needed && !has && rules.metrics_cover_requirements.kept() {
                    return Err(at
                        .then("metrics")
                        .then(name)
                        .refuse("the network requirements need this metric"));
                }
            }
        }
        if let Some(initialization) = &self.initialization {
            initialization.check(max, rules, &at.then("memberInitialization"))?;
        }
        for (set, key, capability) in [
            (
                self.has_cloud_compute_package,
                "cloudComputePackage",
                Capability::CloudCompute,
            ),
            (self.has_arbitration, "arbitration", Capability::Arbitration),
            (self.ownership.is_some(), "ownershipPolicies", Capability::HasOwners),
        ] {
            if set && !has(capability) {
                return Err(at
                    .then(key)
                    .refuse(format_args!("it needs the capability {}", capability.name())));
            }
        }
        Ok(())
    }

    /// Fills the defaults in and makes the constants what documents show.
    fn settle(
        self,
        mut system: Map<String, Value>,
        custom: Value,
        defaults: ContractVersion,
        rules: &Rules,
    ) -> Constants {
        let inactive = if defaults.has_old_names() { 7_200_000 } else { 0 };
        let [reserved, inactive, ready, session_empty] = {
            let [reserved, given_inactive, ready, session_empty] = self.timeouts;
            [
                (reserved, 30_000),
                (given_inactive, inactive),
                (ready, 180_000),
                (session_empty, 0),
            ]
            .map(|(given, default)| given.unwrap_or(Timeout::After(default)))
        };
        let is_styled = self.capabilities.has(Capability::UserAuthorizationStyle) && rules.style_is_local.kept();
        let default_restriction = if is_styled {
            Restriction::Local
        } else {
            Restriction::None
        };
        let visibility = self.visibility.unwrap_or_default();
        let max_members = self.max_members.unwrap_or(100);

        // A constant that is pinned to null is not shown, except for timeouts, where null is a value (TPL-009).
        let pinned = |system: &Map<String, Value>, key: &str| system.get(key).is_some_and(Value::is_null);
        for (key, value) in [
            ("maxMembersCount", json!(max_members)),
            ("visibility", json!(visibility.name())),
        ] {
            if !pinned(&system, key) {
                system.insert(key.to_owned(), value);
            }
        }
        if let Some(protocol) = &self.invite_protocol {
            system.insert("inviteProtocol".to_owned(), json!(protocol));
        }
        if let Some(initiators) = &self.initiators {
            let texts = initiators.iter().map(|xuid| Value::String(xuid.to_string())).collect();
            system.insert("initiators".to_owned(), Value::Array(texts));
        }
        if system.get("capabilities").is_some_and(Value::is_object) {
            system.insert("capabilities".to_owned(), Value::Object(self.capabilities.to_json()));
        }
        for ((_, key), timeout) in TIMEOUTS.iter().zip([reserved, inactive, ready, session_empty]) {
            system.insert((*key).to_owned(), timeout.to_json());
        }
        let is_timeout = |key: &str| TIMEOUTS.iter().any(|(_, name)| *name == key);
        system.retain(|key, value| !value.is_null() || is_timeout(key));

        Constants {
            old_system: version::downgrade(&system),
            system,
            custom,
            major_version: self.version.unwrap_or(1),
            max_members,
            visibility,
            invite_protocol: self.invite_protocol,
            initiators: self.initiators,
            timeouts: Timeouts {
                reserved,
                inactive,
                ready,
                session_empty,
            },
            capabilities: self.capabilities,
            metrics: self.metrics.unwrap_or(if rules.requirements_bring_metrics.kept() {
                self.required
            } else {
                Metrics::default()
            }),
            peer_to_peer: self.peer_to_peer,
            peer_to_host: self.peer_to_host,
            has_measurement_servers: self.has_measurement_servers,
            member_initialization: self.initialization.map(|initialization| initialization.settle(rules)),
            ownership: self.ownership.unwrap_or_default(),
            broadcast_viewers: self.broadcast_viewers,
            default_restriction,
        }
    }
}

impl Initialization {
    fn read(value: &Value, at: &At<'_>) -> Result<Self, Refusal> {
        let mut read = Self::default();
        for (name, value) in at.object(value)? {
            let at = at.then(name);
            if value.is_null() && name == "externalEvaluation" {
                continue;
            }
            match name.as_str() {
                "joinTimeout" => read.join = Some(Timeout::read(value, &at)?),
                "measurementTimeout" => read.measurement = Some(Timeout::read(value, &at)?),
                "evaluationTimeout" => read.evaluation = Some(Timeout::read(value, &at)?),
                "externalEvaluation" => read.external = at.boolean(value)?,
                "membersNeededToStart" => read.needed = Some(at.integer(value, 0..=10_000)?),
                _ => {
                    return Err(at.unknown(&[
                        "joinTimeout",
                        "measurementTimeout",
                        "evaluationTimeout",
                        "externalEvaluation",
                        "membersNeededToStart",
                    ]));
                }
            }
        }
        Ok(read)
    }

    fn check(&self, max_members: u64, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
        if self.evaluation.is_some() && !self.external && rules.evaluation_timeout_is_external.kept() {
            return Err(at.then("evaluationTimeout").refuse("it needs external evaluation"));
        }
        let least = u64::from(rules.needed_to_start == NeededToStart::FromOne);
        match self.needed {
            Some(needed) if !(least..=max_members).contains(&needed) => Err(at.then("membersNeededToStart").refuse(
                format_args!("found {needed}, expected {least} to maxMembersCount, which is {max_members}"),
            )),
            _ => Ok(()),
        }
    }

    fn settle(&self, rules: &Rules) -> MemberInitialization {
        let join = if rules.initialization_has_defaults.kept() {
            10_000
        } else {
            5000
        };
        MemberInitialization {
            join_timeout: self.join.unwrap_or(Timeout::After(join)),
            measurement_timeout: self.measurement.unwrap_or(Timeout::After(30_000)),
            evaluation_timeout: self.evaluation.unwrap_or(Timeout::After(5000)),
            external_evaluation: self.external,
            members_needed_to_start: self.needed.unwrap_or(1),
            overrides_timeouts: rules.initialization_overrides_timeouts.kept(),
        }
    }
}

fn large_limit(rules: &Rules) -> u64 {
    match rules.large_limit {
        LargeLimit::TenThousand => 10_000,
        LargeLimit::OneThousand => 1000,
    }
}

fn read_invite_protocol(value: &Value, at: &At<'_>, rules: &Rules) -> Result<String, Refusal> {
    const LISTED: &[(&str, &str)] = &[
        ("game", "game"),
        ("tournamentgame", "tournamentgame"),
        ("chat", "chat"),
        ("gameparty", "gameparty"),
    ];
    match rules.invite_protocols {
        InviteProtocols::Listed => at.choice(value, LISTED, rules).map(str::to_owned),
        InviteProtocols::Any => at.text(value).map(str::to_owned),
    }
}

fn read_metrics(value: &Value, at: &At<'_>) -> Result<Metrics, Refusal> {
    let mut metrics = Metrics::default();
    for (name, value) in at.object(value)? {
        let at = at.then(name);
        let flag = !value.is_null() && at.boolean(value)?;
        match name.as_str() {
            "latency" => metrics.latency = flag,
            "bandwidthDown" => metrics.bandwidth_down = flag,
            "bandwidthUp" => metrics.bandwidth_up = flag,
            "custom" => metrics.custom = flag,
            _ => return Err(at.unknown(&["latency", "bandwidthDown", "bandwidthUp", "custom"])),
        }
    }
    Ok(metrics)
}

/// Reads `peerToPeerRequirements` and adds the metrics they need; latency is needed by all (SES-QOS-002).
fn read_peer_requirements(value: &Value, needed: &mut Metrics, at: &At<'_>) -> Result<Thresholds, Refusal> {
    // The defaults of INIT-034.
    let mut thresholds = Thresholds {
        latency_maximum: 250.0,
        bandwidth_down_minimum: 10_000.0,
        bandwidth_up_minimum: 10_000.0,
    };
    needed.latency = true;
    for (name, value) in at.object(value)? {
        let at = at.then(name);
        match name.as_str() {
            "latencyMaximum" => thresholds.latency_maximum = read_threshold(value, &at)?,
            "bandwidthMinimum" => {
                let minimum = read_threshold(value, &at)?;
                thresholds.bandwidth_down_minimum = minimum;
                thresholds.bandwidth_up_minimum = minimum;
                needed.bandwidth_down = true;
                needed.bandwidth_up = true;
            }
            _ => return Err(at.unknown(&["latencyMaximum", "bandwidthMinimum"])),
        }
    }
    Ok(thresholds)
}

/// Reads `peerToHostRequirements` and adds the metrics they need; latency is needed by all (SES-QOS-002).
fn read_host_requirements(
    value: &Value,
    needed: &mut Metrics,
    at: &At<'_>,
    rules: &Rules,
) -> Result<HostRequirements, Refusal> {
    const METRICS: &[(&str, HostMetric)] = &[
        ("bandwidthup", HostMetric::BandwidthUp),
        ("bandwidthdown", HostMetric::BandwidthDown),
        ("bandwidth", HostMetric::Bandwidth),
        ("latency", HostMetric::Latency),
    ];
    // The defaults of INIT-035.
    let mut thresholds = Thresholds {
        latency_maximum: 250.0,
        bandwidth_down_minimum: 100_000.0,
        bandwidth_up_minimum: 1000.0,
    };
    let mut metric = HostMetric::default();
    needed.latency = true;
    for (name, value) in at.object(value)? {
        let at = at.then(name);
        match name.as_str() {
            "latencyMaximum" => thresholds.latency_maximum = read_threshold(value, &at)?,
            "bandwidthDownMinimum" => {
                thresholds.bandwidth_down_minimum = read_threshold(value, &at)?;
                needed.bandwidth_down = true;
            }
            "bandwidthUpMinimum" => {
                thresholds.bandwidth_up_minimum = read_threshold(value, &at)?;
                needed.bandwidth_up = true;
            }
            "hostSelectionMetric" => metric = at.choice(value, METRICS, rules)?,
            _ => {
                return Err(at.unknown(&[
                    "latencyMaximum",
                    "bandwidthDownMinimum",
                    "bandwidthUpMinimum",
                    "hostSelectionMetric",
                ]));
            }
        }
    }
    needed.bandwidth_down |= matches!(metric, HostMetric::BandwidthDown | HostMetric::Bandwidth);
    needed.bandwidth_up |= matches!(metric, HostMetric::BandwidthUp | HostMetric::Bandwidth);
    Ok(HostRequirements { thresholds, metric })
}

fn read_threshold(value: &Value, at: &At<'_>) -> Result<f64, Refusal> {
    at.integer(value, 0..=u64::MAX)?;
    at.amount(value)
}

fn read_measurement_servers(value: &Value, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
    for (name, server) in at.object(value)? {
        let at = at.then(name);
        if name.chars().any(char::is_uppercase) && rules.server_names_are_lower_case.kept() {
            return Err(at.refuse("the name of a measurement server must be in lower case"));
        }
        for (key, address) in at.object(server)? {
            let at = at.then(key);
            if key != "secureDeviceAddress" {
                return Err(at.unknown(&["secureDeviceAddress"]));
            }
            at.base64(address)?;
        }
    }
    Ok(())
}

fn read_arbitration(value: &Value, at: &At<'_>) -> Result<(), Refusal> {
    let (mut forfeit, mut arbitration) = (60_000, 300_000);
    for (name, value) in at.object(value)? {
        let at = at.then(name);
        match name.as_str() {
            "forfeitTimeout" => forfeit = at.integer(value, 0..=u64::MAX)?,
            "arbitrationTimeout" => arbitration = at.integer(value, 0..=u64::MAX)?,
            _ => return Err(at.unknown(&["forfeitTimeout", "arbitrationTimeout"])),
        }
    }
    if arbitration < forfeit {
        return Err(at.then("arbitrationTimeout").refuse(format_args!(
            "found {arbitration}, expected at least the forfeitTimeout, which is {forfeit}"
        )));
    }
    Ok(())
}

fn read_ownership(value: &Value, at: &At<'_>, rules: &Rules) -> Result<OwnershipPolicies, Refusal> {
    let mut policies = OwnershipPolicies::default();
    for (name, value) in at.object(value)? {
        let at = at.then(name);
        match name.as_str() {
            "migration" => {
                let choices = [("oldest", Migration::Oldest), ("endsession", Migration::EndSession)];
                policies.migration = at.choice(value, &choices, rules)?;
            }
            "allowNonOwnerInviteHandles" => policies.allow_non_owner_invite_handles = at.boolean(value)?,
            "nonOwnerModifiableSystemProperties" => {
                policies.non_owner_fields = at.each(value, |at, field| {
                    let name = at.text(field)?;
                    if SYSTEM_FIELDS.contains(&name) {
                        Ok(name.to_owned())
                    } else {
                        Err(at.wrong(field, "the name of a field of properties.system"))
                    }
                })?;
            }
            _ => {
                return Err(at.unknown(&[
                    "migration",
                    "allowNonOwnerInviteHandles",
                    "nonOwnerModifiableSystemProperties",
                ]));
            }
        }
    }
    Ok(policies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Session;
    use crate::session::sample::{Stage, active, server, user};

    fn with_constants(system: &Value) -> Value {
        let mut body = active();
        body["constants"] = json!({ "system": system });
        body
    }

    /// What creation with these constants under this template comes to: the constants shown, or the refusal.
    fn created(template: Value, asked: &Value) -> Result<Value, RefusalKind> {
        let mut stage = Stage::new(template);
        match stage.put(&user(1), with_constants(asked)) {
            Ok(_) => Ok(stage.document()["constants"]["system"].take()),
            Err(refusal) => Err(refusal.kind),
        }
    }

    #[test]
    fn the_defaults_are_shown() {
        assert_eq!(
            created(json!({}), &json!({})),
            Ok(json!({
                "maxMembersCount": 100, "visibility": "open",
                "reservedRemovalTimeout": 30000, "inactiveRemovalTimeout": 0, "readyRemovalTimeout": 180_000,
                "sessionEmptyTimeout": 0,
            }))
        );
    }

    #[test]
    fn the_creator_adds_to_the_template_but_does_not_contradict_it() {
        let template =
            json!({ "maxMembersCount": 10, "capabilities": { "gameplay": true }, "readyRemovalTimeout": null });
        let shown = created(
            template.clone(),
            &json!({ "version": 1, "visibility": "private", "maxMembersCount": 10 }),
        );
        let shown = shown.unwrap();
        assert_eq!(shown["maxMembersCount"], 10);
        assert_eq!(shown["visibility"], "private");
        assert_eq!(shown["readyRemovalTimeout"], Value::Null);
        for asked in [
            json!({ "maxMembersCount": 9 }),
            json!({ "readyRemovalTimeout": 1000 }),
            json!({ "capabilities": { "gameplay": false } }),
            json!({ "capabilities": { "gameplay": true, "crossPlay": true } }),
        ] {
            assert_eq!(created(template.clone(), &asked), Err(RefusalKind::Conflict), "{asked}");
        }
        assert!(
            created(
                template,
                &json!({ "capabilities": { "gameplay": true, "large": false } })
            )
            .is_ok()
        );
    }

    #[test]
    fn a_template_that_makes_no_sense_is_told_before_anyone_uses_it() {
        let mut template = Stage::new(json!({ "maxMembersCount": 10 })).template;
        assert!(Session::check_template(&template, &Rules::default()).is_ok());
        template.constants = json!({ "system": { "visibility": "dim" } });
        let refusal = Session::check_template(&template, &Rules::default()).unwrap_err();
        assert_eq!(
            refusal.message,
            "/template/constants/system/visibility: found \"dim\", expected one of private, visible, open"
        );
        template.contract_version = 106;
        assert!(Session::check_template(&template, &Rules::default()).is_err());
    }

    #[test]
    fn an_empty_capabilities_object_in_the_template_closes_it() {
        assert_eq!(
            created(
                json!({ "capabilities": {} }),
                &json!({ "capabilities": { "gameplay": true } })
            ),
            Err(RefusalKind::Conflict)
        );
        let open = created(
            json!({}),
            &json!({ "capabilities": { "gameplay": true, "large": false } }),
        )
        .unwrap();
        assert_eq!(open["capabilities"], json!({ "gameplay": true }));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for asked in [
            json!({ "maxMembersCount": 0 }),
            json!({ "maxMembersCount": 101 }),
            json!({ "maxMembersCount": "10" }),
            json!({ "visibility": "full" }),
            json!({ "sessionEmptyTimeout": -1 }),
            json!({ "sessionEmptyTimeout": 1.5 }),
            json!({ "surprise": 1 }),
            json!({ "inviteProtocol": "carrier-pigeon" }),
            json!({ "initiators": ["x"] }),
            json!({ "metrics": { "latency": true } }),
            json!({ "peerToPeerRequirements": {} }),
            json!({ "capabilities": { "connectivity": true }, "metrics": { "custom": true }, "peerToPeerRequirements": {} }),
            json!({ "capabilities": { "large": true }, "memberInitialization": { "membersNeededToStart": 0 } }),
            json!({ "capabilities": { "large": true }, "measurementServerAddresses": {} }),
            json!({ "measurementServerAddresses": { "East": { "secureDeviceAddress": "AAAA" } } }),
            json!({ "memberInitialization": { "evaluationTimeout": 1000 } }),
            json!({ "memberInitialization": { "membersNeededToStart": 101 } }),
            json!({ "ownershipPolicies": { "migration": "oldest" } }),
            json!({ "arbitration": {} }),
            json!({ "cloudComputePackage": { "titleId": "1" } }),
            json!({ "timeouts": { "inactive": 0 } }),
            json!({ "managedInitialization": {} }),
            json!({ "capabilities": { "large": true, "broadcast": true } }),
        ] {
            assert_eq!(created(json!({}), &asked), Err(RefusalKind::Malformed), "{asked}");
        }
        let large = json!({ "capabilities": { "large": true }, "maxMembersCount": 10_000 });
        assert!(created(json!({}), &large).is_ok());
    }

    #[test]
    fn constants_are_fixed_and_may_be_repeated() {
        let mut stage = Stage::with_alice(json!({ "capabilities": { "connectivity": true } }));
        for asked in [
            json!({ "visibility": "private" }),
            json!({ "inviteProtocol": "game" }),
            json!({ "capabilities": { "gameplay": true } }),
            json!({ "capabilities": { "connectivity": false } }),
        ] {
            assert_eq!(
                stage.refused(&user(1), json!({"constants": {"system": asked}})),
                RefusalKind::Conflict,
                "{asked}"
            );
        }
        let custom = json!({ "constants": { "custom": { "a": 1 } } });
        assert_eq!(stage.refused(&user(1), custom), RefusalKind::Conflict);
        let again = json!({ "constants": stage.document()["constants"] });
        assert_eq!(stage.put(&user(1), again), Ok("unchanged"));
    }

    #[test]
    fn custom_constants_of_template_and_creator_are_merged() {
        let mut stage = Stage::new(json!({}));
        stage.template.constants = json!({ "custom": { "a": 1 } });
        let mut body = active();
        body["constants"] = json!({ "custom": { "a": 2 } });
        assert_eq!(stage.refused(&user(1), body.clone()), RefusalKind::Conflict);
        body["constants"] = json!({ "custom": { "a": 1, "b": [null] } });
        stage.put(&user(1), body).unwrap();
        assert_eq!(stage.document()["constants"]["custom"], json!({ "a": 1, "b": [null] }));
    }

    #[test]
    fn each_version_reads_and_writes_the_constants_in_its_own_names() {
        let mut stage = Stage::new(json!({}));
        stage.template.contract_version = 105;
        stage.template.constants = json!({ "system": {
            "timeouts": { "sessionEmpty": null },
            "managedInitialization": { "membersNeededToStart": 0 },
        } });
        stage.put(&user(1), active()).unwrap();
        let new = stage.document()["constants"]["system"].take();
        assert_eq!(new["inactiveRemovalTimeout"], 7_200_000);
        assert_eq!(new["sessionEmptyTimeout"], Value::Null);
        assert_eq!(new["capabilities"], json!({ "gameplay": true }));
        assert_eq!(
            new["memberInitialization"],
            json!({ "membersNeededToStart": 0, "joinTimeout": 5000, "measurementTimeout": 5000, "externalEvaluation": true })
        );
        stage.version = ContractVersion::V105;
        let old = stage.document()["constants"].take();
        assert_eq!(
            old["system"]["timeouts"],
            json!({ "reserved": 30000, "inactive": 7_200_000, "ready": 180_000, "sessionEmpty": null })
        );
        assert_eq!(old["system"]["managedInitialization"]["autoEvaluate"], false);
        assert_eq!(old["system"].get("memberInitialization"), None);
        assert_eq!(stage.put(&user(1), json!({ "constants": old })), Ok("unchanged"));
    }

    #[test]
    fn a_new_initialization_can_be_repeated_as_the_old_version_shows_it() {
        let mut stage = Stage::with_alice(json!({ "memberInitialization": { "membersNeededToStart": 0 } }));
        stage.version = ContractVersion::V104;
        let old = stage.document()["constants"].take();
        assert_eq!(old["system"]["managedInitialization"]["autoEvaluate"], true);
        assert_eq!(stage.put(&user(1), json!({ "constants": old })), Ok("unchanged"));
    }

    #[test]
    fn only_initiators_and_servers_create() {
        let template = json!({ "initiators": ["2"], "sessionEmptyTimeout": null });
        let mut stage = Stage::new(template.clone());
        assert_eq!(stage.refused(&user(1), active()), RefusalKind::Forbidden);
        stage.put(&user(2), active()).unwrap();
        let mut stage = Stage::new(template);
        assert_eq!(stage.put(&server(), json!({})), Ok("created"));
    }

    #[test]
    fn a_broadcast_session_is_named_after_its_broadcaster() {
        let mut stage = Stage::new(json!({ "capabilities": { "large": true, "broadcast": true } }));
        assert_eq!(stage.refused(&user(1), active()), RefusalKind::Malformed);
        stage.name = "1".to_owned();
        stage.put(&user(1), active()).unwrap();
    }
}
