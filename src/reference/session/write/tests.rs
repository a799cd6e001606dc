use serde_json::{Value, json};
use uuid::Uuid;

use super::super::model::Status;
use super::super::tests::sample::{Stage, active, join, me_system, reserve, server, system, user};
use super::super::{ContractVersion, RefusalKind};

fn leave() -> Value {
    json!({ "members": { "me": null } })
}

#[test]
fn a_new_session_has_its_creator_as_first_member() {
    let mut stage = Stage::new(json!({}));
    assert_eq!(stage.put(&user(1), active()), Ok("created"));
    let document = stage.document();
    assert_eq!(document["changeNumber"], 1);
    assert_eq!(document["correlationId"], Uuid::nil().to_string());
    assert_eq!(
        document["membersInfo"],
        json!({ "first": 0, "next": 1, "count": 1, "accepted": 1, "active": 1 })
    );
    assert_eq!(
        document["members"]["0"],
        json!({
            "next": 1, "joinTime": "2026-01-02T03:04:05.6789000Z", "gamertag": "Gamer1", "activeTitleId": "1234",
            "constants": { "system": { "xuid": "1", "index": 0 }, "custom": {} },
            "properties": { "system": { "active": true }, "custom": {} },
        })
    );
    assert_eq!(
        document["properties"],
        json!({ "system": { "turn": [] }, "custom": {} })
    );
    assert_eq!(document["servers"], json!({}));
}

#[test]
fn a_session_that_would_be_empty_is_not_created_unless_it_may_be_empty() {
    let mut stage = Stage::new(json!({}));
    assert_eq!(stage.put(&user(1), json!({})), Ok("gone"));
    let mut stage = Stage::new(json!({ "sessionEmptyTimeout": 1000 }));
    assert_eq!(stage.put(&user(1), json!({})), Ok("created"));
    assert_eq!(stage.document()["members"], json!({}));
    assert_eq!(stage.document()["membersInfo"]["first"], 0);
}

#[test]
fn a_write_that_changes_nothing_leaves_change_number_and_etag() {
    let mut stage = Stage::with_alice(json!({}));
    stage
        .put(&user(1), json!({ "properties": { "custom": { "map": { "x": 1 } } } }))
        .unwrap();
    let etag = stage.session().etag();
    for body in [
        json!({}),
        json!({ "constants": {}, "properties": {}, "members": {} }),
        active(),
        json!({ "properties": { "custom": { "map": { "x": 1 }, "absent": null } } }),
        me_system(json!({ "encounters": ["somebody"] })),
        json!({ "properties": stage.document()["properties"] }),
    ] {
        assert_eq!(stage.put(&user(1), body.clone()), Ok("unchanged"), "{body}");
    }
    assert_eq!(stage.session().etag(), etag);
    assert_eq!(
        stage.put(&user(1), json!({ "properties": { "custom": { "map": null } } })),
        Ok("changed")
    );
    assert_ne!(stage.session().etag(), etag);
    assert_eq!(stage.session().change_number(), 3);
}

#[test]
fn a_refused_part_refuses_the_whole_write() {
    let mut stage = Stage::with_alice(json!({}));
    let body = json!({
        "properties": { "custom": { "a": 1 }, "system": { "closed": "yes" } },
        "members": { "me": { "properties": { "custom": { "b": 1 } } } },
    });
    assert_eq!(stage.refused(&user(1), body), RefusalKind::Malformed);
    assert_eq!(stage.document()["properties"]["custom"], json!({}));
}

