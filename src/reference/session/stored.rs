//! The form in which a session outlives the process: everything of it, as one JSON value.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::field::At;
use super::model::{
    Constants, ContractVersion, Initialization, InitializationFailure, Member, MemberConstants, MemberSystem, Members,
    Properties, RoleTypes, Servers, Session, Stage, Status, SystemProperties,
};
use super::refusal::Refusal;
use super::render::{MemberSystemView, SystemView};
use super::{roles, servers};
use crate::json;
use crate::rules::Rules;
use crate::session_ref::SessionRef;

impl Session {
    /// The whole state of the session; [`from_stored`](Self::from_stored) makes the same session of it.
    pub(crate) fn to_stored(&self) -> Value {
        let system = SystemView {
            session: self,
            system: &self.properties.system,
            version: ContractVersion::V107,
        };
        let servers: Map<String, Value> = self
            .servers
            .iter()
            .map(|(name, server)| (name.clone(), server.to_json()))
            .collect();
        json!({
            "session": self.at.to_json(),
            "branch": self.branch.to_string(),
            "state": self.state.to_string(),
            "changeNumber": self.change_number,
            "correlationId": self.correlation_id.to_string(),
            "startTime": self.start_time.to_string(),
            "initialization": {
                "stage": self.initialization.stage.name(),
                "stageStart": self.initialization.stage_start.to_string(),
                "episode": self.initialization.episode,
                "hostCandidates": *self.initialization.host_candidates,
            },
            "emptySince": self.empty_since.map(|time| time.to_string()),
            "searchHandle": self.search_handle.map(|handle| handle.to_string()),
            "constants": { "system": self.constants.system, "custom": self.constants.custom },
            "properties": {
                "system": json::value(&system),
                "custom": *self.properties.custom,
            },
            "roleTypes": roles::settings_to_json(&self.role_types),
            "servers": servers,
            "members": self.members.iter().map(member_to_stored).collect::<Vec<_>>(),
            "next": self.members.next(),
            "left": self.members.left().collect::<Vec<_>>(),
        })
    }

    /// The session that [`to_stored`](Self::to_stored) described; refused if the value is anything else.
    pub(crate) fn from_stored(stored: &Value, rules: &Rules) -> Result<Self, Refusal> {
        let at = At::ROOT;
        let constants = Constants::restore(
            at.then("constants").object(get(get(stored, "constants"), "system"))?,
            get(get(stored, "constants"), "custom").clone(),
            rules,
        )?;
        let place = at.then("session");
        let text = |name| {
            place
                .then(name)
                .text(get(get(stored, "session"), name))
                .map(str::to_owned)
        };
        let role_types: RoleTypes =
            roles::create(&Value::Null, get(stored, "roleTypes").as_object(), &constants, rules)?;

        let mut system = SystemProperties::default();
        let fields = get(get(stored, "properties"), "system");
        for (field, value) in at.then("properties").object(fields)? {
            let at = at.then(field);
            system.write(field, value, &constants, &|_| true, rules, &at)?;
        }

        let mut servers = Servers::new();
        servers::merge(&mut servers, at.then("servers").object(get(stored, "servers"))?, rules)?;

        let next = at.then("next").index(get(stored, "next"))?;
        let left: BTreeSet<u64> = at
            .then("left")
            .each(get(stored, "left"), |at, xuid| at.integer(xuid, 0..=u64::MAX))?
            .into_iter()
            .collect();
        let list = at.then("members").each(get(stored, "members"), |at, member| {
            member_from_stored(member, &constants, next, rules, at)
        })?;

        Ok(Self {
            at: Arc::new(SessionRef {
                scid: text("scid")?,
                template_name: text("templateName")?,
                name: text("name")?,
            }),
            branch: at.then("branch").guid(get(stored, "branch"))?,
            state: at.then("state").guid(get(stored, "state"))?,
            change_number: at
                .then("changeNumber")
                .integer(get(stored, "changeNumber"), 0..=u64::MAX)?,
            correlation_id: at.then("correlationId").guid(get(stored, "correlationId"))?,
            start_time: time(get(stored, "startTime"), &at.then("startTime"))?,
            empty_since: optional(get(stored, "emptySince"), |value| time(value, &at.then("emptySince")))?,
            search_handle: optional(get(stored, "searchHandle"), |value| at.then("searchHandle").guid(value))?,
            constants: Arc::new(constants),
            properties: Properties {
                system: Arc::new(system),
                custom: Arc::new(get(get(stored, "properties"), "custom").clone()),
            },
            members: Arc::new(Members::restore(list, next, left)),
            servers: Arc::new(servers),
            role_types: Arc::new(role_types),
            initialization: initialization_from_stored(
                get(stored, "initialization"),
                rules,
                &at.then("initialization"),
            )?,
        })
    }
}

