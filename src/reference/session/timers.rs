//! Timers: nothing happens when one expires; its effect is applied before the next read or write (TMO-003).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::capabilities::Capability;
use super::departure::{self, Fate};
use super::member::{Member, Status};
use super::{Connections, Outcome, Session};
use crate::reference::rules::{ReadyExpiry, ReservationExpiry, Rules};

/// How long a lost connection goes unnoticed (LIVE-021).
const CONNECTION_GRACE: SignedDuration = SignedDuration::from_secs(30);

/// What an expired timer makes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transition {
    Removed,
    Inactive,
}

impl Session {
    /// Applies what is due at `now`: `Unchanged`, `Changed`, or `Gone`. One transition a member (TMO-004).
    pub fn after_timers(&self, now: Timestamp, connections: &dyn Connections, rules: &Rules) -> Outcome {
        if self.emptied_until().is_some_and(|end| end <= now) {
            return Outcome::Gone;
        }
        let transition = |member: &Member| self.transition(member, now, connections, rules);
        if self.members.iter().all(|member| transition(member).is_none()) {
            return Outcome::Unchanged;
        }

        let mut after = self.clone();
        let members = Arc::make_mut(&mut after.members);
        for (position, member) in self.members.iter().enumerate() {
            if transition(member) == Some(Transition::Inactive) {
                let mut member = member.clone();
                member.become_status(Status::Inactive, now);
                members.replace(position, member);
            }
        }
        // Decided on the state before, so that nobody takes two steps in one pass.
        members.remove_where(|member| {
            let before = self.members.by_index(member.index);
            before.is_some_and(|before| transition(before) == Some(Transition::Removed))
        });
        if departure::settle(&mut after) == Fate::Ended {
            return Outcome::Gone;
        }
        match after.after_emptying(now) {
            Some(after) => Outcome::Changed(after.touched()),
            None => Outcome::Gone,
        }
    }

    /// When the earliest pending timer expires; `None` if none is pending (TMO-016).
    pub fn next_timer(&self) -> Option<Timestamp> {
        let members = self.members.iter().filter_map(|member| self.due(member));
        members.chain(self.emptied_until()).min()
    }

    /// When a session without members ends.
    fn emptied_until(&self) -> Option<Timestamp> {
        self.empty_since
            .and_then(|since| self.constants.timeouts.session_empty.due(since))
    }

    /// When the timer of the member's status expires.
    fn due(&self, member: &Member) -> Option<Timestamp> {
        let timeouts = &self.constants.timeouts;
        let timeout = match member.status {
            Status::Reserved => timeouts.reserved,
            Status::Inactive => timeouts.inactive,
            Status::Ready => timeouts.ready,
            Status::Active => return None,
        };
        timeout.due(member.since)
    }

    fn transition(
        &self,
        member: &Member,
        now: Timestamp,
        connections: &dyn Connections,
        rules: &Rules,
    ) -> Option<Transition> {
        if member.status == Status::Active {
            return self
                .has_lost_connection(member, now, connections)
                .then_some(Transition::Inactive);
        }
        if self.due(member).is_none_or(|due| due > now) {
            return None;
        }
        Some(match member.status {
            Status::Reserved if rules.reservation_expiry == ReservationExpiry::Inactive => Transition::Inactive,
            Status::Ready if rules.ready_expiry == ReadyExpiry::Inactive => Transition::Inactive,
            Status::Reserved | Status::Inactive | Status::Ready | Status::Active => Transition::Removed,
        })
    }

    /// Whether an active member has been without its connection for too long (RTA-025).
    fn has_lost_connection(&self, member: &Member, now: Timestamp, connections: &dyn Connections) -> bool {
        if !self.constants.has(Capability::ConnectionRequiredForActiveMembers) {
            return false;
        }
        let Some(connection) = member.system.connection else {
            return true;
        };
        match connections.lost_at(connection) {
            Some(lost) => lost.checked_add(CONNECTION_GRACE).is_ok_and(|noticed| noticed <= now),
            // A connection that nobody knows any more was lost long ago.
            None => connections.owner(connection).is_none(),
        }
    }
}
