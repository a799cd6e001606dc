//! What a member writes of itself, and what becomes of its status.

mod constants;
mod system;

use std::sync::Arc;

use jiff::Timestamp;

pub(super) use self::constants::check_own_xuid;
use super::access::Access;
use super::field::At;
use super::merge;
use super::model::{Capability, Constants, Member, MemberSystem, Status};
use super::refusal::Refusal;
use super::request::MemberDelta;
use crate::principal::User;
use crate::rules::{MissingConnection, ReadyToActive, Rules};

impl Member {
    /// Takes the status on; its timer starts anew only if it is another one (TMO-020).
    pub(super) fn become_status(&mut self, status: Status, now: Timestamp, rules: &Rules) {
        if self.status != status {
            self.status = status;
            if rules.timer_starts_anew.kept() {
                self.since = now;
            }
        }
        if status == Status::Inactive && rules.inactive_has_no_activity.kept() {
            // HDL-ACT-004: an inactive member has no activity.
            self.activity = None;
        }
    }

    /// The user's first write: the reservation becomes a membership (SES-RSV-013).
    pub(super) fn accept(&mut self, user: &User, title_id: u32, now: Timestamp, rules: &Rules) {
        if self.status == Status::Reserved {
            self.become_status(Status::Inactive, now, rules);
            if rules.join_time_is_of_the_join.kept() {
                self.join_time = now;
            }
            self.title_id = title_id;
        }
        self.gamertag.clone_from(&user.gamertag);
        self.device_id.clone_from(&user.device_id);
    }

    /// Merges what the member writes of itself. `next` is the session's next index.
    pub(super) fn merge(
        &mut self,
        delta: &MemberDelta<'_>,
        session: &Constants,
        next: u32,
        access: &Access<'_>,
        at: &At<'_>,
    ) -> Result<(), Refusal> {
        let Some(bag) = delta.properties else { return Ok(()) };
        let at = at.then("properties");
        if let Some(sent) = bag.system.filter(|sent| !sent.is_empty()) {
            let at = at.then("system");
            let mut system = MemberSystem::clone(&self.system);
            let (mut active, mut ready) = (None, None);
            for (field, value) in sent {
                let at = at.then(field);
                match field.as_str() {
                    "active" => active = Some(!value.is_null() && at.boolean(value)?),
                    "ready" => ready = Some(!value.is_null() && at.boolean(value)?),
                    _ => system.write(
                        field,
                        value,
                        session,
                        self.device_id.as_deref(),
                        next,
                        access.rules,
                        &at,
                    )?,
                }
            }
            system.check(access.rules, &at)?;
            let connection_changed = system.connection != self.system.connection;
            if system != *self.system {
                self.system = Arc::new(system);
            }
            let status = self.wanted_status(active, ready, access.rules, &at)?;
            self.move_to(status, active == Some(true), connection_changed, session, access, &at)?;
        }
        let custom = bag.custom.filter(|custom| !custom.is_null());
        if let Some(custom) = custom {
            at.then("custom").object(custom)?;
        }
        if let Some(custom) = custom
            && merge::changes_custom(&self.custom, custom, access.rules)
        {
            merge::merge_custom(Arc::make_mut(&mut self.custom), custom, access.rules);
        }
        Ok(())
    }

    /// The status that the flags ask for: false is the same as absent (SES-MEMBER-008..011).
    fn wanted_status(
        &self,
        active: Option<bool>,
        ready: Option<bool>,
        rules: &Rules,
        at: &At<'_>,
    ) -> Result<Status, Refusal> {
        let refuse = || at.then("ready").refuse("active and ready exclude each other");
        match (active, ready) {
            (Some(true), Some(true)) if rules.flags_exclude.kept() => Err(refuse()),
            (Some(true), None) if self.status == Status::Ready && rules.ready_to_active == ReadyToActive::Refused => {
                Err(refuse())
            }
            (Some(true), _) => Ok(Status::Active),
            (_, Some(true)) => Ok(Status::Ready),
            (Some(false), _) if self.status == Status::Active => Ok(Status::Inactive),
            (_, Some(false)) if self.status == Status::Ready => Ok(Status::Inactive),
            _ => Ok(self.status),
        }
    }

    fn move_to(
        &mut self,
        status: Status,
        says_active: bool,
        connection_changed: bool,
        session: &Constants,
        access: &Access<'_>,
        at: &At<'_>,
    ) -> Result<(), Refusal> {
        let enters = status == Status::Active && (self.status != Status::Active || connection_changed);
        if enters && session.has(Capability::ConnectionRequiredForActiveMembers) && !self.has_live_connection(access) {
            return match access.rules.missing_connection {
                MissingConnection::Inactive => {
                    self.become_status(Status::Inactive, access.now, access.rules);
                    Ok(())
                }
                MissingConnection::Refused => Err(at
                    .then("connection")
                    .refuse("an active member of this session needs a live connection")),
            };
        }
        self.become_status(status, access.now, access.rules);
        if status == Status::Active && (enters || says_active) {
            self.title_id = access.caller.title_id;
        }
        Ok(())
    }

    fn has_live_connection(&self, access: &Access<'_>) -> bool {
        self.system.connection.is_some_and(|connection| {
            access.connections.owner(connection) == Some(self.xuid) && access.connections.lost_at(connection).is_none()
        })
    }
}
