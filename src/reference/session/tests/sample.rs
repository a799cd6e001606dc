//! What the tests of the session have in common: people, a template, and a session to write to.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::principal::{Principal, PrincipalKind, User};
use crate::rules::Rules;
use crate::session::{
    Access, Connections, ContractVersion, Former, Grant, Outcome, Refusal, RefusalKind, Session, Template,
};
use crate::session_ref::{SessionKey, SessionRef};
use crate::social::Social;

/// Real-time connections as a test wants them: owner, and when it was lost. The highest of all GUIDs has no room.
#[derive(Debug, Default)]
pub(in crate::session) struct Sockets(pub(in crate::session) HashMap<Uuid, (u64, Option<Timestamp>)>);

impl Connections for Sockets {
    fn owner(&self, connection: Uuid) -> Option<u64> {
        self.0.get(&connection).map(|(owner, _)| *owner)
    }

    fn lost_at(&self, connection: Uuid) -> Option<Timestamp> {
        self.0.get(&connection).and_then(|(_, lost)| *lost)
    }

    fn has_room(&self, connection: Uuid, _: &SessionKey) -> bool {
        !connection.is_max()
    }
}

/// A stage with one session, which the test writes to as different callers.
#[derive(Debug)]
pub(in crate::session) struct Stage {
    pub(in crate::session) template: Template,
    pub(in crate::session) name: String,
    pub(in crate::session) version: ContractVersion,
    pub(in crate::session) acting: Vec<User>,
    pub(in crate::session) denies_manage: bool,
    pub(in crate::session) now: Timestamp,
    pub(in crate::session) grant: Grant,
    pub(in crate::session) rules: Rules,
    pub(in crate::session) social: Social,
    pub(in crate::session) sockets: Sockets,
    pub(in crate::session) session: Option<Session>,
}

/// A user of a device of its own.
pub(in crate::session) fn user(xuid: u64) -> Principal {
    let user = User {
        xuid,
        gamertag: Some(format!("Gamer{xuid}")),
        device_id: Some(format!("device-{xuid}")),
        may_play_multiplayer: true,
        has_title_identity: true,
    };
    Principal {
        name: format!("user {xuid}"),
        title_id: 1234,
        kind: PrincipalKind::User(user),
    }
}

/// A user with something changed about it.
pub(in crate::session) fn user_with(xuid: u64, change: impl FnOnce(&mut User)) -> Principal {
    let mut principal = user(xuid);
    if let PrincipalKind::User(user) = &mut principal.kind {
        change(user);
    }
    principal
}

/// The users that a service names, with the multiplayer privilege.
pub(in crate::session) fn acting(xuids: &[u64]) -> Vec<User> {
    let named = |xuid: &u64| User {
        xuid: *xuid,
        gamertag: None,
        device_id: None,
        may_play_multiplayer: true,
        has_title_identity: true,
    };
    xuids.iter().map(named).collect()
}

pub(in crate::session) fn server() -> Principal {
    Principal {
        name: "server".to_owned(),
        title_id: 1234,
        kind: PrincipalKind::Server {
            has_runtime_access: true,
        },
    }
}

impl Stage {
    /// A stage whose template (107) has these system constants.
    pub(in crate::session) fn new(system: Value) -> Self {
        Self {
            template: Template {
                name: "template".to_owned(),
                contract_version: ContractVersion::V107,
                constants: json!({ "system": system }),
                role_types: Value::Null,
            },
            name: "session".to_owned(),
            version: ContractVersion::V107,
            acting: Vec::new(),
            denies_manage: false,
            now: "2026-01-02T03:04:05.6789Z".parse().expect("a time"),
            grant: Grant::None,
            rules: Rules::default(),
            social: Social::default(),
            sockets: Sockets::default(),
            session: None,
        }
    }

    /// A stage whose members stay when they are inactive, with alice (1), active, in its session.
    pub(in crate::session) fn with_alice(system: Value) -> Self {
        let mut system = system;
        if system.get("inactiveRemovalTimeout").is_none() {
            system["inactiveRemovalTimeout"] = Value::Null;
        }
        let mut stage = Self::new(system);
        stage.put(&user(1), active()).expect("alice creates the session");
        stage
    }

