//! Finding sessions and activities.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::super::config::decimal;
use super::super::failure::Failure;
use super::super::handle::read_xuid;
use super::super::rules::{DocumentVersion, EnumCase, Friends, QueryContract, Rules, TakeNothing};
use super::super::session::{Capability, ContractVersion, Restriction, Session, Status, Visibility, time_text};
use super::super::session_ref::{SessionKey, folded};
use super::super::store::{Part, Place};
use super::answer::{self, Response};
use super::call::Call;
use super::handles::{Include, effective_visibility};

/// The most results of any query (QRY-004, HDL-QRY-017).
const MOST_RESULTS: usize = 100;
/// How many candidates are taken from an index at once.
const PAGE: usize = 128;

/// What a query for sessions asks.
#[derive(Debug)]
struct Query<'q> {
    scid: &'q str,
    template: Option<&'q str>,
    keyword: Option<String>,
    private: bool,
    reservations: bool,
    inactive: bool,
    visibility: Option<String>,
    /// The highest major version of a session.
    version: Option<u64>,
    take: usize,
    rules: &'q Rules,
}

impl Call<'_> {
    /// GET .../sessions
    pub(super) fn query_sessions(&self, scid: &str, template: Option<&str>) -> Result<Response, Failure> {
        if self.is_lost(scid) {
            return Ok(none_found());
        }
        let query = self.query(scid, template)?;
        let xuid = match self.parameter("xuid") {
            None => None,
            Some(text) => {
                let malformed = || Failure::Malformed("The query parameter `xuid` is not a decimal number.".to_owned());
                Some(decimal(&text).ok_or_else(malformed)?)
            }
        };
        if xuid.is_none() && query.keyword.is_none() && query.rules.queries_need_a_key.kept() {
            // QRY-003
            let message = "The query has neither the parameter `keyword` nor `xuid`.";
            return Err(Failure::Malformed(message.to_owned()));
        }
        query.check_widening(xuid.is_some())?;
        self.check_insight(&query, xuid.as_slice())?;
        let mut results = Vec::new();
        match (xuid, &query.keyword) {
            (Some(xuid), _) => self.find_of(xuid, &query, &mut results),
            (None, Some(keyword)) => self.find_about(keyword, &query, &mut results),
            (None, None) => {}
        }
        Ok(answer::results(&results, self.rules()))
    }

    /// POST .../batch
    pub(super) fn query_batch(&self, scid: &str, template: Option<&str>, body: &Value) -> Result<Response, Failure> {
        if self.is_lost(scid) {
            return Ok(none_found());
        }
        let query = self.query(scid, template)?;
        let malformed = || Failure::Malformed("The body has no `xuids`, a list of decimal strings.".to_owned());
        let xuids = match body.get("xuids") {
            None if query.keyword.is_some() => Vec::new(),
            None => return Err(malformed()),
            Some(xuids) => self.xuids(xuids).ok_or_else(malformed)?,
        };
        let rules = query.rules;
        if xuids.is_empty() && query.keyword.is_none() {
            return Err(malformed()); // QRY-043
        }
        query.check_widening(!xuids.is_empty())?;
        self.check_insight(&query, &xuids)?;
        let mut results = Vec::new();
        if let ([], Some(keyword)) = (xuids.as_slice(), &query.keyword) {
            self.find_about(keyword, &query, &mut results);
        }
        // QRY-034, QRY-036
        let mut seen = BTreeSet::new();
        let mut xuids: Vec<u64> = xuids.into_iter().filter(|xuid| seen.insert(*xuid)).collect();
        if !rules.batch_keeps_order.kept() {
            xuids.sort_unstable();
        }
        for xuid in xuids {
            self.find_of(xuid, &query, &mut results);
        }
        // QRY-035
        if !rules.batch_tells_each_user.kept() {
            let mut told = BTreeSet::new();
            results.retain(|item| told.insert(item["sessionRef"].to_string()));
        }
        Ok(answer::results(&results, self.rules()))
    }

    /// Whether nothing can be found because there is no such service config (QRY-041).
    fn is_lost(&self, scid: &str) -> bool {
        let found = self.edge.provisions.service_config(scid, self.caller);
        !self.rules().unknown_scid_is_not_found.kept() && matches!(found, Err(Failure::NotFound(_)))
    }

    /// Reads the parameters that all queries for sessions have.
    fn query<'q>(&'q self, scid: &'q str, template: Option<&'q str>) -> Result<Query<'q>, Failure> {
        let config = self.edge.provisions.service_config(scid, self.caller)?;
        if let Some(template) = template {
            config.template(template)?;
        }
        let rules = self.rules();
        let malformed = |what: &str| Failure::Malformed(format!("The query parameter {what}."));
        let private = self.flag("private")?;
        // One page of the documentation spells its only value `Open`.
        let visibility = self.parameter("visibility").map(|text| match rules.enum_case {
            EnumCase::Any => text.to_ascii_lowercase(),
            EnumCase::Exact => text,
        });
        match visibility.as_deref() {
            None | Some("open" | "visible" | "full") => {}
            Some("private") if private || !rules.private_needs_private.kept() => {}
            // QRY-019
            Some("private") => return Err(malformed("`visibility` is private, which needs `private=true`")),
            Some(_) => return Err(malformed("`visibility` is not one of open, private, visible, full")),
        }
        // QRY-022
        let newest = u64::from(self.version.number() % 100);
        let version = match self.parameter("version") {
            None => None,
            Some(text) => {
                let checked = rules.version_is_checked.kept();
                let contract = u64::from(self.version.number());
                let is_contract = |number: u64| {
                    ContractVersion::of(number).is_some()
                        && number <= contract
                        && rules.query_contract == QueryContract::Accepted
                };
                let number =
                    decimal(&text).filter(|number| (1..=newest).contains(number) || is_contract(*number) || !checked);
                Some(number.ok_or_else(|| malformed(&format!("`version` is not a number from 1 to {newest}")))?)
            }
        };
        // QRY-023
        let take = match self.parameter("take") {
            None => MOST_RESULTS,
            Some(text) => {
                let number = decimal(&text).and_then(|number| usize::try_from(number).ok());
                let number = if rules.take_is_checked.kept() {
                    let least = usize::from(rules.take_nothing == TakeNothing::Refused);
                    number.filter(|number| (least..=MOST_RESULTS).contains(number))
                } else {
                    Some(number.unwrap_or(MOST_RESULTS).min(MOST_RESULTS))
                };
                number.ok_or_else(|| malformed(&format!("`take` is not a number from 0 to {MOST_RESULTS}")))?
            }
        };
        Ok(Query {
            scid,
            template: template.filter(|_| rules.template_narrows_queries.kept()),
            keyword: self.parameter("keyword").filter(|keyword| !keyword.is_empty()),
            private,
            reservations: self.flag("reservations")?,
            inactive: self.flag("inactive")?,
            visibility,
            version: version.filter(|_| rules.document_version == DocumentVersion::Document),
            take,
            rules,
        })
    }

    /// Private sessions and reservations are for the user itself and for services to see (QRY-011 to QRY-015).
    fn check_insight(&self, query: &Query<'_>, xuids: &[u64]) -> Result<(), Failure> {
        let rules = query.rules;
        let is_own = |xuid: &u64| self.speaker() == Some(*xuid);
        let is_allowed = match xuids {
            _ if self.manages() => rules.servers_may_ask.kept(),
            [] => !rules.private_by_keyword_is_refused.kept(),
            [xuid] if is_own(xuid) => rules.own_private_may_be_asked.kept(),
            [_] => !rules.others_private_is_refused.kept(),
            xuids if rules.batch_is_refused_as_a_whole.kept() => xuids.iter().all(is_own),
            xuids => xuids.iter().any(is_own),
        };
        let all_own = xuids.iter().all(is_own) || self.manages();
        if query.inactive && !rules.inactive_needs_no_right.kept() && !all_own {
            return Err(Failure::Forbidden(
                "`inactive` can be requested only by the user.".to_owned(),
            ));
        }
        if (query.private || query.reservations) && !is_allowed {
            let message =
                "`private` and `reservations` can be requested only by the user they are about, or by a service.";
            return Err(Failure::Forbidden(message.to_owned()));
        }
        Ok(())
    }

    /// The sessions of a user.
    fn find_of(&self, xuid: u64, query: &Query<'_>, results: &mut Vec<Value>) {
        let page = |part: &Part<'_>| self.edge.store.sessions_of(xuid, part);
        self.find(page, query, results, true, |session| {
            let member = session.member(xuid)?;
            let rules = query.rules;
            if session.has_capability(Capability::Large) && !rules.large_sessions_are_found.kept() {
                return None;
            }
            let any = !rules.only_active_is_found.kept();
            let inactive = any || query.inactive && rules.inactive_is_found_when_asked.kept();
            let reserved = any || query.reservations && rules.reserved_is_found_when_asked.kept();
            let status = match member.status {
                Status::Active => "active",
                Status::Ready if !rules.ready_is_listed_as_inactive.kept() => "active",
                Status::Reserved if reserved => "reserved",
                // QRY-007
                Status::Ready | Status::Inactive if inactive => "inactive",
                Status::Reserved | Status::Ready | Status::Inactive => return None,
            };
            let mut found = Map::new();
            found.insert("xuid".to_owned(), json!(xuid.to_string()));
            if rules.status_is_told.kept() {
                found.insert("status".to_owned(), json!(status));
            }
            if member.in_turn && rules.turn_is_told.kept() {
                found.insert("myTurn".to_owned(), json!(true));
            }
            Some(found)
        });
    }

    fn find_about(&self, keyword: &str, query: &Query<'_>, results: &mut Vec<Value>) {
        let page = |part: &Part<'_>| self.edge.store.sessions_about(keyword, part);
        self.find(page, query, results, false, |_| {
            let mut found = Map::new();
            if !query.rules.xuid_only_if_asked.kept() {
                found.insert(
                    "xuid".to_owned(),
                    json!(self.caller.xuid().map(|xuid| xuid.to_string())),
                );
            }
            Some(found)
        });
    }

    /// Adds those sessions that the query matches, timers applied (QRY-045). `page` gives the candidates part by part;
    /// `select` may leave a session out, and says what the result tells of the user.
    fn find(
        &self,
        page: impl Fn(&Part<'_>) -> (Vec<SessionKey>, Option<Place>),
        query: &Query<'_>,
        results: &mut Vec<Value>,
        asks_of_user: bool,
        select: impl Fn(&Session) -> Option<Map<String, Value>>,
    ) {
        let mut after = None;
        loop {
            let (candidates, end) = page(&Part {
                scid: query.scid,
                template_name: query.template,
                after,
                most: PAGE,
            });
            for key in &candidates {
                if results.len() >= query.take {
                    return;
                }
                let found = self.edge.store.read(key, self.moment(), |live| {
                    let session = live.session();
                    query
                        .matches(session, asks_of_user)
                        .then(|| select(session))?
                        .map(|about| item(session, about, query.rules))
                });
                results.extend(found.flatten());
            }
            if end.is_none() {
                return;
            }
            after = end;
        }
    }

    /// POST /handles/query
    pub(super) fn query_handles(&self, body: &Value) -> Result<Response, Failure> {
        let malformed = |what: &str| Failure::Malformed(format!("{what}."));
        match body.get("type").and_then(Value::as_str) {
            Some("activity") => {}
            Some("search") => return self.query_search(body),
            _ => return Err(malformed("`type` is neither `activity` nor `search`")),
        }
        let provisions = &self.edge.provisions;
        let rules = self.rules();
        let scids: Vec<&str> = match body.get("scid") {
            None | Some(Value::Null) if !rules.activity_scid_is_optional.kept() => {
                return Err(malformed("`scid` is missing"));
            }
            None | Some(Value::Null) => provisions
                .service_configs(self.caller)
                .map(|config| config.scid.as_str())
                .collect(),
            Some(Value::String(scid)) => vec![&provisions.service_config(scid, self.caller)?.scid],
            Some(_) => return Err(malformed("`scid` is not a string")),
        };
        let owners = body.get("owners").and_then(Value::as_object);
        let owners = owners.ok_or_else(|| malformed("`owners` is missing or no object"))?;
        let xuids = match (owners.get("xuids"), owners.get("people")) {
            (Some(xuids), people) if people.is_none() || !rules.one_kind_of_owners.kept() => self
                .xuids(xuids)
                .ok_or_else(|| malformed("`owners.xuids` is not a list of decimal strings"))?,
            (None, Some(people)) => self.people(people, "owners")?,
            // HDL-QRY-006, HDL-QRY-007
            _ => return Err(malformed("`owners` has not exactly one of `xuids` and `people`")),
        };
        let include = Include::parse(&self.parameter("include").unwrap_or_default());
        let mut seen = BTreeSet::new();
        let mut results = Vec::new();
        let asked = if rules.owners_are_all_asked.kept() {
            usize::MAX
        } else {
            1
        };
        for xuid in xuids.into_iter().take(asked).filter(|xuid| seen.insert(*xuid)) {
            for scid in &scids {
                if results.len() >= MOST_RESULTS {
                    break;
                }
                let found = self.edge.store.handles().activity(xuid, scid);
                // Timers may end the activity while it is described.
                let described = found.and_then(|handle| Some((handle.id, self.described(&handle, include)?)));
                let current = described.filter(|(id, _)| self.edge.store.handles().get(*id, self.now).is_some());
                results.extend(current.map(|(_, document)| Value::Object(document)));
            }
        }
        if results.is_empty() && !rules.no_activities_are_a_list.kept() {
            return Ok(answer::empty(StatusCode::NO_CONTENT));
        }
        Ok(answer::results(&results, self.rules()))
    }

    /// A list of xuids; `None` if it is none.
    fn xuids(&self, list: &Value) -> Option<Vec<u64>> {
        let xuids = list.as_array()?.iter();
        xuids.map(|xuid| read_xuid(xuid, &self.edge.provisions.rules)).collect()
    }

    /// The social group that `people` names (HDL-QRY-004), in the order of xuids. `whose` is the member that it is in.
    pub(super) fn people(&self, people: &Value, whose: &str) -> Result<Vec<u64>, Failure> {
        let malformed = |what: &str| Failure::Malformed(format!("`{whose}.people.{what}."));
        let who = people.get("monikerXuid");
        let who = who.and_then(|xuid| read_xuid(xuid, &self.edge.provisions.rules));
        let who = who.ok_or_else(|| malformed("monikerXuid` is missing or no decimal string"))?;
        let social = &self.edge.provisions.social;
        let moniker = people.get("moniker").and_then(Value::as_str).unwrap_or_default();
        let relation = match moniker.to_ascii_lowercase().as_str() {
            "favorites" if self.rules().favorites_are_fewer.kept() => &social.favorites,
            "people" | "favorites" => &social.follows,
            "friends" if self.rules().friends == Friends::People => &social.follows,
            _ => return Err(malformed("moniker` is neither `people` nor `favorites`")),
        };
        let mut xuids: Vec<_> = relation
            .iter()
            .filter(|(one, _)| *one == who)
            .map(|(_, other)| *other)
            .collect();
        xuids.sort_unstable();
        Ok(xuids)
    }
}