#[test]
fn unknown_keys_are_refused_wherever_they_stand() {
    let mut stage = Stage::with_alice(json!({}));
    for body in [
        json!([]),
        json!({ "changeNumber": 7 }),
        json!({ "properties": { "surprise": {} } }),
        json!({ "properties": { "system": { "surprise": 1 } } }),
        json!({ "members": { "you": {} } }),
        json!({ "members": { "me": { "reserved": true } } }),
        json!({ "members": { "me": [] } }),
        me_system(json!({ "surprise": 1 })),
        json!({ "members": { "me": { "constants": { "system": { "surprise": 1 } } } } }),
        json!({ "members": { "reserve_0": { "constants": { "system": { "xuid": "2" } }, "properties": {} } } }),
    ] {
        assert_eq!(stage.refused(&user(1), body.clone()), RefusalKind::Malformed, "{body}");
    }
}

#[test]
fn indices_are_never_used_twice_and_the_chain_visits_every_member() {
    let mut stage = Stage::with_alice(json!({}));
    for xuid in [2, 3] {
        stage.put(&user(xuid), join()).unwrap();
    }
    stage.put(&user(2), leave()).unwrap();
    stage.put(&user(2), join()).unwrap();
    let document = stage.document();
    let mut visited = Vec::new();
    let mut index = document["membersInfo"]["first"].clone();
    while index != document["membersInfo"]["next"] {
        visited.push(index.to_string());
        index = document["members"][index.to_string()]["next"].clone();
    }
    assert_eq!(visited, ["0", "2", "3"]);
    assert_eq!(index, 4);
}

#[test]
fn reservations_are_numbered_from_zero_and_get_ascending_indices() {
    let mut stage = Stage::with_alice(json!({}));
    let number = |number: &str, xuid: Value| json!({ number: { "constants": { "system": { "xuid": xuid } } } });
    assert_eq!(
        stage.refused(&user(1), json!({ "members": number("reserve_1", json!("2")) })),
        RefusalKind::Malformed
    );
    assert_eq!(
        stage.refused(&user(1), json!({ "members": { "reserve_0": {} } })),
        RefusalKind::Malformed
    );
    let mut swapped = number("reserve_1", json!("3"));
    swapped["reserve_0"] = number("x", json!(2))["x"].clone();
    stage.put(&user(1), json!({ "members": swapped })).unwrap();
    let document = stage.document();
    assert_eq!(document["members"]["1"]["constants"]["system"]["xuid"], "2");
    assert_eq!(document["members"]["2"]["constants"]["system"]["xuid"], "3");
    assert_eq!(document["members"]["1"]["reserved"], true);
    assert_eq!(document["members"]["1"].get("gamertag"), None);
    assert_eq!(
        document["membersInfo"],
        json!({ "first": 0, "next": 3, "count": 3, "accepted": 1, "active": 1 })
    );
    assert_eq!(stage.put(&user(1), reserve(&[2, 1, 2])), Ok("unchanged"));
}

#[test]
fn the_first_write_of_whatever_content_takes_the_reservation() {
    let mut stage = Stage::with_alice(json!({ "visibility": "private" }));
    stage.put(&user(1), reserve(&[2, 3])).unwrap();
    let reserved = stage.document()["members"]["1"].clone();
    stage.now += jiff::SignedDuration::from_secs(1);
    stage.put(&user(2), json!({})).unwrap();
    let member = stage.document()["members"]["1"].clone();
    assert_eq!(member.get("reserved"), None);
    assert_eq!(member["gamertag"], "Gamer2");
    assert_ne!(member["joinTime"], reserved["joinTime"]);
    assert_eq!(
        stage.put(&user(3), leave()),
        Ok("changed"),
        "the reservation is declined"
    );
    assert_eq!(stage.session().count(), 2);
}

#[test]
fn a_creator_that_reserves_itself_is_one_member_and_owns_the_session() {
    let mut stage = Stage::new(json!({ "capabilities": { "hasOwners": true } }));
    let mut body = reserve(&[1]);
    body["members"]["me"] = json!({});
    stage.put(&user(1), body).unwrap();
    assert_eq!(stage.session().count(), 1);
    assert_eq!(stage.session().accepted(), 1);
    assert_eq!(stage.session().properties.system.owners, [0]);
}