fn initialization_from_stored(stored: &Value, rules: &Rules, at: &At<'_>) -> Result<Initialization, Refusal> {
    Ok(Initialization {
        stage: at.then("stage").choice(get(stored, "stage"), Stage::ALL, rules)?,
        stage_start: time(get(stored, "stageStart"), &at.then("stageStart"))?,
        episode: at.then("episode").index(get(stored, "episode"))?,
        host_candidates: at.then("hostCandidates").texts(get(stored, "hostCandidates"))?.into(),
    })
}

fn member_to_stored(member: &Member) -> Value {
    json!({
        "index": member.index,
        "xuid": member.xuid,
        "initialize": member.constants.initialize,
        "team": member.constants.team,
        "matchmakingResult": member.constants.matchmaking_result,
        "constants": member.constants.custom,
        "status": member.status.name(),
        "since": member.since.to_string(),
        "joinTime": member.join_time.to_string(),
        "gamertag": member.gamertag,
        "deviceId": member.device_id,
        "titleId": member.title_id,
        "system": json::value(&MemberSystemView(member)),
        "custom": *member.custom,
        "roles": member.roles,
        "activity": member.activity.map(|handle| handle.to_string()),
        "episode": member.episode,
        "failure": member.failure.map(InitializationFailure::name),
    })
}

fn member_from_stored(
    stored: &Value,
    constants: &Constants,
    next: u32,
    rules: &Rules,
    at: &At<'_>,
) -> Result<Member, Refusal> {
    let text = |name: &str| optional(get(stored, name), |value| at.then(name).text(value).map(str::to_owned));
    let device_id = text("deviceId")?;
    let mut system = MemberSystem::default();
    for (field, value) in at.then("system").object(get(stored, "system"))? {
        if field != "active" && field != "ready" {
            system.write(
                field,
                value,
                constants,
                device_id.as_deref(),
                next,
                rules,
                &at.then(field),
            )?;
        }
    }
    let mut member_roles = BTreeMap::new();
    for (role_type, role) in at.then("roles").object(get(stored, "roles"))? {
        member_roles.insert(role_type.clone(), at.then("roles").text(role)?.to_owned());
    }
    let title = at.then("titleId").index(get(stored, "titleId"))?;
    Ok(Member {
        index: at.then("index").index(get(stored, "index"))?,
        xuid: at.then("xuid").integer(get(stored, "xuid"), 0..=u64::MAX)?,
        constants: Arc::new(MemberConstants {
            initialize: get(stored, "initialize") == &Value::Bool(true),
            team: text("team")?,
            matchmaking_result: Some(get(stored, "matchmakingResult").clone()).filter(|value| !value.is_null()),
            custom: get(stored, "constants").clone(),
        }),
        status: at.then("status").choice(get(stored, "status"), Status::ALL, rules)?,
        since: time(get(stored, "since"), &at.then("since"))?,
        join_time: time(get(stored, "joinTime"), &at.then("joinTime"))?,
        gamertag: text("gamertag")?,
        device_id,
        title_id: title,
        system: Arc::new(system),
        custom: Arc::new(get(stored, "custom").clone()),
        roles: member_roles,
        activity: optional(get(stored, "activity"), |value| at.then("activity").guid(value))?,
        episode: optional(get(stored, "episode"), |value| at.then("episode").index(value))?,
        failure: optional(get(stored, "failure"), |value| {
            at.then("failure").choice(value, InitializationFailure::ALL, rules)
        })?,
    })
}

