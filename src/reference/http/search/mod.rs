//! Session browse: offering a session to others, and finding those that are offered.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::answer::{self, Response};
use super::call::Call;
use super::handles::Include;
use crate::failure::Failure;
use crate::handle::Handle;
use crate::rules::{EmptyFilter, Rules};
use crate::search::{Filter, Order, Query, RoleFacts, SearchHandle, SessionFacts, Sessions};
use crate::session::Template;
use crate::session::{Capability, Grant, Session, Visibility};
use crate::session_ref::SessionKey;

impl Call<'_> {
    /// Makes the session of a search handle one that is found. What is not there yet is judged by its template
    /// (HDL-GEN-003).
    pub(super) fn offer(&self, handle: &Arc<Handle>, template: &Template) -> Result<(), Failure> {
        self.edge.store.write(&handle.at.key(), self.moment(), |visit| {
            let offered = if let Some(live) = visit.live() {
                self.check_in_charge(live.session())?;
                self.check_searchable(live.session().has_capability(Capability::Searchable))?;
                Some(live.session().with_search_handle(Some(handle.id)))
            } else {
                self.check_sessionless()?;
                self.check_searchable(template.has(Capability::Searchable))?;
                None
            };
            visit.put_handle(Arc::clone(handle), self.edge.clock.now());
            if let Some(session) = offered {
                visit.commit(session);
            }
            Ok(())
        })
    }

    /// Removes a search handle; the session itself stays as it is (SRCH-HDL-007).
    pub(super) fn withdraw(&self, handle: &Handle) -> Result<(), Failure> {
        self.edge.store.write(&handle.at.key(), self.moment(), |visit| {
            if let Some(live) = visit.live() {
                self.check_in_charge(live.session())?;
                if live.session().search_handle() == Some(handle.id) {
                    let session = live.session().with_search_handle(None);
                    let is_no_change = self.rules().withdrawal_is_no_change.kept();
                    visit.commit(if is_no_change {
                        session
                    } else {
                        session.touched(self.rules())
                    });
                }
            } else {
                self.check_own(handle)?;
            }
            Ok(())
        })
    }

    /// SRCH-HDL-002
    fn check_searchable(&self, is_searchable: bool) -> Result<(), Failure> {
        if is_searchable || !self.rules().searchable_is_needed.kept() {
            return Ok(());
        }
        let message = "The session lacks the capability `searchable`, which search handles need.";
        Err(Failure::Forbidden(message.to_owned()))
    }

    /// SRCH-HDL-020
    fn check_in_charge(&self, session: &Session) -> Result<(), Failure> {
        let is_in_charge = self.speaker().is_some_and(|xuid| session.is_in_charge(xuid));
        if is_in_charge || self.manages() {
            return Ok(());
        }
        let message =
            "Only members of the session, and where it has owners only they, decide whether it can be searched.";
        Err(Failure::Forbidden(message.to_owned()))
    }

    /// POST /handles/query of the type `search`. Members that are not known are no fault (SRCH-QRY-012).
    pub(super) fn query_search(&self, body: &Value) -> Result<Response, Failure> {
        let malformed = |what: String| Failure::Malformed(format!("{what}."));
        let text = |name: &str| match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(malformed(format!("`{name}` is no string"))),
        };
        let needed = |name: &str| text(name)?.ok_or_else(|| malformed(format!("`{name}` is missing")));
        let (scid, template_name) = (needed("scid")?, needed("templateName")?);
        let rules = self.rules();
        let given = text("filter")?.filter(|text| !text.is_empty() || rules.empty_filter == EmptyFilter::Refused);
        let filter = match given.map(|text| Filter::parse_under(text, rules)).transpose() {
            Err(_) if !rules.malformed_filter_is_refused.kept() => None,
            filter => filter.map_err(|error| malformed(format!("`filter`, {error}")))?,
        };
        let order = text("orderBy")?.filter(|_| rules.search_is_ordered.kept());
        let order = order.map(Order::parse).transpose();
        let order = order.map_err(|error| malformed(format!("`orderBy`, {error}")))?;
        let among = self.sessions_of_people(body.get("sessionMembers"))?;
        let among = among.filter(|_| rules.search_asks_for_people.kept());
        self.edge.provisions.template(scid, template_name, self.caller)?;
        let query = Query {
            scid,
            template_name,
            filter: filter.as_ref(),
            order: order.as_ref(),
            among: among.as_deref(),
            any_not_equal: rules.any_not_equal,
        };
        let include = Include::parse(&self.parameter("include").unwrap_or_default());
        let handles = self.edge.store.handles();
        let found = handles.search().query(&query, self).into_iter();
        let results = found.filter_map(|found| {
            let handle = handles.get(found.id(), self.now)?;
            self.described(&handle, include).map(Value::Object)
        });
        let results: Vec<_> = results.collect();
        Ok(answer::results(&results, self.rules()))
    }

    /// The sessions of a social group (SRCH-QRY-006); `None`: there is no constraint.
    fn sessions_of_people(&self, members: Option<&Value>) -> Result<Option<Vec<SessionKey>>, Failure> {
        let Some(members) = members.filter(|members| !members.is_null()) else {
            return Ok(None);
        };
        let malformed = || Failure::Malformed("`sessionMembers` has no object `people`.".to_owned());
        let people = members.get("people").filter(|people| people.is_object());
        let people = people.ok_or_else(malformed)?;
        let is_empty = |name: &str| people.get(name).and_then(Value::as_str) == Some("");
        if !self.rules().empty_group_is_refused.kept() && (is_empty("moniker") || is_empty("monikerXuid")) {
            return Ok(None);
        }
        let people = self.people(people, "sessionMembers")?;
        let sessions = people.into_iter().map(|xuid| self.edge.store.all_sessions_of(xuid));
        Ok(Some(sessions.flatten().collect()))
    }
}

