//! Who enters a session by a write: the users for whom the caller speaks, and reservations.

use std::sync::Arc;

use serde_json::Value;

use super::super::field::At;
use super::super::member::check_own_xuid;
use super::super::model::{Member, MemberConstants};
use super::super::permission;
use super::super::refusal::{Refusal, RefusalKind};
use super::super::request::{Me, MemberDelta, Request};
use super::draft::{Draft, OwnWrite};
use crate::rules::{CreatorWithoutMe, StrangerWithoutMe};

impl<'a> Draft<'_, 'a> {
    /// Adds and accepts members: the users for whom the caller speaks, and reservations. Returns where these users stand.
    pub(super) fn enter<'w>(
        &mut self,
        request: &Request<'_>,
        own: &'w [OwnWrite<'a>],
    ) -> Result<Vec<(usize, &'w OwnWrite<'a>)>, Refusal> {
        if request.me_is_last {
            // A stranger may do nothing before it is known that it may join.
            let is_stranger =
                |write: &&OwnWrite<'_>| !self.is_new && self.session.members.by_xuid(write.user.xuid).is_none();
            for stranger in own.iter().filter(is_stranger) {
                permission::may_join(self.session, stranger.user, self.access)?;
            }
            self.reserve(request)?;
        }
        let mut entered = Vec::with_capacity(own.len());
        for write in own {
            if let Some(position) = self.enter_user(request, write)? {
                entered.push((position, write));
            }
        }
        if !request.me_is_last {
            self.reserve(request)?;
        }
        let concerns_users = !self.access.caller.is_server() || !self.access.acting.is_empty();
        if entered.is_empty() && concerns_users && !self.access.manages() && !self.is_new && !request.is_only_own() {
            return Err(Refusal::new(
                RefusalKind::Unwritable,
                "only members write to the session",
            ));
        }
        Ok(entered)
    }

    fn enter_user(&mut self, request: &Request<'_>, write: &OwnWrite<'_>) -> Result<Option<usize>, Refusal> {
        let user = write.user;
        if let Some(position) = self.session.members.position_of_xuid(user.xuid) {
            let accepts = self.access.rules.first_write_accepts.kept() || write.me.is_some();
            if !write.leaves() && accepts {
                self.accept(position, write)?;
            }
            return Ok(Some(position));
        }
        let delta = match write.me {
            Some(Me::Write(delta)) => delta,
            Some(Me::Leave) => {
                // Nobody leaves, and nobody is added (SES-JOIN-020).
                self.session.may_read(self.access)?;
                if request.is_only_own() || self.is_new || self.access.manages() {
                    return Ok(None);
                }
                return Err(Refusal::new(
                    RefusalKind::Unwritable,
                    "only members write to the session",
                ));
            }
            None if self.is_new && self.access.rules.creator_without_me == CreatorWithoutMe::Absent => return Ok(None),
            None if !self.is_new && self.access.rules.stranger_without_me == StrangerWithoutMe::Refused => {
                self.session.may_read(self.access)?;
                return Err(Refusal::new(
                    RefusalKind::Unwritable,
                    "only members write to the session",
                ));
            }
            None if !self.is_new && self.access.rules.stranger_without_me == StrangerWithoutMe::NotAdded => {
                permission::may_join(self.session, user, self.access)?;
                return Ok(None);
            }
            None => MemberDelta::default(),
        };
        if self.is_new {
            permission::has_room(self.session, self.access)?;
        } else {
            permission::may_join(self.session, user, self.access)?;
        }
        let at = At::ROOT.then("members");
        let at = at.then(write.key);
        let at = at.then("constants");
        let (constants, xuid) = MemberConstants::read(delta.constants, &self.session.constants, self.access, &at)?;
        if let (Some(asked), Some(bag)) = (xuid, delta.constants.and_then(|bag| bag.system)) {
            let value = bag.get("xuid").unwrap_or(&Value::Null);
            check_own_xuid(
                asked,
                user.xuid,
                value,
                self.access.rules,
                &at.then("system").then("xuid"),
            )?;
        }
        let mut member = Member::reserved(self.next_index(), user.xuid, constants, self.access.now);
        if self.access.rules.joiners_are_accepted.kept() {
            member.accept(user, self.access.caller.title_id, self.access.now, self.access.rules);
        }
        Ok(Some(Arc::make_mut(&mut self.session.members).push(member)))
    }

    /// The user has a place already: a write of whatever content turns its reservation into a membership.
    fn accept(&mut self, position: usize, write: &OwnWrite<'_>) -> Result<(), Refusal> {
        let user = write.user;
        let own = &self.session.members[position];
        self.session.may_read(self.access)?;
        let mut member = own.clone();
        let was_reserved = !own.is_accepted();
        if was_reserved {
            if !self.access.rules.reservations_pass_restrictions.kept() {
                permission::may_join(self.session, user, self.access)?;
            }
            permission::check_privilege(user, self.access)?;
        }
        // A service knows nothing of the user that the user's own token has not told better.
        if was_reserved || !self.access.caller.is_server() {
            member.accept(user, self.access.caller.title_id, self.access.now, self.access.rules);
        }
        if let Some(Me::Write(MemberDelta {
            constants: Some(bag), ..
        })) = write.me
        {
            let at = At::ROOT.then("members");
            let at = at.then(write.key);
            let at = at.then("constants");
            member.repeat_constants(bag, was_reserved, &self.session.constants, self.access.rules, &at)?;
        }
        if member != *own {
            Arc::make_mut(&mut self.session.members).replace(position, member);
        }
        Ok(())
    }

    fn reserve(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        let at = At::ROOT.then("members");
        for (key, constants) in &request.reservations {
            let at = at.then(key);
            let at = at.then("constants");
            let (constants, xuid) = MemberConstants::read(Some(*constants), &self.session.constants, self.access, &at)?;
            let Some(xuid) = xuid else {
                return Err(at.then("system").refuse("a reservation needs the xuid of the user"));
            };
            if self.session.members.by_xuid(xuid).is_some() {
                // SES-RSV-008: whoever has a place keeps it.
                continue;
            }
            if self.session.properties.system.closed && !self.access.rules.closed_allows_reservations.kept() {
                return Err(at.refuse_as(RefusalKind::Unwritable, "the session is closed"));
            }
            if self.session.properties.system.locked && !permission::may_come_back(self.session, xuid) {
                return Err(at.refuse_as(RefusalKind::Unwritable, "the session is locked"));
            }
            permission::has_room(self.session, self.access)?;
            let member = Member::reserved(self.next_index(), xuid, constants, self.access.now);
            Arc::make_mut(&mut self.session.members).push(member);
        }
        Ok(())
    }
}
