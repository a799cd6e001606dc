//! How a write changes a session: all of it, or nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::access;
use super::capabilities::Capability;
use super::constants::Constants;
use super::departure;
use super::field::At;
use super::initialization::{self, Initialization, News, Stage};
use super::member::{Member, MemberConstants, check_own_xuid};
use super::members::Members;
use super::properties::{Properties, Writer};
use super::request::{Bag, Me, MemberDelta, Own, Request, Whom};
use super::roles;
use super::servers;
use super::{Access, Former, Outcome, Refusal, RefusalKind, Session, constants::Timeout};
use crate::principal::User;
use crate::rules::{
    CreatorWithoutMe, MemberRemoval, NoChange, Rules, ServerReservations, StrangerWithoutMe, UnmatchedHost,
};
use crate::session_ref::SessionRef;
use crate::template::Template;

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
        let role_types = roles::create(&template.role_types, request.role_types, &constants, access.rules)?;
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
            initialization: Initialization::new(access.now, access.rules),
            search_handle: None,
        };
        access::may_create(&session, access)?;
        session.constants.check_creation(at, access)?;

        let mut draft = Draft {
            session: &mut session,
            access,
            is_new: true,
        };
        draft.apply(&request).map_err(|refusal| match refusal.kind {
            // There is no session yet that could be shown.
            RefusalKind::Unwritable | RefusalKind::Unreadable => Refusal {
                kind: RefusalKind::Forbidden,
                ..refusal
            },
            _ => refusal,
        })?;
        if session.constants.has(Capability::Arbitration)
            && !session.servers.iter().any(|(name, _)| name == "arbitration")
        {
            return Err(refusal(
                RefusalKind::Malformed,
                "/servers: an arbitrated session is created with the server entry arbitration",
            ));
        }
        initialization::check_creation(&session, access.rules)?;
        departure::settle(&mut session, access.rules);
        initialization::begin(&mut session, access.now, access.rules);
        if !access.rules.empty_creation_is_gone.kept() {
            return Ok(Outcome::Created(session));
        }
        Ok(match session.after_emptying(access.now, access.rules) {
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
                own: vec![Own {
                    key: "me",
                    whom: Whom::Me,
                    me: Me::Leave,
                }],
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
        if departure::settle(&mut after, access.rules) == departure::Fate::Ended {
            return Outcome::Gone;
        }
        let news = News {
            verdict: after.take_verdict(self, access.rules),
            is_due: false,
        };
        initialization::settle(&mut after, self.members.next(), news, access.now, access.rules);
        if after.properties.system == self.properties.system {
            // What was written and at once dropped again, like an unmatched host, is no change.
            after.properties.system = Arc::clone(&self.properties.system);
        }
        if !after.differs_from(self) && access.rules.no_change == NoChange::Kept {
            return Outcome::Unchanged;
        }
        match after.after_emptying(access.now, access.rules) {
            Some(after) => Outcome::Changed(after.next_state(access.rules)),
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
            && Arc::ptr_eq(&self.role_types, &before.role_types)
            && self.initialization == before.initialization)
    }

    /// What was written as `initializationSucceeded`, which acts at once and is not kept (INIT-017).
    fn take_verdict(&mut self, before: &Self, rules: &Rules) -> Option<bool> {
        let verdict = self.properties.system.initialization_succeeded;
        if verdict.is_some() && rules.verdict_is_not_shown.kept() {
            Arc::make_mut(&mut self.properties.system).initialization_succeeded = None;
        } else if verdict == before.properties.system.initialization_succeeded {
            return None;
        }
        verdict
    }

    /// Starts or stops the clock of an empty session; `None` if it ends at once (TMO-010, TMO-013).
    pub(super) fn after_emptying(mut self, now: jiff::Timestamp, rules: &Rules) -> Option<Self> {
        if !self.members.is_empty() {
            if rules.joins_stop_the_clock.kept() {
                self.empty_since = None;
            }
        } else if self.empty_since.is_none() {
            if self.constants.timeouts.session_empty == Timeout::After(0) && rules.last_member_ends_session.kept() {
                return None;
            }
            self.empty_since = Some(now);
        }
        Some(self)
    }
}

/// What the request says of one user for whom the caller speaks; nothing, if it does not name the user.
#[derive(Clone, Copy)]
struct OwnWrite<'a> {
    key: &'a str,
    user: &'a User,
    me: Option<Me<'a>>,
}

impl OwnWrite<'_> {
    fn leaves(&self) -> bool {
        matches!(self.me, Some(Me::Leave))
    }
}

/// A session that a write is being applied to.
struct Draft<'d, 'a> {
    session: &'d mut Session,
    access: &'d Access<'a>,
    is_new: bool,
}

