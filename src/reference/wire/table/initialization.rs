//! The initialization of members.

use super::{Change, DONE, Edit, Is, On, PUT, REFUSED, SESSION, SESSIONS, WireFault, YES, fault};

/// A fault of every session document.
const fn field(
    id: &'static str,
    text: &'static str,
    clauses: &'static [&'static str],
    does: &'static [Change],
) -> WireFault {
    fault(
        id,
        text,
        clauses,
        &[SESSIONS, DONE, On::Told("/branch", Is::There)],
        does,
    )
}

#[rustfmt::skip]
pub(super) const TABLE: &[WireFault] = &[
    fault("server-measurements-are-lost", "serverMeasurements are dropped.", &["INIT-013", "SES-MSYS-009"], &[SESSION, PUT], &[Change::Ask("/members/me/properties/system/serverMeasurements", Edit::Remove)]),
    field("initializing-is-missing", "initializing is never shown.", &["INIT-006", "INIT-007"], &[Change::Tell("/initializing", Edit::Remove)]),
    field("initializing-is-always", "initializing is always shown.", &["INIT-001", "INIT-006", "INIT-007"], &[Change::Tell("/initializing", Edit::Put("{\"stage\":\"joining\",\"stageStartTime\":\"2001-01-01T00:00:00.0000000Z\",\"episode\":1}"))]),
    field("stage-is-joining", "The stage is always joining.", &["INIT-007", "INIT-011"], &[Change::Tell("/initializing/stage", Edit::Set("\"joining\""))]),
    field("stage-is-measuring", "The stage is always measuring.", &["INIT-007", "INIT-011", "INIT-049"], &[Change::Tell("/initializing/stage", Edit::Set("\"measuring\""))]),
    field("stage-is-evaluating", "The stage is always evaluating.", &["INIT-007", "INIT-011"], &[Change::Tell("/initializing/stage", Edit::Set("\"evaluating\""))]),
    field("stage-is-upper-case", "The stage is in capitals.", &["INIT-006", "INIT-007"], &[Change::Tell("/initializing/stage", Edit::Upper)]),
    field("stage-time-is-missing", "initializing has no stageStartTime.", &["INIT-006", "INIT-047"], &[Change::Tell("/initializing/stageStartTime", Edit::Remove)]),
    field("stage-time-is-long-ago", "stageStartTime is that of another day.", &["INIT-047", "INIT-006", "INIT-029", "INIT-030"], &[Change::Tell("/initializing/stageStartTime", Edit::Set("\"2001-01-01T00:00:00.0000000Z\""))]),
    field("episode-is-missing", "initializing has no episode.", &["INIT-006"], &[Change::Tell("/initializing/episode", Edit::Remove)]),
    field("episode-is-one-off", "The episode is one ahead.", &["INIT-006", "INIT-003", "INIT-004"], &[Change::Tell("/initializing/episode", Edit::Add(1))]),
    field("episode-is-text", "The episode is a string.", &["INIT-006"], &[Change::Tell("/initializing/episode", Edit::Text)]),
    field("member-episode-is-missing", "Members do not show initializationEpisode.", &["INIT-003", "INIT-004", "SES-RESP-015"], &[Change::Tell("/members/*/initializationEpisode", Edit::Remove)]),
    field("member-episode-is-one-off", "initializationEpisode of members is one ahead.", &["INIT-003", "INIT-004"], &[Change::Tell("/members/*/initializationEpisode", Edit::Add(1))]),
    field("member-episode-is-always", "Members always show initializationEpisode.", &["SES-RESP-015", "INIT-001", "INIT-005"], &[Change::Tell("/members/*/initializationEpisode", Edit::Put("1"))]),
    field("failure-is-missing", "Members do not show initializationFailure.", &["INIT-020", "INIT-013", "INIT-018", "INIT-019"], &[Change::Tell("/members/*/initializationFailure", Edit::Remove)]),
    field("failure-is-always", "Members always show initializationFailure.", &["SES-RESP-015", "INIT-020", "INIT-012"], &[Change::Tell("/members/*/initializationFailure", Edit::Put("\"timeout\""))]),
    field("failure-is-timeout", "Every failure is a timeout.", &["INIT-021", "INIT-019", "INIT-018", "INIT-022"], &[Change::Tell("/members/*/initializationFailure", Edit::Set("\"timeout\""))]),
    field("failure-is-episode", "Every failure is that of the episode.", &["INIT-013", "INIT-019", "INIT-020", "INIT-034"], &[Change::Tell("/members/*/initializationFailure", Edit::Set("\"episode\""))]),
    field("failure-is-upper-case", "Failures are in capitals.", &["INIT-019"], &[Change::Tell("/members/*/initializationFailure", Edit::Upper)]),
    field("success-is-shown", "initializationSucceeded is shown.", &["INIT-017"], &[Change::Tell("/properties/system/initializationSucceeded", Edit::Put("true"))]),
    field("host-candidates-are-missing", "hostCandidates are never shown.", &["INIT-037"], &[Change::Tell("/hostCandidates", Edit::Remove)]),
    field("host-candidates-are-reversed", "hostCandidates come with the worst first.", &["INIT-037", "INIT-036"], &[Change::Tell("/hostCandidates", Edit::Reverse)]),
    field("host-candidates-are-always", "hostCandidates are always shown.", &["INIT-038", "INIT-037"], &[Change::Tell("/hostCandidates", Edit::Put("[\"abc\"]"))]),
    field("initialization-is-missing", "memberInitialization is not shown.", &["INIT-029", "SES-CREATE-003", "SES-CONST-014", "SES-CVER-004", "INIT-030"], &[Change::Tell("/constants/system/memberInitialization", Edit::Remove)]),
    field("initialization-has-no-defaults", "Defaults of memberInitialization are not shown.", &["INIT-029", "SES-CVER-004", "INIT-030"], &[Change::Tell("/constants/system/memberInitialization/measurementTimeout", Edit::Remove)]),
    field("initialization-evaluates", "externalEvaluation is shown as the opposite.", &["INIT-029", "VER-007", "VER-008"], &[Change::Tell("/constants/system/memberInitialization/externalEvaluation", Edit::Not)]),
    field("initialization-needs-more", "membersNeededToStart is shown as one more.", &["INIT-029", "VER-009"], &[Change::Tell("/constants/system/memberInitialization/membersNeededToStart", Edit::Add(1))]),
    fault("late-success-is-fine", "initializationSucceeded is always taken.", &["LIVE-017"], &[SESSION, PUT, On::Asked("/properties/system/initializationSucceeded", Is::There), REFUSED], YES),
    fault("success-is-overlooked", "initializationSucceeded is overlooked.", &["INIT-014", "INIT-017", "INIT-018"], &[SESSION, PUT], &[Change::Ask("/properties/system/initializationSucceeded", Edit::Remove)]),
    fault("success-is-failure", "initializationSucceeded means the opposite.", &["INIT-014", "INIT-018"], &[SESSION, PUT], &[Change::Ask("/properties/system/initializationSucceeded", Edit::Not)]),
    fault("initialize-is-overlooked", "initialize is overlooked.", &["INIT-002", "INIT-003", "LIVE-014"], &[SESSION, PUT], &[Change::Ask("/members/me/constants/system/initialize", Edit::Remove)]),
    fault("initialize-is-anything", "initialize may be anything.", &["INIT-002"], &[SESSION, PUT, On::Asked("/members/me/constants/system/initialize", Is::There), On::Status(&[400])], YES),
    fault("too-few-may-initialize", "Too few members to initialize return 201.", &["INIT-026"], &[SESSION, PUT, On::Status(&[400])], &[Change::Status(201)]),
    fault("measurements-are-overlooked", "Measurements are overlooked.", &["INIT-013", "INIT-034", "INIT-011"], &[SESSION, PUT], &[Change::Ask("/members/me/properties/system/measurements", Edit::Remove)]),
    fault("latencies-are-higher", "Latencies arrive higher.", &["INIT-034", "INIT-035"], &[SESSION, PUT], &[Change::Ask("/members/me/properties/system/measurements/*/latency", Edit::Add(200))]),
    fault("bandwidths-are-lower", "Bandwidths arrive lower.", &["INIT-034", "INIT-035"], &[SESSION, PUT], &[Change::Ask("/members/me/properties/system/measurements/*/bandwidthDown", Edit::Add(-60000)), Change::Ask("/members/me/properties/system/measurements/*/bandwidthUp", Edit::Add(-60000))]),
    fault("groups-are-overlooked", "initializationGroup is overlooked.", &["INIT-023"], &[SESSION, PUT], &[Change::Ask("/members/me/properties/system/initializationGroup", Edit::Remove)]),
    fault("join-timeouts-are-longer", "joinTimeout is a second longer.", &["INIT-011", "INIT-012", "INIT-047", "SES-BODY-018"], &[SESSION, PUT], &[Change::Ask("/constants/system/memberInitialization/joinTimeout", Edit::Add(1000))]),
    fault("evaluation-may-be-timed", "evaluationTimeout needs nothing.", &["INIT-015"], &[SESSION, PUT, On::Asked("/constants/system/memberInitialization/evaluationTimeout", Is::There), On::Status(&[400])], &[Change::Status(201)]),
];
