//! Timers: nothing happens when one expires; its effect is applied before the next read or write (TMO-003).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::access::Connections;
use super::departure::{self, Fate};
use super::initialization::{self, News};
use super::model::{Capability, Member, Session, Status};
use super::outcome::Outcome;
use crate::rules::{ReadyExpiry, ReservationExpiry, Rules};

/// How long a lost connection goes unnoticed (LIVE-021).
pub(crate) const CONNECTION_GRACE: SignedDuration = SignedDuration::from_secs(30);

/// What an expired timer makes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transition {
    Removed,
    Inactive,
}

impl Session {
    /// Applies what is due at `now`: `Unchanged`, `Changed`, or `Gone`. One transition a member (TMO-004).
    pub(crate) fn after_timers(&self, now: Timestamp, connections: &dyn Connections, rules: &Rules) -> Outcome {
        if !rules.timers_are_applied.kept() {
            return Outcome::Unchanged;
        }
        if self.emptied_until().is_some_and(|end| end <= now) {
            return Outcome::Gone;
        }
        let transition = |member: &Member| self.transition(member, now, connections, rules);
        let is_due = self.stage_due().is_some_and(|due| due <= now);
        if !is_due && self.members.iter().all(|member| transition(member).is_none()) {
            return Outcome::Unchanged;
        }

        let mut after = self.clone();
        let members = Arc::make_mut(&mut after.members);
        for (position, member) in self.members.iter().enumerate() {
            if transition(member) == Some(Transition::Inactive) {
                let since = if rules.timers_are_not_stacked.kept() {
                    now
                } else {
                    self.due(member).unwrap_or(now)
                };
                let mut member = member.clone();
                member.become_status(Status::Inactive, since, rules);
                members.replace(position, member);
            }
        }
        // Decided on the state before, so that nobody takes two steps in one pass.
        members.remove_where(|member| {
            let before = self.members.by_index(member.index);
            before.is_some_and(|before| transition(before) == Some(Transition::Removed))
        });
        if departure::settle(&mut after, rules) == Fate::Ended {
            return Outcome::Gone;
        }
        let news = News { is_due, verdict: None };
        initialization::settle(&mut after, self.members.next(), news, now, rules);
        let Some(after) = after.after_emptying(now, rules) else {
            return Outcome::Gone;
        };
        if !rules.timers_are_not_stacked.kept() {
            match after.after_timers(now, connections, rules) {
                Outcome::Unchanged => {}
                further => return further,
            }
        }
        Outcome::Changed(after.next_state(rules))
    }