#[test]
fn member_constants_are_fixed_at_the_join_and_may_be_repeated() {
    let mut stage = Stage::with_alice(json!({}));
    let join = json!({ "members": { "me": { "constants": { "system": { "xuid": "2", "initialize": true }, "custom": "text" } } } });
    stage.put(&user(2), join.clone()).unwrap();
    let member = stage.document()["members"]["1"].clone();
    assert_eq!(
        member["constants"],
        json!({ "system": { "xuid": "2", "index": 1 }, "custom": "text" })
    );
    assert_eq!(stage.put(&user(2), join), Ok("unchanged"));
    let again =
        json!({ "members": { "me": { "constants": member["constants"], "properties": member["properties"] } } });
    assert_eq!(stage.put(&user(2), again), Ok("unchanged"));
    let other = json!({ "members": { "me": { "constants": { "custom": "other" } } } });
    assert_eq!(stage.refused(&user(2), other), RefusalKind::Conflict);
    let stranger = json!({ "members": { "me": { "constants": { "system": { "xuid": "3" } } } } });
    assert_eq!(stage.refused(&user(2), stranger.clone()), RefusalKind::Forbidden);
    assert_eq!(stage.refused(&user(4), stranger), RefusalKind::Forbidden);
}

#[test]
fn active_and_ready_exclude_each_other_and_false_is_absent() {
    let mut stage = Stage::with_alice(json!({}));
    assert_eq!(
        stage.refused(&user(1), me_system(json!({ "active": true, "ready": true }))),
        RefusalKind::Malformed
    );
    stage.put(&user(1), me_system(json!({ "ready": true }))).unwrap();
    assert_eq!(stage.session().member(1).unwrap().status, Status::Ready);
    stage.put(&user(1), me_system(json!({ "active": true }))).unwrap();
    assert_eq!(stage.session().member(1).unwrap().status, Status::Active);
    stage
        .put(&user(1), me_system(json!({ "active": false, "ready": false })))
        .unwrap();
    let member = stage.document()["members"]["0"].clone();
    assert_eq!(member["properties"]["system"], json!({}));
    assert_eq!(member.get("activeTitleId"), None);
}

#[test]
fn a_stranger_who_writes_to_an_open_session_becomes_a_member_but_leaving_adds_nobody() {
    let mut stage = Stage::with_alice(json!({}));
    assert_eq!(stage.put(&user(2), leave()), Ok("unchanged"));
    let mut body = leave();
    body["properties"] = json!({ "custom": { "a": 1 } });
    assert_eq!(stage.refused(&user(2), body), RefusalKind::Unwritable);
    stage.put(&user(2), json!({})).unwrap();
    assert_eq!(stage.session().accepted(), 2);
    stage.rules.set("X-29", "refused").unwrap();
    assert_eq!(stage.refused(&user(3), json!({})), RefusalKind::Unwritable);
}

#[test]
fn the_last_member_ends_the_session() {
    let mut stage = Stage::with_alice(json!({}));
    assert_eq!(stage.put(&user(1), leave()), Ok("gone"));
}

#[test]
fn servers_and_members_of_others_need_a_server_principal() {
    let mut stage = Stage::with_alice(json!({}));
    stage.put(&user(2), join()).unwrap();
    let entry = json!({ "servers": { "game": { "properties": { "custom": { "a": 1 } } } } });
    assert_eq!(stage.refused(&user(1), entry.clone()), RefusalKind::Forbidden);
    assert_eq!(
        stage.refused(&user(1), json!({ "members": { "1": null } })),
        RefusalKind::Forbidden
    );
    assert_eq!(stage.refused(&server(), join()), RefusalKind::Forbidden);
    stage.put(&server(), entry.clone()).unwrap();
    assert_eq!(stage.put(&server(), entry), Ok("unchanged"));
    assert_eq!(
        stage.document()["servers"]["game"]["properties"]["custom"],
        json!({ "a": 1 })
    );
    assert_eq!(
        stage.put(
            &server(),
            json!({ "members": { "1": null }, "servers": { "game": null } })
        ),
        Ok("changed")
    );
    assert_eq!(stage.session().count(), 1);
    assert_eq!(stage.document()["servers"], json!({}));
    let outcome = stage.session().remove_member(9, &stage.access(&server())).unwrap();
    assert_eq!(stage.keep(outcome), "unchanged");
    assert!(stage.session().remove_server("game", &stage.access(&user(1))).is_err());
}

