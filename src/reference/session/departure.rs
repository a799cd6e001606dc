//! What follows for the session when members go: it refers to present members only.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::model::{Capability, Member, Migration, Session};
use crate::rules::Rules;

/// What becomes of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Lives,
    /// Its last owner left, and nobody follows (SES-OWN-006).
    Ended,
}

/// Brings what the session says of its members in line with who is there.
pub(super) fn settle(session: &mut Session, rules: &Rules) -> Fate {
    let system = &session.properties.system;
    let is_gone = |index: &u32| session.members.position_of_index(*index).is_none();

    if system.turn.iter().any(is_gone) {
        // SES-PSYS-004.
        let members = Arc::clone(&session.members);
        let system = Arc::make_mut(&mut session.properties.system);
        system.turn.retain(|index| members.position_of_index(*index).is_some());
    }
    if host_is_unmatched(session) && rules.host_is_a_member.kept() {
        // SES-PSYS-007, SES-PSYS-009.
        Arc::make_mut(&mut session.properties.system).host = None;
    }
    if session.constants.has(Capability::AutoPopulateServerCandidates) && rules.servers_are_ranked.kept() {
        let candidates = rank_servers(session);
        if session.properties.system.server_candidates != candidates {
            Arc::make_mut(&mut session.properties.system).server_candidates = candidates;
        }
    }
    settle_owners(session, rules)
}

fn settle_owners(session: &mut Session, rules: &Rules) -> Fate {
    let members = Arc::clone(&session.members);
    let is_gone = |index: &u32| members.position_of_index(*index).is_none();
    if !session.properties.system.owners.iter().any(is_gone) {
        return Fate::Lives;
    }
    let owners = &mut Arc::make_mut(&mut session.properties.system).owners;
    owners.retain(|index| !is_gone(index));
    if !owners.is_empty() || members.is_empty() {
        return Fate::Lives;
    }
    match session.constants.ownership.migration {
        Migration::EndSession if rules.session_ends_with_owner.kept() => Fate::Ended,
        Migration::EndSession => Fate::Lives,
        Migration::Oldest => {
            // SES-OWN-007; a reservation owns nothing.
            let accepted = members.iter().filter(|member| member.is_accepted());
            let standing = |member: &&Member| (member.join_time, member.index);
            let heir = if rules.oldest_inherits.kept() {
                accepted.min_by_key(standing)
            } else {
                accepted.max_by_key(standing)
            };
            owners.extend(heir.map(|member| member.index));
            Fate::Lives
        }
    }
}

/// Whether `host` is set and no member has that device token (SES-PSYS-008).
pub(super) fn host_is_unmatched(session: &Session) -> bool {
    session.properties.system.host.as_ref().is_some_and(|host| {
        let is_host = |member: &Member| {
            member
                .device_token()
                .is_some_and(|token| token.eq_ignore_ascii_case(host))
        };
        !session.members.iter().any(is_host)
    })
}

/// The servers that members measured, the one that serves most of them best first (INIT-045).
fn rank_servers(session: &Session) -> Option<Vec<String>> {
    let mut measured: HashMap<String, (u32, f64)> = HashMap::new();
    for member in session.members.iter() {
        let Some(Value::Object(servers)) = &member.system.server_measurements else {
            continue;
        };
        for (server, measurement) in servers {
            if let Some(latency) = measurement.get("latency").and_then(Value::as_f64) {
                let entry = measured.entry(server.to_lowercase()).or_default();
                entry.0 += 1;
                entry.1 += latency;
            }
        }
    }
    let mut ranked: Vec<_> = measured
        .into_iter()
        .map(|(server, (members, sum))| (server, members, sum / f64::from(members)))
        .collect();
    ranked.sort_by(|one, other| {
        other
            .1
            .cmp(&one.1)
            .then(one.2.total_cmp(&other.2))
            .then_with(|| one.0.cmp(&other.0))
    });
    if ranked.is_empty() {
        return session.properties.system.server_candidates.clone();
    }
    Some(ranked.into_iter().map(|(server, ..)| server).collect())
}
