//! How a write changes a session: all of it, or nothing.
//!
//! A [`Draft`] is a copy that the request is applied to: who may write what ([`draft`]), who enters ([`entry`]), then the
//! parts of the document ([`apply`]). What then differs from the state before decides on the [`Outcome`].

mod apply;
mod draft;
mod entry;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use self::draft::Draft;
use super::access::Access;
use super::field::At;
use super::initialization::{self, News};
use super::model::{Capability, Constants, Former, Initialization, Members, Properties, Session, Template};
use super::outcome::Outcome;
use super::refusal::{Refusal, RefusalKind};
use super::request::{Me, Own, Request, Whom};
use super::{departure, permission, roles};
use crate::rules::{NoChange, Rules};
use crate::session_ref::SessionRef;

impl Session {
    /// Creates the session at `at`: `Created`, or `Gone` if it would be empty and end at once (SES-CREATE-005).
    pub(crate) fn create(
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
            change_number: access.rules.freedom.first_change,
            correlation_id: former.map_or_else(Uuid::new_v4, |former| former.correlation_id),
            start_time: access.now,
            constants: Arc::new(constants),
            properties: Properties::new(),
            members: Arc::new(Members::starting_at(access.rules.freedom.first_index)),
            servers: Arc::default(),
            role_types: Arc::new(role_types),
            empty_since: None,
            initialization: Initialization::new(access.now, access.rules),
            search_handle: None,
        };
        permission::may_create(&session, access)?;
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
            return Err(Refusal::new(
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
    pub(crate) fn write(&self, _template: &Template, body: &Value, access: &Access<'_>) -> Result<Outcome, Refusal> {
        self.apply(&Request::read(body, access.rules)?, access)
    }

    /// Applies a write of `properties` alone (PROTO-002).
    pub(crate) fn write_properties(
        &self,
        _template: &Template,
        bag: &Value,
        access: &Access<'_>,
    ) -> Result<Outcome, Refusal> {
        self.apply(&Request::read_properties(bag)?, access)
    }

    /// Removes the caller; `Unchanged` if it is no member.
    pub(crate) fn remove_me(&self, access: &Access<'_>) -> Result<Outcome, Refusal> {
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
    pub(crate) fn remove_member(&self, index: u32, access: &Access<'_>) -> Result<Outcome, Refusal> {
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
    pub(crate) fn remove_server(&self, name: &str, access: &Access<'_>) -> Result<Outcome, Refusal> {
        if !access.caller.is_server() {
            return Err(Refusal::new(
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
}
