//! Who passes measuring, and who could be host: the automatic evaluation of what members uploaded.
//!
//! A member answers for the links that it measured itself: to each peer, or to the host. Who has failed before, or was
//! not there to be measured, is no peer.

use std::cmp::Ordering;

use serde_json::Value;

use super::super::model::{
    HostMetric, HostRequirements, InitializationFailure, Member, MemberInitialization, Session, Thresholds,
};
use super::episode::{change_members, passing};
use crate::rules::Rules;

/// Whether the member has uploaded what there is to measure; an empty object says that nothing could be (INIT-043).
pub(super) fn has_measured(session: &Session, member: &Member, rules: &Rules) -> bool {
    let constants = &session.constants;
    // INIT-039: who is host has no link to measure.
    let is_spared = constants.peer_to_host.is_some()
        && constants.peer_to_peer.is_none()
        && rules.host_is_given.kept()
        && given_host(session).is_some_and(|host| is_same_device(host, member));
    let has_servers = constants.has_measurement_servers;
    let has_metrics = constants.metrics.any() || (!has_servers && !rules.measuring_needs_metrics.kept());
    let peers = !has_metrics || is_spared || member.system.measurements.is_some();
    let servers = !has_servers || member.system.server_measurements.is_some();
    peers && servers
}

/// Fails the members of the episode who have a group with somebody who failed, or is not there (INIT-023).
pub(super) fn fail_groups(session: &mut Session, rules: &Rules) {
    if !rules.groups_fail_together.kept() {
        return;
    }
    loop {
        let is_lost = |index: &u32| {
            let member = session.members.by_index(*index);
            member.is_none_or(|member| member.failure.is_some())
        };
        let lost: Vec<u32> = passing(session)
            .filter(|member| member.system.initialization_group.iter().flatten().any(is_lost))
            .map(|member| member.index)
            .collect();
        if lost.is_empty() {
            return;
        }
        // Who fails may be in the group of another.
        fail(
            session,
            &lost
                .into_iter()
                .map(|index| (index, InitializationFailure::Group))
                .collect::<Vec<_>>(),
        );
    }
}

/// Fails members by what they measured or did not, and proposes hosts (INIT-013, INIT-020, INIT-037).
pub(super) fn judge(session: &mut Session, initialization: &MemberInitialization, rules: &Rules) {
    if rules.late_measurements_fail.kept() {
        let late: Vec<_> = passing(session)
            .filter(|member| !has_measured(session, member, rules))
            .map(|member| (member.index, InitializationFailure::Timeout))
            .collect();
        fail(session, &late);
    }
    let constants = std::sync::Arc::clone(&session.constants);
    if !initialization.external_evaluation || !rules.titles_judge_measurements.kept() {
        let mut failures = Vec::new();
        if let Some(thresholds) = constants.peer_to_peer.filter(|_| rules.peers_are_judged.kept()) {
            failures.extend(judge_peers(session, &thresholds, rules));
        }
        if let Some(requirements) = constants.peer_to_host.filter(|_| rules.hosts_are_judged.kept()) {
            failures.extend(judge_links_to_host(session, &requirements, rules));
        }
        fail(session, &failures);
    }
    fail_groups(session, rules);
    if let Some(requirements) = &constants.peer_to_host
        && session.initialization.episode == 1
        && session.properties.system.host.is_none()
        && rules.candidates_are_shown.kept()
    {
        session.initialization.host_candidates = host_candidates(session, requirements, rules).into();
    }
}

/// Records failures; of several of one member, that of precedence counts (INIT-019).
fn fail(session: &mut Session, failures: &[(u32, InitializationFailure)]) {
    for (index, failure) in failures {
        change_members(
            session,
            |member| member.index == *index,
            |member| member.failure = Some(member.failure.map_or(*failure, |own| own.min(*failure))),
        );
    }
}

/// Every link to a peer counts (INIT-034).
fn judge_peers(session: &Session, thresholds: &Thresholds, rules: &Rules) -> Vec<(u32, InitializationFailure)> {
    let judged = passing(session).filter_map(|member| {
        let peers = peers(session).filter(|peer| peer.index != member.index);
        let failures = peers.filter_map(|peer| judge_link(session, member, peer, thresholds, rules));
        Some((member.index, preferred(failures, rules)?))
    });
    judged.collect()
}

/// The link to the host counts: the given one, or else the member who serves most of the others (INIT-035, INIT-039).
fn judge_links_to_host(
    session: &Session,
    requirements: &HostRequirements,
    rules: &Rules,
) -> Vec<(u32, InitializationFailure)> {
    let judge_link =
        |member: &Member, host: &Member| judge_link(session, member, host, &requirements.thresholds, rules);
    let hosts: Vec<&Member> = match given_host(session).filter(|_| rules.host_is_given.kept()) {
        Some(host) => session
            .members
            .iter()
            .filter(|member| is_same_device(host, member))
            .take(1)
            .collect(),
        None => peers(session).collect(),
    };
    let is_given = hosts.len() == 1;
    let served = |host: &Member| {
        passing(session)
            .filter(|member| member.index != host.index && judge_link(member, host).is_none())
            .count()
    };
    let rank = |one: &Member, other: &Member| {
        let served = served(other).cmp(&served(one));
        served.then_with(|| compare_hosts(session, one, other, requirements, rules))
    };
    let Some(best) = hosts.iter().copied().min_by(|one, other| rank(one, other)) else {
        return Vec::new();
    };
    let judged = passing(session).filter_map(|member| {
        let failure = if is_given || served(best) > 0 {
            (member.index != best.index).then(|| judge_link(member, best)).flatten()
        } else {
            // Nobody could be host for anybody.
            let others = hosts.iter().filter(|host| host.index != member.index);
            preferred(others.filter_map(|host| judge_link(member, host)), rules)
        };
        Some((member.index, failure?))
    });
    judged.collect()
}

