//! How a write changes a session: all of it, or nothing.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::access;
use super::capabilities::Capability;
use super::constants::Constants;
use super::departure;
use super::field::At;
use super::initialization;
use super::member::{Member, MemberConstants, check_own_xuid};
use super::members::Members;
use super::properties::{Properties, Writer};
use super::request::{Bag, Me, MemberDelta, Request};
use super::roles;
use super::servers;
use super::{Access, Former, Outcome, Refusal, RefusalKind, Session, constants::Timeout};
use crate::reference::principal::User;
use crate::reference::rules::{
    CreatorWithoutMe, MemberRemoval, NoChange, ServerReservations, StrangerWithoutMe, UnmatchedHost,
};
use crate::reference::session_ref::SessionRef;
use crate::reference::template::Template;

fn refusal(kind: RefusalKind, message: &str) -> Refusal {
    Refusal {
        kind,
        message: message.to_owned(),
    }
}

impl Session {
    /// Creates the session at `at`: `Created`, or `Gone` if it would be empty and end at once (SES-CREATE-005).
    pub fn create(
        at: &SessionRef,
        template: &Template,
        former: Option<&Former>,
        body: &Value,
        access: &Access<'_>,
    ) -> Result<Outcome, Refusal> {
        let request = Request::read(body, access.rules)?;
        let constants = Constants::create(template, request.constants, access)?;
        let role_types = roles::create(&template.role_types, request.role_types, &constants)?;
        let mut session = Self {
            at: Arc::new(at.clone()),
            branch: Uuid::new_v4(),
            state: Uuid::new_v4(),
            change_number: 1,
            correlation_id: former.map_or_else(Uuid::new_v4, |former| former.correlation_id),
            start_time: access.now,
            constants: Arc::new(constants),
            properties: Properties::new(),
            members: Arc::new(Members::default()),
            servers: Arc::default(),
            role_types: Arc::new(role_types),
            empty_since: None,
        };
        access::may_create(&session, access)?;
        session.constants.check_creation(at, access)?;

        let mut draft = Draft {
            session: &mut session,
            access,
            is_new: true,
        };
        draft.apply(&request)?;
        if session.constants.has(Capability::Arbitration)
            && !session.servers.iter().any(|(name, _)| name == "arbitration")
        {
            return Err(refusal(
                RefusalKind::Malformed,
                "/servers: an arbitrated session is created with the server entry arbitration",
            ));
        }
        initialization::check_creation(&session)?;
        departure::settle(&mut session);
        Ok(match session.after_emptying(access.now) {
            Some(session) => Outcome::Created(session),
            None => Outcome::Gone,
        })
    }

    /// Applies a write of the whole session. `_template` is what the session was made from; nothing depends on it later.
    pub fn write(&self, _template: &Template, body: &Value, access: &Access<'_>) -> Result<Outcome, Refusal> {
        self.apply(&Request::read(body, access.rules)?, access)
    }

    /// Applies a write of `properties` alone (PROTO-002).
    pub fn write_properties(&self, _template: &Template, bag: &Value, access: &Access<'_>) -> Result<Outcome, Refusal> {
        self.apply(&Request::read_properties(bag)?, access)
    }

    /// Removes the caller; `Unchanged` if it is no member.
    pub fn remove_me(&self, access: &Access<'_>) -> Result<Outcome, Refusal> {
        self.apply(
            &Request {
                me: Some(Me::Leave),
                ..Request::default()
            },
            access,
        )
    }

    /// Removes the member with that index; `Unchanged` if there is none.
    pub fn remove_member(&self, index: u32, access: &Access<'_>) -> Result<Outcome, Refusal> {
        let mut session = self.clone();
        let mut draft = Draft {
            session: &mut session,
            access,
            is_new: false,
        };
        draft.remove_member(index, &At::ROOT.then("members").then(&index.to_string()))?;
        Ok(self.finish(session, access))
    }

