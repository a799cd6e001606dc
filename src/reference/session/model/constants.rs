//! The effective constants of a session, defaults included.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::admission::{Restriction, Visibility};
use super::capability::{Capabilities, Capability};

/// A time limit of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Timeout {
    Never,
    /// After so many milliseconds.
    After(u64),
}

impl Timeout {
    /// When the limit that started to run at `start` is reached; `None` if never.
    pub(in crate::session) fn due(self, start: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::After(milliseconds) => {
                let span = SignedDuration::from_millis(i64::try_from(milliseconds).ok()?);
                start.checked_add(span).ok()
            }
        }
    }

    pub(in crate::session) fn to_json(self) -> Value {
        match self {
            Self::Never => Value::Null,
            Self::After(milliseconds) => json!(milliseconds),
        }
    }
}

/// The four timeouts of a session.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Timeouts {
    pub(in crate::session) reserved: Timeout,
    pub(in crate::session) inactive: Timeout,
    pub(in crate::session) ready: Timeout,
    pub(in crate::session) session_empty: Timeout,
}

/// Who becomes the owner when the last one leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::session) enum Migration {
    /// The member of the longest standing.
    Oldest,
    /// Nobody: the session ends.
    #[default]
    EndSession,
}

#[derive(Clone, Debug, Default)]
pub(in crate::session) struct OwnershipPolicies {
    pub(in crate::session) migration: Migration,
    pub(in crate::session) allow_non_owner_invite_handles: bool,
    pub(in crate::session) non_owner_fields: Vec<String>,
}

/// What members measure of their network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four metrics, each measured or not")]
pub(in crate::session) struct Metrics {
    pub(in crate::session) latency: bool,
    pub(in crate::session) bandwidth_down: bool,
    pub(in crate::session) bandwidth_up: bool,
    pub(in crate::session) custom: bool,
}

impl Metrics {
    pub(in crate::session) fn any(self) -> bool {
        self.latency || self.bandwidth_down || self.bandwidth_up || self.custom
    }
}

/// What a link between two members must achieve: milliseconds and kilobits per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::session) struct Thresholds {
    pub(in crate::session) latency_maximum: f64,
    pub(in crate::session) bandwidth_down_minimum: f64,
    pub(in crate::session) bandwidth_up_minimum: f64,
}

/// By which metric hosts are preferred (INIT-036).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::session) enum HostMetric {
    BandwidthUp,
    BandwidthDown,
    /// Both directions together.
    Bandwidth,
    #[default]
    Latency,
}

/// `peerToHostRequirements`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::session) struct HostRequirements {
    pub(in crate::session) thresholds: Thresholds,
    pub(in crate::session) metric: HostMetric,
}

/// How members are initialized; the defaults are those of 107 (INIT-029).
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct MemberInitialization {
    pub(in crate::session) join_timeout: Timeout,
    pub(in crate::session) measurement_timeout: Timeout,
    pub(in crate::session) evaluation_timeout: Timeout,
    pub(in crate::session) external_evaluation: bool,
    pub(in crate::session) members_needed_to_start: u64,
    /// Whether members in an episode are spared the session's timeouts for reserved and ready ones (TMO-015).
    pub(in crate::session) overrides_timeouts: bool,
}

/// The effective constants of one session.
#[derive(Clone, Debug)]
pub(in crate::session) struct Constants {
    /// `constants.system` as 107 shows it, defaults included.
    pub(in crate::session) system: Map<String, Value>,
    /// The same in the names of 104 and 105.
    pub(in crate::session) old_system: Map<String, Value>,
    pub(in crate::session) custom: Value,
    pub(in crate::session) major_version: u64,
    pub(in crate::session) max_members: u64,
    pub(in crate::session) visibility: Visibility,
    pub(in crate::session) invite_protocol: Option<String>,
    pub(in crate::session) initiators: Option<Vec<u64>>,
    pub(in crate::session) timeouts: Timeouts,
    pub(in crate::session) capabilities: Capabilities,
    pub(in crate::session) metrics: Metrics,
    /// What each link between two members must achieve.
    pub(in crate::session) peer_to_peer: Option<Thresholds>,
    pub(in crate::session) peer_to_host: Option<HostRequirements>,
    pub(in crate::session) has_measurement_servers: bool,
    pub(in crate::session) member_initialization: Option<MemberInitialization>,
    pub(in crate::session) ownership: OwnershipPolicies,
    pub(in crate::session) broadcast_viewers: Vec<u64>,
    /// The restriction in force where none is given (LIVE-012).
    pub(in crate::session) default_restriction: Restriction,
}

impl Constants {
    pub(in crate::session) fn has(&self, capability: Capability) -> bool {
        self.capabilities.has(capability)
    }
}
