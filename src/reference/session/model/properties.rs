//! The properties of a session, as they are stored.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::admission::Restriction;
use super::constants::Constants;

/// The fields of `properties.system`.
pub(in crate::session) const SYSTEM_FIELDS: &[&str] = &[
    "keywords",
    "turn",
    "joinRestriction",
    "readRestriction",
    "closed",
    "locked",
    "host",
    "initializationSucceeded",
    "serverConnectionStringCandidates",
    "matchmaking",
    "matchmakingResubmit",
    "allocateCloudCompute",
    "owners",
    "description",
    "searchHandleVisibility",
    "scheduledTime",
];

/// The properties of a session; `custom` is shared by all states that have the same.
#[derive(Clone, Debug)]
pub(in crate::session) struct Properties {
    pub(in crate::session) system: Arc<SystemProperties>,
    pub(in crate::session) custom: Arc<Value>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::session) struct SystemProperties {
    pub(in crate::session) keywords: Option<Vec<String>>,
    pub(in crate::session) turn: Vec<u32>,
    pub(in crate::session) join_restriction: Option<Restriction>,
    pub(in crate::session) read_restriction: Option<Restriction>,
    pub(in crate::session) closed: bool,
    pub(in crate::session) locked: bool,
    pub(in crate::session) host: Option<String>,
    pub(in crate::session) server_candidates: Option<Vec<String>>,
    pub(in crate::session) matchmaking: Map<String, Value>,
    pub(in crate::session) matchmaking_resubmit: Option<bool>,
    pub(in crate::session) allocate_cloud_compute: bool,
    pub(in crate::session) owners: Vec<u32>,
    pub(in crate::session) description: Option<Value>,
    pub(in crate::session) search_handle_visibility: Option<String>,
    /// When the game is to start, for people who look for a group.
    pub(in crate::session) scheduled_time: Option<Timestamp>,
    /// Only while it is being written: what a stored session says of it has been acted upon (INIT-017).
    pub(in crate::session) initialization_succeeded: Option<bool>,
}

impl Properties {
    pub(in crate::session) fn new() -> Self {
        Self {
            system: Arc::default(),
            custom: Arc::new(json!({})),
        }
    }

    /// The restriction in force on joins: local by default with `userAuthorizationStyle` (LIVE-012).
    pub(in crate::session) fn join_restriction(&self, constants: &Constants) -> Restriction {
        self.system.join_restriction.unwrap_or(constants.default_restriction)
    }

    /// The restriction in force on reads (LIVE-012).
    pub(in crate::session) fn read_restriction(&self, constants: &Constants) -> Restriction {
        self.system.read_restriction.unwrap_or(constants.default_restriction)
    }
}
