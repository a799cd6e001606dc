//! The members of the running episode.

use std::sync::Arc;

use super::super::model::{Member, Session};

/// Changes the members that `which` picks.
pub(super) fn change_members(session: &mut Session, which: impl Fn(&Member) -> bool, change: impl Fn(&mut Member)) {
    if !session.members.iter().any(&which) {
        return;
    }
    let before = Arc::clone(&session.members);
    let members = Arc::make_mut(&mut session.members);
    for (position, member) in before.iter().enumerate().filter(|(_, member)| which(member)) {
        let mut member = member.clone();
        change(&mut member);
        members.replace(position, member);
    }
}

/// The members of the running episode who have not failed.
pub(super) fn passing(session: &Session) -> impl Iterator<Item = &Member> {
    let episode = Some(session.initialization.episode);
    let members = session.members.iter();
    members.filter(move |member| member.episode == episode && member.failure.is_none())
}
