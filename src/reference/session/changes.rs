//! What differs between two states of a session, in the kinds that members subscribe to.

use std::sync::Arc;

use super::model::{ChangeType, Server, Session, Subscription};

/// The kinds of change between two states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes(u16);

impl Changes {
    /// What the creation and the end of a session are: whatever is stored is a change (RTA-037), and a member came or left.
    pub(crate) fn existence() -> Self {
        let mut changes = Self::default();
        changes.add(ChangeType::Everything);
        changes.add(ChangeType::MembersList);
        changes
    }

    /// Whether there is no change at all.
    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    /// What changed from `before` to `after`, two states of one branch.
    pub(crate) fn between(before: &Session, after: &Session) -> Self {
        let mut changes = Self::default();
        if before.state == after.state {
            return changes;
        }
        // Whatever is stored, the binding of an activity included (LIVE-002), is a change (RTA-037).
        changes.add(ChangeType::Everything);
        let (old, new) = (&before.properties, &after.properties);
        if old.system.host != new.system.host {
            changes.add(ChangeType::Host);
        }
        if !Arc::ptr_eq(&old.custom, &new.custom) {
            changes.add(ChangeType::CustomProperty);
        }
        // RTA-034: fullness decides on joins like closed, locked and joinRestriction do.
        let joinability = |session: &Session| {
            (
                session.closed(),
                session.locked(),
                session.join_restriction(),
                session.is_full(),
            )
        };
        if joinability(before) != joinability(after) {
            changes.add(ChangeType::Joinability);
        }
        if server(before, "tournaments") != server(after, "tournaments") {
            changes.add(ChangeType::Tournaments);
        }
        if matchmaking_status(before) != matchmaking_status(after) {
            changes.add(ChangeType::MatchmakingStatus);
        }
        if before.initialization.stage_differs(&after.initialization) {
            changes.add(ChangeType::Initialization);
        }
        if !Arc::ptr_eq(&before.members, &after.members) {
            changes.add_members(before, after);
        }
        changes
    }

    fn add_members(&mut self, before: &Session, after: &Session) {
        let mut stayed = 0;
        for new in after.members.iter() {
            let Some(old) = before.members.by_index(new.index) else {
                continue;
            };
            stayed += 1;
            if old.status != new.status {
                self.add(ChangeType::MembersStatus);
            }
            if old.roles != new.roles {
                self.add(ChangeType::Roles);
            }
            if !Arc::ptr_eq(&old.custom, &new.custom) {
                self.add(ChangeType::MembersCustomProperty);
            }
        }
        if stayed != before.members.len() || stayed != after.members.len() {
            self.add(ChangeType::MembersList);
        }
    }

    /// Whether a change of this kind is among them.
    pub(crate) fn has(self, kind: ChangeType) -> bool {
        self.0 & (1 << kind as u16) != 0
    }

    /// Whether a subscriber is to be tapped (RTA-018).
    pub(crate) fn concern(self, subscription: &Subscription) -> bool {
        subscription.change_types.iter().any(|kind| self.has(*kind))
    }

    fn add(&mut self, kind: ChangeType) {
        self.0 |= 1 << kind as u16;
    }
}

fn matchmaking_status(session: &Session) -> Option<&serde_json::Value> {
    server(session, "matchmaking")?.system.get("status")
}

fn server<'s>(session: &'s Session, name: &str) -> Option<&'s Server> {
    let mut servers = session.servers.iter();
    servers.find(|(own, _)| own == name).map(|(_, server)| &**server)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::sample::{Stage, active, join, me_system, server, system, user};
    use super::*;
    use crate::principal::Principal;

    /// The kinds of change, besides everything, that a write brings.
    fn kinds(stage: &mut Stage, caller: &Principal, body: Value) -> Vec<&'static str> {
        let before = stage.session().clone();
        stage.put(caller, body).unwrap();
        let changes = Changes::between(&before, stage.session());
        assert!(changes.has(ChangeType::Everything));
        let named = ChangeType::ALL
            .iter()
            .filter(|(name, kind)| *name != "everything" && changes.has(*kind));
        named.map(|(name, _)| *name).collect()
    }

    #[test]
    fn each_write_is_the_kinds_of_change_that_it_makes() {
        let mut stage = Stage::with_alice(json!({ "maxMembersCount": 3 }));
        let (alice, bob) = (user(1), user(2));
        assert_eq!(kinds(&mut stage, &bob, join()), ["membersList"]);
        assert_eq!(kinds(&mut stage, &bob, active()), ["membersStatus"]);
        assert_eq!(kinds(&mut stage, &user(3), join()), ["membersList", "joinability"]);
        assert_eq!(
            kinds(&mut stage, &alice, system(json!({ "closed": true }))),
            ["joinability"]
        );
        assert_eq!(kinds(&mut stage, &alice, system(json!({ "turn": [0] }))), [""; 0]);
        assert_eq!(
            kinds(&mut stage, &alice, json!({ "properties": { "custom": { "a": 1 } } })),
            ["customProperty"]
        );
        let custom = json!({ "members": { "me": { "properties": { "custom": { "a": 1 } } } } });
        assert_eq!(kinds(&mut stage, &alice, custom), ["membersCustomProperty"]);
        let found = json!({ "servers": { "matchmaking": { "properties": { "system": { "status": "found" } } } } });
        assert_eq!(kinds(&mut stage, &server(), found), ["matchmakingStatus"]);
    }

    #[test]
    fn a_subscriber_is_concerned_by_the_kinds_it_named_only() {
        let mut stage = Stage::with_alice(json!({}));
        let subscription = |kinds: &[&str]| json!({ "id": uuid::Uuid::new_v4().to_string(), "changeTypes": kinds });
        stage
            .put(
                &user(1),
                me_system(json!({ "subscription": subscription(&["host", "membersList"]) })),
            )
            .unwrap();
        stage
            .put(&user(2), me_system(json!({ "subscription": subscription(&[]) })))
            .unwrap();
        let before = stage.session().clone();
        stage.put(&user(3), join()).unwrap();
        let changes = Changes::between(&before, stage.session());
        assert!(changes.concern(stage.session().member(1).unwrap().subscription.unwrap()));
        assert!(!changes.concern(stage.session().member(2).unwrap().subscription.unwrap()));
        let touched = stage.session().touched(&crate::rules::Rules::default());
        assert!(!Changes::between(stage.session(), &touched).has(ChangeType::MembersList));
    }
}