/// A member of an object; null if it is missing.
fn get<'v>(value: &'v Value, key: &str) -> &'v Value {
    value.get(key).unwrap_or(&Value::Null)
}

fn optional<T>(value: &Value, read: impl FnOnce(&Value) -> Result<T, Refusal>) -> Result<Option<T>, Refusal> {
    if value.is_null() {
        Ok(None)
    } else {
        read(value).map(Some)
    }
}

fn time(value: &Value, at: &At<'_>) -> Result<Timestamp, Refusal> {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| at.wrong(value, "a time"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::tests::sample::{Stage, active, join, me_system, reserve, server, system, user};
    use super::*;

    fn rich() -> Stage {
        let mut stage = Stage::new(json!({
            "capabilities": { "connectivity": true, "hasOwners": true }, "inactiveRemovalTimeout": 1000,
            "sessionEmptyTimeout": null, "metrics": { "latency": true },
            "memberInitialization": { "membersNeededToStart": 0 },
        }));
        let mut body = active();
        body["constants"] = json!({ "custom": { "rules": [1, null] } });
        body["roleTypes"] = json!({ "class": { "mutableRoleSettings": ["max"], "roles": { "healer": { "max": 1 } } } });
        body["members"]["me"]["roles"] = json!({ "class": "healer" });
        body["members"]["me"]["properties"]["system"]["secureDeviceAddress"] = json!("AQID");
        body["members"]["me"]["properties"]["custom"] = json!({ "n": u64::MAX });
        stage.put(&user(1), body).unwrap();
        stage.put(&user(2), join()).unwrap();
        stage
            .put(
                &user(3),
                me_system(json!({ "ready": true, "measurements": { "aa": { "latency": 1.5 } } })),
            )
            .unwrap();
        stage.put(&user(3), json!({ "members": { "me": null } })).unwrap();
        stage.put(&user(1), reserve(&[4])).unwrap();
        stage
            .put(
                &user(1),
                system(json!({ "turn": [1], "closed": true, "locked": true, "keywords": ["A"] })),
            )
            .unwrap();
        stage
            .put(
                &server(),
                json!({ "servers": { "game": { "constants": { "custom": 5 } } } }),
            )
            .unwrap();
        let (session, _) = stage
            .session()
            .bind_activity(Uuid::new_v4(), &stage.access(&user(1)))
            .unwrap();
        stage.session = Some(session);
        stage
    }

    #[test]
    fn a_stored_session_comes_back_as_it_was() {
        let mut stage = rich();
        let stored = stage.session().to_stored();
        let text = stored.to_string();
        let back = Session::from_stored(&serde_json::from_str(&text).unwrap(), &stage.rules).unwrap();
        assert_eq!(back.to_stored(), stored);
        assert_eq!(back.etag(), stage.session().etag());
        assert_eq!(back.next_timer(), stage.session().next_timer());
        assert_eq!(
            back.bound_activities().collect::<Vec<_>>(),
            stage.session().bound_activities().collect::<Vec<_>>()
        );
        for version in [ContractVersion::V105, ContractVersion::V107] {
            stage.version = version;
            assert_eq!(back.to_json(&stage.access(&user(1))), stage.document());
        }
        stage.version = ContractVersion::V107;
        stage.session = Some(back);
        stage
            .put(&user(3), join())
            .expect("who left a locked session may come back");
        assert_eq!(stage.session().members.next(), 5);
    }

    #[test]
    fn what_is_no_stored_session_is_refused() {
        assert!(Session::from_stored(&json!({}), &Rules::default()).is_err());
        let mut stored = rich().session().to_stored();
        stored["members"][0]["since"] = json!("yesterday");
        let refusal = Session::from_stored(&stored, &Rules::default()).unwrap_err();
        assert_eq!(
            refusal.message,
            "/members/0/since: found \"yesterday\", expected a time"
        );
    }
}