impl<'a> Draft<'_, 'a> {
    fn apply(&mut self, request: &Request<'a>) -> Result<(), Refusal> {
        access::check_large(self.session, self.access)?;
        let own = self.own_writes(request)?;
        self.check_principal(request)?;
        if !self.is_new
            && let Some(constants) = request.constants
        {
            // A stranger learns nothing of constants that it may not see.
            access::may_read(self.session, self.access)?;
            self.session.constants.check_later(constants, self.access)?;
        }
        let entered = self.enter(request, &own)?;
        if self.is_new && !entered.is_empty() && self.session.constants.has(Capability::HasOwners) {
            // SES-OWN-002: the creator owns the session, and so does every user for whom a service creates it.
            let creators = entered
                .iter()
                .filter_map(|(position, _)| self.session.members.at(*position));
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

    /// What is written of each user for whom the caller speaks (AUTH-009 to AUTH-012).
    fn own_writes(&self, request: &Request<'a>) -> Result<Vec<OwnWrite<'a>>, Refusal> {
        let users = self.access.users();
        let rules = self.access.rules;
        let members = At::ROOT.then("members");
        let mut writes = Vec::with_capacity(users.len());
        for own in &request.own {
            let at = members.then(own.key);
            let is_named = |user: &&User| match own.whom {
                Whom::Me | Whom::All => true,
                Whom::Xuid(xuid) => user.xuid == xuid,
                Whom::AllInSession => {
                    !rules.all_in_session_are_members.kept() || self.session.members.by_xuid(user.xuid).is_some()
                }
            };
            match (own.whom, users) {
                (Whom::Xuid(_) | Whom::All | Whom::AllInSession, _) if !self.access.caller.is_server() => {
                    return Err(at.refuse("a user speaks for itself only, as me"));
                }
                (Whom::Me, []) if !rules.me_needs_a_user.kept() => {}
                // AUTH-005
                (_, []) => {
                    return Err(at.refuse_as(
                        RefusalKind::Forbidden,
                        "a server principal is no user, and the call acts for none",
                    ));
                }
                // AUTH-009
                (Whom::Me, [_, _, ..]) if rules.me_is_one_user.kept() => {
                    return Err(
                        at.refuse("the call acts for several users, expected me_{xuid}, me_all or me_allInSession")
                    );
                }
                // AUTH-010
                (Whom::Xuid(_), _)
                    if !users.iter().any(|user| is_named(&user)) && rules.acting_users_are_named.kept() =>
                {
                    return Err(at.refuse_as(RefusalKind::Forbidden, "the call does not act for this user"));
                }
                _ => {}
            }
            writes.extend(users.iter().filter(is_named).map(|user| OwnWrite {
                key: own.key,
                user,
                me: Some(own.me),
            }));
        }
        if request.own.is_empty() && !self.access.manages() {
            // Users write to the session even if they write nothing of themselves (SES-RSV-013, X-29).
            writes.extend(users.iter().map(|user| OwnWrite {
                key: "me",
                user,
                me: None,
            }));
        }
        Ok(writes)
    }

    /// Refuses what only a service may write (AUTH-006, LIVE-016), and what a service may not (AUTH-017).
    fn check_principal(&self, request: &Request<'_>) -> Result<(), Refusal> {
        if !self.access.caller.is_server()
            && request.servers.is_some_and(|servers| !servers.is_empty())
            && self.access.rules.servers_belong_to_servers.kept()
        {
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
            if self.session.constants.has(Capability::Large) && self.access.rules.large_refuses_others.kept() {
                return Err(at.refuse_as(RefusalKind::Conflict, "a large session has no reservations"));
            }
            if self.access.caller.is_server() && self.access.rules.server_reservations == ServerReservations::AtCreation
            {
                if !self.is_new {
                    return Err(at.refuse_as(RefusalKind::Forbidden, "a server principal reserves only at creation"));
                }
                if !request.own.is_empty() {
                    return Err(at.refuse("reservations do not go together with members who come or go"));
                }
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
            || !self.access.rules.others_are_safe.kept()
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
        self.access.manages()
            || self.access.users().iter().any(|user| {
                let member = self.session.members.by_xuid(user.xuid);
                member.is_some_and(|member| self.session.properties.system.owners.contains(&member.index))
            })
    }

    /// Adds and accepts members: the users for whom the caller speaks, and reservations. Returns where these users stand.
    fn enter<'w>(
        &mut self,
        request: &Request<'_>,
        own: &'w [OwnWrite<'a>],
    ) -> Result<Vec<(usize, &'w OwnWrite<'a>)>, Refusal> {
        if request.me_is_last {
            // A stranger may do nothing before it is known that it may join.
            let is_stranger =
                |write: &&OwnWrite<'_>| !self.is_new && self.session.members.by_xuid(write.user.xuid).is_none();
            for stranger in own.iter().filter(is_stranger) {
                access::may_join(self.session, stranger.user, self.access)?;
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
            return Err(refusal(RefusalKind::Unwritable, "only members write to the session"));
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
                access::may_read(self.session, self.access)?;
                if request.is_only_own() || self.is_new || self.access.manages() {
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

    /// The index of a new member (SES-JOIN-014).
    fn next_index(&self) -> u32 {
        let left_out = u32::from(!self.access.rules.indices_follow_each_other.kept());
        self.session.members.next().saturating_add(left_out)
    }

    /// The user has a place already: a write of whatever content turns its reservation into a membership.
    fn accept(&mut self, position: usize, write: &OwnWrite<'_>) -> Result<(), Refusal> {
        let user = write.user;
        let Some(own) = self.session.members.at(position) else {
            return Ok(());
        };
        access::may_read(self.session, self.access)?;
        let mut member = own.clone();
        let was_reserved = !own.is_accepted();
        if was_reserved {
            if !self.access.rules.reservations_pass_restrictions.kept() {
                access::may_join(self.session, user, self.access)?;
            }
            access::check_privilege(user, self.access)?;
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
            if self.session.properties.system.locked && !access::may_come_back(self.session, xuid) {
                return Err(at.refuse_as(RefusalKind::Unwritable, "the session is locked"));
            }
            access::has_room(self.session, self.access)?;
            let member = Member::reserved(self.next_index(), xuid, constants, self.access.now);
            Arc::make_mut(&mut self.session.members).push(member);
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
        let Some(own) = self.session.members.at(position) else {
            return Ok(());
        };
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
            return Err(at.then("system").then("host").refuse("it is no member's deviceToken"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::ContractVersion;
    use super::super::member::Status;
    use super::super::sample::{Stage, active, join, me_system, reserve, server, system, user};
    use super::*;

    fn leave() -> Value {
        json!({ "members": { "me": null } })
    }

    #[test]
    fn a_new_session_has_its_creator_as_first_member() {
        let mut stage = Stage::new(json!({}));
        assert_eq!(stage.put(&user(1), active()), Ok("created"));
        let document = stage.document();
        assert_eq!(document["changeNumber"], 1);
        assert_eq!(document["correlationId"], Uuid::nil().to_string());
        assert_eq!(
            document["membersInfo"],
            json!({ "first": 0, "next": 1, "count": 1, "accepted": 1, "active": 1 })
        );
        assert_eq!(
            document["members"]["0"],
            json!({
                "next": 1, "joinTime": "2026-01-02T03:04:05.6789000Z", "gamertag": "Gamer1", "activeTitleId": "1234",
                "constants": { "system": { "xuid": "1", "index": 0 }, "custom": {} },
                "properties": { "system": { "active": true }, "custom": {} },
            })
        );
        assert_eq!(
            document["properties"],
            json!({ "system": { "turn": [] }, "custom": {} })
        );
        assert_eq!(document["servers"], json!({}));
    }

    #[test]
    fn a_session_that_would_be_empty_is_not_created_unless_it_may_be_empty() {
        let mut stage = Stage::new(json!({}));
        assert_eq!(stage.put(&user(1), json!({})), Ok("gone"));
        let mut stage = Stage::new(json!({ "sessionEmptyTimeout": 1000 }));
        assert_eq!(stage.put(&user(1), json!({})), Ok("created"));
        assert_eq!(stage.document()["members"], json!({}));
        assert_eq!(stage.document()["membersInfo"]["first"], 0);
    }

    #[test]
    fn a_write_that_changes_nothing_leaves_change_number_and_etag() {
        let mut stage = Stage::with_alice(json!({}));
        stage
            .put(&user(1), json!({ "properties": { "custom": { "map": { "x": 1 } } } }))
            .unwrap();
        let etag = stage.session().etag();
        for body in [
            json!({}),
            json!({ "constants": {}, "properties": {}, "members": {} }),
            active(),
            json!({ "properties": { "custom": { "map": { "x": 1 }, "absent": null } } }),
            me_system(json!({ "encounters": ["somebody"] })),
            json!({ "properties": stage.document()["properties"] }),
        ] {
            assert_eq!(stage.put(&user(1), body.clone()), Ok("unchanged"), "{body}");
        }
        assert_eq!(stage.session().etag(), etag);
        assert_eq!(
            stage.put(&user(1), json!({ "properties": { "custom": { "map": null } } })),
            Ok("changed")
        );
        assert_ne!(stage.session().etag(), etag);
        assert_eq!(stage.session().change_number(), 3);
    }

    #[test]
    fn a_refused_part_refuses_the_whole_write() {
        let mut stage = Stage::with_alice(json!({}));
        let body = json!({
            "properties": { "custom": { "a": 1 }, "system": { "closed": "yes" } },
            "members": { "me": { "properties": { "custom": { "b": 1 } } } },
        });
        assert_eq!(stage.refused(&user(1), body), RefusalKind::Malformed);
        assert_eq!(stage.document()["properties"]["custom"], json!({}));
    }

    #[test]
    fn unknown_keys_are_refused_wherever_they_stand() {
        let mut stage = Stage::with_alice(json!({}));
        for body in [
            json!([]),
            json!({ "changeNumber": 7 }),
            json!({ "properties": { "surprise": {} } }),
            json!({ "properties": { "system": { "surprise": 1 } } }),
            json!({ "members": { "you": {} } }),
            json!({ "members": { "me": { "reserved": true } } }),
            json!({ "members": { "me": [] } }),
            me_system(json!({ "surprise": 1 })),
            json!({ "members": { "me": { "constants": { "system": { "surprise": 1 } } } } }),
            json!({ "members": { "reserve_0": { "constants": { "system": { "xuid": "2" } }, "properties": {} } } }),
        ] {
            assert_eq!(stage.refused(&user(1), body.clone()), RefusalKind::Malformed, "{body}");
        }
    }

    #[test]
    fn indices_are_never_used_twice_and_the_chain_visits_every_member() {
        let mut stage = Stage::with_alice(json!({}));
        for xuid in [2, 3] {
            stage.put(&user(xuid), join()).unwrap();
        }
        stage.put(&user(2), leave()).unwrap();
        stage.put(&user(2), join()).unwrap();
        let document = stage.document();
        let mut visited = Vec::new();
        let mut index = document["membersInfo"]["first"].clone();
        while index != document["membersInfo"]["next"] {
            visited.push(index.to_string());
            index = document["members"][index.to_string()]["next"].clone();
        }
        assert_eq!(visited, ["0", "2", "3"]);
        assert_eq!(index, 4);
    }

    #[test]
    fn reservations_are_numbered_from_zero_and_get_ascending_indices() {
        let mut stage = Stage::with_alice(json!({}));
        let number = |number: &str, xuid: Value| json!({ number: { "constants": { "system": { "xuid": xuid } } } });
        assert_eq!(
            stage.refused(&user(1), json!({ "members": number("reserve_1", json!("2")) })),
            RefusalKind::Malformed
        );
        assert_eq!(
            stage.refused(&user(1), json!({ "members": { "reserve_0": {} } })),
            RefusalKind::Malformed
        );
        let mut swapped = number("reserve_1", json!("3"));
        swapped["reserve_0"] = number("x", json!(2))["x"].clone();
        stage.put(&user(1), json!({ "members": swapped })).unwrap();
        let document = stage.document();
        assert_eq!(document["members"]["1"]["constants"]["system"]["xuid"], "2");
        assert_eq!(document["members"]["2"]["constants"]["system"]["xuid"], "3");
        assert_eq!(document["members"]["1"]["reserved"], true);
        assert_eq!(document["members"]["1"].get("gamertag"), None);
        assert_eq!(
            document["membersInfo"],
            json!({ "first": 0, "next": 3, "count": 3, "accepted": 1, "active": 1 })
        );
        assert_eq!(stage.put(&user(1), reserve(&[2, 1, 2])), Ok("unchanged"));
    }

    #[test]
    fn the_first_write_of_whatever_content_takes_the_reservation() {
        let mut stage = Stage::with_alice(json!({ "visibility": "private" }));
        stage.put(&user(1), reserve(&[2, 3])).unwrap();
        let reserved = stage.document()["members"]["1"].clone();
        stage.now += jiff::SignedDuration::from_secs(1);
        stage.put(&user(2), json!({})).unwrap();
        let member = stage.document()["members"]["1"].clone();
        assert_eq!(member.get("reserved"), None);
        assert_eq!(member["gamertag"], "Gamer2");
        assert_ne!(member["joinTime"], reserved["joinTime"]);
        assert_eq!(
            stage.put(&user(3), leave()),
            Ok("changed"),
            "the reservation is declined"
        );
        assert_eq!(stage.session().count(), 2);
    }

    #[test]
    fn a_creator_that_reserves_itself_is_one_member_and_owns_the_session() {
        let mut stage = Stage::new(json!({ "capabilities": { "hasOwners": true } }));
        let mut body = reserve(&[1]);
        body["members"]["me"] = json!({});
        stage.put(&user(1), body).unwrap();
        assert_eq!(stage.session().count(), 1);
        assert_eq!(stage.session().accepted(), 1);
        assert_eq!(stage.session().owners(), [0]);
    }

    #[test]
    fn member_constants_are_fixed_at_the_join_and_may_be_repeated() {
        let mut stage = Stage::with_alice(json!({}));
        let join = json!({ "members": { "me": { "constants": { "system": { "xuid": "2", "initialize": true }, "custom": "text" } } } });
        stage.put(&user(2), join.clone()).unwrap();
        let member = stage.document()["members"]["1"].clone();
        assert_eq!(
            member["constants"],
            json!({ "system": { "xuid": "2", "index": 1 }, "custom": "text" })
        );
        assert_eq!(stage.put(&user(2), join), Ok("unchanged"));
        let again =
            json!({ "members": { "me": { "constants": member["constants"], "properties": member["properties"] } } });
        assert_eq!(stage.put(&user(2), again), Ok("unchanged"));
        let other = json!({ "members": { "me": { "constants": { "custom": "other" } } } });
        assert_eq!(stage.refused(&user(2), other), RefusalKind::Conflict);
        let stranger = json!({ "members": { "me": { "constants": { "system": { "xuid": "3" } } } } });
        assert_eq!(stage.refused(&user(2), stranger.clone()), RefusalKind::Forbidden);
        assert_eq!(stage.refused(&user(4), stranger), RefusalKind::Forbidden);
    }

    #[test]
    fn active_and_ready_exclude_each_other_and_false_is_absent() {
        let mut stage = Stage::with_alice(json!({}));
        assert_eq!(
            stage.refused(&user(1), me_system(json!({ "active": true, "ready": true }))),
            RefusalKind::Malformed
        );
        stage.put(&user(1), me_system(json!({ "ready": true }))).unwrap();
        assert_eq!(stage.session().member(1).unwrap().status, Status::Ready);
        stage.put(&user(1), me_system(json!({ "active": true }))).unwrap();
        assert_eq!(stage.session().member(1).unwrap().status, Status::Active);
        stage
            .put(&user(1), me_system(json!({ "active": false, "ready": false })))
            .unwrap();
        let member = stage.document()["members"]["0"].clone();
        assert_eq!(member["properties"]["system"], json!({}));
        assert_eq!(member.get("activeTitleId"), None);
    }

    #[test]
    fn a_stranger_who_writes_to_an_open_session_becomes_a_member_but_leaving_adds_nobody() {
        let mut stage = Stage::with_alice(json!({}));
        assert_eq!(stage.put(&user(2), leave()), Ok("unchanged"));
        let mut body = leave();
        body["properties"] = json!({ "custom": { "a": 1 } });
        assert_eq!(stage.refused(&user(2), body), RefusalKind::Unwritable);
        stage.put(&user(2), json!({})).unwrap();
        assert_eq!(stage.session().accepted(), 2);
        stage.rules.set("X-29", "refused").unwrap();
        assert_eq!(stage.refused(&user(3), json!({})), RefusalKind::Unwritable);
    }

    #[test]
    fn the_last_member_ends_the_session() {
        let mut stage = Stage::with_alice(json!({}));
        assert_eq!(stage.put(&user(1), leave()), Ok("gone"));
    }

    #[test]
    fn servers_and_members_of_others_need_a_server_principal() {
        let mut stage = Stage::with_alice(json!({}));
        stage.put(&user(2), join()).unwrap();
        let entry = json!({ "servers": { "game": { "properties": { "custom": { "a": 1 } } } } });
        assert_eq!(stage.refused(&user(1), entry.clone()), RefusalKind::Forbidden);
        assert_eq!(
            stage.refused(&user(1), json!({ "members": { "1": null } })),
            RefusalKind::Forbidden
        );
        assert_eq!(stage.refused(&server(), join()), RefusalKind::Forbidden);
        stage.put(&server(), entry.clone()).unwrap();
        assert_eq!(stage.put(&server(), entry), Ok("unchanged"));
        assert_eq!(
            stage.document()["servers"]["game"]["properties"]["custom"],
            json!({ "a": 1 })
        );
        assert_eq!(
            stage.put(
                &server(),
                json!({ "members": { "1": null }, "servers": { "game": null } })
            ),
            Ok("changed")
        );
        assert_eq!(stage.session().count(), 1);
        assert_eq!(stage.document()["servers"], json!({}));
        let outcome = stage.session().remove_member(9, &stage.access(&server())).unwrap();
        assert_eq!(stage.keep(outcome), "unchanged");
        assert!(stage.session().remove_server("game", &stage.access(&user(1))).is_err());
    }

    #[test]
    fn the_session_is_its_owners_and_ends_or_passes_on_with_the_last_of_them() {
        let owned = |migration: &str| {
            let policies = json!({ "migration": migration, "nonOwnerModifiableSystemProperties": ["closed"] });
            let mut stage =
                Stage::with_alice(json!({ "capabilities": { "hasOwners": true }, "ownershipPolicies": policies }));
            stage.put(&user(2), join()).unwrap();
            stage
        };
        let mut stage = owned("oldest");
        assert_eq!(stage.document()["properties"]["system"]["owners"], json!([0]));
        assert_eq!(
            stage.refused(&user(2), system(json!({ "joinRestriction": "local" }))),
            RefusalKind::Unwritable
        );
        stage.put(&user(2), system(json!({ "closed": true }))).unwrap();
        assert_eq!(
            stage.put(&user(2), json!({ "properties": stage.document()["properties"] })),
            Ok("unchanged")
        );
        stage
            .put(&user(2), json!({ "properties": { "custom": { "a": 1 } } }))
            .unwrap();
        assert!(stage.session().may_invite(1) && !stage.session().may_invite(2));
        stage.put(&user(1), leave()).unwrap();
        assert_eq!(stage.session().owners(), [1]);
        assert_eq!(owned("endsession").put(&user(1), leave()), Ok("gone"));
    }

    #[test]
    fn restrictions_locks_keywords_and_turns_are_checked_together() {
        let mut stage = Stage::with_alice(json!({}));
        for wrong in [
            json!({ "joinRestriction": "followed", "readRestriction": "local" }),
            json!({ "locked": true }),
            json!({ "turn": [7] }),
            json!({ "turn": ["0"] }),
            json!({ "owners": [0] }),
            json!({ "initializationSucceeded": true }),
            json!({ "matchmaking": { "clientResult": { "status": "found" } } }),
        ] {
            assert_eq!(
                stage.refused(&user(1), system(wrong.clone())),
                RefusalKind::Malformed,
                "{wrong}"
            );
        }
        stage.put(&user(2), join()).unwrap();
        stage
            .put(&user(1), system(json!({ "turn": [1], "closed": true, "locked": true })))
            .unwrap();
        assert_eq!(stage.document()["members"]["1"]["turn"], true);
        stage.put(&user(2), leave()).unwrap();
        assert_eq!(
            stage.document()["properties"]["system"],
            json!({ "turn": [], "closed": true, "locked": true })
        );
        let mut private = Stage::with_alice(json!({ "visibility": "private" }));
        assert_eq!(
            private.refused(&user(1), system(json!({ "keywords": ["a"] }))),
            RefusalKind::Malformed
        );
    }

    #[test]
    fn user_authorization_style_is_local_until_followed() {
        let mut stage = Stage::with_alice(json!({ "capabilities": { "userAuthorizationStyle": true } }));
        let shown = stage.document()["properties"]["system"].clone();
        assert_eq!(
            shown,
            json!({ "turn": [], "joinRestriction": "local", "readRestriction": "local" })
        );
        for field in ["joinRestriction", "readRestriction"] {
            assert_eq!(
                stage.refused(&user(1), system(json!({ field: "none" }))),
                RefusalKind::Malformed
            );
        }
        stage
            .put(
                &user(1),
                system(json!({ "joinRestriction": "followed", "readRestriction": "followed" })),
            )
            .unwrap();
    }

    #[test]
    fn one_device_has_one_token_and_the_host_must_have_it() {
        let mut stage = Stage::with_alice(json!({ "capabilities": { "connectivity": true } }));
        stage
            .put(&user(1), me_system(json!({ "secureDeviceAddress": "" })))
            .unwrap();
        assert_eq!(stage.document()["members"]["0"].get("deviceToken"), None);
        stage.put(&user(1), system(json!({ "host": "nobody" }))).unwrap();
        assert_eq!(stage.document()["properties"]["system"].get("host"), None);
        stage
            .put(&user(1), me_system(json!({ "secureDeviceAddress": "AAAA" })))
            .unwrap();
        let token = stage.document()["members"]["0"]["deviceToken"]
            .as_str()
            .unwrap()
            .to_owned();
        stage
            .put(&user(1), system(json!({ "host": token.to_uppercase() })))
            .unwrap();
        assert_eq!(stage.document()["properties"]["system"]["host"], token.to_uppercase());
        assert_eq!(
            stage.refused(&user(1), me_system(json!({ "secureDeviceAddress": "?" }))),
            RefusalKind::Malformed
        );
        stage
            .put(&user(1), me_system(json!({ "secureDeviceAddress": null })))
            .unwrap();
        assert_eq!(stage.document()["properties"]["system"].get("host"), None);
        let mut other = Stage::with_alice(json!({ "capabilities": { "connectivity": true } }));
        other
            .put(&user(1), me_system(json!({ "secureDeviceAddress": "AQID" })))
            .unwrap();
        assert_eq!(other.document()["members"]["0"]["deviceToken"], token);
        assert_eq!(other.document()["members"]["0"]["nat"], "open");
        let mut without = Stage::with_alice(json!({}));
        assert_eq!(
            without.refused(&user(1), me_system(json!({ "secureDeviceAddress": "AAAA" }))),
            RefusalKind::Malformed
        );
    }

    #[test]
    fn measurements_need_metrics_and_are_not_of_the_own_device() {
        let mut stage = Stage::with_alice(
            json!({ "capabilities": { "connectivity": true }, "peerToPeerRequirements": { "latencyMaximum": 100 } }),
        );
        stage
            .put(&user(1), me_system(json!({ "secureDeviceAddress": "AAAA" })))
            .unwrap();
        let token = stage.document()["members"]["0"]["deviceToken"]
            .as_str()
            .unwrap()
            .to_owned();
        let measured =
            |token: &str, value: Value| me_system(json!({ "measurements": { token: { "latency": value } } }));
        assert_eq!(
            stage.refused(&user(1), measured(&token, json!(5))),
            RefusalKind::Malformed
        );
        assert_eq!(
            stage.refused(&user(1), measured("ABC", json!(5))),
            RefusalKind::Malformed
        );
        assert_eq!(
            stage.refused(&user(1), measured("abc", json!(-5))),
            RefusalKind::Malformed
        );
        stage.put(&user(1), measured("abc", json!(5.5))).unwrap();
        let mut without = Stage::with_alice(json!({}));
        assert_eq!(
            without.refused(&user(1), measured("abc", json!(5))),
            RefusalKind::Malformed
        );
    }

    #[test]
    fn subscriptions_are_merged_one_by_one_and_a_subscription_is_replaced() {
        let mut stage = Stage::with_alice(json!({}));
        let (one, two) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let entry = json!({ "profile": "roster", "onBehalfOfTitleId": "1" });
        stage
            .put(&user(1), me_system(json!({ "subscriptions": { &one: entry } })))
            .unwrap();
        stage
            .put(
                &user(1),
                me_system(json!({ "subscriptions": { &two: entry, &one: null } })),
            )
            .unwrap();
        let shown = stage.document()["members"]["0"]["properties"]["system"].clone();
        assert_eq!(shown["subscriptions"], json!({ &two: entry }));
        stage
            .put(
                &user(1),
                me_system(json!({ "subscription": { "id": one, "changeTypes": ["everything"] } })),
            )
            .unwrap();
        stage
            .put(
                &user(1),
                me_system(json!({ "subscription": { "id": two, "changeTypes": ["host"] } })),
            )
            .unwrap();
        let member = stage.session().member(1).unwrap();
        assert_eq!(member.subscription.unwrap().id, two);
        let wrong = me_system(json!({ "subscription": { "id": two, "changeTypes": ["weather"] } }));
        assert_eq!(stage.refused(&user(1), wrong), RefusalKind::Malformed);
    }

    #[test]
    fn a_large_session_shows_each_member_itself_and_has_no_business_with_others() {
        let mut stage = Stage::with_alice(json!({ "capabilities": { "large": true }, "maxMembersCount": 1000 }));
        stage.put(&user(2), active()).unwrap();
        let document = stage.document_for(&user(2));
        assert_eq!(
            document["members"].as_object().unwrap().keys().collect::<Vec<_>>(),
            ["me"]
        );
        assert_eq!(document["members"]["me"]["constants"]["system"]["xuid"], "2");
        assert_eq!(document["membersInfo"]["count"], 2);
        assert_eq!(document["properties"]["system"].get("turn"), None);
        assert_eq!(stage.document_for(&user(3))["members"], json!({}));
        assert_eq!(stage.refused(&user(1), reserve(&[3])), RefusalKind::Conflict);
        assert_eq!(
            stage.refused(&server(), json!({ "members": { "1": null } })),
            RefusalKind::Conflict
        );
        for wrong in [
            json!({ "turn": [0] }),
            json!({ "host": "x" }),
            json!({ "joinRestriction": "local" }),
        ] {
            assert_eq!(
                stage.refused(&user(1), system(wrong.clone())),
                RefusalKind::Malformed,
                "{wrong}"
            );
        }
        for wrong in [json!({ "initializationGroup": [0] }), json!({ "subscription": {} })] {
            assert_eq!(
                stage.refused(&user(1), me_system(wrong.clone())),
                RefusalKind::Malformed,
                "{wrong}"
            );
        }
    }

    #[test]
    fn roles_are_limited_by_max_and_freed_by_leaving() {
        let mut stage = Stage::new(json!({ "inactiveRemovalTimeout": null }));
        let mut body = active();
        body["roleTypes"] = json!({ "class": { "mutableRoleSettings": ["max"], "roles": { "healer": { "max": 1 }, "tank": { "target": 2, "max": 3 } } } });
        stage.put(&user(1), body).unwrap();
        let take = |role: Value| json!({ "members": { "me": { "roles": { "class": role } } } });
        stage.put(&user(1), take(json!("healer"))).unwrap();
        stage.put(&user(2), join()).unwrap();
        assert_eq!(stage.refused(&user(2), take(json!("healer"))), RefusalKind::Unwritable);
        assert_eq!(stage.refused(&user(2), take(json!("bard"))), RefusalKind::Malformed);
        stage.put(&user(2), take(json!("tank"))).unwrap();
        let shown = stage.document();
        assert_eq!(
            shown["roleTypes"]["class"]["roles"]["healer"],
            json!({ "max": 1, "count": 1, "memberXuids": ["1"] })
        );
        assert_eq!(shown["members"]["1"]["roles"], json!({ "class": "tank" }));
        stage.put(&user(1), leave()).unwrap();
        stage.put(&user(2), take(json!("healer"))).unwrap();
        assert_eq!(stage.document()["members"]["1"]["roles"], json!({ "class": "healer" }));
    }

    #[test]
    fn role_types_are_checked_at_creation() {
        for wrong in [
            json!({ "Class": { "roles": {} } }),
            json!({ "class": { "roles": { "a": { "max": 0 } } } }),
            json!({ "class": { "roles": { "a": { "max": 1, "target": 2 } } } }),
            json!({ "class": { "ownerManaged": true, "roles": {} } }),
            json!({ "class": { "mutableRoleSettings": ["count"], "roles": {} } }),
        ] {
            let mut body = active();
            body["roleTypes"] = wrong.clone();
            assert_eq!(
                Stage::new(json!({})).refused(&user(1), body),
                RefusalKind::Malformed,
                "{wrong}"
            );
        }
    }

    #[test]
    fn owners_change_mutable_role_settings_and_assign_managed_roles() {
        let mut stage = Stage::new(json!({ "capabilities": { "hasOwners": true }, "inactiveRemovalTimeout": null }));
        stage.template.role_types = json!({ "rank": { "ownerManaged": true, "mutableRoleSettings": ["max"], "roles": { "lead": { "max": 1 } } } });
        stage.put(&user(1), active()).unwrap();
        stage.put(&user(2), join()).unwrap();
        let setting = |setting: &str| json!({ "roleTypes": { "rank": { "roles": { "lead": { setting: 1 + u64::from(setting == "max") } } } } });
        assert_eq!(stage.refused(&user(2), setting("max")), RefusalKind::Unwritable);
        assert_eq!(stage.refused(&user(1), setting("target")), RefusalKind::Conflict);
        stage.put(&user(1), setting("max")).unwrap();
        let take = json!({ "members": { "me": { "roles": { "rank": "lead" } } } });
        assert_eq!(stage.refused(&user(2), take.clone()), RefusalKind::Unwritable);
        stage.put(&user(1), take).unwrap();
    }

    #[test]
    fn initialization_needs_its_members_at_creation() {
        let mut stage = Stage::new(json!({ "memberInitialization": { "membersNeededToStart": 2 } }));
        let mut body = reserve(&[2]);
        body["members"]["me"] = json!({ "constants": { "system": { "initialize": true } } });
        assert_eq!(stage.refused(&user(1), body.clone()), RefusalKind::Malformed);
        body["members"]["reserve_0"]["constants"]["system"]["initialize"] = json!(true);
        stage.put(&user(1), body).unwrap();
        assert_eq!(
            stage.document()["members"]["1"]["constants"]["system"]["initialize"],
            true
        );
    }

    #[test]
    fn before_107_an_empty_matchmaking_is_shown_and_may_be_sent_back() {
        let mut stage = Stage::with_alice(json!({}));
        stage.version = ContractVersion::V105;
        assert_eq!(stage.document()["contractVersion"], 105);
        assert_eq!(stage.document()["properties"]["system"]["matchmaking"], json!({}));
        assert_eq!(
            stage.put(&user(1), json!({ "properties": stage.document()["properties"] })),
            Ok("unchanged")
        );
    }

    #[test]
    fn properties_alone_are_written_like_the_session() {
        let mut stage = Stage::with_alice(json!({}));
        let outcome = stage
            .session()
            .write_properties(
                &stage.template,
                &json!({ "custom": { "a": 1 } }),
                &stage.access(&user(1)),
            )
            .unwrap();
        assert_eq!(stage.keep(outcome), "changed");
        assert_eq!(stage.session().custom_properties(), &json!({ "a": 1 }));
        let wrapped = json!({ "properties": { "custom": {} } });
        let refusal = stage
            .session()
            .write_properties(&stage.template, &wrapped, &stage.access(&user(1)))
            .unwrap_err();
        assert_eq!(
            refusal.message,
            "/properties: unknown field, expected one of system, custom"
        );
    }

    #[test]
    fn elements_are_found_by_their_path() {
        let stage = Stage::with_alice(json!({}));
        let element = |path: &[&str]| stage.session().element(path, &stage.access(&user(1)));
        assert_eq!(element(&["members", "me"]), element(&["Members", "0"]));
        assert!(element(&["members", "me"]).is_some());
        assert_eq!(element(&["members", "4"]), None);
        assert_eq!(element(&["servers", "x"]), None);
        assert!(Session::is_element_path(&["servers", "x"]) && !Session::is_element_path(&["members", "x"]));
    }
}
