//! A session that a write is being applied to, and who may write what.

use super::super::access::Access;
use super::super::field::At;
use super::super::model::{Capability, Session};
use super::super::refusal::{Refusal, RefusalKind};
use super::super::request::{Me, Request, Whom};
use crate::principal::User;
use crate::rules::MemberRemoval;

use std::sync::Arc;

/// What the request says of one user for whom the caller speaks; nothing, if it does not name the user.
#[derive(Clone, Copy)]
pub(super) struct OwnWrite<'a> {
    pub(super) key: &'a str,
    pub(super) user: &'a User,
    pub(super) me: Option<Me<'a>>,
}

impl OwnWrite<'_> {
    pub(super) fn leaves(&self) -> bool {
        matches!(self.me, Some(Me::Leave))
    }
}

/// A session that a write is being applied to.
pub(super) struct Draft<'d, 'a> {
    pub(super) session: &'d mut Session,
    pub(super) access: &'d Access<'a>,
    pub(super) is_new: bool,
}

impl<'a> Draft<'_, 'a> {
    /// What is written of each user for whom the caller speaks (AUTH-009 to AUTH-012).
    pub(super) fn own_writes(&self, request: &Request<'a>) -> Result<Vec<OwnWrite<'a>>, Refusal> {
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
                    return Err(at.refuse("a user acts for itself only, as me"));
                }
                (Whom::Me, []) if !rules.me_needs_a_user.kept() => {}
                // AUTH-005
                (_, []) => {
                    return Err(at.refuse_as(
                        RefusalKind::Forbidden,
                        "a server principal is not a user, and the call acts for none",
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
    pub(super) fn check_principal(&self, request: &Request<'_>) -> Result<(), Refusal> {
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
            if self.access.caller.is_server() && self.access.rules.services_reserve_at_creation.kept() {
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

    pub(super) fn check_member_removal(&self, at: &At<'_>) -> Result<(), Refusal> {
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

    pub(super) fn remove_member(&mut self, index: u32, at: &At<'_>) -> Result<(), Refusal> {
        self.check_member_removal(at)?;
        if self.session.members.position_of_index(index).is_some() {
            Arc::make_mut(&mut self.session.members).remove_where(|member| member.index == index);
        }
        Ok(())
    }

    /// Whether the caller may do what owners do.
    pub(super) fn owns(&self) -> bool {
        self.access.manages()
            || self.access.users().iter().any(|user| {
                let member = self.session.members.by_xuid(user.xuid);
                member.is_some_and(|member| self.session.properties.system.owners.contains(&member.index))
            })
    }

    /// The index of a new member (SES-JOIN-014).
    pub(super) fn next_index(&self) -> u32 {
        let left_out = u32::from(!self.access.rules.indices_follow_each_other.kept());
        self.session.members.next().saturating_add(left_out)
    }
}