#[test]
fn the_session_is_its_owners_and_ends_or_passes_on_with_the_last_of_them() {
    let owned = |migration: &str| {
        let policies = json!({ "migration": migration, "nonOwnerModifiableSystemProperties": ["closed"] });
        let mut stage =
            Stage::with_alice(json!({ "capabilities": { "hasOwners": true }, "ownershipPolicies": policies }));
        stage.put(&user(2), join()).unwrap();
        stage
    };
    let mut stage = owned("oldest");
    assert_eq!(stage.document()["properties"]["system"]["owners"], json!([0]));
    assert_eq!(
        stage.refused(&user(2), system(json!({ "joinRestriction": "local" }))),
        RefusalKind::Unwritable
    );
    stage.put(&user(2), system(json!({ "closed": true }))).unwrap();
    assert_eq!(
        stage.put(&user(2), json!({ "properties": stage.document()["properties"] })),
        Ok("unchanged")
    );
    stage
        .put(&user(2), json!({ "properties": { "custom": { "a": 1 } } }))
        .unwrap();
    assert!(stage.session().may_invite(1) && !stage.session().may_invite(2));
    stage.put(&user(1), leave()).unwrap();
    assert_eq!(stage.session().properties.system.owners, [1]);
    assert_eq!(owned("endsession").put(&user(1), leave()), Ok("gone"));
}

#[test]
fn restrictions_locks_keywords_and_turns_are_checked_together() {
    let mut stage = Stage::with_alice(json!({}));
    for wrong in [
        json!({ "joinRestriction": "followed", "readRestriction": "local" }),
        json!({ "locked": true }),
        json!({ "turn": [7] }),
        json!({ "turn": ["0"] }),
        json!({ "owners": [0] }),
        json!({ "initializationSucceeded": true }),
        json!({ "matchmaking": { "clientResult": { "status": "found" } } }),
    ] {
        assert_eq!(
            stage.refused(&user(1), system(wrong.clone())),
            RefusalKind::Malformed,
            "{wrong}"
        );
    }
    stage.put(&user(2), join()).unwrap();
    stage
        .put(&user(1), system(json!({ "turn": [1], "closed": true, "locked": true })))
        .unwrap();
    assert_eq!(stage.document()["members"]["1"]["turn"], true);
    stage.put(&user(2), leave()).unwrap();
    assert_eq!(
        stage.document()["properties"]["system"],
        json!({ "turn": [], "closed": true, "locked": true })
    );
    let mut private = Stage::with_alice(json!({ "visibility": "private" }));
    assert_eq!(
        private.refused(&user(1), system(json!({ "keywords": ["a"] }))),
        RefusalKind::Malformed
    );
}

#[test]
fn user_authorization_style_is_local_until_followed() {
    let mut stage = Stage::with_alice(json!({ "capabilities": { "userAuthorizationStyle": true } }));
    let shown = stage.document()["properties"]["system"].clone();
    assert_eq!(
        shown,
        json!({ "turn": [], "joinRestriction": "local", "readRestriction": "local" })
    );
    for field in ["joinRestriction", "readRestriction"] {
        assert_eq!(
            stage.refused(&user(1), system(json!({ field: "none" }))),
            RefusalKind::Malformed
        );
    }
    stage
        .put(
            &user(1),
            system(json!({ "joinRestriction": "followed", "readRestriction": "followed" })),
        )
        .unwrap();
}