/// The device tokens of the members who could be host for all who pass, best first (INIT-037).
fn host_candidates(session: &Session, requirements: &HostRequirements, rules: &Rules) -> Vec<String> {
    let serves_all = |host: &&Member| {
        passing(session)
            .filter(|member| member.index != host.index)
            .all(|member| judge_link(session, member, host, &requirements.thresholds, rules).is_none())
    };
    let mut candidates: Vec<&Member> = peers(session).filter(serves_all).collect();
    candidates.sort_by(|one, other| compare_hosts(session, one, other, requirements, rules));
    let mut tokens: Vec<String> = Vec::new();
    for token in candidates.into_iter().filter_map(Member::device_token) {
        // Members on one device are one candidate.
        if !tokens.iter().any(|known| known == token) {
            tokens.push(token.to_owned());
        }
    }
    tokens
}

/// Less is better: by what the others measured of each, then by who came first (INIT-036).
fn compare_hosts(
    session: &Session,
    one: &Member,
    other: &Member,
    requirements: &HostRequirements,
    rules: &Rules,
) -> Ordering {
    let metric = if rules.host_metric_decides.kept() {
        requirements.metric
    } else {
        HostMetric::Latency
    };
    // The mean over the others; who is alone is as good as it gets.
    let score = |host: &Member| {
        let (mut sum, mut count) = (0.0, 0_u32);
        for member in passing(session).filter(|member| member.index != host.index) {
            let amount = |name| measured(member, host, name);
            sum += match metric {
                HostMetric::Latency => amount("latency").unwrap_or(f64::INFINITY),
                HostMetric::BandwidthUp => -amount("bandwidthUp").unwrap_or(0.0),
                HostMetric::BandwidthDown => -amount("bandwidthDown").unwrap_or(0.0),
                HostMetric::Bandwidth => -amount("bandwidthUp").unwrap_or(0.0) - amount("bandwidthDown").unwrap_or(0.0),
            };
            count += 1;
        }
        if count == 0 {
            f64::NEG_INFINITY
        } else {
            sum / f64::from(count)
        }
    };
    score(one).total_cmp(&score(other)).then(one.index.cmp(&other.index))
}

/// Why the link that `member` measured to `peer` is not good enough.
fn judge_link(
    session: &Session,
    member: &Member,
    peer: &Member,
    thresholds: &Thresholds,
    rules: &Rules,
) -> Option<InitializationFailure> {
    let metrics = session.constants.metrics;
    let latency = measured(member, peer, "latency");
    let down = measured(member, peer, "bandwidthDown");
    let up = measured(member, peer, "bandwidthUp");
    let failures = [
        (
            latency.is_some_and(|latency| latency > thresholds.latency_maximum),
            InitializationFailure::Latency,
        ),
        (
            down.is_some_and(|down| down < thresholds.bandwidth_down_minimum),
            InitializationFailure::BandwidthDown,
        ),
        (
            up.is_some_and(|up| up < thresholds.bandwidth_up_minimum),
            InitializationFailure::BandwidthUp,
        ),
        // INIT-022: a metric in force must be there.
        (
            rules.missing_metric_fails.kept()
                && ((metrics.latency && latency.is_none())
                    || (metrics.bandwidth_down && down.is_none())
                    || (metrics.bandwidth_up && up.is_none())),
            InitializationFailure::Network,
        ),
    ];
    let found = failures.into_iter().filter(|(fails, _)| *fails);
    preferred(found.map(|(_, failure)| failure), rules)
}

fn preferred(failures: impl Iterator<Item = InitializationFailure>, rules: &Rules) -> Option<InitializationFailure> {
    if rules.earliest_failure_wins.kept() {
        failures.min()
    } else {
        failures.max()
    }
}

/// What `member` measured of the device of `peer`.
fn measured(member: &Member, peer: &Member, metric: &str) -> Option<f64> {
    let token = peer.device_token()?;
    let measurements = member.system.measurements.as_ref()?.as_object()?;
    let (_, link) = measurements.iter().find(|(key, _)| key.eq_ignore_ascii_case(token))?;
    link.get(metric).and_then(Value::as_f64)
}

/// The members who can be measured: here, not failed, and not waiting for a later episode.
fn peers(session: &Session) -> impl Iterator<Item = &Member> {
    let running = session.initialization.episode;
    session.members.iter().filter(move |member| {
        let waits = member.episode.is_some_and(|episode| episode > running);
        member.is_accepted() && member.failure.is_none() && !waits
    })
}

fn given_host(session: &Session) -> Option<&str> {
    session.properties.system.host.as_deref()
}

fn is_same_device(token: &str, member: &Member) -> bool {
    member.device_token().is_some_and(|own| own.eq_ignore_ascii_case(token))
}