    /// Removes a server entry; `Unchanged` if there is none.
    pub fn remove_server(&self, name: &str, access: &Access<'_>) -> Result<Outcome, Refusal> {
        if !access.caller.is_server() {
            return Err(refusal(
                RefusalKind::Forbidden,
                "only a server principal removes servers",
            ));
        }
        let mut session = self.clone();
        if session.servers.iter().any(|(own, _)| own == name) {
            Arc::make_mut(&mut session.servers).retain(|(own, _)| own != name);
        }
        Ok(self.finish(session, access))
    }

    fn apply(&self, request: &Request<'_>, access: &Access<'_>) -> Result<Outcome, Refusal> {
        let mut session = self.clone();
        Draft {
            session: &mut session,
            access,
            is_new: false,
        }
        .apply(request)?;
        Ok(self.finish(session, access))
    }

    /// Compares the state after a write with this one, the state before it.
    fn finish(&self, mut after: Self, access: &Access<'_>) -> Outcome {
        if departure::settle(&mut after) == departure::Fate::Ended {
            return Outcome::Gone;
        }
        if !after.differs_from(self) && access.rules.no_change == NoChange::Kept {
            return Outcome::Unchanged;
        }
        match after.after_emptying(access.now) {
            Some(after) => Outcome::Changed(after.touched()),
            None => Outcome::Gone,
        }
    }

    /// Whether a stored part is another one: parts are shared until something in them changes.
    pub(super) fn differs_from(&self, before: &Self) -> bool {
        !(Arc::ptr_eq(&self.constants, &before.constants)
            && Arc::ptr_eq(&self.properties.system, &before.properties.system)
            && Arc::ptr_eq(&self.properties.custom, &before.properties.custom)
            && Arc::ptr_eq(&self.members, &before.members)
            && Arc::ptr_eq(&self.servers, &before.servers)
            && Arc::ptr_eq(&self.role_types, &before.role_types))
    }

    /// Starts or stops the clock of an empty session; `None` if it ends at once (TMO-010, TMO-013).
    pub(super) fn after_emptying(mut self, now: jiff::Timestamp) -> Option<Self> {
        if !self.members.is_empty() {
            self.empty_since = None;
        } else if self.empty_since.is_none() {
            if self.constants.timeouts.session_empty == Timeout::After(0) {
                return None;
            }
            self.empty_since = Some(now);
        }
        Some(self)
    }
}

/// A session that a write is being applied to.
struct Draft<'d, 'a> {
    session: &'d mut Session,
    access: &'d Access<'a>,
    is_new: bool,
}