#[test]
fn one_device_has_one_token_and_the_host_must_have_it() {
    let mut stage = Stage::with_alice(json!({ "capabilities": { "connectivity": true } }));
    stage
        .put(&user(1), me_system(json!({ "secureDeviceAddress": "" })))
        .unwrap();
    assert_eq!(stage.document()["members"]["0"].get("deviceToken"), None);
    stage.put(&user(1), system(json!({ "host": "nobody" }))).unwrap();
    assert_eq!(stage.document()["properties"]["system"].get("host"), None);
    stage
        .put(&user(1), me_system(json!({ "secureDeviceAddress": "AAAA" })))
        .unwrap();
    let token = stage.document()["members"]["0"]["deviceToken"]
        .as_str()
        .unwrap()
        .to_owned();
    stage
        .put(&user(1), system(json!({ "host": token.to_uppercase() })))
        .unwrap();
    assert_eq!(stage.document()["properties"]["system"]["host"], token.to_uppercase());
    assert_eq!(
        stage.refused(&user(1), me_system(json!({ "secureDeviceAddress": "?" }))),
        RefusalKind::Malformed
    );
    stage
        .put(&user(1), me_system(json!({ "secureDeviceAddress": null })))
        .unwrap();
    assert_eq!(stage.document()["properties"]["system"].get("host"), None);
    let mut other = Stage::with_alice(json!({ "capabilities": { "connectivity": true } }));
    other
        .put(&user(1), me_system(json!({ "secureDeviceAddress": "AQID" })))
        .unwrap();
    assert_eq!(other.document()["members"]["0"]["deviceToken"], token);
    assert_eq!(other.document()["members"]["0"]["nat"], "open");
    let mut without = Stage::with_alice(json!({}));
    assert_eq!(
        without.refused(&user(1), me_system(json!({ "secureDeviceAddress": "AAAA" }))),
        RefusalKind::Malformed
    );
}

#[test]
fn measurements_need_metrics_and_are_not_of_the_own_device() {
    let mut stage = Stage::with_alice(
        json!({ "capabilities": { "connectivity": true }, "peerToPeerRequirements": { "latencyMaximum": 100 } }),
    );
    stage
        .put(&user(1), me_system(json!({ "secureDeviceAddress": "AAAA" })))
        .unwrap();
    let token = stage.document()["members"]["0"]["deviceToken"]
        .as_str()
        .unwrap()
        .to_owned();
    let measured = |token: &str, value: Value| me_system(json!({ "measurements": { token: { "latency": value } } }));
    assert_eq!(
        stage.refused(&user(1), measured(&token, json!(5))),
        RefusalKind::Malformed
    );
    assert_eq!(
        stage.refused(&user(1), measured("ABC", json!(5))),
        RefusalKind::Malformed
    );
    assert_eq!(
        stage.refused(&user(1), measured("abc", json!(-5))),
        RefusalKind::Malformed
    );
    stage.put(&user(1), measured("abc", json!(5.5))).unwrap();
    let mut without = Stage::with_alice(json!({}));
    assert_eq!(
        without.refused(&user(1), measured("abc", json!(5))),
        RefusalKind::Malformed
    );
}

