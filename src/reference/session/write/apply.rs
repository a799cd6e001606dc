//! Applying a write to a session, part by part, in the order in which parts depend on each other.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::departure;
use super::super::field::At;
use super::super::model::{Capability, Member, RoleTypes, Servers, Stage};
use super::super::permission;
use super::super::properties::Writer;
use super::super::refusal::{Refusal, RefusalKind};
use super::super::request::{Bag, Me, Request};
use super::super::{roles, servers};
use super::draft::{Draft, OwnWrite};
use crate::rules::UnmatchedHost;

impl<'a> Draft<'_, 'a> {
    pub(super) fn apply(&mut self, request: &Request<'a>) -> Result<(), Refusal> {
        permission::check_large(self.session, self.access)?;
        let own = self.own_writes(request)?;
        self.check_principal(request)?;
        if !self.is_new
            && let Some(constants) = request.constants
        {
            // A stranger learns nothing of constants that it may not see.
            self.session.may_read(self.access)?;
            self.session.constants.check_later(constants, self.access)?;
        }
        let entered = self.enter(request, &own)?;
        if self.is_new && !entered.is_empty() && self.session.constants.has(Capability::HasOwners) {
            // SES-OWN-002: the creator owns the session, and so does every user for whom a service creates it.
            let creators = entered.iter().map(|(position, _)| &self.session.members[*position]);
            let owners: BTreeSet<_> = creators.map(|creator| creator.index).collect();
            Arc::make_mut(&mut self.session.properties.system).owners = owners.into_iter().collect();
        }
        for (position, write) in &entered {
            self.merge_me(*position, write)?;
        }
        if let Some(bag) = request.properties {
            self.merge_properties(bag, request.is_properties_element)?;
        }
        if let Some(asked) = request.servers
            && !asked.is_empty()
        {
            let mut servers = Servers::clone(&self.session.servers);
            if servers::merge(&mut servers, asked, self.access.rules)? {
                self.session.servers = Arc::new(servers);
            }
        }
        if let (Some(asked), false) = (request.role_types, self.is_new) {
            let mut types = RoleTypes::clone(&self.session.role_types);
            if roles::change(&mut types, asked, self.owns(), &self.session.members)? {
                self.session.role_types = Arc::new(types);
            }
        }
        for indexed in &request.indexed {
            let at = At::ROOT.then("members");
            self.check_member_removal(&at.then(indexed.key))?;
            if !indexed.removes {
                return Err(at
                    .then(indexed.key)
                    .refuse("a member can only be removed by its index, expected null"));
            }
            self.remove_member(indexed.index, &at.then(indexed.key))?;
        }
        for write in own.iter().filter(|write| write.leaves()) {
            let xuid = write.user.xuid;
            // AUTH-012
            let stays = write.key != "me" && !self.access.rules.null_removes_acting_user.kept();
            if !stays && self.session.members.position_of_xuid(xuid).is_some() {
                Arc::make_mut(&mut self.session.members).remove_where(|member| member.xuid == xuid);
            }
        }
        Ok(())
    }

    /// Refuses a subscription to more sessions than a connection is told of (RTA-023).
    fn check_subscription(&self, before: &Member, after: &Member, at: &At<'_>) -> Result<(), Refusal> {
        let wishes = |member: &Member| {
            let wish = member.system.subscription.as_ref();
            member
                .system
                .connection
                .filter(|_| wish.is_some_and(|wish| !wish.change_types.is_empty()))
        };
        match wishes(after) {
            Some(connection)
                if wishes(before) != Some(connection)
                    && self.access.rules.ten_sessions_a_connection.kept()
                    && !self.access.connections.has_room(connection, &self.session.at.key()) =>
            {
                Err(at.then("properties").then("system").then("subscription").refuse_as(
                    RefusalKind::Forbidden,
                    "the connection is subscribed to ten sessions already",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Merges what a user writes of itself.
    fn merge_me(&mut self, position: usize, write: &OwnWrite<'_>) -> Result<(), Refusal> {
        let Some(Me::Write(delta)) = write.me else {
            return Ok(());
        };
        let own = &self.session.members[position];
        let at = At::ROOT.then("members");
        let at = at.then(write.key);
        let mut member = own.clone();
        member.merge(
            &delta,
            &self.session.constants,
            self.session.members.next(),
            self.access,
            &at,
        )?;
        self.check_subscription(own, &member, &at)?;
        if let Some(asked) = delta.roles {
            let mut own = std::mem::take(&mut member.roles);
            roles::assign(
                &mut own,
                member.index,
                asked,
                &self.session.role_types,
                self.owns(),
                &self.session.members,
                self.access.rules,
                &at.then("roles"),
            )?;
            member.roles = own;
        }
        if member != *own {
            Arc::make_mut(&mut self.session.members).replace(position, member);
        }
        Ok(())
    }

    fn merge_properties(&mut self, bag: Bag<'_>, is_element: bool) -> Result<(), Refusal> {
        let writer = if self.session.constants.has(Capability::HasOwners) && !self.owns() && !self.is_new {
            Writer::NonOwner
        } else {
            Writer::Full
        };
        let at = if is_element {
            At::ROOT
        } else {
            At::ROOT.then("properties")
        };
        let members = Arc::clone(&self.session.members);
        let constants = Arc::clone(&self.session.constants);
        let is_member = |index| members.position_of_index(index).is_some();
        self.session
            .properties
            .merge(bag, &constants, writer, &is_member, self.access.rules, &at)?;
        let verdict = bag.system.and_then(|system| system.get("initializationSucceeded"));
        if verdict.is_some_and(|verdict| !verdict.is_null()) && self.session.initialization.stage != Stage::Evaluating {
            if self.access.rules.success_is_for_evaluation.kept() {
                return Err(at
                    .then("system")
                    .then("initializationSucceeded")
                    .refuse("it is accepted only while initialization is in the stage evaluating"));
            }
            Arc::make_mut(&mut self.session.properties.system).initialization_succeeded = None;
        }
        if self.access.rules.unmatched_host == UnmatchedHost::Refused && departure::host_is_unmatched(self.session) {
            return Err(at
                .then("system")
                .then("host")
                .refuse("it is not the deviceToken of a member"));
        }
        Ok(())
    }
}
