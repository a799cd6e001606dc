//! What a service does to sessions on behalf of users.

use serde_json::{Value, json};

use super::sample::{Stage, acting, active, join, reserve, server, system, user};
use crate::session::RefusalKind;

/// A stage with alice (1) in its session, to which a service comes that acts for these users.
fn visited(constants: Value, xuids: &[u64]) -> Stage {
    let mut stage = Stage::with_alice(constants);
    stage.acting = acting(xuids);
    stage
}

fn members(key: &str, member: &Value) -> Value {
    json!({ "members": { key: member } })
}

fn xuids(stage: &Stage) -> Vec<u64> {
    stage.session().members().map(|member| member.xuid).collect()
}

#[test]
fn a_service_that_acts_for_one_user_writes_its_me() {
    let mut stage = visited(json!({}), &[2]);
    stage.put(&server(), active()).unwrap();
    assert_eq!(xuids(&stage), [1, 2]);
    let member = stage.document()["members"]["1"].clone();
    assert_eq!(member["activeTitleId"], "1234");
    assert_eq!(member["constants"]["system"]["xuid"], "2");
    for key in ["me", "me_2", "me_all", "me_allInSession"] {
        let custom = json!({ "properties": { "custom": { "by": key } } });
        assert_eq!(stage.put(&server(), members(key, &custom)), Ok("changed"), "{key}");
        assert_eq!(stage.document()["members"]["1"]["properties"]["custom"]["by"], key);
    }
    let element = stage.session().element(&["members", "me"], &stage.access(&server()));
    assert_eq!(element.unwrap()["constants"]["system"]["index"], 1);
}

#[test]
fn a_service_that_acts_for_several_users_names_them() {
    let mut stage = visited(json!({}), &[3, 2]);
    assert_eq!(stage.refused(&server(), join()), RefusalKind::Malformed);
    assert_eq!(
        stage.refused(&server(), members("me_4", &json!({}))),
        RefusalKind::Forbidden
    );
    stage.put(&server(), members("me_2", &json!({}))).unwrap();
    assert_eq!(xuids(&stage), [1, 2]);
    stage.put(&server(), members("me_all", &json!({}))).unwrap();
    assert_eq!(xuids(&stage), [1, 2, 3]);
    stage.acting = acting(&[2, 3, 4]);
    let ready = json!({ "properties": { "system": { "ready": true } } });
    stage.put(&server(), members("me_allInSession", &ready)).unwrap();
    assert_eq!(xuids(&stage), [1, 2, 3]);
    assert_eq!(stage.document()["members"]["1"]["properties"]["system"]["ready"], true);
    assert_eq!(stage.document()["members"]["2"]["properties"]["system"]["ready"], true);
    stage.put(&server(), members("me_3", &Value::Null)).unwrap();
    assert_eq!(xuids(&stage), [1, 2]);
    assert_eq!(stage.put(&server(), members("me_all", &Value::Null)), Ok("changed"));
    assert_eq!(xuids(&stage), [1]);
}

#[test]
fn writes_of_one_user_are_applied_in_the_order_of_the_request() {
    let mut stage = visited(json!({}), &[2, 3]);
    let custom = |value: u32| json!({ "properties": { "custom": { "a": value } } });
    stage
        .put(
            &server(),
            json!({ "members": { "me_all": custom(1), "me_3": custom(2) } }),
        )
        .unwrap();
    let document = stage.document();
    assert_eq!(document["members"]["1"]["properties"]["custom"]["a"], 1);
    assert_eq!(document["members"]["2"]["properties"]["custom"]["a"], 2);
}

#[test]
fn only_a_service_names_users_and_only_those_for_whom_it_acts() {
    let mut stage = Stage::with_alice(json!({}));
    for key in ["me_1", "me_all", "me_allInSession"] {
        let body = members(key, &json!({}));
        assert_eq!(stage.refused(&user(1), body.clone()), RefusalKind::Malformed, "{key}");
        assert_eq!(stage.refused(&server(), body), RefusalKind::Forbidden, "{key}");
    }
    assert_eq!(stage.refused(&server(), join()), RefusalKind::Forbidden);
}

#[test]
fn a_service_stands_above_the_rights_of_users_until_it_denies_itself_that() {
    for (constants, closed) in [
        (json!({ "visibility": "private" }), false),
        (json!({ "visibility": "visible" }), false),
        (json!({}), true),
    ] {
        let mut stage = visited(constants, &[2]);
        stage.put(&user(1), system(json!({ "closed": closed }))).unwrap();
        stage.denies_manage = true;
        stage.put(&server(), active()).unwrap_err();
        let readable = stage.document()["constants"]["system"]["visibility"] != "private";
        assert_eq!(stage.session().may_read(&stage.access(&server())).is_ok(), readable);
        stage.denies_manage = false;
        stage.session().may_read(&stage.access(&server())).unwrap();
        stage.put(&server(), active()).unwrap();
        assert_eq!(xuids(&stage), [1, 2]);
        stage.denies_manage = true;
        stage.put(&server(), active()).unwrap();
    }
}