#[test]
fn subscriptions_are_merged_one_by_one_and_a_subscription_is_replaced() {
    let mut stage = Stage::with_alice(json!({}));
    let (one, two) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let entry = json!({ "profile": "roster", "onBehalfOfTitleId": "1" });
    stage
        .put(&user(1), me_system(json!({ "subscriptions": { &one: entry } })))
        .unwrap();
    stage
        .put(
            &user(1),
            me_system(json!({ "subscriptions": { &two: entry, &one: null } })),
        )
        .unwrap();
    let shown = stage.document()["members"]["0"]["properties"]["system"].clone();
    assert_eq!(shown["subscriptions"], json!({ &two: entry }));
    stage
        .put(
            &user(1),
            me_system(json!({ "subscription": { "id": one, "changeTypes": ["everything"] } })),
        )
        .unwrap();
    stage
        .put(
            &user(1),
            me_system(json!({ "subscription": { "id": two, "changeTypes": ["host"] } })),
        )
        .unwrap();
    let member = stage.session().member(1).unwrap();
    assert_eq!(member.subscription.unwrap().id, two);
    let wrong = me_system(json!({ "subscription": { "id": two, "changeTypes": ["weather"] } }));
    assert_eq!(stage.refused(&user(1), wrong), RefusalKind::Malformed);
}

