//! The state of initialization: its stage, its episode, and why members failed.

use std::sync::Arc;

use jiff::Timestamp;

use super::names::names;

/// Where initialization stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Stage {
    /// No episode runs; nothing is shown (INIT-007).
    Idle,
    /// Members come and bring their secure device addresses.
    Joining,
    /// Members measure each other or servers, and upload what they found.
    Measuring,
    /// The title judges, and writes `initializationSucceeded`.
    Evaluating,
    /// The episode is over, and it is counted who passed. No access ends here.
    Counting,
    /// Episode 1 failed, and nobody is initialized any more (INIT-008).
    Failed,
}

names!(Stage {
    Idle = "idle",
    Joining = "joining",
    Measuring = "measuring",
    Evaluating = "evaluating",
    Counting = "counting",
    Failed = "failed",
});

/// Why a member failed, in the order of precedence (INIT-019).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::session) enum InitializationFailure {
    /// It uploaded no measurements in time.
    Timeout,
    /// Too much of it.
    Latency,
    /// Too little of it.
    BandwidthDown,
    /// Too little of it.
    BandwidthUp,
    /// A required metric could not be measured.
    Network,
    /// A member of its group failed.
    Group,
    /// The episode failed.
    Episode,
}

names!(InitializationFailure {
    Timeout = "timeout",
    Latency = "latency",
    BandwidthDown = "bandwidthdown",
    BandwidthUp = "bandwidthup",
    Network = "network",
    Group = "group",
    Episode = "episode",
});

/// The initialization of a session, as far as it got.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::session) struct Initialization {
    pub(in crate::session) stage: Stage,
    pub(in crate::session) stage_start: Timestamp,
    /// The episode that runs, or the last one that did or was skipped.
    pub(in crate::session) episode: u32,
    /// Device tokens, best first (INIT-037).
    pub(in crate::session) host_candidates: Arc<[String]>,
}

impl Initialization {
    /// Whether `initializing` is shown.
    pub(in crate::session) fn is_shown(&self) -> bool {
        self.stage != Stage::Idle
    }

    /// Whether the stage is another one, or was left and entered again (INIT-050).
    pub(in crate::session) fn stage_differs(&self, other: &Self) -> bool {
        (self.stage, self.stage_start, self.episode) != (other.stage, other.stage_start, other.episode)
    }
}
