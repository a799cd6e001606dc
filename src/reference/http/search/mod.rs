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
use crate::handle::read_xuid;
use crate::rules::{AskedOwners, EmptyFilter, Rules, SearchEverywhere};
use crate::search::{Filter, Order, Query, RoleFacts, SearchHandle, SessionFacts, Sessions};
use crate::session::Template;
use crate::session::{Capability, Grant, Session, Visibility};
use crate::session_ref::{SessionKey, folded};

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
        let message = "The session does not have the capability `searchable`, which search handles need.";
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
            Some(_) => Err(malformed(format!("`{name}` is not a string"))),
        };
        let rules = self.rules();
        let places = self.searched(text("scid")?, text("templateName")?)?;
        let given = text("filter")?.filter(|text| !text.is_empty() || rules.empty_filter == EmptyFilter::Refused);
        let filter = match given.map(|text| Filter::parse_under(text, rules)).transpose() {
            Err(_) if !rules.malformed_filter_is_refused.kept() => None,
            filter => filter.map_err(|error| malformed(format!("`filter`, {error}")))?,
        };
        let order = text("orderBy")?.filter(|_| rules.search_is_ordered.kept());
        let order = order.map(|text| Order::parse_under(text, rules)).transpose();
        let order = order.map_err(|error| malformed(format!("`orderBy`, {error}")))?;
        let among = self.sessions_of_people(body.get("sessionMembers"))?;
        let among = among.filter(|_| rules.search_asks_for_people.kept());
        let owners = self.asked_owners(body.get("sessionOwners"))?;
        let among = match (among, owners) {
            (Some(mut among), Some(owned)) => {
                among.retain(|key| owned.contains(key));
                Some(among)
            }
            (among, owned) => among.or(owned),
        };
        let query = Query {
            places: &places,
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

    /// The service configs and templates that are searched: without scid all that the caller has access to.
    fn searched<'a>(
        &'a self,
        scid: Option<&'a str>,
        template_name: Option<&'a str>,
    ) -> Result<Vec<(&'a str, &'a str)>, Failure> {
        let provisions = &self.edge.provisions;
        let missing = |name: &str| Failure::Malformed(format!("`{name}` is missing."));
        if let Some(scid) = scid {
            let template_name = template_name.ok_or_else(|| missing("templateName"))?;
            provisions.template(scid, template_name, self.caller)?;
            return Ok(vec![(scid, template_name)]);
        }
        if self.rules().search_everywhere == SearchEverywhere::Refused {
            return Err(missing("scid"));
        }
        let configs = provisions.service_configs(self.caller);
        let places = configs.flat_map(|config| {
            let templates = config.templates().into_iter().map(|template| template.name.as_str());
            let wanted =
                templates.filter(move |name| template_name.is_none_or(|wanted| folded(wanted) == folded(name)));
            wanted.map(|name| (config.scid.as_str(), name))
        });
        Ok(places.collect())
    }

    /// The sessions that one of the users owns whom `sessionOwners` names, a xuid or a list of them; `None`: there is
    /// no constraint.
    fn asked_owners(&self, given: Option<&Value>) -> Result<Option<Vec<SessionKey>>, Failure> {
        let rules = self.rules();
        let given = given.filter(|given| !given.is_null() && rules.asked_owners == AskedOwners::Narrows);
        let Some(given) = given else { return Ok(None) };
        let one = std::slice::from_ref(given);
        let xuids = given.as_array().map_or(one, Vec::as_slice).iter();
        let xuids: Option<Vec<u64>> = xuids.map(|xuid| read_xuid(xuid, rules)).collect();
        let xuids =
            xuids.ok_or_else(|| Failure::Malformed("`sessionOwners` is not a list of decimal strings.".to_owned()))?;
        let mut owned = Vec::new();
        for xuid in xuids {
            for key in self.edge.store.all_sessions_of(xuid) {
                let owns = |session: &Session| session.member(xuid).is_some_and(|member| member.is_owner);
                let found = self.edge.store.read(&key, self.moment(), |live| owns(live.session()));
                if found == Some(true) {
                    owned.push(key);
                }
            }
        }
        Ok(Some(owned))
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
                title: self.edge.provisions.title(&session.at().scid),
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
    title: Option<u32>,
    rules: &'r Rules,
}

/// No session of this contract says how many members it aims at or how it is registered.
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
        self.session.scheduled_time()
    }

    fn title_id(&self) -> Option<u64> {
        self.title.map(u64::from)
    }

    fn registration_state(&self) -> Option<&str> {
        None
    }
}