impl Query<'_> {
    /// QRY-017
    fn check_widening(&self, asks_of_users: bool) -> Result<(), Failure> {
        if asks_of_users || !(self.reservations || self.inactive) {
            return Ok(());
        }
        let message = "`reservations` and `inactive` need a user whose sessions to find.";
        Err(Failure::Malformed(message.to_owned()))
    }

    /// Whether the session is one to be found, of a user or not.
    fn matches(&self, session: &Session, asks_of_user: bool) -> bool {
        let rules = self.rules;
        let same = |one: &str, other: &str| folded(one) == folded(other);
        let same_keyword = |one: &str, other: &str| {
            if rules.keywords_ignore_case.kept() {
                same(one, other)
            } else {
                one == other
            }
        };
        let sees_private =
            self.private && rules.private_is_found_when_asked.kept() || !rules.private_is_not_found.kept();
        same(&session.at().scid, self.scid)
            && self
                .template
                .is_none_or(|template| same(&session.at().template_name, template))
            && self
                .keyword
                .as_ref()
                .filter(|_| !asks_of_user || rules.keyword_narrows_users.kept())
                .is_none_or(|keyword| session.keywords().iter().any(|other| same_keyword(keyword, other)))
            && (sees_private || session.visibility() != Visibility::Private)
            && self
                .visibility
                .as_ref()
                .is_none_or(|visibility| visibility == effective_visibility(session, rules.visibility_is_effective))
            && self.version.is_none_or(|version| session.major_version() <= version)
    }
}

fn none_found() -> Response {
    answer::document(StatusCode::OK, &json!({ "results": [] }))
}

/// One result (QRY-026 to QRY-033).
fn item(session: &Session, about: Map<String, Value>, rules: &Rules) -> Value {
    let mut item = Map::new();
    let visibility = effective_visibility(session, rules.results_show_full);
    item.insert("sessionRef".to_owned(), session.at().to_json());
    if rules.start_time_is_told.kept() {
        item.insert("startTime".to_owned(), json!(time_text(session.start_time())));
    }
    item.extend(about);
    item.insert("visibility".to_owned(), json!(visibility));
    // QRY-030
    let is_restricted = session.visibility() == Visibility::Open && session.join_restriction() != Restriction::None;
    if is_restricted || !rules.restriction_only_if_set.kept() {
        item.insert("joinRestriction".to_owned(), json!(session.join_restriction().name()));
    }
    if !session.keywords().is_empty() && rules.keywords_are_told.kept() {
        item.insert("keywords".to_owned(), json!(session.keywords()));
    }
    item.insert("accepted".to_owned(), json!(session.accepted()));
    Value::Object(item)
}
