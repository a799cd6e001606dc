//! The language, the index, and both against a search that is too simple to be wrong.

mod language;
mod laws;
mod results;

use std::cell::Cell;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::rules::AnyNotEqual;
use super::super::session_ref::{SessionKey, SessionRef};
use super::*;

const SCID: &str = "88AA0000-0000-0000-0000-000000000001";
const TEMPLATE: &str = "Quickmatch";

/// A session, told as JSON: `members`, `owners`, `keywords`, `max`, `target`, `scheduled`, `registration`, and `roles`, an
/// object of `type/role` to `[count, max, target]`.
#[derive(Clone, Debug, Default)]
struct Told {
    session: Value,
    keywords: Vec<String>,
}

impl Told {
    fn new(session: Value) -> Self {
        let keywords = session["keywords"].as_array().into_iter().flatten();
        let keywords = keywords.map(|keyword| keyword.as_str().unwrap().to_owned()).collect();
        Self { session, keywords }
    }

    fn xuids(&self, member: &str) -> Vec<u64> {
        self.session[member]
            .as_array()
            .into_iter()
            .flatten()
            .map(|xuid| xuid.as_u64().unwrap())
            .collect()
    }
}

impl SessionFacts for Told {
    fn members_count(&self) -> u64 {
        self.xuids("members").len() as u64
    }

    fn max_members_count(&self) -> u64 {
        self.session["max"].as_u64().unwrap_or(100)
    }

    fn target_members_count(&self) -> Option<u64> {
        self.session["target"].as_u64()
    }

    fn role(&self, role_type: &str, role: &str) -> Option<RoleFacts> {
        let role = self.session["roles"].get(format!("{role_type}/{role}"))?;
        Some(RoleFacts {
            count: role[0].as_u64().unwrap(),
            max: role[1].as_u64(),
            target: role[2].as_u64(),
        })
    }

    fn member_xuids(&self) -> Vec<u64> {
        self.xuids("members")
    }

    fn owner_xuids(&self) -> Vec<u64> {
        self.xuids("owners")
    }

    fn keywords(&self) -> &[String] {
        &self.keywords
    }

    fn scheduled_time(&self) -> Option<Timestamp> {
        self.session["scheduled"].as_str().map(|time| time.parse().unwrap())
    }

    fn title_id(&self) -> Option<u64> {
        self.session["title"].as_u64()
    }

    fn registration_state(&self) -> Option<&str> {
        self.session["registration"].as_str()
    }
}

/// Handles and their sessions, numbered from 0 in the order they were made, a second apart.
#[derive(Default)]
struct World {
    index: SearchIndex,
    sessions: Vec<Option<Told>>,
    /// Whether it can tell the sessions of a user.
    knows_members: bool,
    /// How often a session was looked at.
    asked: Cell<usize>,
}

impl Sessions for World {
    type Facts = Told;

    fn facts(&self, handle: &SearchHandle) -> Option<Told> {
        self.asked.set(self.asked.get() + 1);
        self.sessions[number(handle)].clone()
    }

    fn of_member(&self, xuid: u64) -> Option<Vec<SessionKey>> {
        let sessions = self.sessions.iter().enumerate();
        let with = sessions.filter(|(_, told)| told.as_ref().is_some_and(|told| told.member_xuids().contains(&xuid)));
        self.knows_members
            .then(|| with.map(|(number, _)| session(number).key()).collect())
    }
}

fn number(handle: &SearchHandle) -> usize {
    handle.session().name.parse().unwrap()
}

fn session(number: usize) -> SessionRef {
    SessionRef {
        scid: SCID.to_owned(),
        template_name: TEMPLATE.to_owned(),
        name: number.to_string(),
    }
}

fn handle(number: usize, attributes: &Value) -> SearchHandle {
    let id = Uuid::from_u128(number as u128 + 1);
    let created = Timestamp::from_second(1_700_000_000 + i64::try_from(number).unwrap()).unwrap();
    SearchHandle::new(
        id,
        session(number),
        created,
        SearchAttributes::parse(attributes).unwrap(),
    )
}

impl World {
    fn add(&mut self, attributes: &Value, session: Value) -> Uuid {
        let handle = handle(self.sessions.len(), attributes);
        let id = handle.id();
        assert!(self.index.insert(&Arc::new(handle)).is_none());
        self.sessions.push(Some(Told::new(session)));
        id
    }

    fn ask(&self, filter: Option<&str>, order: Option<&str>, any_not_equal: AnyNotEqual) -> Vec<usize> {
        let filter = filter.map(|text| Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")));
        let order = order.map(|text| Order::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")));
        let query = Query {
            places: &[(SCID, TEMPLATE)],
            filter: filter.as_ref(),
            order: order.as_ref(),
            among: None,
            any_not_equal,
        };
        self.index
            .query(&query, self)
            .iter()
            .map(|handle| number(handle))
            .collect()
    }

    fn find(&self, filter: &str) -> Vec<usize> {
        self.ask(Some(filter), None, AnyNotEqual::None)
    }

    fn ordered(&self, order: &str) -> Vec<usize> {
        self.ask(None, Some(order), AnyNotEqual::None)
    }
}

/// A world of handles with these attributes, and sessions of one member.
fn world(attributes: &[Value]) -> World {
    let mut world = World::default();
    for attributes in attributes {
        world.add(attributes, json!({ "members": [1] }));
    }
    world
}
