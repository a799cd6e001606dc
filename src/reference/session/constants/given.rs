//! What one bag of constants gives: read field by field, checked across fields, and filled up with the defaults.

use serde_json::{Map, Value, json};

use super::super::field::{At, decimal};
use super::super::model::ContractVersion;
use super::super::model::{
    Capabilities, Capability, Constants, HostRequirements, Metrics, OwnershipPolicies, Restriction, Thresholds,
    Timeout, Timeouts, Visibility,
};
use super::super::refusal::Refusal;
use super::super::version::{self, TIMEOUTS};
use super::initialization::Initialization;
use super::network::{read_host_requirements, read_measurement_servers, read_metrics, read_peer_requirements};
use super::policies::{read_arbitration, read_invite_protocol, read_ownership};
use crate::rules::{DefaultInactive, LargeLimit, Rules};

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
pub(super) struct Given {
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

impl Given {
    pub(super) fn read(system: &Map<String, Value>, at: &At<'_>, rules: &Rules) -> Result<Self, Refusal> {
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
    pub(super) fn check(&self, at: &At<'_>, rules: &Rules) -> Result<(), Refusal> {
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
    pub(super) fn settle(
        self,
        mut system: Map<String, Value>,
        custom: Value,
        defaults: ContractVersion,
        rules: &Rules,
    ) -> Constants {
        let is_long = defaults.has_old_names() || rules.default_inactive == DefaultInactive::TwoHours;
        let inactive = if is_long { 7_200_000 } else { 0 };
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

fn large_limit(rules: &Rules) -> u64 {
    match rules.large_limit {
        LargeLimit::TenThousand => 10_000,
        LargeLimit::OneThousand => 1000,
    }
}