impl<'c> Sessions for Call<'c> {
    type Facts = Found<'c>;

    fn facts(&self, handle: &SearchHandle) -> Option<Found<'c>> {
        let access = self.access(Grant::Search);
        let found = self.edge.store.read(handle.key(), self.moment(), |live| {
            let session = live.session();
            // It may have been replaced meanwhile.
            let is_current = session.search_handle() == Some(handle.id());
            let is_hidden = session.visibility() == Visibility::Private && session.may_read(&access).is_err();
            (is_current && !is_hidden).then(|| Found {
                session: session.clone(),
                rules: &self.edge.provisions.rules,
            })
        });
        found.flatten()
    }

    fn of_member(&self, xuid: u64) -> Option<Vec<SessionKey>> {
        Some(self.edge.store.all_sessions_of(xuid))
    }
}

/// A session that a search may find.
#[derive(Debug)]
pub(super) struct Found<'r> {
    session: Session,
    rules: &'r Rules,
}

/// No session of this contract says how many members it aims at, when it is scheduled or how it is registered.
impl SessionFacts for Found<'_> {
    fn members_count(&self) -> u64 {
        if self.rules.filters_count_members.kept() {
            return self.session.count();
        }
        self.session.max_members().saturating_sub(self.session.count())
    }

    fn max_members_count(&self) -> u64 {
        self.session.max_members()
    }

    fn target_members_count(&self) -> Option<u64> {
        None
    }

    fn role(&self, role_type: &str, role: &str) -> Option<RoleFacts> {
        let role = self.session.role(role_type, role)?;
        let counts = self.rules.filters_count_roles.kept();
        Some(RoleFacts {
            count: if counts { role.count } else { 0 },
            max: role.max.filter(|_| self.rules.role_target_falls_back.kept()),
            target: role.target,
        })
    }

    fn member_xuids(&self) -> Vec<u64> {
        let asks = self.rules.filters_ask_for_members.kept();
        let members = self.session.members().filter(|_| asks);
        members.map(|member| member.xuid).collect()
    }

    fn owner_xuids(&self) -> Vec<u64> {
        let asks = self.rules.filters_ask_for_members.kept();
        let owners = self.session.members().filter(|member| member.is_owner && asks);
        owners.map(|owner| owner.xuid).collect()
    }

    fn keywords(&self) -> &[String] {
        if self.rules.filters_ask_for_keywords.kept() {
            self.session.keywords()
        } else {
            &[]
        }
    }

    fn scheduled_time(&self) -> Option<Timestamp> {
        None
    }

    fn registration_state(&self) -> Option<&str> {
        None
    }
}