#[test]
fn without_its_own_access_a_service_writes_what_its_user_may_write() {
    let mut stage = visited(json!({ "capabilities": { "hasOwners": true } }), &[2]);
    let closed = || system(json!({ "closed": true }));
    stage.denies_manage = true;
    stage.put(&server(), json!({})).unwrap();
    assert_eq!(xuids(&stage), [1, 2], "a user who writes to an open session joins it");
    stage.refused(&server(), closed());
    stage.acting = acting(&[3]);
    let mut body = members("me_allInSession", &json!({}));
    body["properties"] = json!({ "custom": { "a": 1 } });
    assert_eq!(stage.refused(&server(), body), RefusalKind::Unwritable);
    stage.denies_manage = false;
    stage.put(&server(), closed()).unwrap();
    assert_eq!(xuids(&stage), [1, 2], "a service that manages brings in whom it names");
}

#[test]
fn the_privilege_is_asked_where_the_rights_of_users_are() {
    let mut stage = visited(json!({}), &[2]);
    stage.acting[0].may_play_multiplayer = false;
    stage.denies_manage = true;
    assert_eq!(stage.refused(&server(), join()), RefusalKind::Forbidden);
    stage.denies_manage = false;
    stage.rules.set("SES-CREATE-018", "needed").unwrap();
    assert_eq!(stage.refused(&server(), join()), RefusalKind::Forbidden);
    stage.rules.set("SES-CREATE-018", "overridden").unwrap();
    stage.put(&server(), join()).unwrap();
}

#[test]
fn no_service_makes_room_in_a_full_session() {
    let mut stage = visited(json!({ "maxMembersCount": 2 }), &[2, 3]);
    assert_eq!(
        stage.refused(&server(), members("me_all", &json!({}))),
        RefusalKind::Unwritable
    );
}

#[test]
fn the_users_for_whom_a_session_is_created_own_it_and_initiators_are_not_asked() {
    let mut stage = Stage::new(json!({ "capabilities": { "hasOwners": true }, "initiators": ["9"] }));
    stage.acting = acting(&[2, 3]);
    stage.denies_manage = true;
    assert_eq!(
        stage.refused(&server(), members("me_all", &json!({}))),
        RefusalKind::Forbidden
    );
    stage.denies_manage = false;
    assert_eq!(stage.put(&server(), members("me_all", &json!({}))), Ok("created"));
    assert_eq!(stage.session().properties.system.owners, [0, 1]);
}

#[test]
fn a_service_reserves_when_it_creates_the_session_and_not_while_members_come() {
    let mut stage = Stage::new(json!({}));
    stage.acting = acting(&[2, 3]);
    let mut mixed = reserve(&[3]);
    mixed["members"]["me_2"] = json!({});
    assert_eq!(stage.refused(&server(), mixed), RefusalKind::Malformed);
    stage.put(&server(), reserve(&[2, 3])).unwrap();
    assert_eq!(stage.session().accepted(), 0);
    assert_eq!(stage.refused(&server(), reserve(&[4])), RefusalKind::Forbidden);
    stage.put(&server(), members("me_2", &json!({}))).unwrap();
    assert_eq!(stage.session().accepted(), 1);
}

#[test]
fn a_large_session_is_accessed_for_one_user_and_shows_that_one() {
    let mut stage = visited(json!({ "capabilities": { "large": true } }), &[2]);
    stage.put(&server(), active()).unwrap();
    let document = stage.document_for(&server());
    assert_eq!(document["members"]["me"]["constants"]["system"]["xuid"], "2");
    assert_eq!(document["members"].as_object().unwrap().len(), 1);
    stage.acting = acting(&[2, 3]);
    assert_eq!(
        stage.refused(&server(), members("me_all", &json!({}))),
        RefusalKind::Conflict
    );
    assert_eq!(stage.refused(&server(), json!({})), RefusalKind::Conflict);
    assert!(stage.session().may_read(&stage.access(&server())).is_err());
    stage.acting.clear();
    assert_eq!(stage.document_for(&server())["members"], json!({}));
}

#[test]
fn what_the_own_token_told_of_a_user_outlives_the_writes_of_a_service() {
    let mut stage = visited(json!({}), &[1]);
    stage
        .put(
            &server(),
            members("me", &json!({ "properties": { "custom": { "a": 1 } } })),
        )
        .unwrap();
    assert_eq!(stage.document()["members"]["0"]["gamertag"], "Gamer1");
}