#[test]
fn a_large_session_shows_each_member_itself_and_has_no_business_with_others() {
    let mut stage = Stage::with_alice(json!({ "capabilities": { "large": true }, "maxMembersCount": 1000 }));
    stage.put(&user(2), active()).unwrap();
    let document = stage.document_for(&user(2));
    assert_eq!(
        document["members"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["me"]
    );
    assert_eq!(document["members"]["me"]["constants"]["system"]["xuid"], "2");
    assert_eq!(document["membersInfo"]["count"], 2);
    assert_eq!(document["properties"]["system"].get("turn"), None);
    assert_eq!(stage.document_for(&user(3))["members"], json!({}));
    assert_eq!(stage.refused(&user(1), reserve(&[3])), RefusalKind::Conflict);
    assert_eq!(
        stage.refused(&server(), json!({ "members": { "1": null } })),
        RefusalKind::Conflict
    );
    for wrong in [
        json!({ "turn": [0] }),
        json!({ "host": "x" }),
        json!({ "joinRestriction": "local" }),
    ] {
        assert_eq!(
            stage.refused(&user(1), system(wrong.clone())),
            RefusalKind::Malformed,
            "{wrong}"
        );
    }
    for wrong in [json!({ "initializationGroup": [0] }), json!({ "subscription": {} })] {
        assert_eq!(
            stage.refused(&user(1), me_system(wrong.clone())),
            RefusalKind::Malformed,
            "{wrong}"
        );
    }
}

#[test]
fn roles_are_limited_by_max_and_freed_by_leaving() {
    let mut stage = Stage::new(json!({ "inactiveRemovalTimeout": null }));
    let mut body = active();
    body["roleTypes"] = json!({ "class": { "mutableRoleSettings": ["max"], "roles": { "healer": { "max": 1 }, "tank": { "target": 2, "max": 3 } } } });
    stage.put(&user(1), body).unwrap();
    let take = |role: Value| json!({ "members": { "me": { "roles": { "class": role } } } });
    stage.put(&user(1), take(json!("healer"))).unwrap();
    stage.put(&user(2), join()).unwrap();
    assert_eq!(stage.refused(&user(2), take(json!("healer"))), RefusalKind::Unwritable);
    assert_eq!(stage.refused(&user(2), take(json!("bard"))), RefusalKind::Malformed);
    stage.put(&user(2), take(json!("tank"))).unwrap();
    let shown = stage.document();
    assert_eq!(
        shown["roleTypes"]["class"]["roles"]["healer"],
        json!({ "max": 1, "count": 1, "memberXuids": ["1"] })
    );
    assert_eq!(shown["members"]["1"]["roles"], json!({ "class": "tank" }));
    stage.put(&user(1), leave()).unwrap();
    stage.put(&user(2), take(json!("healer"))).unwrap();
    assert_eq!(stage.document()["members"]["1"]["roles"], json!({ "class": "healer" }));
}

#[test]
fn role_types_are_checked_at_creation() {
    for wrong in [
        json!({ "Class": { "roles": {} } }),
        json!({ "class": { "roles": { "a": { "max": 0 } } } }),
        json!({ "class": { "roles": { "a": { "max": 1, "target": 2 } } } }),
        json!({ "class": { "ownerManaged": true, "roles": {} } }),
        json!({ "class": { "mutableRoleSettings": ["count"], "roles": {} } }),
    ] {
        let mut body = active();
        body["roleTypes"] = wrong.clone();
        assert_eq!(
            Stage::new(json!({})).refused(&user(1), body),
            RefusalKind::Malformed,
            "{wrong}"
        );
    }
}

#[test]
fn owners_change_mutable_role_settings_and_assign_managed_roles() {
    let mut stage = Stage::new(json!({ "capabilities": { "hasOwners": true }, "inactiveRemovalTimeout": null }));
    stage.template.role_types =
        json!({ "rank": { "ownerManaged": true, "mutableRoleSettings": ["max"], "roles": { "lead": { "max": 1 } } } });
    stage.put(&user(1), active()).unwrap();
    stage.put(&user(2), join()).unwrap();
    let setting = |setting: &str| json!({ "roleTypes": { "rank": { "roles": { "lead": { setting: 1 + u64::from(setting == "max") } } } } });
    assert_eq!(stage.refused(&user(2), setting("max")), RefusalKind::Unwritable);
    assert_eq!(stage.refused(&user(1), setting("target")), RefusalKind::Conflict);
    stage.put(&user(1), setting("max")).unwrap();
    let take = json!({ "members": { "me": { "roles": { "rank": "lead" } } } });
    assert_eq!(stage.refused(&user(2), take.clone()), RefusalKind::Unwritable);
    stage.put(&user(1), take).unwrap();
}

#[test]
fn initialization_needs_its_members_at_creation() {
    let mut stage = Stage::new(json!({ "memberInitialization": { "membersNeededToStart": 2 } }));
    let mut body = reserve(&[2]);
    body["members"]["me"] = json!({ "constants": { "system": { "initialize": true } } });
    assert_eq!(stage.refused(&user(1), body.clone()), RefusalKind::Malformed);
    body["members"]["reserve_0"]["constants"]["system"]["initialize"] = json!(true);
    stage.put(&user(1), body).unwrap();
    assert_eq!(
        stage.document()["members"]["1"]["constants"]["system"]["initialize"],
        true
    );
}

#[test]
fn before_107_an_empty_matchmaking_is_shown_and_may_be_sent_back() {
    let mut stage = Stage::with_alice(json!({}));
    stage.version = ContractVersion::V105;
    assert_eq!(stage.document()["contractVersion"], 105);
    assert_eq!(stage.document()["properties"]["system"]["matchmaking"], json!({}));
    assert_eq!(
        stage.put(&user(1), json!({ "properties": stage.document()["properties"] })),
        Ok("unchanged")
    );
}

#[test]
fn properties_alone_are_written_like_the_session() {
    let mut stage = Stage::with_alice(json!({}));
    let outcome = stage
        .session()
        .write_properties(
            &stage.template,
            &json!({ "custom": { "a": 1 } }),
            &stage.access(&user(1)),
        )
        .unwrap();
    assert_eq!(stage.keep(outcome), "changed");
    assert_eq!(stage.session().custom_properties(), &json!({ "a": 1 }));
    let wrapped = json!({ "properties": { "custom": {} } });
    let refusal = stage
        .session()
        .write_properties(&stage.template, &wrapped, &stage.access(&user(1)))
        .unwrap_err();
    assert_eq!(
        refusal.message,
        "/properties: unknown field, expected one of system, custom"
    );
}

#[test]
fn elements_are_found_by_their_path() {
    let stage = Stage::with_alice(json!({}));
    let element = |path: &[&str]| stage.session().element(path, &stage.access(&user(1)));
    assert_eq!(element(&["members", "me"]), element(&["Members", "0"]));
    assert!(element(&["members", "me"]).is_some());
    assert_eq!(element(&["members", "4"]), None);
    assert_eq!(element(&["servers", "x"]), None);
}