impl Draft<'_, '_> {
    fn apply(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        self.check_principal(request)?;
        if !self.is_new
            && let Some(constants) = request.constants
        {
            // A stranger learns nothing of constants that it may not see.
            access::may_read(self.session, self.access)?;
            self.session.constants.check_later(constants, self.access)?;
        }
        let caller = self.enter(request)?;
        if let Some(creator) = caller.and_then(|position| self.session.members.at(position))
            && self.is_new
            && self.session.constants.has(Capability::HasOwners)
        {
            // SES-OWN-002: the creator owns the session.
            Arc::make_mut(&mut self.session.properties.system).owners = vec![creator.index];
        }
        self.merge_me(request, caller)?;
        if let Some(bag) = request.properties {
            self.merge_properties(bag, request.is_properties_element)?;
        }
        if let Some(asked) = request.servers
            && !asked.is_empty()
        {
            let mut servers = servers::Servers::clone(&self.session.servers);
            if servers::merge(&mut servers, asked, self.access.rules)? {
                self.session.servers = Arc::new(servers);
            }
        }
        if let (Some(asked), false) = (request.role_types, self.is_new) {
            let mut types = roles::RoleTypes::clone(&self.session.role_types);
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
        if let (Some(Me::Leave), Some(xuid)) = (request.me, self.access.caller.xuid())
            && self.session.members.position_of_xuid(xuid).is_some()
        {
            Arc::make_mut(&mut self.session.members).remove_where(|member| member.xuid == xuid);
        }
        Ok(())
    }

    /// Refuses what only the other kind of principal may write (AUTH-005, AUTH-006, LIVE-016).
    fn check_principal(&self, request: &Request<'_>) -> Result<(), Refusal> {
        if self.access.caller.is_server() {
            if request.me.is_some() {
                return Err(At::ROOT
                    .then("members")
                    .then("me")
                    .refuse_as(RefusalKind::Forbidden, "a server principal is no user"));
            }
        } else if request.servers.is_some_and(|servers| !servers.is_empty()) {
            return Err(At::ROOT
                .then("servers")
                .refuse_as(RefusalKind::Forbidden, "only a server principal writes servers"));
        }
        let at = At::ROOT.then("members");
        for indexed in &request.indexed {
            self.check_member_removal(&at.then(indexed.key))?;
        }
        if let Some((key, _)) = request.reservations.first() {
            let at = at.then(key);
            if self.session.constants.has(Capability::Large) {
                return Err(at.refuse_as(RefusalKind::Conflict, "a large session has no reservations"));
            }
            if self.access.caller.is_server()
                && !self.is_new
                && self.access.rules.server_reservations == ServerReservations::AtCreation
            {
                return Err(at.refuse_as(RefusalKind::Forbidden, "a server principal reserves only at creation"));
            }
        }
        Ok(())
    }

    fn check_member_removal(&self, at: &At<'_>) -> Result<(), Refusal> {
        if self.session.constants.has(Capability::Large) {
            return Err(at.refuse_as(
                RefusalKind::Conflict,
                "a large session changes no member but the caller",
            ));
        }
        let allowed = self.access.caller.is_server()
            || (self.access.rules.member_removal == MemberRemoval::OwnersToo
                && self.session.constants.has(Capability::HasOwners)
                && self.owns());
        if allowed {
            return Ok(());
        }
        Err(at.refuse_as(
            RefusalKind::Forbidden,
            "the request has existing member references, which need a server principal",
        ))
    }

    fn remove_member(&mut self, index: u32, at: &At<'_>) -> Result<(), Refusal> {
        self.check_member_removal(at)?;
        if self.session.members.position_of_index(index).is_some() {
            Arc::make_mut(&mut self.session.members).remove_where(|member| member.index == index);
        }
        Ok(())
    }

    /// Whether the caller may do what owners do.
    fn owns(&self) -> bool {
        match self.access.caller.xuid() {
            None => true,
            Some(xuid) => {
                let member = self.session.members.by_xuid(xuid);
                member.is_some_and(|member| self.session.properties.system.owners.contains(&member.index))
            }
        }
    }

    /// Adds and accepts members: the caller and its reservations. Returns where the caller stands.
    fn enter(&mut self, request: &Request<'_>) -> Result<Option<usize>, Refusal> {
        let Some(user) = self.access.caller.user() else {
            self.reserve(request)?;
            return Ok(None);
        };
        if request.me_is_last && (self.is_new || self.session.members.by_xuid(user.xuid).is_some()) {
            self.reserve(request)?;
            return self.enter_caller(request, user);
        }
        if request.me_is_last {
            // The caller may do nothing before it is known that it may join.
            access::may_join(self.session, user, self.access)?;
            self.reserve(request)?;
            return self.enter_caller(request, user);
        }
        let caller = self.enter_caller(request, user)?;
        self.reserve(request)?;
        Ok(caller)
    }

    fn enter_caller(&mut self, request: &Request<'_>, user: &User) -> Result<Option<usize>, Refusal> {
        if let Some(position) = self.session.members.position_of_xuid(user.xuid) {
            let leaves = matches!(request.me, Some(Me::Leave));
            if !leaves {
                self.accept(position, request, user)?;
            }
            return Ok(Some(position));
        }
        let delta = match request.me {
            Some(Me::Write(delta)) => delta,
            Some(Me::Leave) => {
                // Nobody leaves, and nobody is added (SES-JOIN-020).
                access::may_read(self.session, self.access)?;
                if request.is_only_me() || self.is_new {
                    return Ok(None);
                }
                return Err(refusal(RefusalKind::Unwritable, "only members write to the session"));
            }
            None if self.is_new && self.access.rules.creator_without_me == CreatorWithoutMe::Absent => return Ok(None),
            None if !self.is_new && self.access.rules.stranger_without_me == StrangerWithoutMe::Refused => {
                access::may_read(self.session, self.access)?;
                return Err(refusal(RefusalKind::Unwritable, "only members write to the session"));
            }
            None => MemberDelta::default(),
        };
        if self.is_new {
            access::has_room(self.session, self.access)?;
        } else {
            access::may_join(self.session, user, self.access)?;
        }
        let at = At::ROOT.then("members");
        let at = at.then("me");
        let at = at.then("constants");
        let (constants, xuid) = MemberConstants::read(delta.constants, &self.session.constants, self.access, &at)?;
        if let (Some(asked), Some(bag)) = (xuid, delta.constants.and_then(|bag| bag.system)) {
            let value = bag.get("xuid").unwrap_or(&Value::Null);
            check_own_xuid(asked, user.xuid, value, &at.then("system").then("xuid"))?;
        }
        let mut member = Member::reserved(self.session.members.next(), user.xuid, constants, self.access.now);
        member.accept(user, self.access.caller.title_id, self.access.now, self.access.rules);
        Ok(Some(Arc::make_mut(&mut self.session.members).push(member)))
    }

    /// The caller has a place already: a write of whatever content turns its reservation into a membership.
    fn accept(&mut self, position: usize, request: &Request<'_>, user: &User) -> Result<(), Refusal> {
        let Some(own) = self.session.members.at(position) else {
            return Ok(());
        };
        access::may_read(self.session, self.access)?;
        let mut member = own.clone();
        let was_reserved = !own.is_accepted();
        member.accept(user, self.access.caller.title_id, self.access.now, self.access.rules);
        if let Some(Me::Write(MemberDelta {
            constants: Some(bag), ..
        })) = request.me
        {
            let at = At::ROOT.then("members");
            let at = at.then("me");
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
            if self.session.properties.system.locked && !access::may_come_back(self.session, xuid) {
                return Err(at.refuse_as(RefusalKind::Unwritable, "the session is locked"));
            }
            access::has_room(self.session, self.access)?;
            let member = Member::reserved(self.session.members.next(), xuid, constants, self.access.now);
            Arc::make_mut(&mut self.session.members).push(member);
        }
        Ok(())
    }

    /// Merges what the caller writes of itself.
    fn merge_me(&mut self, request: &Request<'_>, caller: Option<usize>) -> Result<(), Refusal> {
        let (Some(Me::Write(delta)), Some(position)) = (request.me, caller) else {
            return Ok(());
        };
        let Some(own) = self.session.members.at(position) else {
            return Ok(());
        };
        let at = At::ROOT.then("members");
        let at = at.then("me");
        let mut member = own.clone();
        member.merge(
            &delta,
            &self.session.constants,
            self.session.members.next(),
            self.access,
            &at,
        )?;
        if let Some(asked) = delta.roles {
            let mut own = std::mem::take(&mut member.roles);
            roles::assign(
                &mut own,
                member.index,
                asked,
                &self.session.role_types,
                self.owns(),
                &self.session.members,
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
        if self.access.rules.unmatched_host == UnmatchedHost::Refused && departure::host_is_unmatched(self.session) {
            return Err(at.then("system").then("host").refuse("it is no member's deviceToken"));
        }
        Ok(())
    }
}