    /// When the earliest pending timer expires; `None` if none is pending (TMO-016).
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        let members = self.members.iter().filter_map(|member| self.due(member));
        members.chain(self.emptied_until()).chain(self.stage_due()).min()
    }

    /// When a session without members ends.
    fn emptied_until(&self) -> Option<Timestamp> {
        self.empty_since
            .and_then(|since| self.constants.timeouts.session_empty.due(since))
    }

    /// When the timer of the member's status expires; initialization has a timer of its own.
    fn due(&self, member: &Member) -> Option<Timestamp> {
        if self.is_spared(member) {
            return None;
        }
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
            let is_lost = rules.lost_connection_is_noticed.kept() && self.has_lost_connection(member, now, connections);
            return is_lost.then_some(Transition::Inactive);
        }
        if self.is_absent_from_joining(member) && self.stage_due().is_some_and(|due| due <= now) {
            // INIT-012, whatever becomes of other reservations.
            return rules.absent_members_are_removed.kept().then_some(Transition::Removed);
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::session::tests::sample::{Stage, active, join, me_system, reserve, user};

    #[test]
    fn a_reservation_that_nobody_takes_is_removed_after_its_timeout() {
        let mut stage = Stage::with_alice(json!({}));
        stage.put(&user(1), reserve(&[2])).unwrap();
        let made = stage.now;
        assert_eq!(
            stage.session().next_timer(),
            made.checked_add(SignedDuration::from_secs(30)).ok()
        );
        assert_eq!(stage.after(29_999), "unchanged");
        let number = stage.session().change_number();
        assert_eq!(stage.after(1), "changed");
        assert_eq!(stage.session().change_number(), number + 1);
        assert_eq!(stage.session().count(), 1);
        assert_eq!(stage.session().next_timer(), None);
    }

    #[test]
    fn a_ready_member_becomes_inactive_first_and_goes_at_the_next_access() {
        let mut stage = Stage::with_alice(json!({ "readyRemovalTimeout": 1000, "inactiveRemovalTimeout": 0 }));
        stage.put(&user(2), me_system(json!({ "ready": true }))).unwrap();
        assert_eq!(stage.after(5000), "changed");
        assert_eq!(stage.session().member(2).unwrap().status, Status::Inactive);
        assert_eq!(stage.after(0), "changed");
        assert!(stage.session().member(2).is_none());
    }

    #[test]
    fn a_join_that_leaves_the_member_inactive_ends_at_the_next_access_without_a_timeout() {
        let mut stage = Stage::with_alice(json!({ "inactiveRemovalTimeout": 0 }));
        stage.put(&user(2), join()).unwrap();
        assert_eq!(stage.session().count(), 2);
        assert_eq!(stage.after(0), "changed");
        assert_eq!(stage.session().count(), 1);
    }

    #[test]
    fn becoming_active_stops_the_timer_and_becoming_inactive_starts_it_anew() {
        let mut stage = Stage::with_alice(json!({ "inactiveRemovalTimeout": 1000 }));
        stage.put(&user(2), join()).unwrap();
        stage.after(900);
        stage.put(&user(2), active()).unwrap();
        assert_eq!(stage.session().next_timer(), None);
        assert_eq!(stage.after(900), "unchanged");
        stage.put(&user(2), me_system(json!({ "active": false }))).unwrap();
        assert_eq!(stage.after(900), "unchanged");
        assert_eq!(stage.after(100), "changed");
    }

    #[test]
    fn the_last_member_to_expire_takes_the_session_along() {
        let mut stage = Stage::new(json!({ "inactiveRemovalTimeout": 10 }));
        stage.put(&user(1), join()).unwrap();
        assert_eq!(stage.after(10), "gone");
    }

    #[test]
    fn an_empty_session_lives_as_long_as_its_timeout_and_a_join_stops_the_clock() {
        let mut stage = Stage::with_alice(json!({ "sessionEmptyTimeout": 1000 }));
        let leave = json!({ "members": { "me": null } });
        assert_eq!(stage.put(&user(1), leave.clone()).unwrap(), "changed");
        assert_eq!(stage.session().count(), 0);
        stage.after(999);
        stage.put(&user(2), active()).unwrap();
        assert_eq!(stage.session().next_timer(), None);
        stage.put(&user(2), leave.clone()).unwrap();
        assert_eq!(stage.after(999), "unchanged");
        assert_eq!(stage.after(1), "gone");

        let mut stage = Stage::with_alice(json!({ "sessionEmptyTimeout": null }));
        stage.put(&user(1), leave).unwrap();
        assert_eq!(stage.after(i64::from(i32::MAX)), "unchanged");
    }

    #[test]
    fn a_member_is_inactive_half_a_minute_after_its_connection_was_lost() {
        let needs =
            json!({ "capabilities": { "connectionRequiredForActiveMembers": true }, "inactiveRemovalTimeout": null });
        let mut stage = Stage::new(needs);
        let socket = Uuid::new_v4();
        stage.sockets.0.insert(socket, (1, None));
        stage
            .put(
                &user(1),
                me_system(json!({ "active": true, "connection": socket.to_string() })),
            )
            .unwrap();
        assert_eq!(stage.session().member(1).unwrap().status, Status::Active);
        let (handle, now) = (Uuid::new_v4(), stage.now);
        stage.session = Some(
            stage
                .session()
                .bind_activity(handle, &stage.access(&user(1)))
                .unwrap()
                .0,
        );
        stage.sockets.0.insert(socket, (1, Some(now)));
        assert_eq!(stage.after(29_999), "unchanged");
        assert_eq!(stage.after(1), "changed");
        assert_eq!(stage.session().member(1).unwrap().status, Status::Inactive);
        assert_eq!(
            stage.session().bound_activities().count(),
            0,
            "an inactive member has no activity"
        );

        // LIVE-020: the user may write, but stays inactive.
        let write = me_system(json!({ "active": true, "connection": socket.to_string() }));
        stage.put(&user(1), write).unwrap();
        assert_eq!(stage.session().member(1).unwrap().status, Status::Inactive);
        assert!(stage.session().bind_activity(handle, &stage.access(&user(1))).is_err());
    }

    #[test]
    fn limits_beyond_all_time_never_come() {
        let mut stage = Stage::with_alice(json!({ "reservedRemovalTimeout": u64::MAX }));
        stage.put(&user(1), reserve(&[2])).unwrap();
        assert_eq!(stage.session().next_timer(), None);
        assert_eq!(
            stage.document()["constants"]["system"]["reservedRemovalTimeout"],
            json!(u64::MAX)
        );
        assert_eq!(stage.document().get("nextTimer"), None::<&Value>);
    }
}