    pub(in crate::session) fn access<'a>(&'a self, caller: &'a Principal) -> Access<'a> {
        Access {
            caller,
            acting: &self.acting,
            denies_manage: self.denies_manage,
            version: self.version,
            now: self.now,
            grant: self.grant,
            rules: &self.rules,
            social: &self.social,
            connections: &self.sockets,
        }
    }

    /// Writes to the session, or creates it, and keeps the outcome; says what kind of outcome it was.
    pub(in crate::session) fn put(&mut self, caller: &Principal, body: Value) -> Result<&'static str, Refusal> {
        let outcome = match &self.session {
            None => {
                let at = SessionRef {
                    scid: "scid".to_owned(),
                    template_name: "template".to_owned(),
                    name: self.name.clone(),
                };
                let former = Former {
                    correlation_id: Uuid::nil(),
                };
                Session::create(&at, &self.template, Some(&former), &body, &self.access(caller))?
            }
            Some(session) => session.write(&self.template, &body, &self.access(caller))?,
        };
        Ok(self.keep(outcome))
    }

    /// Keeps an outcome as the session of the stage.
    pub(in crate::session) fn keep(&mut self, outcome: Outcome) -> &'static str {
        match outcome {
            Outcome::Created(session) => {
                self.session = Some(session);
                "created"
            }
            Outcome::Changed(session) => {
                self.session = Some(session);
                "changed"
            }
            Outcome::Unchanged => "unchanged",
            Outcome::Gone => {
                self.session = None;
                "gone"
            }
        }
    }

    /// The kind of refusal of a write, which must not change anything.
    pub(in crate::session) fn refused(&mut self, caller: &Principal, body: Value) -> RefusalKind {
        let before = self.session.as_ref().map(Session::etag);
        let refusal = self.put(caller, body.clone()).expect_err(&body.to_string());
        assert_eq!(self.session.as_ref().map(Session::etag), before);
        refusal.kind
    }

    /// Lets time pass and applies the timers.
    pub(in crate::session) fn after(&mut self, milliseconds: i64) -> &'static str {
        self.now += SignedDuration::from_millis(milliseconds);
        let outcome = self.session().after_timers(self.now, &self.sockets, &self.rules);
        self.keep(outcome)
    }

    pub(in crate::session) fn session(&self) -> &Session {
        self.session.as_ref().expect("there is a session")
    }

    /// The document as alice sees it.
    pub(in crate::session) fn document(&self) -> Value {
        self.document_for(&user(1))
    }

    pub(in crate::session) fn document_for(&self, caller: &Principal) -> Value {
        self.session().to_json(&self.access(caller))
    }
}

/// A body that makes the caller an active member.
pub(in crate::session) fn active() -> Value {
    me_system(json!({ "active": true }))
}

/// A body with member properties of the caller.
pub(in crate::session) fn me_system(system: Value) -> Value {
    json!({ "members": { "me": { "properties": { "system": system } } } })
}

/// A body that makes the caller an inactive member.
pub(in crate::session) fn join() -> Value {
    json!({ "members": { "me": {} } })
}

/// A body with session properties.
pub(in crate::session) fn system(system: Value) -> Value {
    json!({ "properties": { "system": system } })
}

/// A body that reserves places.
pub(in crate::session) fn reserve(xuids: &[u64]) -> Value {
    let members: serde_json::Map<_, _> = (0..)
        .zip(xuids)
        .map(|(number, xuid): (u32, _)| {
            (
                format!("reserve_{number}"),
                json!({ "constants": { "system": { "xuid": xuid.to_string() } } }),
            )
        })
        .collect();
    json!({ "members": members })
}

/// The same body, but the members that it adds are to be initialized.
pub(in crate::session) fn initialize(body: Value) -> Value {
    let mut body = body;
    let members = body["members"].as_object_mut().expect("a body with members");
    for member in members.values_mut() {
        member["constants"]["system"]["initialize"] = json!(true);
    }
    body
}

/// A body that makes the caller an active member and reserves places, all of them to be initialized.
pub(in crate::session) fn initialize_with(xuids: &[u64]) -> Value {
    let mut body = initialize(active());
    let members = body["members"].as_object_mut().expect("members");
    let reserved = initialize(reserve(xuids));
    members.extend(reserved["members"].as_object().cloned().expect("members"));
    body
}
