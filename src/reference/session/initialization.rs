//! Initialization of members: what the creation of a session with `memberInitialization` must bring along.
//!
//! Episodes and stages are not run here: such a session shows no `initializing`, and its members no episode.

use super::{Refusal, RefusalKind, Session};
use crate::reference::rules::Rules;

/// Refuses a creation with too few members to initialize (INIT-026).
pub(super) fn check_creation(session: &Session, rules: &Rules) -> Result<(), Refusal> {
    let Some(initialization) = &session.constants.member_initialization else {
        return Ok(());
    };
    let needed = initialization.members_needed_to_start;
    let brought: u64 = session
        .members
        .iter()
        .map(|member| u64::from(member.constants.initialize))
        .sum();
    if brought >= needed || !rules.initialization_needs_members.kept() {
        return Ok(());
    }
    Err(Refusal {
        kind: RefusalKind::Malformed,
        message: format!(
            "/members: initialization needs at least {needed} members with initialize true, found {brought}"
        ),
    })
}
